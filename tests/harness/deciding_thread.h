// SPDX-License-Identifier: Apache-2.0
// Runs an inbox, as run_loop() does, until it ends.
#pragma once

#include <poll.h>

#include <atomic>
#include <thread>

#include "engine/inbox.h"

namespace xdpctl::testing
{

class DecidingThread
{
  public:
    explicit DecidingThread(Inbox& inbox) : thread_([this, &inbox] { run(inbox); }) {}
    ~DecidingThread()
    {
        stop_ = true;
        thread_.join();
    }
    DecidingThread(const DecidingThread&) = delete;
    DecidingThread& operator=(const DecidingThread&) = delete;

  private:
    void run(Inbox& inbox) const
    {
        while (!stop_) {
            pollfd waiting{inbox.fd(), POLLIN, 0};
            poll(&waiting, 1, 20); // ms, until the end is seen
            inbox.run();
        }
    }

    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

} // namespace xdpctl::testing
