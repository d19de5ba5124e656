// SPDX-License-Identifier: Apache-2.0
#include "daemon/answer_routes.h"

#include <algorithm>

namespace xdpctl
{
namespace
{

std::optional<MacAddress> mac_of(const RoutingTable& table, const RouteHop& hop)
{
    const auto found = std::find_if(
        table.neighbours.begin(), table.neighbours.end(), [&hop](const Neighbour& neighbour) {
            return neighbour.ifindex == hop.ifindex && neighbour.address == *hop.gateway;
        });
    return found == table.neighbours.end() ? std::nullopt : std::optional(found->mac);
}

// Whose device a frame leaves by, and to whom. Where hops differ, or the device is a VLAN,
// whose tag the SYN need not have, the answer goes back to where the SYN came from.
AnswerRoute answer_route(const RoutingTable& table, const UnicastRoute& route,
                         const std::function<std::vector<uint32_t>(uint32_t)>& below)
{
    AnswerRoute answer;
    answer.prefix = route.prefix;
    std::vector<std::optional<MacAddress>> next_hops;
    for (const RouteHop& hop : route.hops) {
        const std::vector<uint32_t> devices = below(hop.ifindex);
        if (devices.empty()) {
            continue;
        }
        answer.ifindexes.insert(answer.ifindexes.end(), devices.begin(), devices.end());
        const bool as_it_is =
            std::find(devices.begin(), devices.end(), hop.ifindex) != devices.end();
        next_hops.push_back(hop.gateway && as_it_is ? mac_of(table, hop) : std::nullopt);
    }
    if (next_hops.size() == 1) {
        answer.next_hop = next_hops.front();
    }
    return answer;
}

} // namespace

AnswerRoutes answer_routes_of(const RoutingTable& table,
                              const std::function<std::vector<uint32_t>(uint32_t)>& below)
{
    if (table.has_rules) {
        return std::nullopt;
    }
    std::vector<AnswerRoute> routes;
    for (const UnicastRoute& route : table.routes) {
        if (route.hops.empty()) {
            return std::nullopt;
        }
        // Of two routes to one prefix the kernel lists the preferred first.
        const bool listed =
            std::any_of(routes.begin(), routes.end(), [&route](const AnswerRoute& other) {
                return other.prefix == route.prefix;
            });
        if (listed) {
            continue;
        }
        routes.push_back(answer_route(table, route, below));
    }
    return routes;
}

} // namespace xdpctl
