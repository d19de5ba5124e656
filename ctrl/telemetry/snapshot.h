// SPDX-License-Identifier: Apache-2.0
// All that is known at one tick. Readers share it; nobody changes it.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
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
    std::array<std::array<uint64_t, 2>, XDPCTL_BAN_ORIGIN_COUNT> active{};
    uint64_t remembered = 0; // over, but their strikes are not forgotten
    uint64_t active_total() const
    {
        uint64_t sum = 0;
        for (const auto& origin : active) {
            sum += origin[0] + origin[1];
        }
        return sum;
    }
};

enum class GuardState {
    off,
    watching,   // no attack
    attacked,   // but the guard may only tell
    answering,  // SYNs are answered with cookies
    limiting,   // cookies cannot be used: SYNs are limited
    overloaded, // no attack: the service does not accept its connections fast enough
};

// The SYN guard of one service; port 0: of every port without a listener.
struct GuardStatus {
    uint16_t port = 0;
    xdpctl_guard_mode mode = XDPCTL_GUARD_OFF;
    bool by_hand = false; // the mode or the lockdown was set by hand
    bool lockdown = false;
    GuardState state = GuardState::off;
    bool enforced = true; // else only counted: monitor mode, panic
    bool attacked = false;
    uint64_t attacked_for_ns = 0;
    std::optional<uint64_t> cookies_off_ns;          // for how long; none: they work
    xdpctl_cookie_doubt doubt = XDPCTL_COOKIES_WORK; // why they are off
    bool overloaded = false;                         // its accept queue is full
    uint32_t capacity = 0;                           // handshakes
    uint64_t pending = 0;
    uint64_t attacks = 0;
    uint64_t syns = 0;
    uint64_t cookies = 0;
    uint64_t accepted = 0;
    uint64_t rejected = 0;
    uint64_t limited = 0;
    uint64_t misrouted = 0; // of those, SYNs whose answer would leave by another interface
    uint64_t established = 0;
};

std::string_view to_string(GuardState state);
// Why cookies are off, in words; empty while they work.
std::string_view to_string(xdpctl_cookie_doubt doubt);

struct Snapshot {
    uint64_t time_ns = 0; // data path clock
    std::vector<DeviceSnapshot> devices;
    // Over all devices and families, by disposition and reason.
    std::array<std::array<Traffic, XDPCTL_REASON_SLOTS>, XDPCTL_DISPOSITION_COUNT> by_reason{};
    Traffic received;
    std::array<Traffic, outcomes.size()> by_outcome{};
    const Traffic& of(Outcome outcome) const { return by_outcome[static_cast<size_t>(outcome)]; }
    uint64_t events_lost = 0;
    BanCounts bans;
    std::vector<MapUsage> maps;
    std::vector<GuardStatus> guards;
    std::vector<Talker> clients; // the busiest first, at most `top_clients`
};

inline constexpr size_t top_clients = 20;

} // namespace xdpctl
