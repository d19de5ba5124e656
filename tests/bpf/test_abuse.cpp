// SPDX-License-Identifier: Apache-2.0
// What protects a host cannot be turned against it: by who forges addresses, fills tables or
// chooses what is measured.
#include "bpf/peace.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

// 16,000 hosts of one public network, such as a CDN has.
Address forged(bool ipv6, uint32_t n)
{
    Address address = ipv6 ? "2001:db8:cd::"_ip : "198.18.0.0"_ip;
    address.bytes[14] = static_cast<uint8_t>(n >> 8 & 0x3f);
    address.bytes[15] = static_cast<uint8_t>(n);
    return address;
}

Prefix network(bool ipv6)
{
    return ipv6 ? "2001:db8:cd::/48"_net : "198.18.0.0/16"_net;
}

} // namespace

TEST_CASE("who forges a trusted or allowed address does not get past the guard")
{
    const bool ipv6 = GENERATE(false, true);
    const bool trusted = GENERATE(false, true);
    const uint8_t flags = GENERATE(tcp_syn, tcp_ack);
    INFO((ipv6 ? "IPv6" : "IPv4") << (trusted ? ", trusted" : ", allowed") << ", flags "
                                  << int{flags});
    Peace peace(ipv6);
    std::vector<Prefix>& list = trusted ? peace.spec.trusted : peace.spec.allow;
    list.push_back(network(ipv6));
    peace.spec.block = {{network(ipv6), XDPCTL_NO_DEADLINE}};
    peace.commit();
    const auto segment = [&](uint32_t n) {
        return FrameBuilder(forged(ipv6, n), Wire::server(ipv6))
            .tcp(static_cast<uint16_t>(1024 + n % 60000), web, flags)
            .build();
    };
    // Management, which no list blocks.
    for (uint32_t n = 0; n < 200; n++) {
        const uint32_t reason = peace.judge(segment(n));
        INFO(reason_info(reason).name << " at " << n);
        CHECK((reason == XDPCTL_ALLOWED || reason == XDPCTL_PASSED));
        peace.advance(ns_per_s / 4);
    }
    int past = 0;
    for (uint32_t n = 0; n < 30000; n++) {
        const uint32_t reason = peace.judge(segment(n));
        past += reason == XDPCTL_ALLOWED || reason == XDPCTL_PASSED ? 1 : 0;
        peace.advance(ns_per_s / 10000);
    }
    CHECK(past < 5000); // of 3 s: those of the allow list's own rate, and the first
}

TEST_CASE("a trusted source is not blocked, whatever a ban or list says, its floods are limited")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const Address source = forged(ipv6, 1);
    const Bytes frame = FrameBuilder(source, Wire::server(ipv6)).udp(4000, dns).payload(40).build();
    peace.spec.block = {{network(ipv6), XDPCTL_NO_DEADLINE}};
    peace.commit();
    CHECK(peace.judge(frame) == XDPCTL_BLOCKED);
    peace.spec.trusted = {network(ipv6)};
    peace.commit();
    CHECK(peace.judge(frame) == XDPCTL_PASSED);
    xdpctl_ban ban{};
    ban.deadline_ns = peace.now + 1000 * ns_per_s;
    REQUIRE(peace.plane->ban(std::vector<BanEntry>{{source, ban}}));
    CHECK(peace.judge(frame) == XDPCTL_PASSED);
    // Eight times the rate of any other source, and no more.
    const auto passed = [&](const Address& from) {
        const Bytes one = FrameBuilder(from, Wire::server(ipv6)).udp(4000, dns).payload(40).build();
        return peace.passed(300000, 300000, [&](uint32_t) { return one; });
    };
    const int of_stranger = passed(peace.nth(3));
    peace.advance(60 * ns_per_s);
    const int of_trusted = passed(source);
    CHECK(of_stranger < 20000);
    CHECK(of_trusted > 2 * of_stranger);
    CHECK(of_trusted < 200000);
}

TEST_CASE("who comes in the minutes before an attack is no known client in lockdown")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const auto connect = [&](uint32_t n) {
        REQUIRE(
            peace.plane->client_opened({IPPROTO_TCP, Wire::server(ipv6), web, peace.nth(n), 4000}));
    };
    const auto syn = [&](uint32_t n) {
        return peace.judge(peace.from(n).tcp(4001, web, tcp_syn).build());
    };
    connect(1); // an hour before
    peace.advance(3600 * ns_per_s);
    connect(2); // at its begin
    peace.plane->trust_clients_before(peace.now - 600 * ns_per_s);
    peace.spec.host.services[0].lockdown = true;
    peace.spec.host.services[0].guard = XDPCTL_GUARD_OFF;
    peace.commit();
    CHECK(syn(1) == XDPCTL_PASSED);
    CHECK(syn(2) == XDPCTL_SYN_ANSWERED); // as anybody new, and then admitted or not
    CHECK(syn(3) == XDPCTL_SYN_ANSWERED);
    REQUIRE(peace.plane->remember_client(peace.nth(3))); // a gateway needs no age
    CHECK(syn(3) == XDPCTL_PASSED);
}

TEST_CASE("SYNs for other hosts are limited as what is forwarded, below that they pass")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    const Address other = ipv6 ? "2001:db8:99::9"_ip : "192.0.2.99"_ip;
    const auto syn = [&](uint32_t n) {
        return FrameBuilder(peace.nth(n), other).tcp(4000, web, tcp_syn).build();
    };
    CHECK(peace.passed(60000, 60000, syn) == 60000);
    peace.advance(60 * ns_per_s);
    CHECK(peace.passed(600000, 300000, syn) < 400000); // two seconds of it
}

TEST_CASE("errors about a connection that its peer made for them are limited")
{
    const bool ipv6 = GENERATE(false, true);
    Peace peace(ipv6);
    REQUIRE(peace.plane->open_socket({IPPROTO_TCP, Wire::server(ipv6), web, peace.nth(1), 4000},
                                     XDPCTL_SESSION_ESTABLISHED));
    const Bytes quoted =
        FrameBuilder(Wire::server(ipv6), peace.nth(1)).tcp(web, 4000, tcp_ack).build();
    const auto error = [&](uint32_t) {
        FrameBuilder builder = peace.from(1);
        return quoting(builder.icmp(ipv6 ? 2 : 3, 4), quoted, 14, ipv6);
    };
    CHECK(peace.passed(20, 1000, error) == 20);
    peace.advance(60 * ns_per_s);
    CHECK(peace.passed(100000, 50000, error) < 4000); // two seconds of it
}
