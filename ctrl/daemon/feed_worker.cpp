// SPDX-License-Identifier: Apache-2.0
#include "daemon/feed_worker.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t look_interval_ns = ns_per_s; // at least: a refresh by hand is due at once

} // namespace

FeedWorker::FeedWorker(Controller& controller) : controller_(controller), thread_([this] { run(); })
{
}

FeedWorker::~FeedWorker()
{
    stop_ = true;
    wake_.notify_all();
    thread_.join();
}

void FeedWorker::run()
{
    while (!stop_) {
        if (const auto job = controller_.due_feed()) {
            work(*job);
            continue;
        }
        std::unique_lock lock(mutex_);
        const uint64_t wait = std::min(controller_.feed_wait_ns(), look_interval_ns);
        wake_.wait_for(lock, std::chrono::nanoseconds(wait), [this] { return stop_.load(); });
    }
}

void FeedWorker::work(const FeedJob& job)
{
    auto fetched = fetch(job.config.url, job.known, {}, stop_);
    if (stop_) {
        return;
    }
    if (!fetched) {
        controller_.feed_failed(job.config.name, fetched.error());
        return;
    }
    controller_.feed_fetched(job, std::move(*fetched));
}

} // namespace xdpctl
