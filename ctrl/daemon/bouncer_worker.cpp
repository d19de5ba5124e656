// SPDX-License-Identifier: Apache-2.0
#include "daemon/bouncer_worker.h"

#include <malloc.h>

#include <chrono>

#include "base/file.h"
#include "feeds/fetch.h"

namespace xdpctl
{
namespace
{

constexpr auto rest = std::chrono::milliseconds(200);
constexpr size_t key_bytes_most = 4096;

} // namespace

Result<std::string> read_crowdsec_key(const std::string& path)
{
    auto text = read_file(path, key_bytes_most);
    if (!text) {
        return text.error().in("the key of CrowdSec's API");
    }
    const size_t end = text->find_first_of(" \t\r\n");
    const std::string key = text->substr(0, end);
    return key.empty() ? Result<std::string>(failure("{}: no key in it", path)) : key;
}

BouncerWorker::BouncerWorker(Controller& controller)
    : controller_(controller), thread_([this] { run(); })
{
}

BouncerWorker::~BouncerWorker()
{
    stop_ = true;
    wake_.notify_all();
    thread_.join();
}

void BouncerWorker::run()
{
    while (!stop_) {
        if (const auto job = controller_.due_decisions()) {
            try { // what a library throws where there is no memory for so many
                work(*job);
                malloc_trim(0); // a full answer is large
            } catch (const std::exception& problem) {
                controller_.decisions_failed(*job, failure("{}", problem.what()));
            }
        }
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, rest, [this] { return stop_.load(); });
    }
}

void BouncerWorker::work(const BouncerJob& job)
{
    // Each time, so that a new one is taken.
    const auto key = read_crowdsec_key(job.config.key_file);
    if (!key) {
        controller_.decisions_failed(job, key.error());
        return;
    }
    FetchOptions options;
    options.total_seconds = 60;
    options.bytes_most = 64UL << 20; // some 300,000 decisions
    options.redirects_most = 0;      // the key is for nobody else
    options.headers = {"X-Api-Key: " + *key};
    const auto fetched = fetch(job.url(), {}, options, stop_);
    if (stop_) {
        return;
    }
    const auto decisions =
        fetched ? parse_decisions(fetched->text) : Result<Decisions>(fetched.error());
    if (decisions) {
        controller_.decisions_fetched(job, *decisions);
    } else {
        controller_.decisions_failed(job, decisions.error());
    }
}

} // namespace xdpctl
