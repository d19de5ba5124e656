// SPDX-License-Identifier: Apache-2.0
// ICMP, other protocols, and tunnels.
#include <netinet/in.h>

#include <set>

#include "bpf/volumetric.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

// An ICMP error whose packet inside went from here to the peer.
Bytes icmp_error(bool ipv6, uint8_t type, const Bytes& inside, size_t inside_network,
                 std::optional<Address> destination = std::nullopt)
{
    FrameBuilder error(other(ipv6), destination.value_or(Wire::server(ipv6)));
    return quoting(error.icmp(type, 4), inside, inside_network, ipv6);
}

Bytes sent_from_here(bool ipv6, uint8_t protocol, uint16_t local, uint16_t peer)
{
    FrameBuilder sent(Wire::server(ipv6), Wire::client(ipv6));
    protocol == IPPROTO_TCP ? sent.tcp(local, peer, tcp_ack) : sent.udp(local, peer);
    return sent.payload(40).build();
}

} // namespace

TEST_CASE("ICMP errors pass where they are about something that was sent from here")
{
    const bool ipv6 = GENERATE(false, true);
    INFO((ipv6 ? "IPv6" : "IPv4"));
    TimedVolumetric timed;
    const auto open = [&](uint8_t protocol, uint16_t local, uint16_t peer, xdpctl_session session) {
        const Address anybody;
        REQUIRE(timed.plane->open_socket(
            {protocol, Wire::server(ipv6), local, peer == 0 ? anybody : Wire::client(ipv6), peer},
            session));
    };
    open(IPPROTO_TCP, 443, 5000, XDPCTL_SESSION_ESTABLISHED);
    open(IPPROTO_TCP, 443, 0, XDPCTL_SESSION_LISTENER);
    open(IPPROTO_UDP, 4433, 0, XDPCTL_SESSION_LISTENER);
    const auto about = [&](uint8_t protocol, uint16_t local, uint16_t peer) {
        std::set<uint32_t> met;
        for (const int type : ipv6 ? std::vector<int>{1, 2, 3, 4} : std::vector<int>{3, 11, 12}) {
            met.insert(timed.judge(icmp_error(ipv6, static_cast<uint8_t>(type),
                                              sent_from_here(ipv6, protocol, local, peer), 14)));
        }
        return met;
    };
    CHECK(about(IPPROTO_TCP, 443, 5000) == std::set<uint32_t>{XDPCTL_PASSED});
    CHECK(about(IPPROTO_UDP, 4433, 9) == std::set<uint32_t>{XDPCTL_PASSED}); // QUIC: path MTU
    // Time exceeded may answer a traceroute, which has no socket.
    const std::set<uint32_t> strange = {XDPCTL_PASSED, XDPCTL_ICMP_UNSOLICITED};
    CHECK(about(IPPROTO_TCP, 443, 5001) == strange);
    CHECK(about(IPPROTO_TCP, 80, 5000) == strange);
    for (int i = 0; i < 1000; i++) { // about an open connection eight a second always do
        timed.advance(ns_per_s / 8);
        CHECK(timed.judge(icmp_error(ipv6, ipv6 ? 2 : 3,
                                     sent_from_here(ipv6, IPPROTO_TCP, 443, 5000), 14)) ==
              XDPCTL_PASSED);
    }
    CHECK(about(IPPROTO_UDP, 4434, 9) == std::set<uint32_t>{XDPCTL_PASSED}); // few: a tunnel's?
    FrameBuilder empty = from(other(ipv6));
    CHECK(timed.judge(empty.icmp(ipv6 ? 1 : 3, 3).payload(4).build()) == XDPCTL_ICMP_UNSOLICITED);
    // What a router forwards is not ours to know.
    const Address inner = ipv6 ? "2001:db8:77::7"_ip : "203.0.113.77"_ip;
    FrameBuilder through(inner, Wire::client(ipv6));
    const Bytes quoted = through.tcp(1, 2, tcp_ack).payload(20).build();
    CHECK(timed.judge(icmp_error(ipv6, ipv6 ? 2 : 3, quoted, 14, inner)) == XDPCTL_PASSED);
    CHECK(timed.judge(icmp_error(ipv6, ipv6 ? 2 : 3, quoted, 14)) == XDPCTL_ICMP_UNSOLICITED);
}

TEST_CASE("ICMP is limited by its type")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    const auto passed_of = [&](uint8_t type, int count) {
        int passed = 0;
        for (int i = 0; i < count; i++) {
            const uint32_t reason = timed.judge(
                Wire::from_client(ipv6).icmp(type, 0).payload(24).hop_limit(255).build());
            CHECK((reason == XDPCTL_PASSED || reason == XDPCTL_ICMP_LIMITED));
            passed += reason == XDPCTL_PASSED ? 1 : 0;
            timed.advance(ns_per_ms);
        }
        return passed;
    };
    timed.spec.host.limits[XDPCTL_LIMIT_ICMP_ECHO][XDPCTL_LEVEL_SOURCE].rate = {50, 0};
    timed.spec.host.limits[XDPCTL_LIMIT_ICMP_OTHER][XDPCTL_LEVEL_SOURCE].rate = {5, 0};
    timed.commit();
    const int echo = passed_of(ipv6 ? 128 : 8, 2000);
    CHECK(echo >= 100);
    CHECK(echo <= 160);
    const int strange = passed_of(ipv6 ? 200 : 13, 2000);
    CHECK(strange >= 5);
    CHECK(strange <= 25);
    if (ipv6) {
        CHECK(passed_of(135, 50) == 50); // neighbours keep finding each other
        CHECK(timed.judge(Wire::from_client(true).icmp(135, 0).payload(16).build()) ==
              XDPCTL_ICMP_HOPS);
    }
}

TEST_CASE("other protocols pass, are limited or dropped as the policy says")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_PROTOCOL, {{XDPCTL_LEVEL_SOURCE, {10, 0}}});
    timed.spec.protocols = {{47, XDPCTL_PROTOCOL_PASS}, {132, XDPCTL_PROTOCOL_DROP}};
    timed.commit();
    const auto judged = [&](uint8_t protocol) {
        return timed.judge(Wire::from_client(ipv6).protocol(protocol).payload(40).build());
    };
    std::map<uint32_t, int> esp;
    for (int i = 0; i < 100; i++) {
        CHECK(judged(47) == XDPCTL_PASSED);
        CHECK(judged(132) == XDPCTL_PROTOCOL_REFUSED);
        esp[judged(50)]++;
    }
    CHECK(esp[XDPCTL_PASSED] > 0);
    CHECK(esp[XDPCTL_PROTOCOL_LIMITED] > 80);
}

namespace
{

// What the tunnel's header is, between the outer header and the packet inside.
struct Tunnel {
    const char* name;
    uint32_t bit;
    uint8_t protocol; // 0: by the family of what is inside
    Bytes header;
    bool ethernet;
};

Bytes join(const Bytes& a, const Bytes& b)
{
    Bytes both = a;
    both.insert(both.end(), b.begin(), b.end());
    return both;
}

// `packet`: a whole frame, of which the tunnel carries the IP packet or all.
Bytes in_tunnel(const Tunnel& tunnel, bool ipv6, const Bytes& packet, bool inner_ipv6)
{
    const Bytes inside_packet(packet.begin() + (tunnel.ethernet ? 0 : 14), packet.end());
    Bytes header = tunnel.header;
    if (tunnel.protocol == IPPROTO_GRE && !tunnel.ethernet) {
        header[2] = inner_ipv6 ? 0x86 : 0x08;
        header[3] = inner_ipv6 ? 0xdd : 0x00;
    }
    const Bytes inside = join(header, inside_packet);
    FrameBuilder outer = Wire::from_client(ipv6);
    const uint8_t by_family = inner_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
    if (tunnel.protocol == IPPROTO_UDP) {
        outer.udp(50000, 4789);
    } else {
        outer.protocol(tunnel.protocol != 0 ? tunnel.protocol : by_family);
    }
    outer.payload(inside.size());
    Bytes frame = outer.build();
    std::copy(inside.begin(), inside.end(),
              frame.end() - static_cast<std::ptrdiff_t>(inside.size()));
    return frame;
}

} // namespace

TEST_CASE("what is inside a tunnel meets the lists, the sanity checks and the limits")
{
    const bool ipv6 = GENERATE(false, true);
    const bool inner_ipv6 = GENERATE(false, true);
    const Tunnel tunnel = GENERATE(
        Tunnel{"gre", XDPCTL_TUNNEL_GRE, IPPROTO_GRE, {0, 0, 0, 0}, false},
        Tunnel{"gre with all fields",
               XDPCTL_TUNNEL_GRE,
               IPPROTO_GRE,
               {0xb0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
               false},
        Tunnel{
            "gre, frames", XDPCTL_TUNNEL_GRE, IPPROTO_GRE, {0x20, 0, 0x65, 0x58, 0, 0, 0, 1}, true},
        Tunnel{"ipip", XDPCTL_TUNNEL_IPIP, 0, {}, false},
        Tunnel{"vxlan", XDPCTL_TUNNEL_VXLAN, IPPROTO_UDP, {8, 0, 0, 0, 0, 0, 7, 0}, true});
    INFO(tunnel.name << (ipv6 ? " over IPv6" : " over IPv4") << (inner_ipv6 ? ", IPv6" : ", IPv4")
                     << " inside");
    const Address blocked = inner_ipv6 ? "2001:db8:bad::1"_ip : "192.0.2.66"_ip;
    const Address honest = inner_ipv6 ? "2001:db8:77::7"_ip : "203.0.113.77"_ip;
    const Address target = inner_ipv6 ? "2001:db8:78::7"_ip : "203.0.113.78"_ip;
    TimedVolumetric timed;
    timed.spec.block = {{Prefix{blocked, 128}, XDPCTL_NO_DEADLINE}};
    timed.spec.udp_services = {4789};
    timed.limit(XDPCTL_LIMIT_ICMP_ECHO, {{XDPCTL_LEVEL_SOURCE, {10, 0}}});
    timed.commit();
    const auto judged = [&](FrameBuilder inside) {
        return timed.judge(in_tunnel(tunnel, ipv6, inside.build(), inner_ipv6));
    };
    const auto packet = [&](const Address& source) { return FrameBuilder(source, target); };

    // Without the key nobody looks inside.
    CHECK(judged(packet(blocked).udp(1000, 2000).payload(40)) == XDPCTL_PASSED);
    timed.spec.tunnels = 1U << tunnel.bit;
    timed.commit();
    CHECK(judged(packet(blocked).udp(1000, 2000).payload(40)) == XDPCTL_BLOCKED);
    CHECK(judged(packet(honest).udp(1000, 2000).payload(40)) == XDPCTL_PASSED);
    CHECK(judged(packet(honest).tcp(1000, 80, tcp_syn)) == XDPCTL_PASSED);
    CHECK(judged(packet(honest).tcp(1000, 80, tcp_syn | tcp_fin)) == XDPCTL_TCP_SYN_FIN);
    const Address own = Wire::server(inner_ipv6);
    CHECK(judged(FrameBuilder(own, own).udp(1000, 2000)) == XDPCTL_LAND);
    CHECK(judged(FrameBuilder(honest, honest).udp(1000, 3785)) == XDPCTL_PASSED); // BFD's echo
    std::map<uint32_t, int> pings;
    for (int i = 0; i < 100; i++) {
        pings[judged(packet(honest).icmp(inner_ipv6 ? 128 : 8, 0).payload(24))]++;
    }
    CHECK(pings[XDPCTL_ICMP_LIMITED] > 50);
    CHECK(pings[XDPCTL_PASSED] > 0);
    // Cut short inside.
    Bytes cut = packet(honest).udp(1, 2).payload(40).build();
    cut.resize(14 + 12);
    CHECK(timed.judge(in_tunnel(tunnel, ipv6, cut, inner_ipv6)) ==
          (inner_ipv6 ? XDPCTL_IPV6_HEADER : XDPCTL_IPV4_HEADER));
    // A tunnel of somebody else.
    timed.spec.tunnels = 0xffU & ~(1U << tunnel.bit);
    timed.commit();
    CHECK(judged(packet(blocked).udp(1000, 2000).payload(40)) == XDPCTL_PASSED);
}
