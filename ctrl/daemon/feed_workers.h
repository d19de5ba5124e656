// SPDX-License-Identifier: Apache-2.0
// The threads that fetch and read the feeds, so that a slow server holds up nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "daemon/controller.h"

namespace xdpctl
{

class FeedWorkers
{
  public:
    explicit FeedWorkers(Controller& controller);
    ~FeedWorkers(); // waits for the threads, which give up what they fetch

  private:
    void run();
    void work(const FeedJob& job);

    Controller& controller_;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    std::mutex reading_;
    std::condition_variable wake_;
    std::vector<std::thread> threads_;
};

} // namespace xdpctl
