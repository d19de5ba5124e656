// SPDX-License-Identifier: Apache-2.0
#include "host/netlink.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/fd.h"

namespace xdpctl
{
namespace
{

using OnMessage = std::function<void(const nlmsghdr&)>;

// Sends one dump request and calls back for every message of the answer.
template <typename Body>
Result<> dump(int family, uint16_t type, const Body& body, const OnMessage& on_message)
{
    const Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family));
    if (!fd.valid()) {
        return system_failure(errno, "opening a netlink socket");
    }
    struct {
        nlmsghdr header;
        Body body;
    } request{};
    request.header.nlmsg_len = sizeof(request);
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body = body;
    if (send(fd.get(), &request, sizeof(request), 0) < 0) {
        return system_failure(errno, "asking netlink");
    }
    alignas(nlmsghdr) char buffer[65536];
    while (true) {
        const ssize_t got = recv(fd.get(), buffer, sizeof(buffer), 0);
        if (got < 0) {
            return system_failure(errno, "reading netlink");
        }
        auto left = static_cast<unsigned int>(got);
        for (auto* m = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(m, left);
             m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type == NLMSG_DONE) {
                return Done{};
            }
            if (m->nlmsg_type == NLMSG_ERROR) {
                const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(m));
                return system_failure(error->error, "netlink answered");
            }
            on_message(*m);
        }
    }
}

Address address_of(int family, const void* bytes)
{
    const auto* data = static_cast<const uint8_t*>(bytes);
    return family == AF_INET ? Address::from_ipv4(data) : Address::from_ipv6(data);
}

void* payload(const nlmsghdr& message)
{
    return NLMSG_DATA(const_cast<nlmsghdr*>(&message));
}

void for_each_attribute(rtattr* first, int left, const std::function<void(const rtattr&)>& visit)
{
    for (rtattr* a = first; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        visit(*a);
    }
}

void add_gateway(const rtattr& attribute, int family, std::vector<Address>& found)
{
    if (attribute.rta_type == RTA_GATEWAY) {
        found.push_back(address_of(family, RTA_DATA(&attribute)));
    } else if (attribute.rta_type == RTA_VIA) {
        const auto* via = static_cast<const rtvia*>(RTA_DATA(&attribute));
        found.push_back(address_of(via->rtvia_family, via->rtvia_addr));
    } else if (attribute.rta_type == RTA_MULTIPATH) {
        auto* hop = static_cast<rtnexthop*>(RTA_DATA(&attribute));
        int left = static_cast<int>(RTA_PAYLOAD(&attribute));
        while (RTNH_OK(hop, left)) {
            for_each_attribute(RTNH_DATA(hop), hop->rtnh_len - static_cast<int>(sizeof(*hop)),
                               [&](const rtattr& a) { add_gateway(a, family, found); });
            left -= RTNH_ALIGN(hop->rtnh_len);
            hop = RTNH_NEXT(hop);
        }
    }
}

Result<> dump_sockets(uint8_t family, uint8_t protocol, uint32_t states,
                      std::vector<SocketInfo>& found)
{
    inet_diag_req_v2 request{};
    request.sdiag_family = family;
    request.sdiag_protocol = protocol;
    request.idiag_states = states;
    return dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request, [&](const nlmsghdr& message) {
        const auto* info = static_cast<const inet_diag_msg*>(payload(message));
        found.push_back({protocol, address_of(info->idiag_family, info->id.idiag_src),
                         ntohs(info->id.idiag_sport),
                         address_of(info->idiag_family, info->id.idiag_dst),
                         ntohs(info->id.idiag_dport), info->idiag_family == AF_INET6,
                         info->idiag_state == TCP_LISTEN ? info->idiag_wqueue : 0,
                         info->idiag_state == TCP_ESTABLISHED});
    });
}

} // namespace

Result<std::vector<OwnAddress>> own_addresses()
{
    std::vector<OwnAddress> found;
    auto done = dump(NETLINK_ROUTE, RTM_GETADDR, ifaddrmsg{}, [&](const nlmsghdr& message) {
        auto* info = static_cast<ifaddrmsg*>(payload(message));
        for_each_attribute(
            IFA_RTA(info), static_cast<int>(IFA_PAYLOAD(&message)), [&](const rtattr& attribute) {
                // IFA_LOCAL is ours; IFA_ADDRESS is the peer on point-to-point.
                const bool ours =
                    attribute.rta_type == IFA_LOCAL ||
                    (info->ifa_family == AF_INET6 && attribute.rta_type == IFA_ADDRESS);
                if (ours) {
                    const Address address = address_of(info->ifa_family, RTA_DATA(&attribute));
                    const auto length =
                        static_cast<uint8_t>(info->ifa_prefixlen + (address.is_ipv4() ? 96 : 0));
                    found.push_back({address, network_of(address, length)});
                }
            });
    });
    return done ? Result<std::vector<OwnAddress>>(std::move(found)) : done.error();
}

Result<std::vector<Address>> gateways()
{
    std::vector<Address> found;
    auto done = dump(NETLINK_ROUTE, RTM_GETROUTE, rtmsg{}, [&](const nlmsghdr& message) {
        auto* info = static_cast<rtmsg*>(payload(message));
        if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) {
            return;
        }
        for_each_attribute(
            RTM_RTA(info), static_cast<int>(RTM_PAYLOAD(&message)),
            [&](const rtattr& attribute) { add_gateway(attribute, info->rtm_family, found); });
    });
    return done ? Result<std::vector<Address>>(std::move(found)) : done.error();
}

namespace
{

uint32_t word_of(const rtattr& attribute)
{
    uint32_t value = 0;
    std::memcpy(&value, RTA_DATA(&attribute), std::min(sizeof(value), RTA_PAYLOAD(&attribute)));
    return value;
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
        const bool multicast = link.kind == "gre" ? bytes[0] >> 4 == 0xe : bytes[0] == 0xff;
        link.has_one_peer |= type == IFLA_GRE_COLLECT_METADATA ||
                             (type == IFLA_GRE_REMOTE && is_set && !multicast);
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
        link.name = static_cast<const char*>(RTA_DATA(&attribute));
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
    case IFLA_LINKINFO:
        visit_nested(attribute, [&link](const rtattr& nested) {
            if (nested.rta_type == IFLA_INFO_KIND) {
                link.kind = static_cast<const char*>(RTA_DATA(&nested));
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

} // namespace

Result<std::vector<LinkInfo>> links_here()
{
    std::vector<LinkInfo> found;
    auto done = dump(NETLINK_ROUTE, RTM_GETLINK, ifinfomsg{}, [&](const nlmsghdr& message) {
        auto* info = static_cast<ifinfomsg*>(payload(message));
        LinkInfo& link = found.emplace_back();
        link.ifindex = static_cast<uint32_t>(info->ifi_index);
        link.type = info->ifi_type;
        for_each_attribute(IFLA_RTA(info), static_cast<int>(IFLA_PAYLOAD(&message)),
                           [&link](const rtattr& a) { read_link_attribute(a, link); });
    });
    return done ? Result<std::vector<LinkInfo>>(std::move(found)) : done.error();
}

Result<std::vector<RouteMetrics>> route_metrics()
{
    std::vector<RouteMetrics> found;
    auto done = dump(NETLINK_ROUTE, RTM_GETROUTE, rtmsg{}, [&](const nlmsghdr& message) {
        auto* info = static_cast<rtmsg*>(payload(message));
        if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) {
            return;
        }
        RouteMetrics route;
        route.ipv6 = info->rtm_family == AF_INET6;
        for_each_attribute(RTM_RTA(info), static_cast<int>(RTM_PAYLOAD(&message)),
                           [&route](const rtattr& a) { read_route_attribute(a, route); });
        if (route.mtu > 0 || route.advmss > 0) {
            found.push_back(route);
        }
    });
    return done ? Result<std::vector<RouteMetrics>>(std::move(found)) : done.error();
}

Result<std::vector<SocketInfo>> listening_sockets()
{
    std::vector<SocketInfo> found;
    for (const uint8_t family : {AF_INET, AF_INET6}) {
        // An unconnected UDP socket is in TCP_CLOSE.
        for (const auto& [protocol, state] :
             {std::pair{IPPROTO_TCP, TCP_LISTEN}, std::pair{IPPROTO_UDP, TCP_CLOSE}}) {
            auto done = dump_sockets(family, static_cast<uint8_t>(protocol), 1U << state, found);
            if (!done) {
                return done.error();
            }
        }
    }
    return found;
}

Result<std::vector<SocketInfo>> connected_tcp()
{
    constexpr uint32_t connected_states =
        1U << TCP_ESTABLISHED | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 | 1U << TCP_TIME_WAIT |
        1U << TCP_CLOSE_WAIT | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING;
    std::vector<SocketInfo> found;
    for (const uint8_t family : {AF_INET, AF_INET6}) {
        auto done = dump_sockets(family, IPPROTO_TCP, connected_states, found);
        if (!done) {
            return done.error();
        }
    }
    return found;
}

} // namespace xdpctl
