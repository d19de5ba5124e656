// SPDX-License-Identifier: Apache-2.0
// All that is known at one tick. Readers share it; nobody changes it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/reasons.h"
#include "dataplane/dataplane.h"

namespace xdpctl
{

struct DeviceSnapshot {
    std::string name; // "other" for devices that nobody registered
    DeviceCounters counters;
};

struct Traffic {
    uint64_t packets = 0;
    uint64_t bytes = 0;
    double packets_per_second = 0;
    double bits_per_second = 0;
};

struct Talker {
    Address source;
    double packets_per_second = 0;
    uint32_t connections = 0;
    uint64_t packets = 0;
};

struct BanCounts {
    // [xdpctl_ban_origin][xdpctl_family]: in force now
    std::array<std::array<uint64_t, 2>, 2> active{};
    uint64_t remembered = 0; // over, but their strikes are not forgotten
    uint64_t active_total() const
    {
        return active[0][0] + active[0][1] + active[1][0] + active[1][1];
    }
};

struct Snapshot {
    uint64_t time_ns = 0; // data path clock
    std::vector<DeviceSnapshot> devices;
    // Over all devices and families, by disposition and reason.
    std::array<std::array<Traffic, XDPCTL_REASON_SLOTS>, XDPCTL_DISPOSITION_COUNT> by_reason{};
    Traffic received;
    Traffic passed; // without what only the mode kept from being dropped
    Traffic dropped;
    Traffic would_drop;
    uint64_t events_lost = 0;
    BanCounts bans;
    std::vector<MapUsage> maps;
    std::vector<Talker> clients; // the busiest first, at most `top_clients`
};

inline constexpr size_t top_clients = 20;

} // namespace xdpctl
