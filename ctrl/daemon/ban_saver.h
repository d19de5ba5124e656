// SPDX-License-Identifier: Apache-2.0
// The thread that writes the bans to disk, so that a slow disk holds up nothing.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "daemon/controller.h"

namespace xdpctl
{

class BanSaver
{
  public:
    explicit BanSaver(Controller& controller);
    ~BanSaver(); // writes what is not written yet

  private:
    void run();

    Controller& controller_;
    bool stop_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::thread thread_;
};

} // namespace xdpctl
