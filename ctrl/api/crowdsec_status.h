// SPDX-License-Identifier: Apache-2.0
// What is known of the CrowdSec that is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace xdpctl
{

struct CrowdSecStatus {
    std::string url;
    std::optional<uint64_t> answered_unix_s; // the last good answer
    bool stale = false;                      // none for three intervals and a minute
    std::string problem;                     // of the last try; else empty
    size_t refused = 0;                      // would hurt this host; of the last full answer
    size_t passed_over = 0;                  // not bans of addresses, likewise
    size_t faults = 0;                       // not understood, likewise
    std::string first_fault;
    uint64_t answers = 0;
    uint64_t failures = 0;
    uint64_t decisions = 0; // of it in force now
};

} // namespace xdpctl
