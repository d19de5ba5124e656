// SPDX-License-Identifier: Apache-2.0
// When to ask CrowdSec, what for, and what came of it. Pure: asking is somebody else's
// work, time is a parameter.
#pragma once

#include <optional>
#include <string>

#include "api/crowdsec_status.h"
#include "core/config.h"
#include "core/crowdsec.h"

namespace xdpctl
{

struct BouncerJob {
    CrowdSecConfig config;
    bool all = false; // every decision in force, not what changed

    std::string url() const;
};

class Bouncer
{
  public:
    // True where it is not to be asked any more, or another one is: what the last one
    // said holds no longer.
    bool configure(const CrowdSecConfig& config, uint64_t now_ns);

    std::optional<BouncerJob> due(uint64_t now_ns);
    // What came of a job; false where another one is configured by now.
    bool taken(const BouncerJob& job, const Decisions& decisions, size_t refused, uint64_t now_ns,
               uint64_t unix_s);
    // A problem beside a good answer.
    void tell(const std::string& problem) { status_.problem = problem; }
    bool failed(const BouncerJob& job, const std::string& why, uint64_t now_ns);
    bool is_of(const BouncerJob& job) const { return job.config == config_; }

    // Nothing where none is configured.
    std::optional<CrowdSecStatus> status(uint64_t unix_s) const;

  private:
    CrowdSecConfig config_;
    CrowdSecStatus status_;
    uint64_t due_ns_ = 0;
    uint64_t due_all_ns_ = 0;
    uint32_t failures_ = 0; // one after the other
    bool in_work_ = false;
};

} // namespace xdpctl
