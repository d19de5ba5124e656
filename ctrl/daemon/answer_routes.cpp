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
        AnswerRoute& answer = routes.emplace_back();
        answer.prefix = route.prefix;
        for (const RouteHop& hop : route.hops) {
            const std::vector<uint32_t> devices = below(hop.ifindex);
            answer.ifindexes.insert(answer.ifindexes.end(), devices.begin(), devices.end());
            if (hop.gateway && !answer.next_hop && !devices.empty()) {
                answer.next_hop = mac_of(table, hop);
            }
        }
    }
    return routes;
}

} // namespace xdpctl
