// SPDX-License-Identifier: Apache-2.0
#include "daemon/bouncer.h"

#include <algorithm>

#include "core/feed.h"

namespace xdpctl
{
namespace
{

// What yielded to bans that are over by now is asked for again.
constexpr uint64_t all_interval_ns = 600 * ns_per_s;
constexpr uint64_t retry_most_ns = 60 * ns_per_s;

} // namespace

std::string BouncerJob::url() const
{
    return fmt::format("{}{}v1/decisions/stream?startup={}&scopes=ip,range", config.url,
                       config.url.ends_with('/') ? "" : "/", all);
}

bool Bouncer::configure(const CrowdSecConfig& config, uint64_t now_ns)
{
    if (config == config_) {
        return false;
    }
    const bool another = !config_.url.empty() && config.url != config_.url;
    config_ = config;
    status_ = {};
    status_.url = shown_url(config.url);
    due_ns_ = now_ns;
    due_all_ns_ = now_ns;
    failures_ = 0;
    in_work_ = false; // what is under way is for the old one
    return another;
}

std::optional<BouncerJob> Bouncer::due(uint64_t now_ns)
{
    if (config_.url.empty() || in_work_ || now_ns < due_ns_) {
        return std::nullopt;
    }
    in_work_ = true;
    return BouncerJob{config_, now_ns >= due_all_ns_};
}

bool Bouncer::taken(const BouncerJob& job, const Decisions& decisions, size_t refused,
                    uint64_t now_ns, uint64_t unix_s)
{
    if (!is_of(job)) {
        return false;
    }
    in_work_ = false;
    failures_ = 0;
    due_ns_ = now_ns + config_.interval_ns;
    status_.answers++;
    status_.answered_unix_s = unix_s;
    status_.problem.clear();
    if (job.all) {
        due_all_ns_ = now_ns + all_interval_ns;
        status_.refused = status_.passed_over = status_.faults = 0;
        status_.first_fault.clear();
    }
    status_.refused += refused;
    status_.passed_over += decisions.passed_over;
    status_.faults += decisions.faults;
    if (status_.first_fault.empty()) {
        status_.first_fault = decisions.first_fault;
    }
    return true;
}

// What was told meanwhile may be lost: all of it is asked for.
bool Bouncer::failed(const BouncerJob& job, const std::string& why, uint64_t now_ns)
{
    if (!is_of(job)) {
        return false;
    }
    in_work_ = false;
    status_.failures++;
    status_.problem = why;
    failures_ = std::min(failures_ + 1, 16U);
    const uint64_t wait = config_.interval_ns << std::min(failures_ - 1, 6U);
    due_ns_ = now_ns +
              std::clamp(wait, config_.interval_ns, std::max(config_.interval_ns, retry_most_ns));
    due_all_ns_ = now_ns;
    return true;
}

std::optional<CrowdSecStatus> Bouncer::status(uint64_t unix_s) const
{
    if (config_.url.empty()) {
        return std::nullopt;
    }
    CrowdSecStatus status = status_;
    const uint64_t patience = 3 * config_.interval_ns / ns_per_s + 60;
    status.stale =
        status.answered_unix_s ? unix_s > *status.answered_unix_s + patience : status.failures >= 3;
    return status;
}

} // namespace xdpctl
