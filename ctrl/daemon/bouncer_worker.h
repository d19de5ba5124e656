// SPDX-License-Identifier: Apache-2.0
// The thread that asks CrowdSec.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "daemon/controller.h"

namespace xdpctl
{

// The first word of the file.
Result<std::string> read_crowdsec_key(const std::string& path);

class BouncerWorker
{
  public:
    explicit BouncerWorker(Controller& controller);
    ~BouncerWorker();

  private:
    void run();
    void work(const BouncerJob& job);

    Controller& controller_;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::thread thread_;
};

} // namespace xdpctl
