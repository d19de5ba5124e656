// SPDX-License-Identifier: Apache-2.0
// From what the operator and the daemon want to what the data path reads.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <xdpctl/abi/policy.h>
#include <xdpctl/abi/prefix_table.h>

#include "core/config.h"
#include "core/limits.h"
#include "core/prefix.h"

namespace xdpctl
{

struct ListEntry {
    Prefix prefix;
    uint64_t deadline_ns = XDPCTL_NO_DEADLINE; // data path clock
    uint64_t codes = 0;                        // of XDPCTL_PREFIX_GEO: countries and AS numbers

    bool operator==(const ListEntry&) const = default;
};

// One service and the slot that its state lives in.
struct ServiceSpec {
    uint8_t slot = 0; // 1..255
    uint16_t port = 0;
    bool present = true; // false: gone, but its counters are kept
    xdpctl_guard_mode guard = XDPCTL_GUARD_AUTO;
    bool lockdown = false;
    uint32_t capacity = 0; // unfinished handshakes that its listener holds

    bool operator==(const ServiceSpec&) const = default;
};

// What of the policy follows the host by itself.
struct HostSpec {
    std::vector<ServiceSpec> services;
    uint32_t flags = 0;                               // XDPCTL_HOST_*
    uint32_t rmem_max = 0;                            // bytes
    std::set<std::pair<bool, uint16_t>> udp_services; // IPv6?, port: bound to every address
    std::set<uint16_t> tcp_ports; // served without a socket here, as the host shows
    std::set<uint16_t> udp_ports;
    uint32_t ephemeral_least = 0; // sockets at ports from here on ask, they do not serve
    // By family: that unfinished datagrams of strangers may hold, bytes; 0: no limit. Half of
    // what Linux has for reassembly (ip-sysctl.rst: ipfrag_high_thresh).
    std::array<uint32_t, 2> reassembly_room{2U << 20U, 2U << 20U};
    uint32_t mss_most = 0; // that netfilter lets a SYN-ACK advertise, bytes; 0: no limit
    Limits limits{};

    bool operator==(const HostSpec&) const = default;
};

struct PolicySpec {
    xdpctl_mode mode = XDPCTL_MODE_MONITOR;
    std::vector<Prefix> allow;
    std::vector<Prefix> trusted;
    std::vector<ListEntry> block;
    std::vector<ListEntry> bans;     // networks, by hand
    uint64_t observed_reasons = 0;   // bit r: count reason r, do not enforce it
    uint32_t samples_per_second = 0; // of all CPUs together
    uint32_t admit_per_second = 1;
    uint32_t syn_prefix_per_second = 0; // 0: no limit
    uint32_t syn_service_per_second = 0;
    std::set<uint16_t> reflectors;
    std::map<uint8_t, xdpctl_protocol_action> protocols;
    uint32_t tunnels = 0;                    // bit: enum xdpctl_tunnel
    std::map<uint16_t, xdpctl_geo_rule> geo; // by port
    std::set<uint16_t> udp_services;         // besides those of the host
    std::set<uint16_t> tcp_services;         // ports served without a socket here
    uint32_t mss_most = 0;                   // 0: what the routes grant
    uint32_t strays_per_second = 0;          // 0: no stray passes
    uint32_t strays_prefix_per_second = 0;   // 0: no limit beside that of the host
    HostSpec host;
};

// What the configuration alone says.
PolicySpec policy_of(const Config& config);

// What a list holds. Duplicates and overlaps may be there: an allow speaks before
// trust, trust before every block, a block that holds longer before others, then the longer prefix,
// then the list with the lower number.
struct ListContent {
    uint16_t list = XDPCTL_LIST_NONE;
    uint8_t verdict = XDPCTL_PREFIX_NONE;
    std::vector<ListEntry> prefixes;
};

struct CompiledPolicy {
    xdpctl_policy policy; // .generation is left 0: the data plane counts
    std::vector<ListContent> lists;
};

// `cpus` shares the sample rate.
CompiledPolicy compile_policy(const PolicySpec& spec, uint32_t cpus);

} // namespace xdpctl
