// SPDX-License-Identifier: Apache-2.0
#include "engine/jobs.h"

namespace xdpctl
{

void Jobs::start_threads(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        threads_.emplace_back([this] { run(); });
    }
}

void Jobs::stop()
{
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        waiting_.clear();
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void Jobs::push(std::function<void()> task)
{
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(task));
    }
    wake_.notify_one();
}

void Jobs::run()
{
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (stop_) {
            return;
        }
        const std::function<void()> task = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        task();
        lock.lock();
    }
}

} // namespace xdpctl
