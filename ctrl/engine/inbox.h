// SPDX-License-Identifier: Apache-2.0
// What other threads ask the deciding thread to do. All state of the daemon belongs to that
// thread, so that none of it needs a lock.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <type_traits>

#include "base/fd.h"

namespace xdpctl
{

class Inbox
{
  public:
    Inbox();

    // From any thread. After close() the work is dropped.
    void post(std::function<void()> work);
    // From any thread but the deciding one: waits for the answer. Throws what `question` throws,
    // and std::future_error where the daemon stops instead of answering.
    template <typename Question> auto ask(Question question)
    {
        using Answer = std::invoke_result_t<Question>;
        auto task = std::make_shared<std::packaged_task<Answer()>>(std::move(question));
        auto answer = task->get_future();
        post([task = std::move(task)] { (*task)(); });
        return answer.get();
    }

    // On the deciding thread: does the next that was posted, if any. One at a time, so that ticks,
    // signals and the watchdog have their turn.
    void run();
    // Readable while something waits; owned by this object.
    int fd() const { return wake_.get(); }
    // Drops what waits and what comes: nobody decides any more.
    void close();

  private:
    std::function<void()> take();

    Fd wake_; // eventfd(2), a semaphore: counts what waits
    std::mutex mutex_;
    std::deque<std::function<void()>> waiting_;
    bool closed_ = false;
};

} // namespace xdpctl
