// SPDX-License-Identifier: Apache-2.0
// Limits of packets and bits, and who loses first.
#include <random>

#include "bpf/volumetric.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("each level limits whom it counts, in packets and in bits")
{
    struct Case {
        size_t level;
        const char* reason;
        std::pair<const char*, const char*> sources; // both count together
        const char* apart;                           // does not
    };
    const bool ipv6 = GENERATE(false, true);
    const std::vector<Case> cases =
        ipv6 ? std::vector<Case>{{XDPCTL_LEVEL_SOURCE,
                                  "source_limited",
                                  {"2001:db8:1::1", "2001:db8:1::1"},
                                  "2001:db8:1::2"},
                                 {XDPCTL_LEVEL_PREFIX,
                                  "prefix_limited",
                                  {"2001:db8:1::1", "2001:db8:1::2"},
                                  "2001:db8:1:1::1"},
                                 {XDPCTL_LEVEL_NETWORK,
                                  "prefix_limited",
                                  {"2001:db8:1::1", "2001:db8:1:5::1"},
                                  "2001:db8:2::1"},
                                 {XDPCTL_LEVEL_SERVICE,
                                  "service_limited",
                                  {"2001:db8:1::1", "2001:db9::1"},
                                  ""},
                                 {XDPCTL_LEVEL_DESTINATION,
                                  "destination_limited",
                                  {"2001:db8:1::1", "2001:db9::1"},
                                  ""}}
             : std::vector<Case>{
                   {XDPCTL_LEVEL_SOURCE, "source_limited", {"10.1.1.1", "10.1.1.1"}, "10.1.1.2"},
                   {XDPCTL_LEVEL_PREFIX, "prefix_limited", {"10.1.1.1", "10.1.1.2"}, "10.1.2.1"},
                   {XDPCTL_LEVEL_NETWORK, "prefix_limited", {"10.1.1.1", "10.1.9.1"}, "10.2.1.1"},
                   {XDPCTL_LEVEL_SERVICE, "service_limited", {"10.1.1.1", "11.1.9.1"}, ""},
                   {XDPCTL_LEVEL_DESTINATION, "destination_limited", {"10.1.1.1", "11.1.9.1"}, ""}};
    const auto ip = [](const char* text) { return *parse_address(text); };
    for (const Case& c : cases) {
        INFO(c.reason << " " << limit_level_name(c.level) << (ipv6 ? ", IPv6" : ", IPv4"));
        for (const bool by_bits : {false, true}) {
            TimedVolumetric timed;
            const Bytes one = to_service(ip(c.sources.first)).build();
            const Bytes two = to_service(ip(c.sources.second)).build();
            // 1000 packets/s either way, and a burst of a quarter second.
            const uint64_t bits = 1000 * 8 * one.size();
            timed.limit(XDPCTL_LIMIT_UDP, {{c.level, by_bits ? Rate{0, bits} : Rate{1000, 0}}});
            int passed = 0;
            for (int i = 0; i < 40000; i++) { // 4000/s for ten seconds
                const uint32_t reason = timed.judge(i % 2 == 0 ? one : two);
                CHECK((reason == XDPCTL_PASSED || reason_info(reason).name == c.reason));
                passed += reason == XDPCTL_PASSED ? 1 : 0;
                timed.advance(ns_per_s / 4000);
            }
            CHECK(passed >= 10000 + 120);
            CHECK(passed <= 10000 + 252);
            if (*c.apart != '\0') {
                CHECK(timed.judge(to_service(ip(c.apart)).build()) == XDPCTL_PASSED);
            }
            timed.advance(ns_per_s);
            CHECK(timed.judge(one) == XDPCTL_PASSED);
        }
    }
}

TEST_CASE("what is allowed, connected or TCP is not limited")
{
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_UDP, {{XDPCTL_LEVEL_SERVICE, {10, 0}}});
    timed.spec.allow = {"10.9.0.0/16"_net};
    timed.commit();
    const SocketKey connected = {IPPROTO_UDP, Wire::server(false), socket_port, "10.8.0.1"_ip, dns};
    REQUIRE(timed.plane->open_socket(connected, XDPCTL_SESSION_ESTABLISHED));
    const SocketKey session = {IPPROTO_TCP, Wire::server(false), 443, "10.7.0.1"_ip, 5};
    REQUIRE(timed.plane->open_socket(session, XDPCTL_SESSION_ESTABLISHED));
    FrameBuilder answer = from("10.8.0.1"_ip);
    answer.udp(dns, socket_port).payload(100);
    for (int i = 0; i < 1000; i++) {
        CHECK(timed.judge(to_service("10.9.1.1"_ip).build()) == XDPCTL_ALLOWED);
        CHECK(timed.judge(answer.build()) == XDPCTL_PASSED);
        CHECK(timed.judge(from("10.7.0.1"_ip).tcp(5, 443, tcp_ack).build()) == XDPCTL_PASSED);
    }
}

TEST_CASE("much TCP to ports that nobody serves must belong to a connection of ours")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    timed.spec.strays_per_second = 64;
    timed.commit();
    const SocketKey ours = {IPPROTO_TCP, Wire::server(ipv6), 50000, Wire::client(ipv6), 443};
    REQUIRE(timed.plane->open_socket(ours, XDPCTL_SESSION_ESTABLISHED));
    std::map<uint32_t, int> reflected;
    for (uint32_t i = 0; i < 5000; i++) {
        FrameBuilder stray(nth(ipv6, i), Wire::server(ipv6));
        const uint8_t flags = i % 2 == 0 ? tcp_syn | tcp_ack : tcp_rst;
        reflected[timed.judge(stray.tcp(80, static_cast<uint16_t>(20000 + i), flags).build())]++;
        CHECK(timed.judge(Wire::from_client(ipv6).tcp(443, 50000, tcp_ack).payload(900).build()) ==
              XDPCTL_PASSED);
        timed.advance(ns_per_s / 50000);
    }
    CHECK(reflected[XDPCTL_NO_SESSION] > 4700);
    CHECK(reflected[XDPCTL_PASSED] > 0);
    // Sockets may be bound to a device above the interface, which a lookup does not find.
    timed.spec.host.flags = XDPCTL_HOST_UNSEEN;
    timed.commit();
    FrameBuilder stray(nth(ipv6, 1), Wire::server(ipv6));
    CHECK(timed.judge(stray.tcp(80, 20000, tcp_rst).build()) == XDPCTL_PASSED);
}

TEST_CASE("where a service has no room left, the heavy lose first and the known last")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_UDP,
                {{XDPCTL_LEVEL_SOURCE, {4000, 0}}, {XDPCTL_LEVEL_SERVICE, {8000, 0}}});
    const Address known = nth(ipv6, 0xffffff);
    REQUIRE(timed.plane->seed_client(known, 1));
    struct Count {
        int sent = 0;
        int passed = 0;
        double share() const { return passed / static_cast<double>(sent); }
    };
    Count heavy;
    Count quiet;
    Count regular;
    const auto send = [&](const Address& source, Count& count) {
        count.sent++;
        count.passed += timed.judge(to_service(source).build()) == XDPCTL_PASSED ? 1 : 0;
    };
    // 5 heavy ones of 3500/s each, 100 quiet ones of 20/s, one who is known: 21,500/s.
    constexpr int ticks = 3000;
    for (int tick = 0; tick < ticks; tick++) {
        for (uint32_t i = 0; i < 5; i++) {
            for (int burst = 0; burst < (tick % 2 == 0 ? 3 : 4); burst++) {
                send(nth(ipv6, i), heavy);
            }
        }
        send(nth(ipv6, 1000 + static_cast<uint32_t>(tick) % 50), quiet);
        send(nth(ipv6, 1050 + static_cast<uint32_t>(tick) % 50), quiet);
        send(known, regular);
        timed.advance(ns_per_ms);
    }
    CHECK(regular.share() == 1);
    CHECK(quiet.share() > 0.99);
    CHECK(heavy.share() < 0.4);
    CHECK(heavy.share() > 0.2); // what is left is theirs
}

TEST_CASE("carpet bombing: many addresses, each below its own limit, share that of their prefix")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_UDP,
                {{XDPCTL_LEVEL_SERVICE, {1000, 0}}, {XDPCTL_LEVEL_DESTINATION, {4000, 0}}});
    std::map<uint32_t, int> reasons;
    for (int i = 0; i < 100000; i++) { // 20,000/s over 200 addresses: 100/s each
        Address destination = ipv6 ? "2001:db8:7::"_ip : "203.0.113.0"_ip;
        destination.bytes[15] = static_cast<uint8_t>(i % 200 + 1);
        FrameBuilder frame(nth(ipv6, static_cast<uint32_t>(i)), destination);
        reasons[timed.judge(frame.udp(5000, 80).payload(10).build())]++;
        timed.advance(ns_per_s / 20000);
    }
    CHECK(reasons.size() == 2);
    CHECK(reasons[XDPCTL_PASSED] >= 5 * 4000);
    CHECK(reasons[XDPCTL_PASSED] <= 5 * 4000 + 1100);
    CHECK(reasons[XDPCTL_DESTINATION_LIMITED] > 70000);
}

TEST_CASE("random sources do not get strangers limited, and take no memory")
{
    constexpr uint32_t seed = 20261122;
    std::mt19937 random(seed);
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_UDP, {{XDPCTL_LEVEL_SOURCE, {100, 0}}});
    // As many sources as a row has buckets, within a second: a bucket's mean is one.
    int held = 0;
    for (uint32_t i = 0; i < XDPCTL_BUCKET_ROW; i++) {
        const bool ipv6 = random() % 2 == 0;
        held += timed.judge(to_service(nth(ipv6, random() & 0xffffff)).build()) == XDPCTL_PASSED
                    ? 0
                    : 1;
        timed.advance(ns_per_s / XDPCTL_BUCKET_ROW);
    }
    INFO("seed " << seed);
    CHECK(held == 0);
}

TEST_CASE("strangers that are held do not hold others: it takes both rows of the sketch")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_UDP, {{XDPCTL_LEVEL_SOURCE, {1, 0}}});
    // A fifth of the buckets of each row are spent.
    constexpr uint32_t strangers = XDPCTL_BUCKET_ROW / 5;
    for (uint32_t n = 0; n < strangers; n++) {
        const Bytes frame = to_service(nth(ipv6, n)).build();
        for (int i = 0; i < 10; i++) {
            timed.judge(frame);
        }
    }
    constexpr uint32_t honest = 2000;
    uint32_t held = 0;
    for (uint32_t n = 0; n < honest; n++) {
        held += timed.judge(to_service(nth(ipv6, 1'000'000 + n)).build()) == XDPCTL_PASSED ? 0 : 1;
    }
    // (1 - e^-0.2)^2 is 3 %; one row alone would hold 18 %.
    CHECK(held < honest * 6 / 100);
    CHECK(timed.judge(to_service(nth(ipv6, 7)).build()) == XDPCTL_SOURCE_LIMITED);
}
