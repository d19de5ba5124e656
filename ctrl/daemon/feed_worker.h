// SPDX-License-Identifier: Apache-2.0
// The thread that fetches and reads the feeds, so that a slow server holds up nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "daemon/controller.h"

namespace xdpctl
{

class FeedWorker
{
  public:
    explicit FeedWorker(Controller& controller);
    ~FeedWorker(); // waits for the thread, which gives up what it fetches

  private:
    void run();
    void work(const FeedJob& job);

    Controller& controller_;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::thread thread_;
};

} // namespace xdpctl
