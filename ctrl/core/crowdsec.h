// SPDX-License-Identifier: Apache-2.0
// Decisions of a CrowdSec local API, as /v1/decisions/stream tells them to a bouncer.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

struct Decision {
    Prefix prefix;
    uint64_t ttl_ns = 0;
    std::string reason; // CrowdSec calls it the scenario
};

// Each decision is its own: one that cannot be read is told and does not keep others from being
// taken. A range of addresses ("a-b") is one decision for each of its prefixes.
struct Decisions {
    std::vector<Decision> fresh;
    std::vector<Prefix> gone; // may name what was never there
    size_t passed_over = 0;   // not bans of addresses: captchas, countries, simulated ones, ...
    size_t faults = 0;        // cannot be read, or wider than any ban should be
    std::string first_fault;
};

// Errors where it is not such an answer at all.
Result<Decisions> parse_decisions(std::string_view text);

// Those of `wanted` that would bring the bans of CrowdSec to more of the public addresses than a
// list of others may cover (usual_share_*). The widest are left out first.
std::set<Prefix> beyond_share(std::vector<Prefix> in_force, std::vector<Prefix> wanted);

// "3h59m48.5s", as Go writes it; nothing where it is negative, which is over.
Result<std::optional<uint64_t>> parse_go_duration(std::string_view text);

} // namespace xdpctl
