// SPDX-License-Identifier: Apache-2.0
// What the guard must know of the host's network.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/netlink.h"

namespace xdpctl
{

struct LinkFacts {
    uint32_t ifindex = 0;
    std::string name;
    uint32_t mtu = 0;         // bytes; the least of it and of what is stacked on it
    uint32_t ipv6_mtu = 0;    // as router advertisements may have lowered it
    uint32_t advmss_ipv4 = 0; // bytes, what its routes let a SYN-ACK advertise
    uint32_t advmss_ipv6 = 0;
    bool has_ethernet = true;         // else its frames begin with the IP header
    bool partial_checksums = false;   // its other end is here, and leaves them unfinished
    std::string refusal;              // why nothing can be filtered on it; else empty
    std::string no_answers;           // why no XDP_TX leaves it, whatever the driver; else empty
    std::string native_costs;         // what native XDP takes from honest traffic; else empty
    std::vector<std::string> ports;   // of a bond or team: its driver is theirs
    bool is_stacked = false;          // interfaces are stacked on it, or it is part of one
    bool has_vlans = false;           // of those, VLAN interfaces
    bool has_ports = false;           // it is a bond or team, whose ports run the program
    bool in_vrf = false;              // its routes are in a table of a VRF
    std::set<uint32_t> carries;       // ifindexes of itself and of all that is stacked on it
    bool strips_vlan_tags = false;    // receive VLAN offload
    bool merges_packets = false;      // LRO
    uint32_t receive_queues = 0;      // 0: unknown
    uint32_t receive_queues_most = 0; // that the card could have
    bool queues_are_combined = true;  // with those for sending, for ethtool -L
    uint64_t answer_errors = 0;       // XDP_TX that the driver could not carry out

    // An answer by XDP_TX would leave without the tag that was stripped.
    bool loses_vlan_tags() const { return has_vlans && strips_vlan_tags; }
};

struct NetworkFacts {
    std::vector<LinkFacts> links;
    bool conntrack = false; // connections are tracked here
    uint64_t conntrack_entries = 0;
    uint64_t conntrack_max_entries = 0;         // 0: not known
    uint32_t rmem_max = 0;                      // bytes
    uint32_t ephemeral_least = 0;               // first port of ip_local_port_range (ip(7))
    std::array<uint64_t, 2> reassembly_bytes{}; // by family: memory for datagrams not yet whole
    int tcp_syncookies = 0;
};

Result<NetworkFacts> read_network_facts(const std::vector<RouteMetrics>& routes);

// What links_here() says of one of its links. Pure; the MTU is that of the stack.
struct LinkInfo;
LinkFacts facts_of_link(const LinkInfo& info, const std::vector<LinkInfo>& all);

// What only the driver knows: from strips_vlan_tags on. Dear with many links, so it is
// asked where it matters. What cannot be read is left as it is.
void read_driver_facts(LinkFacts& link);

} // namespace xdpctl
