// SPDX-License-Identifier: Apache-2.0
#include "daemon/feed_workers.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr int at_once = 4;
constexpr uint64_t look_interval_ns = 200 * ns_per_ms; // for a refresh by hand

} // namespace

FeedWorkers::FeedWorkers(Controller& controller) : controller_(controller)
{
    for (int i = 0; i < at_once; i++) {
        threads_.emplace_back([this] { run(); });
    }
}

FeedWorkers::~FeedWorkers()
{
    stop_ = true;
    wake_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void FeedWorkers::run()
{
    while (!stop_) {
        try {
            controller_.follow_geo();
        } catch (const std::exception& problem) { // no memory for such a database
            log::error("geo: {}", problem.what());
        }
        if (const auto job = controller_.due_feed()) {
            work(*job);
            continue;
        }
        std::unique_lock lock(mutex_);
        const uint64_t wait = std::min(controller_.feed_wait_ns(), look_interval_ns);
        wake_.wait_for(lock, std::chrono::nanoseconds(wait), [this] { return stop_.load(); });
    }
}

void FeedWorkers::work(const FeedJob& job)
{
    FetchOptions options;
    options.bytes_most = job.config.bytes_most();
    auto fetched = fetch(job.config.url, job.known, options, stop_);
    if (stop_) {
        return;
    }
    if (!fetched) {
        controller_.feed_failed(job, fetched.error());
        return;
    }
    const std::lock_guard one_at_a_time(reading_); // a large list takes much memory
    try { // what a library throws where there is no memory for such a list
        controller_.feed_fetched(job, std::move(*fetched));
    } catch (const std::exception& problem) {
        controller_.feed_failed(job, failure("{}: {}", shown_url(job.config.url), problem.what()));
    }
    malloc_trim(0); // a large list took much that is free now
}

} // namespace xdpctl
