// SPDX-License-Identifier: Apache-2.0
#include "engine/workers.h"

namespace xdpctl
{

Workers::Workers(size_t threads)
{
    for (size_t i = 0; i < threads; i++) {
        threads_.emplace_back([this] { run(); });
    }
}

void Workers::stop()
{
    std::deque<Task> dropped;
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
        dropped.swap(tasks_);
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void Workers::post(Task task)
{
    {
        const std::lock_guard lock(mutex_);
        if (ends_) {
            return;
        }
        tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
}

void Workers::run()
{
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return ends_ || !tasks_.empty(); });
        if (ends_) {
            return;
        }
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
        task = {}; // what it holds ends here, not under the lock
        lock.lock();
    }
}

} // namespace xdpctl
