// SPDX-License-Identifier: Apache-2.0
// Netlink dumps of this network namespace (rtnetlink(7), sock_diag(7)).
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/asked.h"
#include "core/prefix.h"

namespace xdpctl
{

struct OwnAddress {
    Address address;
    Prefix network; // that is reached without a router
    uint32_t ifindex = 0;
    std::optional<Address> peer; // of a point-to-point interface: its other end
};
Result<std::vector<OwnAddress>> own_addresses();

struct SocketInfo {
    uint8_t protocol = 0;
    Address local; // all zero: any address of the family
    uint16_t local_port = 0;
    Address peer;
    uint16_t peer_port = 0;
    bool ipv6 = false;
    uint32_t backlog = 0; // of a TCP listener, connections
    bool established = false;
    uint32_t uid = 0; // of a socket without a peer: the account it belongs to

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
    bool runs_xdp = false; // whose program it is, in whatever mode
};

struct RouteMetrics {
    uint32_t ifindex = 0;
    bool ipv6 = false;
    uint32_t mtu = 0; // bytes; 0: that of the link
    uint32_t advmss = 0;
};

// What the routes of all tables say.
struct RoutingFacts {
    struct Hop {
        Address router;
        std::string source; // "route, table main"
        auto operator<=>(const Hop&) const = default;
    };
    std::set<Hop> hops;                // without duplicates, also of next hop objects
    std::set<Prefix> private_networks; // that are reached from here
    std::set<Prefix> local;            // what is delivered here, loopback and AnyIP among it
    std::vector<RouteMetrics> metrics; // of the routes that have some of their own
};

Result<std::vector<LinkInfo>> links_here();
Result<RoutingFacts> read_routes();
Result<std::vector<Address>> gateways();

// TCP in LISTEN and UDP without a peer.
Result<std::vector<SocketInfo>> listening_sockets();
// Established, and what is on its way out until the end of TIME_WAIT.
Result<std::vector<SocketInfo>> connected_tcp();
// Sockets whose peer has one of asked_ports. The kernel walks its table for it: short for
// UDP, long for TCP on a busy host.
Result<std::vector<Question>> questions(uint8_t protocol);

} // namespace xdpctl
