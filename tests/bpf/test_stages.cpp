// SPDX-License-Identifier: Apache-2.0
#include <linux/bpf.h>

#include <algorithm>
#include <map>
#include <random>

#include "bpf/loaded.h"
#include "core/frame.h"
#include "core/reasons.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint8_t hop_by_hop = 0;
constexpr uint8_t destination_options = 60;
constexpr uint8_t authentication = 51;

FrameBuilder v4()
{
    return {"198.51.100.1"_ip, "192.0.2.1"_ip};
}

FrameBuilder v6()
{
    return {"2001:db8::1"_ip, "2001:db8::2"_ip};
}

FrameBuilder between(const char* src, const char* dst)
{
    return {*parse_address(src), *parse_address(dst)};
}

Bytes with(Bytes frame, size_t at, uint8_t value)
{
    frame.at(at) = value;
    return frame;
}

Bytes cut(Bytes frame, size_t size)
{
    frame.resize(size);
    return frame;
}

// Only the IP length is wrong, as if the rest of the packet were missing.
Bytes ipv4_total(const FrameBuilder& builder, uint16_t total)
{
    return with(
        with(builder.build(), builder.network_offset() + 2, static_cast<uint8_t>(total >> 8)),
        builder.network_offset() + 3, static_cast<uint8_t>(total));
}

Bytes ipv6_payload(const FrameBuilder& builder, uint16_t bytes)
{
    return with(
        with(builder.build(), builder.network_offset() + 4, static_cast<uint8_t>(bytes >> 8)),
        builder.network_offset() + 5, static_cast<uint8_t>(bytes));
}

struct Row {
    const char* what;
    Bytes frame;
    const char* reason;
};

std::vector<Row> honest_packets()
{
    const auto both = [](const char* what, auto make) {
        return std::array<Row, 2>{Row{what, make(v4()), "passed"}, Row{what, make(v6()), "passed"}};
    };
    std::vector<Row> rows;
    const auto add = [&](const char* what, auto make) {
        for (Row& row : both(what, make)) {
            rows.push_back(std::move(row));
        }
    };
    for (const uint8_t flags :
         {tcp_syn, static_cast<uint8_t>(tcp_syn | tcp_ack), tcp_ack, tcp_rst,
          static_cast<uint8_t>(tcp_rst | tcp_ack), static_cast<uint8_t>(tcp_fin | tcp_ack),
          static_cast<uint8_t>(tcp_psh | tcp_ack),
          static_cast<uint8_t>(tcp_syn | tcp_psh), // Fast Open with data
          static_cast<uint8_t>(tcp_syn | 0xc0)}) { // ECN
        add("TCP flags that stacks send",
            [flags](FrameBuilder b) { return b.tcp(1000, 80, flags).build(); });
    }
    add("UDP", [](FrameBuilder b) { return b.udp(53, 1000).payload(100).build(); });
    add("UDP, no answer expected", [](FrameBuilder b) { return b.udp(0, 1000).build(); });
    add("echo request",
        [](FrameBuilder b) { return b.icmp(b.build()[12] == 8 ? 8 : 128, 0).build(); });
    add("GRE", [](FrameBuilder b) { return b.protocol(47).payload(40).build(); });
    add("one tag", [](FrameBuilder b) { return b.vlan(5).tcp(1000, 80, tcp_ack).build(); });
    add("two tags",
        [](FrameBuilder b) { return b.vlan(5).vlan(6).tcp(1000, 80, tcp_ack).build(); });
    add("first fragment",
        [](FrameBuilder b) { return b.fragment(0, true).udp(1, 2).payload(1400).build(); });
    add("later fragment",
        [](FrameBuilder b) { return b.fragment(1408, false).udp(1, 2).payload(64).build(); });
    add("Ethernet padding", [](FrameBuilder b) {
        Bytes frame = b.tcp(1000, 80, tcp_ack).build();
        frame.resize(frame.size() + 10);
        return frame;
    });
    rows.push_back(
        {"IPv4 options", v4().ipv4_options(10).tcp(1000, 80, tcp_ack).build(), "passed"});
    rows.push_back(
        {"hop-by-hop", v6().extension(hop_by_hop, 6).tcp(1000, 80, tcp_ack).build(), "passed"});
    rows.push_back({"eight extensions",
                    v6().extension(hop_by_hop, 6)
                        .extension(43, 14)
                        .extension(destination_options, 30)
                        .extension(authentication, 22)
                        .extension(135, 6)
                        .extension(60, 6)
                        .extension(60, 6)
                        .extension(60, 2046)
                        .tcp(1000, 80, tcp_ack)
                        .build(),
                    "passed"});
    rows.push_back(
        {"atomic fragment", v6().fragment(0, false).tcp(1000, 80, tcp_ack).build(), "passed"});
    rows.push_back({"jumbogram", ipv6_payload(v6().extension(hop_by_hop, 6).tcp(1, 80, tcp_ack), 0),
                    "passed"});
    rows.push_back(
        {"DHCP discover", between("0.0.0.0", "255.255.255.255").udp(68, 67).build(), "passed"});
    rows.push_back({"duplicate address detection",
                    between("::", "ff02::1:ff00:1").icmp(135, 0).hop_limit(255).build(), "passed"});
    rows.push_back({"class E", between("240.0.0.1", "192.0.2.1").udp(1, 2).build(), "passed"});
    rows.push_back({"ARP", v4().ether_type(0x0806).payload(18).build(), "not_ip"});
    return rows;
}

std::vector<Row> wrong_headers()
{
    const size_t ip = 14;
    const FrameBuilder t4 = v4().tcp(1000, 80, tcp_ack);
    const FrameBuilder t6 = v6().tcp(1000, 80, tcp_ack);
    const FrameBuilder u4 = v4().udp(1000, 80).payload(8);
    const FrameBuilder u6 = v6().udp(1000, 80).payload(8);
    return {
        {"Ethernet alone, for IPv4", cut(t4.build(), 15), "ipv4_header"},
        {"a tag that is cut", cut(v4().vlan(1).tcp(1, 2, 0).build(), 16), "frame_truncated"},
        {"three tags", v4().vlan(1).vlan(2).vlan(3).tcp(1000, 80, tcp_ack).build(), "vlan_depth"},
        {"three tags", v6().vlan(1).vlan(2).vlan(3).tcp(1000, 80, tcp_ack).build(), "vlan_depth"},
        {"header of 16 bytes", with(t4.build(), ip, 0x44), "ipv4_header"},
        {"version 5", with(t4.build(), ip, 0x55), "ipv4_header"},
        {"version 6 as IPv4", with(t4.build(), ip, 0x65), "ipv4_header"},
        {"total below the header", ipv4_total(t4, 19), "ipv4_length"},
        {"total beyond the frame", ipv4_total(t4, 41), "ipv4_length"},
        {"version 4 as IPv6", with(t6.build(), ip, 0x40), "ipv6_header"},
        {"IPv6 header cut", cut(t6.build(), ip + 39), "ipv6_header"},
        {"payload beyond the frame", ipv6_payload(t6, 21), "ipv6_length"},
        {"nine extensions",
         v6().extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .extension(60, 6)
             .tcp(1, 2, 16)
             .build(),
         "ipv6_extension"},
        {"an extension beyond the packet",
         with(v6().extension(60, 6).tcp(1, 2, tcp_ack).build(), ip + 41, 200), "ipv6_extension"},
        {"a fragment header that is cut", ipv6_payload(v6().fragment(0, false).protocol(59), 4),
         "ipv6_extension"},
        {"a fragment header in a first fragment",
         v6().extension(44, 6).fragment(0, true).udp(1, 2).payload(64).build(), "ipv6_extension"},
        {"a fragment header behind an atomic fragment",
         v6().extension(44, 6).fragment(0, false).tcp(1, 2, tcp_ack).build(), "ipv6_extension"},
        {"ping of death", v4().fragment(65528, false).protocol(1).payload(100).build(),
         "fragment_oversize"},
        {"ping of death", v6().fragment(65528, false).protocol(58).payload(100).build(),
         "fragment_oversize"},
        {"TCP header in two fragments", ipv4_total(v4().fragment(0, true).tcp(1, 80, tcp_syn), 36),
         "fragment_tiny"},
        {"TCP header in two fragments",
         ipv6_payload(v6().fragment(0, true).tcp(1, 80, tcp_syn), 24), "fragment_tiny"},
        {"UDP header in two fragments", ipv4_total(v4().fragment(0, true).udp(1, 80), 24),
         "fragment_tiny"},
        {"ICMP header in two fragments", ipv6_payload(v6().fragment(0, true).icmp(128, 0), 12),
         "fragment_tiny"},
        {"TCP cut", ipv4_total(t4, 39), "tcp_header"},
        {"TCP cut", ipv6_payload(t6, 19), "tcp_header"},
        {"data offset of 16", with(t4.build(), t4.transport_offset() + 12, 0x40), "tcp_header"},
        {"data offset of 16", with(t6.build(), t6.transport_offset() + 12, 0x40), "tcp_header"},
        {"data offset beyond the packet", with(t4.build(), t4.transport_offset() + 12, 0xf0),
         "tcp_header"},
        {"UDP cut", ipv4_total(u4, 27), "udp_header"},
        {"UDP cut", ipv6_payload(u6, 7), "udp_header"},
        {"UDP length below 8", with(u4.build(), u4.transport_offset() + 5, 7), "udp_header"},
        {"UDP length beyond the packet", with(u6.build(), u6.transport_offset() + 5, 17),
         "udp_header"},
        {"ICMP cut", ipv4_total(v4().icmp(8, 0), 27), "icmp_header"},
        {"ICMPv6 cut", ipv6_payload(v6().icmp(128, 0), 7), "icmp_header"},
    };
}

std::vector<Row> contradictions()
{
    std::vector<Row> rows = {
        {"multicast source", between("224.0.0.1", "192.0.2.1").udp(1, 2).build(), "martian_source"},
        {"broadcast source", between("255.255.255.255", "192.0.2.1").udp(1, 2).build(),
         "martian_source"},
        {"loopback source", between("127.0.0.1", "192.0.2.1").udp(1, 2).build(), "martian_source"},
        {"this network", between("0.1.2.3", "192.0.2.1").udp(1, 2).build(), "martian_source"},
        {"unspecified to a host", between("0.0.0.0", "192.0.2.1").udp(1, 2).build(),
         "martian_source"},
        {"multicast source", between("ff02::1", "2001:db8::2").udp(1, 2).build(), "martian_source"},
        {"loopback source", between("::1", "2001:db8::2").udp(1, 2).build(), "martian_source"},
        {"unspecified to a host", between("::", "2001:db8::2").udp(1, 2).build(), "martian_source"},
        {"loopback destination", between("192.0.2.1", "127.0.0.1").udp(1, 2).build(),
         "martian_destination"},
        {"zero destination", between("192.0.2.1", "0.0.0.0").udp(1, 2).build(),
         "martian_destination"},
        {"loopback destination", between("2001:db8::2", "::1").udp(1, 2).build(),
         "martian_destination"},
        {"unspecified destination", between("2001:db8::2", "::").udp(1, 2).build(),
         "martian_destination"},
        {"land", between("192.0.2.77", "192.0.2.77").tcp(80, 80, tcp_syn).build(), "land"},
        {"land", between("2001:db8::77", "2001:db8::77").tcp(80, 80, tcp_syn).build(), "land"},
        // Not to the host itself: BFD's echo, which the router sends back (RFC 5881).
        {"BFD", between("192.0.2.7", "192.0.2.7").udp(49152, 3785).build(), "passed"},
        {"BFD", between("2001:db8::7", "2001:db8::7").udp(49152, 3785).build(), "passed"},
    };
    // ::ffff:a.b.c.d on the wire (RFC 6890: not forwardable, not global).
    Bytes mapped = v6().udp(1, 2).build();
    const Bytes bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
    std::copy(bytes.begin(), bytes.end(), mapped.begin() + 14 + 8);
    rows.push_back({"mapped source", mapped, "martian_source"});
    for (const auto& make : {v4, v6}) {
        rows.push_back({"TCP to port 0", make().tcp(1000, 0, tcp_syn).build(), "port_zero"});
        rows.push_back({"TCP from port 0", make().tcp(0, 80, tcp_syn).build(), "port_zero"});
        rows.push_back({"UDP to port 0", make().udp(1000, 0).build(), "port_zero"});
        rows.push_back({"null", make().tcp(1000, 80, 0).build(), "tcp_null"});
        rows.push_back({"null with ECN", make().tcp(1000, 80, 0xc0).build(), "tcp_null"});
        rows.push_back({"SYN FIN", make().tcp(1000, 80, tcp_syn | tcp_fin).build(), "tcp_syn_fin"});
        rows.push_back({"all", make().tcp(1000, 80, 0x3f).build(), "tcp_syn_fin"});
        rows.push_back({"SYN RST", make().tcp(1000, 80, tcp_syn | tcp_rst).build(), "tcp_syn_rst"});
        rows.push_back(
            {"xmas", make().tcp(1000, 80, tcp_fin | tcp_psh | tcp_urg).build(), "tcp_xmas"});
        rows.push_back({"FIN alone", make().tcp(1000, 80, tcp_fin).build(), "tcp_flags"});
        rows.push_back({"FIN RST", make().tcp(1000, 80, tcp_fin | tcp_rst).build(), "tcp_flags"});
        rows.push_back({"URG alone", make().tcp(1000, 80, tcp_urg).build(), "tcp_flags"});
    }
    return rows;
}

} // namespace

TEST_CASE("each kind of packet gets its reason and its action")
{
    Loaded loaded;
    REQUIRE(loaded.plane->set_own_addresses({"192.0.2.77"_ip, "2001:db8::77"_ip}));
    for (const auto& table : {honest_packets(), wrong_headers(), contradictions()}) {
        for (const Row& row : table) {
            INFO(row.what << ", wanted " << row.reason);
            const auto outcome = loaded.run(row.frame);
            CHECK(outcome.reason == row.reason);
            const bool drops = find_reason(row.reason)->verdict == XDPCTL_VERDICT_DROP;
            CHECK(outcome.action == (drops ? 1U : 2U));
            CHECK(outcome.disposition == XDPCTL_EFFECTIVE);
            CHECK(outcome.bytes == row.frame.size());
        }
    }
}

TEST_CASE("a frame program of several buffers judges the same")
{
    Loaded loaded({{}, true, false, ""});
    REQUIRE(loaded.plane->set_own_addresses({"192.0.2.77"_ip, "2001:db8::77"_ip}));
    for (const auto& table : {honest_packets(), wrong_headers(), contradictions()}) {
        for (const Row& row : table) {
            INFO(row.what << ", wanted " << row.reason);
            CHECK(loaded.run(row.frame).reason == row.reason);
        }
    }
}

TEST_CASE("a packet that is cut anywhere is judged, and never passes as whole")
{
    Loaded loaded;
    const std::vector<Bytes> frames = {
        v4().tcp(1000, 80, tcp_ack).payload(20).build(),
        v4().vlan(1).vlan(2).ipv4_options(3).udp(1, 2).payload(20).build(),
        v4().icmp(8, 0).payload(20).build(),
        v4().fragment(0, true).udp(1, 2).payload(40).build(),
        v6().tcp(1000, 80, tcp_ack).payload(20).build(),
        v6().vlan(1).extension(hop_by_hop, 6).extension(60, 14).udp(1, 2).payload(20).build(),
        v6().fragment(0, true).icmp(128, 0).payload(40).build(),
        v6().extension(authentication, 22).tcp(1000, 80, tcp_ack).build(),
    };
    for (const Bytes& frame : frames) {
        for (size_t size = 15; size < frame.size(); size++) {
            INFO("cut to " << size << " of " << frame.size());
            const auto outcome = loaded.run(cut(frame, size));
            CHECK(outcome.action == 1);
        }
        CHECK(loaded.run(frame).action == 2);
    }
}

TEST_CASE("lists and bans, before sanity, in both families")
{
    Loaded loaded;
    loaded.spec.allow = {"203.0.113.0/25"_net, "2001:db8:a::/48"_net};
    loaded.spec.block = {{"203.0.113.0/24"_net, XDPCTL_NO_DEADLINE},
                         {"2001:db8:a::/47"_net, XDPCTL_NO_DEADLINE},
                         {"233.252.0.0/24"_net, 1}}; // over long ago
    loaded.commit();
    const uint64_t now = loaded.plane->now_ns();
    REQUIRE(now > 0);
    const auto ban = [&](const char* source, uint64_t deadline) {
        const BanEntry entry{*parse_address(source), {deadline, now, 0, XDPCTL_BAN_OPERATOR, 0}};
        REQUIRE(loaded.plane->ban({&entry, 1}));
    };
    ban("198.51.100.66", now + 3600 * ns_per_s);
    ban("2001:db8::66", XDPCTL_NO_DEADLINE);
    ban("198.51.100.67", now - 1);          // over
    ban("203.0.113.1", XDPCTL_NO_DEADLINE); // and allowed
    ban("2001:db8:a::66", XDPCTL_NO_DEADLINE);

    const auto reason = [&](const char* src, const char* dst, uint8_t flags = tcp_ack) {
        return loaded.run(between(src, dst).tcp(1000, 80, flags).build()).reason;
    };
    CHECK(reason("203.0.113.1", "192.0.2.1") == "allowed");
    CHECK(reason("203.0.113.1", "192.0.2.1", 0) == "allowed"); // before sanity
    CHECK(reason("203.0.113.200", "192.0.2.1") == "blocked");
    CHECK(reason("203.0.113.200", "192.0.2.1", 0) == "blocked");
    CHECK(reason("2001:db8:a::66", "2001:db8::2") == "allowed");
    CHECK(reason("2001:db8:b::1", "2001:db8::2") == "blocked");
    CHECK(reason("198.51.100.66", "192.0.2.1") == "banned");
    CHECK(reason("2001:db8::66", "2001:db8::2") == "banned");
    CHECK(reason("198.51.100.67", "192.0.2.1") == "passed");
    CHECK(reason("198.51.100.68", "192.0.2.1") == "passed");

    const std::vector<Address> sources = {"198.51.100.66"_ip};
    CHECK(loaded.plane->find_bans(sources).at("198.51.100.66"_ip).hits == 1);
    REQUIRE(*loaded.plane->unban(sources) == 1);
    CHECK(reason("198.51.100.66", "192.0.2.1") == "passed");
}

TEST_CASE("monitor mode and single monitored reasons count, and pass")
{
    Loaded loaded;
    const Bytes null = v4().tcp(1000, 80, 0).build();
    const Bytes xmas = v6().tcp(1000, 80, tcp_fin | tcp_psh | tcp_urg).build();
    loaded.spec.mode = XDPCTL_MODE_MONITOR;
    loaded.commit();
    auto outcome = loaded.run(null);
    CHECK(outcome.reason == "tcp_null");
    CHECK(outcome.disposition == XDPCTL_WOULD_DROP);
    CHECK(outcome.action == 2);

    loaded.spec.mode = XDPCTL_MODE_ENFORCE;
    loaded.spec.observed_reasons = 1ULL << XDPCTL_TCP_NULL;
    loaded.commit();
    CHECK(loaded.run(null).disposition == XDPCTL_WOULD_DROP);
    CHECK(loaded.run(xmas).action == 1);
}

TEST_CASE("panic passes everything")
{
    Loaded loaded;
    loaded.plane->set_bypass(true);
    const auto outcome = loaded.run(v4().tcp(1000, 80, 0).build());
    CHECK(outcome.reason == "bypassed");
    CHECK(outcome.action == 2);
    loaded.plane->set_bypass(false);
    CHECK(loaded.run(v4().tcp(1000, 80, 0).build()).reason == "tcp_null");
}

TEST_CASE("generations count commits and keep to the last policy")
{
    Loaded loaded;
    const uint64_t first = loaded.plane->generation();
    for (uint64_t i = 1; i <= 5; i++) {
        loaded.spec.block = {{"203.0.113.0/24"_net, i % 2 == 0 ? 1 : XDPCTL_NO_DEADLINE}};
        loaded.commit();
        CHECK(loaded.plane->generation() == first + i);
        CHECK(loaded.run(between("203.0.113.1", "192.0.2.1").udp(1, 2).build()).reason ==
              (i % 2 == 0 ? "passed" : "blocked"));
    }
    loaded.spec.bans.assign(40000, {"203.0.113.0/24"_net, 1});
    for (uint32_t i = 0; i < 40000; i++) {
        Address address = "10.0.0.0"_ip;
        address.bytes[14] = static_cast<uint8_t>(i >> 8);
        address.bytes[15] = static_cast<uint8_t>(i);
        loaded.spec.bans[i].prefix = {address, 128};
    }
    const auto refused = loaded.plane->commit(compile_policy(loaded.spec, 1));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message,
               Catch::Contains("40000 networks shall be banned for a time"));
    CHECK(loaded.plane->generation() == first + 5); // the last good one stays
}

namespace
{

// Frames of every shape that the parser knows.
std::vector<Bytes> shapes()
{
    std::vector<Bytes> all;
    for (const bool ipv6 : {false, true}) {
        const auto frame = [ipv6] { return ipv6 ? v6() : v4(); };
        all.push_back(frame().tcp(1024, 80, tcp_syn).tcp_options({2, 4, 5, 0xb4}).build());
        all.push_back(frame().vlan(7).vlan(9).udp(53, 4000).payload(40).build());
        all.push_back(frame().fragment(0, true).udp(1, 2).payload(64).build());
        all.push_back(frame().fragment(64, false).protocol(17).payload(32).build());
        all.push_back(frame().icmp(ipv6 ? 128 : 8, 0).payload(32).build());
        all.push_back(frame().protocol(47).payload(48).build()); // GRE
        all.push_back(ipv6 ? frame().extension(0, 6).extension(60, 14).tcp(1, 2, tcp_ack).build()
                           : frame().ipv4_options(10).tcp(1, 2, tcp_ack).build());
        // An error about a packet, and packets in tunnels.
        const Bytes inner = frame().udp(7, 8).payload(20).build();
        for (FrameBuilder outer : {frame().icmp(ipv6 ? 1 : 3, 1), frame().protocol(ipv6 ? 41 : 4),
                                   frame().udp(4000, 4789)}) {
            Bytes whole = outer.payload(inner.size()).build();
            std::copy(inner.begin() + 14, inner.end(),
                      whole.end() - static_cast<std::ptrdiff_t>(inner.size() - 14));
            all.push_back(std::move(whole));
        }
    }
    return all;
}

bool is_parse_drop(uint32_t reason)
{
    return reason_info(reason).stage == XDPCTL_STAGE_PARSE &&
           reason_info(reason).verdict == XDPCTL_VERDICT_DROP;
}

} // namespace

TEST_CASE("damaged frames are read as the reader of user space reads them")
{
    const uint64_t seed = 20261201;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Loaded loaded({{}, false, true, ""});
    const std::vector<Prefix> blocked = {"128.0.0.0/1"_net, "8000::/1"_net};
    for (const Prefix& prefix : blocked) {
        loaded.spec.block.push_back({prefix, XDPCTL_NO_DEADLINE});
    }
    loaded.spec.tunnels = ~0U;
    loaded.commit();
    const std::vector<Bytes> all = shapes();
    std::map<uint32_t, size_t> met;
    for (int round = 0; round < 40000; round++) {
        Bytes frame = all[random() % all.size()];
        for (uint64_t flips = random() % 4; flips > 0; flips--) {
            frame[random() % frame.size()] = static_cast<uint8_t>(random());
        }
        if (random() % 8 == 0) {
            frame.resize(14 + random() % (frame.size() - 13));
        }
        const auto verdict = loaded.plane->run(frame);
        REQUIRE(verdict);
        const uint32_t reason = verdict->judgement.reason;
        met[reason]++;
        INFO("round " << round << ", reason " << reason_info(reason).name);
        REQUIRE((verdict->action == XDP_PASS || verdict->action == XDP_DROP));
        const auto info = read_frame(frame);
        if (is_parse_drop(reason) || reason == XDPCTL_NOT_IP) {
            continue;
        }
        REQUIRE(info);
        const bool is_blocked = std::any_of(blocked.begin(), blocked.end(),
                                            [&](const Prefix& p) { return p.contains(info->src); });
        if (is_blocked) {
            CHECK(reason == XDPCTL_BLOCKED);
        } else if (reason == XDPCTL_PORT_ZERO) {
            CHECK((info->dport == 0 || info->sport == 0));
        } else if (reason == XDPCTL_TCP_NULL) {
            CHECK((info->tcp_flags & 0x3f) == 0);
        }
    }
    CHECK(met[XDPCTL_BLOCKED] > 1000);
    CHECK(met.size() > 12);
}
