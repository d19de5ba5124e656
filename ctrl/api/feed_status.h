// SPDX-License-Identifier: Apache-2.0
// What is known of one feed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <xdpctl/abi/maps.h>

namespace xdpctl
{

struct FeedStatus {
    std::string name;
    std::string url;
    uint16_t list = 0;
    uint64_t prefixes[2] = {0, 0}; // in force: IPv4, IPv6
    size_t faults = 0;             // lines that could not be read
    size_t too_wide = 0;           // entries that were not taken
    size_t protected_here = 0;
    std::string refused;                    // the first of them, and why
    std::optional<uint64_t> fetched_unix_s; // when what is in force was last confirmed
    uint64_t read_ns = 0;                   // that the last change took: to read it,
    uint64_t apply_ns = 0;                  // and to put it in force
    uint64_t due_in_ns = 0;                 // next try
    std::string problem;                    // of the last try; empty: none
    uint64_t refreshes[3] = {0, 0, 0};      // changed, unchanged, failed
    bool stale = false;                     // three tries or more are overdue
    xdpctl_cell met{};                      // packets that it dropped
};

} // namespace xdpctl
