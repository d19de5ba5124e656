// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads that run tasks in the order in which they come.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace xdpctl
{

class Workers
{
  public:
    using Task = std::packaged_task<void()>; // takes callables that cannot be copied

    explicit Workers(size_t threads);
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    void post(Task task); // destroys the task where they were stopped
    void stop();          // waits for the tasks that run, and destroys those that wait

  private:
    void run();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Task> tasks_;
    bool ends_ = false;
    std::vector<std::thread> threads_;
};

} // namespace xdpctl
