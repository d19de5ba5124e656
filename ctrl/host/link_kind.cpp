// SPDX-License-Identifier: Apache-2.0
#include "host/link_kind.h"

#include <linux/if_arp.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace xdpctl
{
namespace
{

// Interfaces without an Ethernet header. Generic XDP begins where the link header
// begins (net/core/dev.c, bpf_prog_run_generic_xdp: skb_mac_header); these drivers set
// it to the IP header, which tests/vm/test_debian_kernel.sh proves for each of them.
struct BareKind {
    std::string_view kind;
    uint16_t type;
    bool needs_remote; // with several peers the driver keeps the outer headers
};
constexpr std::array bare_kinds = {
    BareKind{"tun", ARPHRD_NONE, false},       BareKind{"wireguard", ARPHRD_NONE, false},
    BareKind{"ppp", ARPHRD_PPP, false},        BareKind{"gre", ARPHRD_IPGRE, true},
    BareKind{"ip6gre", ARPHRD_IP6GRE, true},   BareKind{"ipip", ARPHRD_TUNNEL, false},
    BareKind{"ip6tnl", ARPHRD_TUNNEL6, false}, BareKind{"sit", ARPHRD_SIT, false},
};

// Ethernet by type, but no packet from outside is handed to XDP there.
struct SilentKind {
    std::string_view kind;
    std::string_view why;
};
constexpr std::array silent_kinds = {
    SilentKind{"dummy", "nothing is received on a dummy interface: packets to its addresses "
                        "arrive on another"},
    SilentKind{"ifb", "packets that are redirected to an ifb do not meet XDP"},
    SilentKind{"nlmon", "it carries netlink messages of this host"},
};

using Links = std::vector<LinkInfo>;

const LinkInfo* find_link(uint32_t ifindex, const Links& all)
{
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const LinkInfo& l) { return l.ifindex == ifindex; });
    return ifindex == 0 || found == all.end() ? nullptr : &*found;
}

std::vector<std::string> parts_of(const LinkInfo& link, const Links& all)
{
    std::vector<std::string> names;
    for (const LinkInfo& part : all) {
        if (part.master == link.ifindex) {
            names.push_back(part.name);
        }
    }
    return names;
}

bool combines_links(const LinkInfo& link)
{
    return link.kind == "bond" || link.kind == "team";
}

// Where frames come into the host: hardware, or the end of a veth, or the bond of either.
std::vector<std::string> entrances(const Links& all)
{
    std::vector<std::string> names;
    for (const LinkInfo& link : all) {
        const LinkInfo* master = find_link(link.master, all);
        const bool is_port = master != nullptr && combines_links(*master);
        if (link.type == ARPHRD_ETHER && !is_port &&
            (link.kind.empty() || link.kind == "veth" || combines_links(link))) {
            names.push_back(link.name);
        }
    }
    return names;
}

std::string any_of(const std::vector<std::string>& names)
{
    constexpr size_t most = 4;
    const size_t shown = std::min(names.size(), most);
    return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + shown, " or "),
                       names.size() > most ? " ..." : "");
}

// The interface to use instead of one that is stacked on another or carried by it.
std::string instead_of(const LinkInfo& link, const Links& all)
{
    const LinkInfo* below = link.in_this_namespace ? find_link(link.link, all) : nullptr;
    if (below != nullptr) {
        return fmt::format("attach to {}", below->name);
    }
    const std::vector<std::string> names = entrances(all);
    return names.empty()
               ? "attach to the Ethernet interface that its packets arrive on"
               : fmt::format("attach to the Ethernet interface that its packets arrive on ({})",
                             any_of(names));
}

const BareKind* bare_kind(const LinkInfo& link)
{
    const auto found =
        std::find_if(bare_kinds.begin(), bare_kinds.end(), [&link](const BareKind& bare) {
            return bare.kind == link.kind && bare.type == link.type;
        });
    return found == bare_kinds.end() ? nullptr : &*found;
}

LinkSuitability without_ethernet(const LinkInfo& link, const Links& all)
{
    LinkSuitability found;
    found.has_ethernet = false;
    found.no_answers = "its packets have no Ethernet header, and the kernel cannot send answers "
                       "of XDP on such an interface";
    const BareKind* bare = bare_kind(link);
    if (bare == nullptr) {
        found.refusal = fmt::format(
            "{} has no Ethernet header (link type {}{}), and it is not known how its packets come "
            "to XDP; {}",
            link.name, link.type, link.kind.empty() ? "" : ", " + link.kind, instead_of(link, all));
    } else if (bare->needs_remote && !link.has_one_peer) {
        found.refusal = fmt::format("{} is a {} tunnel without one remote address: XDP would see "
                                    "the outer headers there; {}",
                                    link.name, link.kind, instead_of(link, all));
    }
    return found;
}

std::string refusal_of_stack(const LinkInfo& link, const Links& all)
{
    const LinkInfo* master = find_link(link.master, all);
    if (master != nullptr && combines_links(*master)) {
        return fmt::format("{} is a port of {}: attach to {}, which has the frames of all its "
                           "ports",
                           link.name, master->name, master->name);
    }
    if (link.kind == "vrf") {
        const std::vector<std::string> parts = parts_of(link, all);
        return fmt::format("{} is a VRF: XDP sees packets on its interfaces only; attach to {}",
                           link.name, parts.empty() ? "those" : any_of(parts));
    }
    if (link.kind == "ipvlan" && link.is_ipvlan_l3s) {
        return fmt::format("{} is an ipvlan of mode l3s: XDP sees its packets on the interface "
                           "below only; {}",
                           link.name, instead_of(link, all));
    }
    const auto silent =
        std::find_if(silent_kinds.begin(), silent_kinds.end(),
                     [&link](const SilentKind& kind) { return kind.kind == link.kind; });
    if (silent != silent_kinds.end()) {
        return fmt::format("{}: {}; {}", link.name, silent->why, instead_of(LinkInfo{}, all));
    }
    return "";
}

} // namespace

LinkSuitability suitability_of(const LinkInfo& link, const Links& all)
{
    LinkSuitability found;
    if (link.type == ARPHRD_LOOPBACK) {
        found.refusal = fmt::format("{} carries only what this host sends to itself; {}", link.name,
                                    instead_of(link, all));
        return found;
    }
    if (link.kind == "veth") { // veth_xdp_set of drivers/net/veth.c
        found.native_costs = "it would take segmentation offload from the other end of the veth";
    }
    found.refusal = refusal_of_stack(link, all);
    return !found.refusal.empty() || link.type == ARPHRD_ETHER ? found
                                                               : without_ethernet(link, all);
}

std::vector<std::string> ports_of(const LinkInfo& link, const Links& all)
{
    return combines_links(link) ? parts_of(link, all) : std::vector<std::string>();
}

bool passes_frames_up(const LinkInfo& link)
{
    static constexpr std::array<std::string_view, 5> kinds = {"vlan", "macvlan", "macvtap",
                                                              "ipvlan", "ipvtap"};
    return std::find(kinds.begin(), kinds.end(), link.kind) != kinds.end();
}

} // namespace xdpctl
