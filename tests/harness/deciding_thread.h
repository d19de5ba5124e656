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
    explicit DecidingThread(Inbox& inbox) : inbox_(inbox), thread_([this] { run(); }) {}
    ~DecidingThread()
    {
        stop_ = true;
        inbox_.post([] {}); // wakes it
        thread_.join();
    }
    DecidingThread(const DecidingThread&) = delete;
    DecidingThread& operator=(const DecidingThread&) = delete;

  private:
    void run()
    {
        while (!stop_) {
            pollfd waiting{inbox_.fd(), POLLIN, 0};
            poll(&waiting, 1, 1000); // ms; of a closed inbox nothing wakes it
            inbox_.run();
        }
    }

    Inbox& inbox_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

} // namespace xdpctl::testing
