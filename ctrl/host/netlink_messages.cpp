// SPDX-License-Identifier: Apache-2.0
#include "host/netlink_messages.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace xdpctl
{
namespace
{

Address address_of(int family, const void* bytes)
{
    const auto* data = static_cast<const uint8_t*>(bytes);
    return family == AF_INET ? Address::from_ipv4(data) : Address::from_ipv6(data);
}

// Of an attribute; none where it is too short for the family.
std::optional<Address> address_in(int family, const void* bytes, size_t size)
{
    const size_t needed = family == AF_INET ? 4 : family == AF_INET6 ? 16 : SIZE_MAX;
    return size >= needed ? std::optional(address_of(family, bytes)) : std::nullopt;
}

// The fixed part of a message, or null where it is too short.
template <typename T> T* body_of(const nlmsghdr& message)
{
    return message.nlmsg_len >= NLMSG_LENGTH(sizeof(T))
               ? static_cast<T*>(NLMSG_DATA(const_cast<nlmsghdr*>(&message)))
               : nullptr;
}

void for_each_attribute(rtattr* first, int left, const std::function<void(const rtattr&)>& visit)
{
    for (rtattr* a = first; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        visit(*a);
    }
}

void add_hop(const rtattr& attribute, int family, const std::string& source,
             std::set<RoutingFacts::Hop>& hops)
{
    std::optional<Address> router;
    if (attribute.rta_type == RTA_GATEWAY) {
        router = address_in(family, RTA_DATA(&attribute), RTA_PAYLOAD(&attribute));
    } else if (attribute.rta_type == RTA_VIA && RTA_PAYLOAD(&attribute) > sizeof(rtvia)) {
        const auto* via = static_cast<const rtvia*>(RTA_DATA(&attribute));
        router =
            address_in(via->rtvia_family, via->rtvia_addr, RTA_PAYLOAD(&attribute) - sizeof(rtvia));
    } else if (attribute.rta_type == RTA_MULTIPATH) {
        auto* hop = static_cast<rtnexthop*>(RTA_DATA(&attribute));
        int left = static_cast<int>(RTA_PAYLOAD(&attribute));
        while (left >= static_cast<int>(sizeof(*hop)) && RTNH_OK(hop, left)) {
            for_each_attribute(RTNH_DATA(hop), hop->rtnh_len - static_cast<int>(sizeof(*hop)),
                               [&](const rtattr& a) { add_hop(a, family, source, hops); });
            left -= RTNH_ALIGN(hop->rtnh_len);
            hop = RTNH_NEXT(hop);
        }
    }
    if (router && *router != Address{} && *router != all_ipv4().address) {
        hops.insert({*router, source});
    }
}

uint32_t word_of(const rtattr& attribute)
{
    uint32_t value = 0;
    std::memcpy(&value, RTA_DATA(&attribute), std::min(sizeof(value), RTA_PAYLOAD(&attribute)));
    return value;
}

// Up to its NUL, which a string may lack.
std::string text_of(const rtattr& attribute)
{
    const std::string_view bytes(static_cast<const char*>(RTA_DATA(&attribute)),
                                 RTA_PAYLOAD(&attribute));
    return std::string(bytes.substr(0, bytes.find('\0')));
}

void visit_nested(const rtattr& attribute, const std::function<void(const rtattr&)>& visit)
{
    for_each_attribute(static_cast<rtattr*>(RTA_DATA(&attribute)),
                       static_cast<int>(RTA_PAYLOAD(&attribute)), visit);
}

// What a driver says of its own: the numbers of the attributes depend on the kind.
void read_link_kind(const rtattr& attribute, LinkInfo& link)
{
    const uint16_t type = attribute.rta_type & NLA_TYPE_MASK;
    const auto* bytes = static_cast<const uint8_t*>(RTA_DATA(&attribute));
    if (link.kind == "gre" || link.kind == "ip6gre") {
        const bool is_set = std::any_of(bytes, bytes + RTA_PAYLOAD(&attribute),
                                        [](uint8_t byte) { return byte != 0; });
        link.has_one_peer |=
            type == IFLA_GRE_COLLECT_METADATA ||
            (type == IFLA_GRE_REMOTE && is_set &&
             !(link.kind == "gre" ? bytes[0] >> 4 == 0xe : bytes[0] == 0xff)); // multicast
    } else if (link.kind == "ipvlan" && type == IFLA_IPVLAN_MODE) {
        uint16_t mode = 0;
        std::memcpy(&mode, bytes, std::min(sizeof(mode), RTA_PAYLOAD(&attribute)));
        link.is_ipvlan_l3s = mode == IPVLAN_MODE_L3S;
    }
}

void read_link_attribute(const rtattr& attribute, LinkInfo& link)
{
    switch (attribute.rta_type) {
    case IFLA_IFNAME:
        link.name = text_of(attribute);
        break;
    case IFLA_MTU:
        link.mtu = word_of(attribute);
        break;
    case IFLA_LINK:
        link.link = word_of(attribute);
        break;
    case IFLA_LINK_NETNSID:
        link.in_this_namespace = false;
        break;
    case IFLA_MASTER:
        link.master = word_of(attribute);
        break;
    case IFLA_XDP:
        visit_nested(attribute, [&link](const rtattr& nested) {
            if (nested.rta_type == IFLA_XDP_ATTACHED && RTA_PAYLOAD(&nested) >= 1) {
                link.runs_xdp =
                    *static_cast<const uint8_t*>(RTA_DATA(&nested)) != XDP_ATTACHED_NONE;
            }
        });
        break;
    case IFLA_LINKINFO:
        visit_nested(attribute, [&link](const rtattr& nested) {
            if (nested.rta_type == IFLA_INFO_KIND) {
                link.kind = text_of(nested);
            } else if (nested.rta_type == IFLA_INFO_DATA) { // follows the kind
                visit_nested(nested, [&link](const rtattr& a) { read_link_kind(a, link); });
            }
        });
        break;
    default:
        break;
    }
}

void read_route_attribute(const rtattr& attribute, RouteMetrics& route)
{
    if (attribute.rta_type == RTA_OIF) {
        route.ifindex = word_of(attribute);
    } else if (attribute.rta_type == RTA_METRICS) {
        visit_nested(attribute, [&route](const rtattr& nested) {
            if (nested.rta_type == RTAX_MTU) {
                route.mtu = word_of(nested);
            } else if (nested.rta_type == RTAX_ADVMSS) {
                route.advmss = word_of(nested);
            }
        });
    }
}

std::string table_name(uint32_t table)
{
    return table == RT_TABLE_MAIN      ? "main"
           : table == RT_TABLE_LOCAL   ? "local"
           : table == RT_TABLE_DEFAULT ? "default"
                                       : std::to_string(table);
}

// What is delivered here. A local default route is no address: it hands the traffic of
// others to a proxy (TPROXY).
bool is_own_network(const rtmsg& info, uint32_t table, const Prefix& destination)
{
    const unsigned least = destination.is_ipv4() ? 96 + 8 : 32;
    return (info.rtm_type == RTN_LOCAL || info.rtm_type == RTN_ANYCAST) &&
           table == RT_TABLE_LOCAL && destination.length >= least;
}

} // namespace

DumpPiece scan_dump(std::span<const uint8_t> piece,
                    const std::function<void(const nlmsghdr&)>& on_message)
{
    DumpPiece result;
    while (piece.size() >= sizeof(nlmsghdr)) {
        const auto* message = reinterpret_cast<const nlmsghdr*>(piece.data());
        if (message->nlmsg_len < sizeof(nlmsghdr) || message->nlmsg_len > piece.size()) {
            result.error = EBADMSG;
            return result;
        }
        result.interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
            // Both begin with an error, which is negative. A dump ends by DONE alone.
            if (const int* error = body_of<int>(*message)) {
                result.error = -std::min(*error, 0);
            }
            result.done = true;
            return result;
        }
        on_message(*message);
        piece = piece.subspan(std::min<size_t>(NLMSG_ALIGN(message->nlmsg_len), piece.size()));
    }
    return result;
}

void read_own_address(const nlmsghdr& message, std::vector<OwnAddress>& found)
{
    auto* info = body_of<ifaddrmsg>(message);
    if (info == nullptr) {
        return;
    }
    // IFA_LOCAL is ours, where it is there; then IFA_ADDRESS is the other end of a
    // point-to-point interface, and the prefix length is that of the other end.
    std::optional<Address> local;
    std::optional<Address> address;
    for_each_attribute(
        IFA_RTA(info), static_cast<int>(IFA_PAYLOAD(&message)), [&](const rtattr& attribute) {
            auto& to = attribute.rta_type == IFA_LOCAL ? local : address;
            if (attribute.rta_type == IFA_LOCAL || attribute.rta_type == IFA_ADDRESS) {
                to = address_in(info->ifa_family, RTA_DATA(&attribute), RTA_PAYLOAD(&attribute));
            }
        });
    const auto own = local ? local : address;
    if (!own || info->ifa_prefixlen > (own->is_ipv4() ? 32 : 128)) {
        return;
    }
    OwnAddress& entry = found.emplace_back();
    const auto length = static_cast<uint8_t>(info->ifa_prefixlen + (own->is_ipv4() ? 96 : 0));
    entry.address = *own;
    entry.network = network_of(address.value_or(*own), length);
    entry.ifindex = info->ifa_index;
    if (local && address && *local != *address) {
        entry.peer = address;
    }
}

void read_route(const nlmsghdr& message, RoutingFacts& facts)
{
    auto* info = body_of<rtmsg>(message);
    if (info == nullptr || (info->rtm_family != AF_INET && info->rtm_family != AF_INET6)) {
        return;
    }
    const int size = static_cast<int>(RTM_PAYLOAD(&message));
    uint32_t table = info->rtm_table;
    std::optional<Address> to;
    RouteMetrics route;
    route.ipv6 = info->rtm_family == AF_INET6;
    for_each_attribute(RTM_RTA(info), size, [&](const rtattr& attribute) {
        if (attribute.rta_type == RTA_TABLE) {
            table = word_of(attribute);
        } else if (attribute.rta_type == RTA_DST) {
            to = address_in(info->rtm_family, RTA_DATA(&attribute), RTA_PAYLOAD(&attribute));
        }
        read_route_attribute(attribute, route);
    });
    if (route.mtu > 0 || route.advmss > 0) {
        facts.metrics.push_back(route);
    }
    const std::string source = info->rtm_protocol == RTPROT_RA
                                   ? "router advertisement"
                                   : "route, table " + table_name(table);
    for_each_attribute(RTM_RTA(info), size, [&](const rtattr& attribute) {
        add_hop(attribute, info->rtm_family, source, facts.hops);
    });
    const unsigned length = info->rtm_dst_len + (route.ipv6 ? 0U : 96U);
    if (!to || length > 128) {
        return;
    }
    const Prefix destination = network_of(*to, static_cast<uint8_t>(length));
    if (info->rtm_type == RTN_UNICAST && is_private(destination)) {
        facts.private_networks.insert(destination);
    } else if (is_own_network(*info, table, destination)) {
        facts.local.insert(destination);
    }
}

// Routes may name these instead of routers (ip-nexthop(8)).
void read_next_hop(const nlmsghdr& message, RoutingFacts& facts)
{
    auto* info = body_of<nhmsg>(message);
    if (info == nullptr || message.nlmsg_len < NLMSG_SPACE(sizeof(nhmsg))) {
        return;
    }
    auto* first =
        reinterpret_cast<rtattr*>(reinterpret_cast<char*>(info) + NLMSG_ALIGN(sizeof(nhmsg)));
    uint32_t id = 0;
    std::optional<Address> router;
    for_each_attribute(first, static_cast<int>(message.nlmsg_len - NLMSG_SPACE(sizeof(nhmsg))),
                       [&](const rtattr& attribute) {
                           if (attribute.rta_type == NHA_ID) {
                               id = word_of(attribute);
                           } else if (attribute.rta_type == NHA_GATEWAY) {
                               router = address_in(info->nh_family, RTA_DATA(&attribute),
                                                   RTA_PAYLOAD(&attribute));
                           }
                       });
    if (router) {
        facts.hops.insert({*router, fmt::format("next hop {}", id)});
    }
}

void read_link(const nlmsghdr& message, std::vector<LinkInfo>& found)
{
    auto* info = body_of<ifinfomsg>(message);
    if (info == nullptr) {
        return;
    }
    LinkInfo& link = found.emplace_back();
    link.ifindex = static_cast<uint32_t>(info->ifi_index);
    link.type = info->ifi_type;
    for_each_attribute(IFLA_RTA(info), static_cast<int>(IFLA_PAYLOAD(&message)),
                       [&link](const rtattr& a) { read_link_attribute(a, link); });
}

void read_socket(const nlmsghdr& message, uint8_t protocol, std::vector<SocketInfo>& found)
{
    const auto* info = body_of<inet_diag_msg>(message);
    if (info == nullptr) {
        return;
    }
    const bool has_peer = info->id.idiag_dport != 0;
    found.push_back(
        {protocol, address_of(info->idiag_family, info->id.idiag_src), ntohs(info->id.idiag_sport),
         address_of(info->idiag_family, info->id.idiag_dst), ntohs(info->id.idiag_dport),
         info->idiag_family == AF_INET6, info->idiag_state == TCP_LISTEN ? info->idiag_wqueue : 0,
         info->idiag_state == TCP_ESTABLISHED, has_peer ? 0 : info->idiag_uid});
}

void read_question(const nlmsghdr& message, std::vector<Question>& found)
{
    if (const auto* info = body_of<inet_diag_msg>(message)) {
        found.push_back({ntohs(info->id.idiag_sport),
                         address_of(info->idiag_family, info->id.idiag_dst),
                         ntohs(info->id.idiag_dport), info->idiag_uid});
    }
}

} // namespace xdpctl
