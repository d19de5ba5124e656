// SPDX-License-Identifier: Apache-2.0
// From what the operator and the daemon want to what the data path reads.
#pragma once

#include <cstdint>
#include <vector>

#include <xdpctl/abi/policy.h>

#include "core/config.h"
#include "core/prefix.h"

namespace xdpctl
{

struct PrefixBan {
    Prefix prefix;
    uint64_t deadline_ns = 0; // data path clock, XDPCTL_NO_DEADLINE for none

    bool operator==(const PrefixBan&) const = default;
};

struct PolicySpec {
    xdpctl_mode mode = XDPCTL_MODE_MONITOR;
    std::vector<Prefix> allow;
    std::vector<PrefixBan> block;
    uint64_t observed_reasons = 0;   // bit r: count reason r, do not enforce it
    uint32_t samples_per_second = 0; // of all CPUs together
};

// What the configuration alone says.
PolicySpec policy_of(const Config& config);

struct PrefixEntry {
    xdpctl_prefix_key key;
    xdpctl_prefix_leaf leaf;
};

struct CompiledPolicy {
    xdpctl_policy policy; // .generation is left 0: the data plane counts
    std::vector<PrefixEntry> prefixes;
};

// Settles overlaps, so that the longest match is the whole answer: an allowed
// prefix wins over every block that covers it or lies in it, and a ban inside
// another lasts as long as the longer of the two. `cpus` shares the sample rate.
CompiledPolicy compile_policy(const PolicySpec& spec, uint32_t cpus);

} // namespace xdpctl
