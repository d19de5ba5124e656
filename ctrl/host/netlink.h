// SPDX-License-Identifier: Apache-2.0
// Netlink dumps of this network namespace (rtnetlink(7), sock_diag(7)).
#pragma once

#include <string>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

struct OwnAddress {
    Address address;
    Prefix network; // that is reached without a router
};
Result<std::vector<OwnAddress>> own_addresses();
Result<std::vector<Address>> gateways();

struct SocketInfo {
    uint8_t protocol = 0;
    Address local; // all zero: any address of the family
    uint16_t local_port = 0;
    Address peer;
    uint16_t peer_port = 0;
    bool ipv6 = false;
    uint32_t backlog = 0; // of a TCP listener, connections
    bool established = false;

    auto operator<=>(const SocketInfo&) const = default;
};

struct LinkInfo {
    uint32_t ifindex = 0;
    std::string name;
    std::string kind;  // "vlan", "veth", ...; empty for hardware
    uint16_t type = 0; // ARPHRD_ETHER, ...
    uint32_t mtu = 0;
    uint32_t link = 0;             // ifindex of what it is stacked on, or 0
    uint32_t master = 0;           // ifindex of the bridge or bond it is part of, or 0
    bool in_this_namespace = true; // so is `link`
    bool has_one_peer = false;     // of a GRE tunnel: one remote address, or one per packet
    bool is_ipvlan_l3s = false;
};

struct RouteMetrics {
    uint32_t ifindex = 0;
    bool ipv6 = false;
    uint32_t mtu = 0; // bytes; 0: that of the link
    uint32_t advmss = 0;
};

Result<std::vector<LinkInfo>> links_here();
// Of the routes that have metrics of their own.
Result<std::vector<RouteMetrics>> route_metrics();

// TCP in LISTEN and UDP without a peer.
Result<std::vector<SocketInfo>> listening_sockets();
// Established, and what is on its way out until the end of TIME_WAIT.
Result<std::vector<SocketInfo>> connected_tcp();

} // namespace xdpctl
