// SPDX-License-Identifier: Apache-2.0
#include "host/network.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "base/fd.h"
#include "host/netlink.h"
#include "host/sysctl.h"

namespace xdpctl
{
namespace
{

// Headers without options, which is what advmss leaves room for (RFC 9293).
constexpr uint32_t ipv4_headers = 40;
constexpr uint32_t ipv6_headers = 60;
constexpr uint32_t mss_most = 65535 - ipv4_headers;
constexpr uint32_t ipv4_mss_least = 256;  // ip_rt_min_advmss, net/ipv4/route.c
constexpr uint32_t ipv6_mss_least = 1220; // ip6_rt_min_advmss, net/ipv6/route.c

uint64_t number(const std::string& sysctl, uint64_t otherwise)
{
    const auto text = read_sysctl(sysctl);
    uint64_t value = otherwise;
    if (text) {
        std::from_chars(text->data(), text->data() + text->size(), value);
    }
    return value;
}

template <typename Request> bool ask_ethtool(const std::string& name, Request& request)
{
    const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq ask{};
    std::strncpy(ask.ifr_name, name.c_str(), sizeof(ask.ifr_name) - 1);
    ask.ifr_data = reinterpret_cast<char*>(&request);
    return ioctl(fd.get(), SIOCETHTOOL, &ask) == 0;
}

void read_ethtool(LinkFacts& link)
{
    ethtool_value flags{.cmd = ETHTOOL_GFLAGS, .data = 0};
    if (ask_ethtool(link.name, flags)) {
        link.strips_vlan_tags = (flags.data & ETH_FLAG_RXVLAN) != 0;
        link.merges_packets = (flags.data & ETH_FLAG_LRO) != 0;
    }
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (ask_ethtool(link.name, channels)) {
        link.receive_queues = channels.rx_count + channels.combined_count;
        link.receive_queues_most = channels.max_rx + channels.max_combined;
    }
}

// Everything that carries the link's packets upwards: what it is part of, and what
// is stacked on any of them. There are the addresses and the VLANs.
void follow_stack(const std::vector<LinkInfo>& all, LinkFacts& link)
{
    std::set<uint32_t> stack = {link.ifindex};
    for (bool grew = true; grew;) {
        grew = false;
        for (const LinkInfo& other : all) {
            const bool stacked = other.in_this_namespace && stack.contains(other.link);
            const bool over = std::any_of(all.begin(), all.end(), [&](const LinkInfo& part) {
                return part.master == other.ifindex && stack.contains(part.ifindex);
            });
            if ((stacked || over) && stack.insert(other.ifindex).second) {
                grew = true;
                link.mtu = std::min(link.mtu, other.mtu);
                link.has_vlans |= other.kind == "vlan";
            }
        }
    }
}

uint32_t advmss(uint32_t mtu, uint32_t headers, uint32_t least)
{
    return std::clamp(mtu > headers ? mtu - headers : 0, least, mss_most);
}

// The least that a route through this link grants (ipv4_default_advmss and its
// twin for IPv6; ip-route(8): mtu, advmss).
void apply_routes(const std::vector<RouteMetrics>& routes, LinkFacts& link)
{
    link.advmss_ipv4 = advmss(link.mtu, ipv4_headers, ipv4_mss_least);
    link.advmss_ipv6 = advmss(link.ipv6_mtu, ipv6_headers, ipv6_mss_least);
    for (const RouteMetrics& route : routes) {
        if (route.ifindex != link.ifindex) {
            continue;
        }
        uint32_t& mss = route.ipv6 ? link.advmss_ipv6 : link.advmss_ipv4;
        if (route.advmss > 0) {
            mss = std::min(mss, route.advmss);
        } else if (route.mtu > 0) {
            mss = std::min(mss, route.ipv6 ? advmss(route.mtu, ipv6_headers, ipv6_mss_least)
                                           : advmss(route.mtu, ipv4_headers, ipv4_mss_least));
        }
    }
}

} // namespace

Result<NetworkFacts> read_network_facts()
{
    NetworkFacts facts;
    auto links = links_here();
    if (!links) {
        return links.error().in("interfaces");
    }
    auto routes = route_metrics();
    if (!routes) {
        return routes.error().in("routes");
    }
    for (const LinkInfo& info : *links) {
        LinkFacts& link = facts.links.emplace_back();
        link.ifindex = info.ifindex;
        link.name = info.name;
        link.mtu = info.mtu;
        follow_stack(*links, link);
        link.ipv6_mtu =
            std::min(link.mtu, static_cast<uint32_t>(number(
                                   "net.ipv6.conf." + sysctl_word(info.name) + ".mtu", link.mtu)));
        apply_routes(*routes, link);
        read_ethtool(link);
    }
    facts.conntrack = number("net.netfilter.nf_conntrack_count", 0) > 0;
    facts.rmem_max = static_cast<uint32_t>(number("net.core.rmem_max", 212992));
    facts.tcp_syncookies = static_cast<int>(number("net.ipv4.tcp_syncookies", 0));
    return facts;
}

} // namespace xdpctl
