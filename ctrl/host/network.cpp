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
#include <optional>
#include <set>

#include <xdpctl/abi/policy.h>

#include "base/fd.h"
#include "host/link_kind.h"
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

// Everything that carries the link's packets upwards: what it is part of, and what
// is stacked on any of them. There are the addresses and the VLANs.
void follow_stack(const std::vector<LinkInfo>& all, LinkFacts& link)
{
    std::set<uint32_t> stack = {link.ifindex};
    link.has_ports = link.is_stacked =
        std::any_of(all.begin(), all.end(), [&link](const LinkInfo& part) {
            return part.master == link.ifindex; // a bond or bridge, on whose parts the program runs
        });
    for (bool grew = true; grew;) {
        grew = false;
        for (const LinkInfo& other : all) {
            const bool stacked =
                passes_frames_up(other) && other.in_this_namespace && stack.contains(other.link);
            const bool over = std::any_of(all.begin(), all.end(), [&](const LinkInfo& part) {
                return part.master == other.ifindex && stack.contains(part.ifindex);
            });
            if ((stacked || over) && stack.insert(other.ifindex).second) {
                grew = true;
                link.is_stacked = true;
                link.mtu = std::min(link.mtu, other.mtu);
                link.has_vlans |= other.kind == "vlan";
                link.in_vrf |= other.kind == "vrf";
            }
        }
    }
    link.carries = stack;
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

namespace
{

bool is_answer_error(std::string_view name)
{
    return name.find("xdp_tx") != std::string_view::npos &&
           (name.find("err") != std::string_view::npos ||
            name.find("full") != std::string_view::npos);
}

// Names and values of the driver's statistics come in two requests.
uint64_t answer_errors(const std::string& name)
{
    // Each of these ends in an array whose size the kernel tells first.
    std::vector<uint64_t> sizes(sizeof(ethtool_sset_info) / 8 + 1);
    auto* sets = reinterpret_cast<ethtool_sset_info*>(sizes.data());
    sets->cmd = ETHTOOL_GSSET_INFO;
    sets->sset_mask = 1ULL << ETH_SS_STATS;
    if (!ask_ethtool(name, *sets) || sets->sset_mask == 0) {
        return 0;
    }
    // The driver may have more of them by the time of the second request.
    const uint32_t count = sets->data[0] * 4 + 1024;
    std::vector<uint64_t> names((sizeof(ethtool_gstrings) + count * ETH_GSTRING_LEN) / 8 + 1);
    auto* strings = reinterpret_cast<ethtool_gstrings*>(names.data());
    strings->cmd = ETHTOOL_GSTRINGS;
    strings->string_set = ETH_SS_STATS;
    strings->len = count;
    std::vector<uint64_t> values(sizeof(ethtool_stats) / 8 + count + 1);
    auto* stats = reinterpret_cast<ethtool_stats*>(values.data());
    stats->cmd = ETHTOOL_GSTATS;
    stats->n_stats = count;
    if (!ask_ethtool(name, *strings) || !ask_ethtool(name, *stats)) {
        return 0;
    }
    uint64_t errors = 0;
    for (uint32_t i = 0; i < std::min(count, std::min(strings->len, stats->n_stats)); i++) {
        const char* text = reinterpret_cast<const char*>(strings->data) + i * ETH_GSTRING_LEN;
        if (is_answer_error({text, strnlen(text, ETH_GSTRING_LEN)})) {
            errors += stats->data[i];
        }
    }
    return errors;
}

} // namespace

void read_driver_facts(LinkFacts& link)
{
    std::vector<std::string> receivers = link.ports;
    receivers.push_back(link.name);
    std::optional<uint32_t> of_all; // ETH_FLAG_* that one of them has
    link.answer_errors = 0;
    for (const std::string& name : receivers) {
        ethtool_value flags{.cmd = ETHTOOL_GFLAGS, .data = 0};
        if (ask_ethtool(name, flags)) {
            of_all = of_all.value_or(0) | flags.data;
        }
        link.answer_errors += answer_errors(name);
    }
    if (of_all) {
        link.strips_vlan_tags = (*of_all & ETH_FLAG_RXVLAN) != 0;
        link.merges_packets = (*of_all & ETH_FLAG_LRO) != 0;
    }
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (ask_ethtool(link.name, channels)) {
        link.receive_queues = channels.rx_count + channels.combined_count;
        link.receive_queues_most = channels.max_rx + channels.max_combined;
        link.queues_are_combined = channels.max_combined > 0;
    }
}

LinkFacts facts_of_link(const LinkInfo& info, const std::vector<LinkInfo>& all)
{
    LinkFacts link;
    link.ifindex = info.ifindex;
    link.name = info.name;
    link.mtu = info.mtu;
    LinkSuitability suitability = suitability_of(info, all);
    link.has_ethernet = suitability.has_ethernet;
    link.partial_checksums = info.kind == "veth";
    link.refusal = std::move(suitability.refusal);
    link.no_answers = std::move(suitability.no_answers);
    link.native_costs = std::move(suitability.native_costs);
    link.ports = ports_of(info, all);
    follow_stack(all, link);
    return link;
}

Result<NetworkFacts> read_network_facts(const std::vector<RouteMetrics>& routes)
{
    NetworkFacts facts;
    auto links = links_here();
    if (!links) {
        return links.error().in("interfaces");
    }
    for (const LinkInfo& info : *links) {
        LinkFacts& link = facts.links.emplace_back(facts_of_link(info, *links));
        link.ipv6_mtu =
            std::min(link.mtu, static_cast<uint32_t>(number(
                                   "net.ipv6.conf." + sysctl_word(info.name) + ".mtu", link.mtu)));
        apply_routes(routes, link);
    }
    facts.conntrack_entries = number("net.netfilter.nf_conntrack_count", 0);
    facts.conntrack_max_entries = number("net.netfilter.nf_conntrack_max", 0);
    facts.conntrack = facts.conntrack_entries > 0;
    facts.ephemeral_least =
        static_cast<uint32_t>(number("net.ipv4.ip_local_port_range", XDPCTL_PORTS));
    facts.rmem_max = static_cast<uint32_t>(number("net.core.rmem_max", 212992));
    constexpr uint64_t room = 4 << 20; // where Linux says nothing else
    facts.reassembly_bytes = {
        number("net.ipv4.ipfrag_high_thresh", room),
        std::min(number("net.ipv6.ip6frag_high_thresh", room),
                 facts.conntrack ? number("net.netfilter.nf_conntrack_frag6_high_thresh", room)
                                 : room)};
    facts.tcp_syncookies = static_cast<int>(number("net.ipv4.tcp_syncookies", 0));
    return facts;
}

} // namespace xdpctl
