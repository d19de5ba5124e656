// SPDX-License-Identifier: Apache-2.0
// What the guard must know of the host's network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace xdpctl
{

struct LinkFacts {
    uint32_t ifindex = 0;
    std::string name;
    uint32_t mtu = 0;         // bytes; the least of it and of what is stacked on it
    uint32_t ipv6_mtu = 0;    // as router advertisements may have lowered it
    uint32_t advmss_ipv4 = 0; // bytes, what its routes let a SYN-ACK advertise
    uint32_t advmss_ipv6 = 0;
    bool has_vlans = false;           // VLAN interfaces are stacked on it
    bool strips_vlan_tags = false;    // receive VLAN offload
    bool merges_packets = false;      // LRO
    uint32_t receive_queues = 0;      // 0: unknown
    uint32_t receive_queues_most = 0; // that the card could have

    // An answer by XDP_TX would leave without the tag that was stripped.
    bool loses_vlan_tags() const { return has_vlans && strips_vlan_tags; }
};

struct NetworkFacts {
    std::vector<LinkFacts> links;
    bool conntrack = false; // connections are tracked here
    uint32_t rmem_max = 0;  // bytes
    int tcp_syncookies = 0;
};

Result<NetworkFacts> read_network_facts();

} // namespace xdpctl
