// SPDX-License-Identifier: Apache-2.0
#include "host/routing.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

#include <xdpctl/abi/maps.h>

#include "host/mnl.h"

namespace xdpctl
{
namespace
{

std::optional<Address> address_in(int family, const nlattr* attribute)
{
    const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(attribute));
    const size_t size = mnl_attr_get_payload_len(attribute);
    if (family == AF_INET && size >= 4) {
        return Address::from_ipv4(bytes);
    }
    return family == AF_INET6 && size >= 16 ? std::optional(Address::from_ipv6(bytes))
                                            : std::nullopt;
}

void read_hop(const nlattr* attribute, int family, RouteHop& hop)
{
    switch (mnl_attr_get_type(attribute)) {
    case RTA_OIF:
        hop.ifindex = word_of(attribute);
        break;
    case RTA_GATEWAY:
        hop.gateway = address_in(family, attribute);
        break;
    case RTA_VIA: { // a gateway of the other family (RFC 5549)
        if (mnl_attr_get_payload_len(attribute) < sizeof(rtvia) + 4) {
            break;
        }
        const auto* via = static_cast<const rtvia*>(mnl_attr_get_payload(attribute));
        hop.gateway = via->rtvia_family == AF_INET6 ? Address::from_ipv6(via->rtvia_addr)
                                                    : Address::from_ipv4(via->rtvia_addr);
        break;
    }
    default:
        break;
    }
}

void read_hops(const nlattr* multipath, int family, std::vector<RouteHop>& hops)
{
    auto* next = static_cast<rtnexthop*>(mnl_attr_get_payload(multipath));
    int left = mnl_attr_get_payload_len(multipath);
    while (left >= static_cast<int>(sizeof(*next)) && RTNH_OK(next, left)) {
        RouteHop hop;
        hop.ifindex = static_cast<uint32_t>(next->rtnh_ifindex);
        for_each_attribute(static_cast<const void*>(RTNH_DATA(next)),
                           next->rtnh_len - sizeof(*next),
                           [&](const nlattr* attribute) { read_hop(attribute, family, hop); });
        hops.push_back(hop);
        left -= static_cast<int>(RTNH_ALIGN(next->rtnh_len));
        next = RTNH_NEXT(next);
    }
}

} // namespace

void add_route(const nlmsghdr& message, std::vector<UnicastRoute>& routes)
{
    const auto* info = fixed_part<rtmsg>(message);
    if (info == nullptr) {
        return;
    }
    const bool ipv4 = info->rtm_family == AF_INET;
    if (info->rtm_dst_len > (ipv4 ? 32 : 128) || (!ipv4 && info->rtm_family != AF_INET6) ||
        info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED) != 0) {
        return;
    }
    uint32_t table = info->rtm_table;
    Address destination = ipv4 ? all_ipv4().address : Address{};
    UnicastRoute route;
    RouteHop single;
    for_each_attribute(message, sizeof(*info), [&](const nlattr* attribute) {
        switch (mnl_attr_get_type(attribute)) {
        case RTA_DST:
            destination = address_in(info->rtm_family, attribute).value_or(destination);
            break;
        case RTA_TABLE:
            table = word_of(attribute);
            break;
        case RTA_MULTIPATH:
            read_hops(attribute, info->rtm_family, route.hops);
            break;
        default:
            read_hop(attribute, info->rtm_family, single);
        }
    });
    if (table != RT_TABLE_MAIN && table != RT_TABLE_DEFAULT) {
        return;
    }
    const auto family = static_cast<size_t>(
        std::count_if(routes.begin(), routes.end(), [ipv4](const UnicastRoute& other) {
            return other.prefix.is_ipv4() == ipv4;
        }));
    if (family > XDPCTL_ROUTES) {
        return;
    }
    if (route.hops.empty() && single.ifindex != 0) {
        route.hops.push_back(single);
    }
    route.prefix = {destination, static_cast<uint8_t>(info->rtm_dst_len + (ipv4 ? 96 : 0))};
    routes.push_back(std::move(route));
}

void add_neighbour(const nlmsghdr& message, std::vector<Neighbour>& neighbours)
{
    const auto* info = fixed_part<ndmsg>(message);
    if (info == nullptr || (info->ndm_state & (NUD_FAILED | NUD_INCOMPLETE | NUD_NOARP)) != 0) {
        return;
    }
    Neighbour neighbour;
    neighbour.ifindex = static_cast<uint32_t>(info->ndm_ifindex);
    neighbour.in_use =
        (info->ndm_state & (NUD_REACHABLE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)) != 0;
    std::optional<Address> address;
    bool has_mac = false;
    for_each_attribute(message, sizeof(*info), [&](const nlattr* attribute) {
        const size_t size = mnl_attr_get_payload_len(attribute);
        if (mnl_attr_get_type(attribute) == NDA_DST) {
            address = address_in(info->ndm_family, attribute);
        } else if (mnl_attr_get_type(attribute) == NDA_LLADDR && size == neighbour.mac.size()) {
            std::memcpy(neighbour.mac.data(), mnl_attr_get_payload(attribute), size);
            has_mac = true;
        }
    });
    if (address && has_mac) {
        neighbour.address = *address;
        neighbours.push_back(neighbour);
    }
}

bool is_usual_rule(const nlmsghdr& message)
{
    const auto* info = fixed_part<fib_rule_hdr>(message);
    if (info == nullptr) {
        return false;
    }
    uint32_t table = info->table;
    for_each_attribute(message, sizeof(*info), [&](const nlattr* attribute) {
        if (mnl_attr_get_type(attribute) == FRA_TABLE) {
            table = word_of(attribute);
        }
    });
    return table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT;
}

Result<RoutingTable> read_routing_table()
{
    RoutingTable table;
    auto done = mnl_dump(NETLINK_ROUTE, RTM_GETROUTE, rtmsg{},
                         [&table](const nlmsghdr& message) { add_route(message, table.routes); });
    if (done) {
        done = mnl_dump(NETLINK_ROUTE, RTM_GETNEIGH, ndmsg{}, [&table](const nlmsghdr& message) {
            add_neighbour(message, table.neighbours);
        });
    }
    if (done) {
        done =
            mnl_dump(NETLINK_ROUTE, RTM_GETRULE, fib_rule_hdr{}, [&table](const nlmsghdr& message) {
                table.has_rules = table.has_rules || !is_usual_rule(message);
            });
    }
    return done ? Result<RoutingTable>(std::move(table)) : done.error();
}

} // namespace xdpctl
