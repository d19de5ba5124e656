// SPDX-License-Identifier: Apache-2.0
// Which way packets leave this network namespace (rtnetlink(7)).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "core/prefix.h"

struct nlmsghdr;

namespace xdpctl
{

using MacAddress = std::array<uint8_t, 6>;

// A next hop of a route.
struct RouteHop {
    uint32_t ifindex = 0;
    std::optional<Address> gateway; // none: the destination is on the link

    bool operator==(const RouteHop&) const = default;
};

// A unicast route of the table main.
struct UnicastRoute {
    Prefix prefix;
    std::vector<RouteHop> hops; // none: it names a next hop object, which is not followed

    bool operator==(const UnicastRoute&) const = default;
};

struct Neighbour {
    uint32_t ifindex = 0;
    Address address;
    MacAddress mac{};
    bool in_use = false; // NUD_REACHABLE, or about to be confirmed (ip-neighbour(8))
};

struct RoutingTable {
    // At most XDPCTL_ROUTES + 1 of a family, which are more than can be followed.
    std::vector<UnicastRoute> routes;
    std::vector<Neighbour> neighbours; // whose Ethernet address is known
    // Rules beside the three that every host has (ip-rule(8)): then the table main does not
    // say which way a packet goes.
    bool has_rules = false;
};
// Errors where the kernel refuses a dump or its tables change meanwhile.
Result<RoutingTable> read_routing_table();

// Pure parts of it: what one message says.
void add_route(const nlmsghdr& message, std::vector<UnicastRoute>& routes);
void add_neighbour(const nlmsghdr& message, std::vector<Neighbour>& neighbours);
bool is_usual_rule(const nlmsghdr& message);

} // namespace xdpctl
