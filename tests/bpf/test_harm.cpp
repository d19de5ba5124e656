// SPDX-License-Identifier: Apache-2.0
// First, do no harm: what has no socket here, comes in an odd order or by another way, and is
// honest all the same.
#include <linux/bpf.h>
#include <netinet/in.h>

#include <map>
#include <set>

#include "bpf/peace.h"
#include "bpf/test_run.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

const Bytes ntp_client = {0x23};
const Bytes dns_answer = {1, 2, 0x81, 0x80};

} // namespace

TEST_CASE("of packets that nothing here asked for a few of each kind pass, a flood does not")
{
    const bool ipv6 = GENERATE(false, true);
    INFO((ipv6 ? "IPv6" : "IPv4"));
    struct Kind {
        const char* what;
        xdpctl_reason reason;
        std::function<Bytes(FrameBuilder)> make;
    };
    const Kind kind = GENERATE(
        Kind{"a RST of a connection that is over", XDPCTL_NO_SESSION,
             [](FrameBuilder b) { return b.tcp(4000, closed, tcp_rst | tcp_ack).build(); }},
        Kind{"the last hop of a traceroute", XDPCTL_UDP_NO_SOCKET,
             [](FrameBuilder b) { return b.udp(4000, 33434).payload(32).build(); }},
        Kind{"a late answer of a resolver", XDPCTL_REFLECTION,
             [](FrameBuilder b) { return with_payload(b.udp(dns, 40000), dns_answer); }});
    INFO(kind.what);
    Peace peace(ipv6);
    const auto one = [&](uint32_t n) { return kind.make(peace.from(n)); };
    // 40 a second from many, 5 a second from one: a minute of it.
    CHECK(peace.passed(2400, 40, one) == 2400);
    peace.advance(60 * ns_per_s);
    CHECK(peace.passed(300, 5, [&](uint32_t) { return one(7); }) == 300);
    // A traceroute sends 16 probes at once.
    peace.advance(60 * ns_per_s);
    CHECK(peace.passed(16, 1000000, [&](uint32_t) { return one(8); }) == 16);
    // From one /24 or /64, then from everywhere.
    peace.advance(60 * ns_per_s);
    const int of_one = peace.passed(20000, 2000, [&](uint32_t) { return one(9); });
    CHECK(of_one < 400);
    peace.advance(60 * ns_per_s);
    const int of_all = peace.passed(100000, 10000, one);
    CHECK(of_all >= 64 * 10);
    CHECK(of_all < 1500);
    peace.judge(one(1)); // may be the one that has its turn now
    CHECK(peace.judge(one(2)) == kind.reason);
    // The operator can have none of it.
    peace.spec.strays_per_second = 0;
    peace.commit();
    peace.advance(600 * ns_per_s);
    CHECK(peace.passed(200, 100, one) < 20);
}

TEST_CASE("who had a connection here a moment ago gets its RST, however many others ask")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    peace.passed(20000, 20000,
                 [&](uint32_t n) { return peace.from(n).tcp(4000, closed, tcp_ack).build(); });
    const Bytes ours = peace.from_client().tcp(5000, closed, tcp_ack).build();
    peace.judge(peace.from(1).tcp(4000, closed, tcp_ack).build()); // whose turn it may be
    CHECK(peace.judge(ours) == XDPCTL_NO_SESSION);
    peace.plane->mark_peer(Wire::client(ipv6));
    CHECK(peace.judge(ours) == XDPCTL_PASSED);
}

TEST_CASE("an address that has just arrived hears its connections, whatever strays come to others")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    peace.advance(600 * ns_per_s);
    const auto stray = [&](uint32_t n) { return peace.from(n).tcp(4000, closed, tcp_ack).build(); };
    CHECK(peace.passed(20000, 10000, stray) < 1000);
    const Address arrived = ipv6 ? "2001:db8:1::99"_ip : "192.0.2.99"_ip;
    REQUIRE(peace.plane->set_own_addresses({Wire::server(false), Wire::server(true), arrived}));
    int passed = 0;
    for (uint32_t n = 0; n < 4000; n++) { // 2000 a second, and as many strays to the other
        FrameBuilder segment(peace.nth(n), arrived);
        passed += peace.judge(segment.tcp(4000, closed, tcp_ack).build()) == XDPCTL_PASSED ? 1 : 0;
        peace.judge(stray(n));
        peace.advance(ns_per_s / 2000);
    }
    CHECK(passed == 4000);
    peace.advance(600 * ns_per_s);
    CHECK(peace.passed(20000, 10000, [&](uint32_t n) {
        FrameBuilder segment(peace.nth(n), arrived);
        return segment.tcp(4000, closed, tcp_ack).build();
    }) < 1000);
}

TEST_CASE(
    "a proxy in front of a container's port may open as many connections as it likes in peace")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const auto syn = [&](uint32_t n) {
        return peace.from_client()
            .tcp(static_cast<uint16_t>(1024 + n % 60000), closed, tcp_syn)
            .build();
    };
    SECTION("translated")
    {
        peace.spec.host.flags = XDPCTL_HOST_CONNTRACK;
    }
    SECTION("stated")
    {
        peace.spec.tcp_services = {closed};
    }
    SECTION("unseen")
    {
        peace.spec.host.flags = XDPCTL_HOST_UNSEEN;
    }
    peace.commit();
    CHECK(peace.passed(10000, 5000, syn) == 10000);
    CHECK(peace.passed(60000, 100000, syn) < 40000);
}

TEST_CASE("floods of segments without SYN are held at a service, too")
{
    const bool ipv6 = GENERATE(false, true);
    const uint8_t flags =
        GENERATE(tcp_ack, tcp_rst, tcp_fin | tcp_ack, tcp_psh | tcp_ack, tcp_syn | tcp_ack);
    Peace peace(ipv6);
    const SocketKey real = {IPPROTO_TCP, Wire::server(ipv6), web, Wire::client(ipv6), 5000};
    REQUIRE(peace.plane->open_socket(real, XDPCTL_SESSION_ESTABLISHED));
    int lost = 0;
    const int passed = peace.passed(20000, 50000, [&](uint32_t n) {
        const Bytes segment = peace.from_client().tcp(5000, web, tcp_ack).payload(500).build();
        lost += peace.judge(segment) == XDPCTL_PASSED ? 0 : 1;
        return peace.from(n).tcp(4000, web, flags).build();
    });
    CHECK(passed < 1000);
    CHECK(lost == 0);
}

TEST_CASE("ports that are served without a socket are left alone, or limited where that is unknown")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const auto segment = [&](uint32_t n) {
        return peace.from(n % 50).tcp(4000, closed, tcp_ack).payload(900).build();
    };
    const auto datagram = [&](uint32_t n) {
        return peace.from(n % 50).udp(4000, closed).payload(900).build();
    };
    CHECK(peace.passed(20000, 20000, segment) < 1000);
    SECTION("stated")
    {
        peace.spec.tcp_services = {closed};
        peace.spec.udp_services = {closed};
        peace.commit();
        CHECK(peace.passed(20000, 20000, segment) == 20000);
        CHECK(peace.passed(20000, 20000, datagram) == 20000);
    }
    SECTION("as IPVS tells")
    {
        peace.spec.host.tcp_ports = {closed};
        peace.spec.host.udp_ports = {closed};
        peace.commit();
        CHECK(peace.passed(20000, 20000, segment) == 20000);
        CHECK(peace.passed(20000, 20000, datagram) == 20000);
    }
    SECTION("unknown: within limits that an honest transfer does not reach")
    {
        peace.spec.host.flags = XDPCTL_HOST_UNSEEN;
        peace.commit();
        CHECK(peace.passed(100000, 100000, segment) == 100000);
        CHECK(peace.passed(2000, 1500, datagram) == 2000);
        peace.spec.host.limits[XDPCTL_LIMIT_TCP_UNKNOWN][XDPCTL_LEVEL_SOURCE].rate = {10, 0};
        peace.commit();
        peace.advance(ns_per_s);
        CHECK(peace.passed(20000, 20000, segment) < 1500);
        CHECK(reasons_met().contains(XDPCTL_NO_SESSION));
    }
}

TEST_CASE("a question to a service is one from whatever port, announcements to groups pass")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    for (const uint16_t port : {ntp, dns, uint16_t{161}, uint16_t{17}, uint16_t{389}}) {
        INFO(port);
        FrameBuilder time = peace.from_client();
        CHECK(peace.judge(with_payload(time.udp(port, ntp), ntp_client, 48)) == XDPCTL_PASSED);
        FrameBuilder name = peace.from_client();
        CHECK(peace.judge(with_payload(name.udp(port, dns), {1, 2, 1, 0}, 40)) == XDPCTL_PASSED);
    }
    const Address group = ipv6 ? "ff02::c"_ip : "239.255.255.250"_ip;
    for (const uint16_t port : {uint16_t{1900}, uint16_t{5351}, uint16_t{5353}}) {
        FrameBuilder announcement(Wire::client(ipv6), group);
        CHECK(peace.judge(announcement.udp(port, 5350).payload(60).build()) == XDPCTL_PASSED);
    }
    // Relays of DHCP answer from port 67 to port 67, and 547 to 547.
    FrameBuilder relay = peace.from_client();
    const uint16_t dhcp = ipv6 ? 547 : 67;
    CHECK(peace.judge(relay.udp(dhcp, dhcp).payload(300).build()) == XDPCTL_PASSED);
    // Answers that nobody may have asked for have a limit of their own.
    const int answers = peace.passed(50000, 10000, [&](uint32_t n) {
        FrameBuilder answer = peace.from(n);
        return with_payload(answer.udp(dns, dns), dns_answer, 400);
    });
    CHECK(answers >= 5000);
    CHECK(answers < 8000);
    CHECK(reasons_met().contains(XDPCTL_REFLECTION));
    // Which is not at the cost of questions.
    CHECK(peace.judge(with_payload(peace.from(3).udp(4000, dns), {1, 2, 1, 0}, 40)) ==
          XDPCTL_PASSED);
}

TEST_CASE("a service that is narrowed to countries hears answers to what it asked itself")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    peace.spec.geo[ntp] = {.only = 1, .closed = 0};
    peace.spec.geo[5060] = {.only = 1, .closed = 0};
    peace.commit();
    const auto from = [ipv6](uint8_t n) { // not of a private network, which is in no country
        Address source = ipv6 ? "2001:db8:99::"_ip : "203.0.113.0"_ip;
        source.bytes[15] = n;
        return FrameBuilder(source, Wire::server(ipv6));
    };
    FrameBuilder question = from(1);
    CHECK(peace.judge(with_payload(question.udp(4000, ntp), ntp_client, 48)) == XDPCTL_GEO_REFUSED);
    FrameBuilder answer = from(1);
    CHECK(peace.judge(with_payload(answer.udp(ntp, ntp), {0x24}, 48)) == XDPCTL_PASSED);
    FrameBuilder pretended = from(1); // whose port is no reason to take it for an answer
    CHECK(peace.judge(with_payload(pretended.udp(dns, 5060), dns_answer)) == XDPCTL_GEO_REFUSED);
    const Address asked = ipv6 ? "2001:db8:99::2"_ip : "203.0.113.2"_ip;
    REQUIRE(peace.plane->open_socket({IPPROTO_UDP, Wire::server(ipv6), 5060, asked, 5060},
                                     XDPCTL_SESSION_ESTABLISHED));
    CHECK(peace.judge(from(2).udp(5060, 5060).payload(300).build()) == XDPCTL_PASSED);
    CHECK(peace.judge(from(3).udp(5060, 5060).payload(300).build()) == XDPCTL_GEO_REFUSED);
}

TEST_CASE("datagrams whose last fragment comes first arrive, and the forwarded are not judged")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const auto piece = [&](const Address& to, uint16_t offset, size_t bytes, bool more,
                           uint32_t id) {
        FrameBuilder builder(Wire::client(ipv6), to);
        return peace.judge(
            builder.fragment(offset, more, id).udp(4000, dns).payload(bytes - 8).build());
    };
    for (uint32_t id = 1; id <= 1500; id++) { // 300 a second
        CHECK(piece(Wire::server(ipv6), 1480, 500, false, id) == XDPCTL_PASSED);
        CHECK(piece(Wire::server(ipv6), 0, 1480, true, id) == XDPCTL_PASSED);
        peace.advance(ns_per_s / 300);
    }
    const Address other = ipv6 ? "2001:db8:77::7"_ip : "203.0.113.77"_ip;
    for (uint32_t id = 1; id <= 5000; id++) { // 5000 a second, of which no first comes this way
        CHECK(piece(other, 1480, 500, false, id) == XDPCTL_PASSED);
        peace.advance(ns_per_s / 5000);
    }
}

TEST_CASE(
    "neighbours on a crowded link have a limit each, and those in use are heard beside others")
{
    Peace peace(true);
    const auto solicitation = [&](uint32_t n) {
        Address source = "fe80::5:0"_ip;
        source.bytes[14] = static_cast<uint8_t>(n >> 8);
        source.bytes[15] = static_cast<uint8_t>(n);
        FrameBuilder builder(source, "ff02::1:ff00:1"_ip);
        return builder.icmp(135, 0).payload(24).hop_limit(255).build();
    };
    // A thousand neighbours with ten a second each.
    CHECK(peace.passed(30000, 10000, [&](uint32_t n) { return solicitation(n % 1000); }) == 30000);
    // A flood from forged neighbours; the gateway solicits beside it.
    const Address gateway = "fe80::99"_ip;
    FrameBuilder builder(gateway, "ff02::1:ff00:1"_ip);
    const Bytes ours = builder.icmp(135, 0).payload(24).hop_limit(255).build();
    REQUIRE(peace.plane->remember_client(gateway));
    int heard = 0;
    int held = 0;
    for (uint32_t n = 0; n < 200000; n++) { // 200,000 a second
        held += peace.judge(solicitation(n % 60000)) == XDPCTL_ICMP_LIMITED ? 1 : 0;
        if (n % 4000 == 0) {
            heard += peace.judge(ours) == XDPCTL_PASSED ? 1 : 0;
        }
        peace.advance(ns_per_s / 200000);
    }
    CHECK(heard == 50);
    CHECK(held > 150000);
}

TEST_CASE("usual tools do not reach the floors of ICMP")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const uint8_t echo = ipv6 ? 128 : 8;
    // ping -f of one host, and 100 hosts that monitor with 10 a second each.
    CHECK(peace.passed(5000, 900, [&](uint32_t) {
        return peace.from_client().icmp(echo, 0).payload(56).build();
    }) == 5000);
    CHECK(peace.passed(5000, 1000, [&](uint32_t n) {
        return peace.from(n % 100).icmp(echo, 0).payload(56).build();
    }) == 5000);
    // What a router passes on.
    const Address other = ipv6 ? "2001:db8:77::7"_ip : "203.0.113.77"_ip;
    CHECK(peace.passed(20000, 5000, [&](uint32_t) {
        return FrameBuilder(Wire::client(ipv6), other).icmp(ipv6 ? 1 : 3, 1).payload(40).build();
    }) == 20000);
}
