// SPDX-License-Identifier: Apache-2.0
// Work that takes time (files, network, netlink, large texts), on threads of its own. It gets what
// it needs by value and hands its result back to the deciding thread.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "engine/inbox.h"
#include "engine/workers.h"

namespace xdpctl
{

// Set when the daemon stops; work that waits for others looks at it.
using Stop = std::atomic<bool>;

class Jobs
{
  public:
    // Until it has threads start() does the work itself: at the daemon's start, and in tests, which
    // so run in one order.
    explicit Jobs(Inbox& inbox) : inbox_(inbox) {}
    // They inherit the capabilities of the caller.
    void start_threads(size_t count);
    ~Jobs() { stop(); }
    // Sets Stop and waits for the threads. What was not begun is not done.
    void stop();
    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;

    // `work` (const Stop&) -> Result<T> on any thread, then `done` (Result<T>) on the deciding
    // one. What `work` throws, where there is no memory, becomes an error.
    template <typename Work, typename Done> void start(Work work, Done done)
    {
        using Answer = std::invoke_result_t<Work, const Stop&>;
        // Shared: std::function copies what it holds.
        auto task = std::make_shared<std::pair<Work, Done>>(std::move(work), std::move(done));
        if (!workers_) {
            task->second(attempt<Answer>(task->first));
            return;
        }
        workers_->post(Workers::Task([this, task] {
            auto answer = std::make_shared<Answer>(attempt<Answer>(task->first));
            inbox_.post([task, answer] { task->second(std::move(*answer)); });
        }));
    }

  private:
    template <typename Answer, typename Work> Answer attempt(Work& work) const
    {
        try {
            return work(stop_);
        } catch (const std::exception& problem) {
            return failure("{}", problem.what());
        }
    }

    Inbox& inbox_;
    Stop stop_ = false;
    std::optional<Workers> workers_;
};

} // namespace xdpctl
