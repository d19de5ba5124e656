// SPDX-License-Identifier: Apache-2.0
// What is not a TCP handshake: UDP, fragments, ICMP, other protocols, and limits.
#include <catch2/catch.hpp>

#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <set>

#include "bpf/peace.h"
#include "bpf/test_run.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint16_t service_port = 4433;
constexpr uint16_t socket_port = 40123;

struct Volumetric : Loaded {
    explicit Volumetric(LoadOptions options = {}) : Loaded(options)
    {
        spec.reflectors = reflectors_of({});
        spec.host.limits = limits_of({}, {});
        for (const uint16_t port : {service_port, dns, ntp}) {
            spec.host.udp_services.emplace(false, port);
            spec.host.udp_services.emplace(true, port);
        }
        commit();
        REQUIRE(plane->set_own_addresses({Wire::server(false), Wire::server(true)}));
    }
    std::string reason(const Bytes& frame) { return run(frame).reason; }
};

FrameBuilder from(const Address& source)
{
    return {source, Wire::server(!source.is_ipv4())};
}

Address other(bool ipv6)
{
    return ipv6 ? "2001:db8:99::1"_ip : "203.0.113.99"_ip;
}

// A UDP datagram whose payload begins with these bytes.
Bytes datagram(FrameBuilder builder, uint16_t sport, uint16_t dport, const Bytes& begin,
               size_t bytes = 64)
{
    builder.udp(sport, dport).payload(bytes);
    Bytes frame = builder.build();
    std::copy(begin.begin(), begin.end(),
              frame.begin() + static_cast<std::ptrdiff_t>(builder.transport_offset() + 8));
    return frame;
}

const Bytes ntp_client = {0x23}; // version 4, mode 3
const Bytes ntp_server = {0x24};
const Bytes ntp_private = {0x97, 0, 3, 0x2a}; // mode 7: the answer to monlist
const Bytes dns_query = {1, 2, 0x01, 0};
const Bytes dns_answer = {1, 2, 0x81, 0x80};

class UdpSocket
{
  public:
    // Connected where a peer is given.
    UdpSocket(bool ipv6, uint16_t port, uint16_t peer_port = 0)
        : fd_(socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        bind_or_connect(Wire::server(ipv6), port, ::bind);
        if (peer_port != 0) {
            bind_or_connect(Wire::client(ipv6), peer_port, ::connect);
        }
    }

  private:
    template <typename Call> void bind_or_connect(const Address& address, uint16_t port, Call call)
    {
        sockaddr_in in4{};
        sockaddr_in6 in6{};
        if (address.is_ipv4()) {
            in4.sin_family = AF_INET;
            in4.sin_port = htons(port);
            std::copy_n(address.bytes.begin() + 12, 4, reinterpret_cast<uint8_t*>(&in4.sin_addr));
            REQUIRE(call(fd_.get(), reinterpret_cast<sockaddr*>(&in4), sizeof(in4)) == 0);
        } else {
            in6.sin6_family = AF_INET6;
            in6.sin6_port = htons(port);
            std::copy_n(address.bytes.begin(), 16, reinterpret_cast<uint8_t*>(&in6.sin6_addr));
            REQUIRE(call(fd_.get(), reinterpret_cast<sockaddr*>(&in6), sizeof(in6)) == 0);
        }
    }
    Fd fd_;
};

FrameBuilder tagged(FrameBuilder builder, int tags)
{
    for (int i = 0; i < tags; i++) {
        builder.vlan(static_cast<uint16_t>(100 + i));
    }
    return builder;
}

} // namespace

TEST_CASE("UDP passes where somebody waits for it, and only there")
{
    const Wire wire;
    Volumetric loaded;
    const bool ipv6 = GENERATE(false, true);
    const int tags = GENERATE(0, 1, 2);
    INFO((ipv6 ? "IPv6" : "IPv4") << ", " << tags << " VLAN tags");
    const auto reason = [&](const Address& source, uint16_t sport, uint16_t dport,
                            const Bytes& begin = {}) {
        return loaded.reason(datagram(tagged(from(source), tags), sport, dport, begin));
    };
    SECTION("nobody")
    {
        CHECK(reason(Wire::client(ipv6), 5000, socket_port) == "udp_no_socket");
        for (const uint16_t port : reflectors_of({})) {
            // What asks is no answer: a question of DNS begins with an identification and 0.
            CHECK(reason(Wire::client(ipv6), port, socket_port, Bytes{0, 0, 0x80, 0}) ==
                  "reflection");
        }
        CHECK(reason(Wire::client(ipv6), dns, socket_port, dns_query) == "udp_no_socket");
    }
    SECTION("a socket that is connected to this very peer")
    {
        const UdpSocket socket(ipv6, socket_port, dns);
        CHECK(reason(Wire::client(ipv6), dns, socket_port, dns_answer) == "passed");
        CHECK(reason(other(ipv6), dns, socket_port, dns_answer) == "reflection");
        CHECK(reason(Wire::client(ipv6), dns, socket_port + 1, dns_answer) == "reflection");
        CHECK(reason(Wire::client(ipv6), 1900, socket_port) == "reflection");
    }
    SECTION("a socket without a peer")
    {
        const UdpSocket socket(ipv6, socket_port);
        CHECK(reason(Wire::client(ipv6), dns, socket_port, dns_answer) == "passed");
        CHECK(reason(Wire::client(ipv6), 5000, socket_port) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, socket_port, ntp_server) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, socket_port, ntp_private) == "passed"); // few
        CHECK(reason(Wire::client(ipv6), 5000, socket_port + 1) == "udp_no_socket");
    }
    SECTION("a service")
    {
        CHECK(reason(Wire::client(ipv6), 5000, service_port) == "passed");
        CHECK(reason(Wire::client(ipv6), 1900, service_port) == "passed"); // a translator's port
        CHECK(reason(Wire::client(ipv6), ntp, ntp, ntp_client) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, ntp, ntp_server) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, ntp, ntp_private) == "passed"); // within its limit
        CHECK(reason(Wire::client(ipv6), dns, dns, dns_query) == "passed");
    }
}

TEST_CASE("UDP to groups and to other hosts has no socket here to ask")
{
    const Wire wire;
    Volumetric loaded;
    for (const auto& destination : {"224.0.0.251"_ip, "255.255.255.255"_ip, "203.0.113.5"_ip,
                                    "ff02::fb"_ip, "2001:db8:5::5"_ip}) {
        const Address source = Wire::client(!destination.is_ipv4());
        FrameBuilder frame(source, destination);
        CHECK(loaded.reason(frame.udp(5353, 5353).payload(30).build()) == "passed");
    }
    // Conntrack knows what a router forwards: what it does not know was not asked for.
    loaded.spec.host.flags = XDPCTL_HOST_CONNTRACK;
    loaded.commit();
    FrameBuilder frame("198.51.100.7"_ip, "203.0.113.5"_ip);
    CHECK(loaded.reason(frame.udp(5000, 5000).build()) == "passed");
}

TEST_CASE("answers that no socket lookup can find a reader for are let in")
{
    const Wire wire;
    Volumetric loaded;
    // DHCP clients read packet sockets.
    CHECK(loaded.reason(datagram(Wire::from_client(false), 67, 68, {})) == "passed");
    CHECK(loaded.reason(datagram(Wire::from_client(true), 547, 546, {})) == "passed");
    CHECK(loaded.reason(datagram(Wire::from_client(false), 67, 69, {})) == "udp_no_socket");
    CHECK(loaded.reason(datagram(Wire::from_client(true), 67, 68, {})) == "udp_no_socket");
    CHECK(loaded.reason(datagram(FrameBuilder("fe80::7"_ip, "fe80::1"_ip), dns, socket_port,
                                 dns_answer)) == "passed");
    CHECK(loaded.reason(datagram(from("fe80::7"_ip), dns, socket_port, dns_answer)) ==
          "reflection");
    // Sockets that are bound to a VLAN or VRF above; and conntrack may translate a port.
    loaded.spec.host.flags = XDPCTL_HOST_UNSEEN;
    loaded.commit();
    CHECK(loaded.reason(datagram(Wire::from_client(false), dns, socket_port, {})) == "passed");
    CHECK(loaded.reason(datagram(Wire::from_client(true), 5000, socket_port, {})) == "passed");
}

TEST_CASE("the list of reflectors is the configuration's")
{
    CHECK(reflectors_of({}).contains(11211));
    CHECK(reflector_name(11211) == "memcached");
    CHECK(reflector_name(80).empty());
    const auto changed = reflectors_of({{7777}, {dns}});
    CHECK(changed.contains(7777));
    CHECK_FALSE(changed.contains(dns));
    const Wire wire;
    Volumetric loaded;
    loaded.spec.reflectors = changed;
    loaded.commit();
    CHECK(loaded.reason(datagram(Wire::from_client(false), 7777, socket_port, {})) == "reflection");
    CHECK(loaded.reason(datagram(Wire::from_client(false), dns, socket_port, {})) ==
          "udp_no_socket");
}

namespace
{

// The limits on a clock in our hands; sockets are those of a capture.
struct Timed : Volumetric {
    Timed() : Volumetric({{}, false, true, ""}) {}
    uint32_t judge(const Bytes& frame)
    {
        const auto verdict = plane->run(frame);
        REQUIRE(verdict);
        reasons_met().insert(verdict->judgement.reason);
        return verdict->judgement.reason;
    }
    // No limit but these.
    void limit(size_t limit_class, std::initializer_list<std::pair<size_t, Rate>> rates)
    {
        for (auto& levels : spec.host.limits) {
            levels.fill({});
        }
        for (const auto& [level, rate] : rates) {
            spec.host.limits[limit_class][level].rate = rate;
        }
        commit();
    }
};

FrameBuilder to_service(const Address& source)
{
    return from(source).udp(5000, service_port).payload(100);
}

Address nth(bool ipv6, uint32_t n)
{
    Address address = ipv6 ? "2001:db8::"_ip : "10.0.0.0"_ip;
    const size_t last = ipv6 ? 7 : 15; // a /64 each
    for (size_t i = 0; i < 3; i++) {
        address.bytes[last - i] = static_cast<uint8_t>(n >> 8 * i);
    }
    if (ipv6) {
        address.bytes[15] = 1;
    }
    return address;
}

} // namespace

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
            Timed timed;
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
    Timed timed;
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
    Timed timed;
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
    Timed timed;
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
    Timed timed;
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
    Timed timed;
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

TEST_CASE("fragments follow the verdict of their first")
{
    const bool ipv6 = GENERATE(false, true);
    const int tags = GENERATE(0, 2);
    INFO((ipv6 ? "IPv6" : "IPv4") << ", " << tags << " VLAN tags");
    Timed timed;
    timed.limit(XDPCTL_LIMIT_ORPHAN, {{XDPCTL_LEVEL_SOURCE, {1, 0}}});
    const auto piece = [&](uint16_t offset, size_t bytes, bool more, uint32_t id,
                           uint16_t sport = 5000, uint16_t dport = service_port) {
        // A transport header stands at the begin of each piece here; only the first's counts.
        return timed.judge(tagged(Wire::from_client(ipv6), tags)
                               .fragment(offset, more, id)
                               .udp(sport, dport)
                               .payload(bytes - 8)
                               .build());
    };
    SECTION("in order, and others in between")
    {
        CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
        CHECK(piece(0, 1480, true, 8) == XDPCTL_PASSED);
        CHECK(piece(1480, 1480, true, 7) == XDPCTL_PASSED);
        CHECK(piece(1480, 1480, true, 8) == XDPCTL_PASSED);
        CHECK(piece(2960, 100, false, 7) == XDPCTL_PASSED);
        CHECK(piece(2960, 100, false, 8) == XDPCTL_PASSED);
    }
    SECTION("out of order behind the first")
    {
        CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
        CHECK(piece(2960, 100, false, 7) == XDPCTL_PASSED);
        CHECK(piece(1480, 1480, true, 7) == XDPCTL_PASSED);
    }
    SECTION("an identification that comes again soon")
    {
        for (int round = 0; round < 3; round++) {
            CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
            CHECK(piece(1480, 100, false, 7) == XDPCTL_PASSED);
        }
    }
    SECTION("overlapping: teardrop")
    {
        CHECK(piece(0, 40, true, 7) == XDPCTL_PASSED);
        CHECK(piece(24, 16, false, 7) == XDPCTL_FRAGMENT_OVERLAP);
    }
    SECTION("without a first: a few, for those that changed places, then none")
    {
        int orphans = 0;
        for (uint32_t id = 0; id < 100; id++) {
            orphans += piece(1480, 500, false, id) == XDPCTL_FRAGMENT_ORPHAN ? 1 : 0;
        }
        CHECK(orphans >= 90);
        CHECK(orphans < 100);
    }
    SECTION("of a first that was dropped")
    {
        CHECK(piece(0, 1480, true, 7, 5000, 9999) == XDPCTL_UDP_NO_SOCKET);
        int orphans = 0;
        for (uint16_t i = 0; i < 40; i++) { // with gaps
            const auto offset = static_cast<uint16_t>(1480 * (i + 1));
            orphans += piece(offset, 1000, true, 7) == XDPCTL_FRAGMENT_ORPHAN ? 1 : 0;
        }
        CHECK(orphans >= 30); // what overlaps is dropped for that
    }
    SECTION("too late")
    {
        CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
        for (uint32_t i = 0; i < 20; i++) { // use up what orphans may
            piece(1480, 500, false, 100 + i);
        }
        CHECK(piece(1480, 500, true, 7) == XDPCTL_PASSED);
        timed.advance(31 * ns_per_s);
        for (uint32_t i = 0; i < 20; i++) {
            piece(1480, 500, false, 100 + i);
        }
        CHECK(piece(1980, 500, false, 7) == XDPCTL_FRAGMENT_ORPHAN);
    }
    SECTION("a flood of firsts leaves honest datagrams the time they need")
    {
        constexpr uint32_t honest = 100;
        for (uint32_t id = 0; id < honest; id++) {
            CHECK(piece(0, 1480, true, id) == XDPCTL_PASSED);
        }
        timed.advance(ns_per_ms);
        for (uint32_t i = 0; i < 8192; i++) {
            FrameBuilder flood = from(nth(ipv6, 1000 + i)).fragment(0, true, i);
            timed.judge(flood.udp(5, service_port).payload(24).build());
        }
        uint32_t passed = 0;
        for (uint32_t id = 0; id < honest; id++) {
            const uint32_t reason = piece(1480, 500, false, id);
            INFO("datagram " << id << ": " << reason_info(reason).name);
            CHECK(reason == XDPCTL_PASSED);
            passed += reason == XDPCTL_PASSED ? 1 : 0;
        }
        CHECK(passed == honest);
    }
}

namespace
{

// Fragments of a stranger to the service, 1480 bytes each and 100 the last.
struct Strangers : Timed {
    bool ipv6;
    static constexpr uint32_t room = 1U << 20U;
    static constexpr uint32_t fragments = room / 2304; // FRAGMENT_MEMORY of bpf/reassembly.h

    explicit Strangers(bool v6) : ipv6(v6)
    {
        spec.host.reassembly_room = {room, room};
        limit(XDPCTL_LIMIT_ORPHAN, {});
    }
    Address stranger(uint32_t n) const { return nth(ipv6, ipv6 ? n : n << 8U); } // a prefix each
    uint32_t piece(const Address& source, uint32_t id, uint16_t number, bool more,
                   uint16_t dport = service_port)
    {
        return judge(from(source)
                         .fragment(static_cast<uint16_t>(number * 1480), more, id)
                         .udp(5000, dport)
                         .payload(!more         ? 96U
                                  : number == 0 ? 1472U
                                                : 1480U) // UDP's header
                         .build());
    }
    // How many datagrams that only begin may do so, each from the next prefix.
    uint32_t begun(uint32_t count, uint32_t first_source = 0)
    {
        uint32_t passed = 0;
        for (uint32_t i = 0; i < count; i++) {
            passed += piece(stranger(first_source + i), i, 0, true) == XDPCTL_PASSED ? 1 : 0;
        }
        return passed;
    }
};

} // namespace

TEST_CASE("unfinished datagrams of strangers hold half of the kernel's room at most")
{
    const bool ipv6 = GENERATE(false, true);
    Strangers strangers(ipv6);
    SECTION("from everywhere, until the kernel gives them up")
    {
        const uint32_t begun = strangers.begun(5000);
        CHECK(begun >= Strangers::fragments - 1);
        CHECK(begun <= Strangers::fragments + 1);
        CHECK(strangers.piece(strangers.stranger(7777), 1, 1, false) == XDPCTL_FRAGMENT_UNFINISHED);
        // What makes a datagram whole has room, and gives back what it held.
        CHECK(strangers.piece(strangers.stranger(3), 3, 1, false) == XDPCTL_PASSED);
        CHECK(strangers.begun(10, 10'000) == 1);
        strangers.advance(45 * ns_per_s);
        CHECK(strangers.begun(100, 20'000) == 100);
    }
    SECTION("the other family has its own")
    {
        strangers.begun(5000);
        CHECK(strangers.judge(from(nth(!ipv6, 1))
                                  .fragment(0, true, 1)
                                  .udp(5000, service_port)
                                  .payload(1472)
                                  .build()) == XDPCTL_PASSED);
    }
    SECTION("one prefix leaves others as much as it has")
    {
        uint32_t passed = 0;
        for (uint32_t id = 0; id < 5000; id++) {
            passed += strangers.piece(strangers.stranger(1), id, 0, true) == XDPCTL_PASSED ? 1 : 0;
        }
        CHECK(passed >= Strangers::fragments / 2 - 1);
        CHECK(passed <= Strangers::fragments / 2 + 1);
        CHECK(strangers.begun(100, 10) == 100);
    }
    SECTION("fragments behind one first count too")
    {
        uint32_t passed = 0;
        for (uint32_t id = 0; id < 100; id++) {
            for (uint16_t number = 0; number < 40; number++) {
                passed +=
                    strangers.piece(strangers.stranger(id), id, number, true) == XDPCTL_PASSED;
            }
        }
        CHECK(passed <= Strangers::fragments + 1);
    }
    SECTION("datagrams that become whole hold nothing, whatever their order")
    {
        const auto orders = std::vector<std::vector<uint16_t>>{{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                               {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        const std::vector<uint16_t>& order = GENERATE_COPY(from_range(orders));
        INFO("order " << order[0] << order[1] << order[2]);
        for (uint32_t id = 0; id < 5000; id++) {
            for (const uint16_t number : order) {
                CHECK(strangers.piece(strangers.stranger(1), id, number, number < 2) ==
                      XDPCTL_PASSED);
            }
        }
    }
    SECTION("a duplicate makes nothing whole")
    {
        const uint32_t begun = strangers.begun(5000);
        for (uint32_t id = 0; id < begun; id++) {
            strangers.piece(strangers.stranger(id), id, 0, true);
            strangers.piece(strangers.stranger(id), id, 0, false);
        }
        CHECK(strangers.begun(100, 10'000) == 0);
    }
    SECTION("who is known has a room of his own, what was asked for has no limit")
    {
        const Address known = nth(ipv6, 0xffffff);
        const Address asked = nth(ipv6, 0xfffffe);
        REQUIRE(strangers.plane->seed_client(known, 1));
        REQUIRE(strangers.plane->open_socket({IPPROTO_UDP, Wire::server(ipv6), 40000, asked, 5000},
                                             XDPCTL_SESSION_ESTABLISHED));
        strangers.begun(5000);
        uint32_t of_known = 0;
        for (uint32_t id = 0; id < 1000; id++) {
            of_known += strangers.piece(known, id, 0, true) == XDPCTL_PASSED ? 1 : 0;
            CHECK(strangers.piece(asked, id, 0, true, 40000) == XDPCTL_PASSED);
            CHECK(strangers.piece(asked, id, 1, true, 40000) == XDPCTL_PASSED);
        }
        CHECK(of_known >= Strangers::fragments * 3 / 4 - 1); // anybody may send in its name
        CHECK(of_known <= Strangers::fragments * 3 / 4 + 1);
    }
    SECTION("none is no limit")
    {
        strangers.spec.host.reassembly_room = {};
        strangers.commit();
        CHECK(strangers.begun(5000) == 5000);
    }
}

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
    Timed timed;
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

TEST_CASE("strangers that are held do not hold others: it takes both rows of the sketch")
{
    const bool ipv6 = GENERATE(false, true);
    Timed timed;
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

TEST_CASE("ICMP is limited by its type")
{
    const bool ipv6 = GENERATE(false, true);
    Timed timed;
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
    Timed timed;
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
    Timed timed;
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

TEST_CASE("a UDP service without a socket passes where the configuration names its port")
{
    const bool ipv6 = GENERATE(false, true);
    Timed timed;
    CHECK(timed.judge(Wire::from_client(ipv6).udp(5000, 4790).payload(10).build()) ==
          XDPCTL_UDP_NO_SOCKET);
    timed.spec.udp_services = {4790};
    timed.commit();
    CHECK(timed.judge(Wire::from_client(ipv6).udp(5000, 4790).payload(10).build()) ==
          XDPCTL_PASSED);
}
