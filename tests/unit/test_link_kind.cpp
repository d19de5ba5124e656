// SPDX-License-Identifier: Apache-2.0
#include <linux/if_arp.h>

#include "dataplane/kernel_words.h"
#include "harness/catch.h"
#include "host/link_kind.h"
#include "host/network.h"

using namespace xdpctl;

namespace
{

LinkInfo link_of(uint32_t ifindex, const char* name, const char* kind = "",
                 uint16_t type = ARPHRD_ETHER)
{
    LinkInfo link;
    link.ifindex = ifindex;
    link.name = name;
    link.kind = kind;
    link.type = type;
    link.mtu = 1500;
    return link;
}

LinkInfo stacked_on(uint32_t below, LinkInfo link)
{
    link.link = below;
    return link;
}

LinkInfo part_of(uint32_t master, LinkInfo link)
{
    link.master = master;
    return link;
}

const LinkInfo eth0 = link_of(2, "eth0");

} // namespace

TEST_CASE("a link without an Ethernet header is read from the IP header or refused")
{
    struct Row {
        const char* kind;
        uint16_t type;
        bool fits;
    };
    for (const Row& row :
         {Row{"tun", ARPHRD_NONE, true}, Row{"wireguard", ARPHRD_NONE, true},
          Row{"ppp", ARPHRD_PPP, true}, Row{"ipip", ARPHRD_TUNNEL, true},
          Row{"ip6tnl", ARPHRD_TUNNEL6, true}, Row{"sit", ARPHRD_SIT, true},
          Row{"xfrm", ARPHRD_NONE, false}, Row{"vti", ARPHRD_TUNNEL, false},
          Row{"", ARPHRD_PPP, false}, Row{"", ARPHRD_RAWIP, false},
          Row{"ipoib", ARPHRD_INFINIBAND, false}, Row{"", ARPHRD_IEEE80211_RADIOTAP, false},
          Row{"nlmon", ARPHRD_NETLINK, false}}) {
        INFO(row.kind << " " << row.type);
        const LinkInfo link = link_of(9, "l0", row.kind, row.type);
        const LinkSuitability found = suitability_of(link, {eth0, link});
        CHECK(found.refusal.empty() == row.fits);
        if (row.fits) {
            CHECK_FALSE(found.has_ethernet);
            CHECK_THAT(found.no_answers, Catch::Contains("no Ethernet header"));
        } else {
            CHECK_THAT(found.refusal, Catch::Contains("l0") && Catch::Contains("eth0"));
        }
    }
    const LinkInfo tap = link_of(9, "tap0", "tun");
    CHECK(suitability_of(tap, {eth0, tap}).has_ethernet);
    CHECK(suitability_of(tap, {eth0, tap}).refusal.empty());
    CHECK(suitability_of(tap, {eth0, tap}).no_answers.empty());
}

TEST_CASE("a GRE tunnel is attached where it has one peer")
{
    for (const char* kind : {"gre", "ip6gre"}) {
        const uint16_t type = std::string(kind) == "gre" ? ARPHRD_IPGRE : ARPHRD_IP6GRE;
        LinkInfo link = stacked_on(2, link_of(9, "gre1", kind, type));
        CHECK_THAT(suitability_of(link, {eth0, link}).refusal, Catch::Contains("attach to eth0"));
        link.in_this_namespace = false; // nor is what the number 2 means there
        CHECK_THAT(suitability_of(link, {eth0, link}).refusal, Catch::Contains("arrive on (eth0)"));
        link.has_one_peer = true;
        CHECK(suitability_of(link, {eth0, link}).refusal.empty());
    }
    const LinkInfo tap = link_of(9, "gretap1", "gretap");
    CHECK(suitability_of(tap, {eth0, tap}).refusal.empty());
}

TEST_CASE("a link on which XDP sees nothing is refused with the one where it does")
{
    const LinkInfo lo = link_of(1, "lo", "", ARPHRD_LOOPBACK);
    const LinkInfo bond = link_of(5, "bond0", "bond");
    const LinkInfo vrf = link_of(6, "blue", "vrf");
    LinkInfo l3s = stacked_on(2, link_of(7, "ipvl0", "ipvlan"));
    const std::vector<LinkInfo> all = {
        lo,
        eth0,
        part_of(5, link_of(3, "eth1")),
        part_of(6, link_of(4, "eth2")),
        bond,
        vrf,
        l3s,
        link_of(8, "dummy0", "dummy"),
        link_of(9, "ifb0", "ifb"),
        link_of(10, "br0", "bridge"),
        part_of(10, link_of(11, "eth3")),
        stacked_on(2, link_of(12, "eth0.5", "vlan")),
        link_of(13, "team0", "team"),
        part_of(13, link_of(14, "eth4")),
    };
    const auto refusal = [&all](const LinkInfo& link) {
        const LinkSuitability found = suitability_of(link, all);
        CHECK(found.has_ethernet);
        CHECK(found.no_answers.empty());
        return found.refusal;
    };
    CHECK_THAT(refusal(lo), Catch::Contains("(eth0 or eth2 or bond0 or eth3 ...)"));
    CHECK_THAT(refusal(all[2]), Catch::Contains("attach to bond0"));
    CHECK_THAT(refusal(all[13]), Catch::Contains("attach to team0"));
    CHECK_THAT(refusal(vrf), Catch::Contains("attach to eth2"));
    CHECK_THAT(refusal(all[7]), Catch::Contains("dummy") && Catch::Contains("eth0"));
    CHECK_THAT(refusal(all[8]), Catch::Contains("ifb") && Catch::Contains("eth0"));
    for (const size_t fits : {size_t{1}, size_t{3}, size_t{4}, size_t{6}, size_t{9}, size_t{10},
                              size_t{11}, size_t{12}}) {
        INFO(all[fits].name);
        CHECK(refusal(all[fits]).empty());
    }
    l3s.is_ipvlan_l3s = true;
    CHECK_THAT(refusal(l3s), Catch::Contains("attach to eth0"));
}

TEST_CASE("the stack on a link is what its frames come up through")
{
    const auto smaller = [](LinkInfo link) {
        link.mtu = 1400;
        return link;
    };
    SECTION("VLANs, also on the bridge that it is part of")
    {
        const std::vector<LinkInfo> all = {part_of(3, eth0), link_of(3, "br0", "bridge"),
                                           smaller(stacked_on(3, link_of(4, "br0.5", "vlan")))};
        const LinkFacts facts = facts_of_link(all[0], all);
        CHECK(facts.is_stacked);
        CHECK(facts.has_vlans);
        CHECK(facts.mtu == 1400);
        CHECK(facts.ports.empty());
    }
    SECTION("a bond and its ports")
    {
        const std::vector<LinkInfo> all = {part_of(3, eth0), link_of(3, "bond0", "bond"),
                                           part_of(3, link_of(4, "eth1"))};
        CHECK(facts_of_link(all[1], all).ports == std::vector<std::string>{"eth0", "eth1"});
        CHECK(facts_of_link(all[1], all).is_stacked);
        CHECK(facts_of_link(all[0], all).is_stacked);
    }
    SECTION("not tunnels, nor VLANs in them")
    {
        const std::vector<LinkInfo> all = {
            eth0, smaller(stacked_on(2, link_of(3, "vxlan0", "vxlan"))),
            smaller(stacked_on(3, link_of(4, "vxlan0.5", "vlan"))),
            smaller(stacked_on(2, link_of(5, "gre1", "gre", ARPHRD_IPGRE)))};
        const LinkFacts facts = facts_of_link(all[0], all);
        CHECK_FALSE(facts.is_stacked);
        CHECK_FALSE(facts.has_vlans);
        CHECK(facts.mtu == 1500);
    }
    SECTION("not the other end of a veth, nor what is on an interface elsewhere")
    {
        std::vector<LinkInfo> all = {stacked_on(3, link_of(2, "v0", "veth")),
                                     smaller(stacked_on(2, link_of(3, "v1", "veth"))),
                                     smaller(stacked_on(2, link_of(4, "eth7.5", "vlan")))};
        all[2].in_this_namespace = false;
        CHECK_FALSE(facts_of_link(all[0], all).is_stacked);
        CHECK(facts_of_link(all[0], all).mtu == 1500);
    }
}

TEST_CASE("the kernel's words are taken from libbpf's messages")
{
    KernelWords::hear("libbpf: Kernel error message: nobody listens");
    KernelWords outer;
    KernelWords::hear("libbpf: prog 'xdpctl': loaded");
    CHECK(outer.text().empty());
    {
        const KernelWords inner;
        KernelWords::hear("libbpf: Kernel error message: MTU too large. ");
        CHECK(inner.text() == "MTU too large");
    }
    CHECK(outer.text().empty());
    KernelWords::hear("libbpf: Kernel error message: first");
    KernelWords::hear("libbpf: Kernel error message: second\n");
    CHECK(outer.text() == "second");
}
