// SPDX-License-Identifier: Apache-2.0
// The guard's answers against those of the kernel's own listener.
#include <linux/bpf.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <random>

#include "api/codec.h"
#include "bpf/guarded.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

std::vector<SynKind> syn_kinds()
{
    return {
        {"Linux", linux_options},
        {"without options", {}},
        {"MSS only", opt_mss},
        {"MSS 0", {2, 4, 0, 0}},
        {"a small MSS", {2, 4, 1, 0}},
        {"Windows", opt_mss + opt_nop + Bytes{3, 3, 8} + Bytes{1, 1} + opt_sack},
        {"macOS",
         opt_mss + opt_nop + Bytes{3, 3, 6} + Bytes{1, 1} + opt_timestamp + opt_sack + Bytes{0, 0}},
        {"timestamp alone", Bytes{1, 1} + opt_timestamp},
        {"timestamp, window scale", Bytes{1, 1} + opt_timestamp + opt_nop + opt_wscale},
        {"timestamp, SACK", opt_sack_timestamp},
        {"window scale beyond 14", opt_mss + opt_sack_timestamp + opt_nop + Bytes{3, 3, 200}},
        {"window scale 0", opt_mss + opt_sack_timestamp + opt_nop + Bytes{3, 3, 0}},
        {"another order", opt_nop + opt_wscale + opt_sack_timestamp + opt_mss},
        {"an unknown option", Bytes{253, 4, 1, 2} + linux_options},
        {"Fast Open with data",
         opt_mss + opt_sack_timestamp + opt_nop + opt_wscale +
             Bytes{34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1},
         tcp_syn, 32},
        {"an option that ends the list early", Bytes{1, 1, 0, 0} + linux_options},
        {"an option longer than the header", opt_mss + Bytes{8, 20, 0, 0}},
        {"an option of size 0", Bytes{3, 0, 1, 1} + opt_mss},
        {"MSS of a wrong size", Bytes{2, 3, 5, 1} + opt_sack_timestamp},
        {"ECN", linux_options, tcp_syn | tcp_cwr_ece},
        {"ECN without timestamps", opt_mss, tcp_syn | tcp_cwr_ece},
        {"data in the SYN", linux_options, tcp_syn, 600},
        {"40 bytes of no-ops", Bytes(40, 1)},
    };
}

bool checksums_hold(const Bytes& frame)
{
    const bool ipv6 = frame.at(12) != 8;
    const size_t tcp = transport_of(frame);
    const auto bytes = std::span(frame);
    const size_t total =
        ipv6 ? 40 + (word(frame, network + 4) >> 16) : (word(frame, network) & 0xffff);
    const auto segment = bytes.subspan(tcp, network + total - tcp);
    Bytes whole = pseudo_header(frame, segment.size());
    whole.insert(whole.end(), segment.begin(), segment.end());
    const bool header = ipv6 || internet_checksum(bytes.subspan(network, tcp - network)) == 0;
    return header && internet_checksum(whole) == 0;
}

void clear(Bytes& frame, size_t at, size_t count)
{
    std::fill_n(frame.begin() + static_cast<std::ptrdiff_t>(at), count, 0);
}

// Without what two right answers may differ in: the time in the timestamp, and
// with it the checksum; the flow label, which the stack makes up.
Bytes comparable(Bytes frame)
{
    const bool ipv6 = frame.at(12) != 8;
    if (const size_t at = timestamp_at(frame)) {
        clear(frame, at, 3);
        frame[at + 3] &= 0x3f; // the cookie's options
    }
    clear(frame, transport_of(frame) + 16, 2);
    if (ipv6) {
        frame[network + 1] &= 0xf0;
        clear(frame, network + 2, 2);
    }
    return frame;
}

// The cookie counts minutes: where one ends between the two, ask once more.
template <typename Ask> void compare_answers(const Wire& wire, Ask ask)
{
    Bytes kernel;
    Bytes ours;
    for (int tries = 0; tries < 2; tries++) {
        wire.forget();
        std::tie(kernel, ours) = ask();
        if (sequence_of(kernel) == sequence_of(ours)) {
            break;
        }
    }
    CHECK(checksums_hold(kernel));
    CHECK(checksums_hold(ours));
    CHECK(to_hex(comparable(ours)) == to_hex(comparable(kernel)));
    const size_t at = timestamp_at(kernel);
    if (at != 0 && at == timestamp_at(ours)) {
        // Milliseconds: ours is not later, and hardly earlier.
        CHECK(word(kernel, at) - word(ours, at) < 1000 + 64);
    }
}

std::pair<Bytes, Bytes> ask_both(const Wire& wire, Guarded& guarded, const Bytes& syn)
{
    const auto outcome = guarded.run(syn);
    CHECK(outcome.reason == "syn_answered");
    CHECK(outcome.action == XDP_TX);
    wire.send(syn);
    const auto kernel = wire.receive();
    REQUIRE(kernel);
    return {*kernel, outcome.frame};
}

} // namespace

TEST_CASE("the guard answers a SYN byte for byte as the kernel's listener does")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    const bool from_kept_terms = GENERATE(false, true);
    if (!from_kept_terms) {
        guarded.ask_always();
    }
    const std::vector<std::pair<const char*, Listener::Options>> listeners = {
        {"a plain listener", {}},
        {"SO_RCVBUF small", {.receive_buffer = 8192}},
        {"SO_RCVBUF large", {.receive_buffer = 3000000}},
        {"TCP_MAXSEG", {.max_segment = 1000}},
        {"IP_TOS", {.tos = 0x28}},
    };
    for (const auto& [which, options] : listeners) {
        const Listener listener(options);
        outlast_what_is_kept();
        for (const SynKind& kind : syn_kinds()) {
            for (const bool ipv6 : {false, true}) {
                INFO(which << ", " << kind.what << (ipv6 ? ", IPv6" : ", IPv4")
                           << (from_kept_terms ? ", terms kept" : ", listener asked"));
                const Bytes syn = syn_of(kind, ipv6).build();
                compare_answers(wire, [&] { return ask_both(wire, guarded, syn); });
            }
        }
    }
}

TEST_CASE("random options are answered as the kernel's listener answers them")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    constexpr uint32_t seed = 20261122;
    std::mt19937 random(seed);
    const std::vector<Bytes> known = {opt_mss, opt_sack,        opt_timestamp, opt_wscale,
                                      opt_nop, {253, 3, 9},     {0},           {8, 10, 1},
                                      {3, 9},  {2, 4, 0x20, 0}, {4, 3, 0}};
    int answered = 0;
    for (int i = 0; i < 300; i++) {
        Bytes options;
        while (options.size() < random() % 44) {
            options = options + (random() % 4 == 0 ? Bytes{static_cast<uint8_t>(random() % 18)}
                                                   : known[random() % known.size()]);
        }
        options.resize(std::min<size_t>(options.size() / 4 * 4, 40));
        const bool ipv6 = random() % 2 == 0;
        INFO("seed " << seed << ", SYN " << i << ": " << to_hex(options));
        const Bytes syn = syn_of({"", options}, ipv6).build();
        // Since 6.7 the kernel drops a SYN whose options break off early, looking
        // for signatures (tcp_inbound_hash). A cookie for it does no harm.
        wire.forget();
        wire.send(syn);
        if (wire.receive(200)) {
            answered++;
            compare_answers(wire, [&] { return ask_both(wire, guarded, syn); });
        }
    }
    CHECK(answered > 200);
}

TEST_CASE("the answer follows the host's sysctls")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const std::vector<std::pair<const char*, const char*>> settings = {
        {"net.ipv4.tcp_sack", "0"},
        {"net.ipv4.tcp_window_scaling", "0"},
        {"net.ipv4.tcp_timestamps", "0"},
        {"net.ipv4.tcp_ecn", "0"},
        {"net.ipv4.tcp_ecn", "1"},
        {"net.ipv4.ip_default_ttl", "50"},
        {"net.ipv4.tcp_rmem", "4096 65536 1000000"},
    };
    for (const auto& [name, value] : settings) {
        const auto before = read_sysctl(name);
        REQUIRE(write_sysctl(name, value));
        outlast_what_is_kept();
        for (const bool ipv6 : {false, true}) {
            for (const uint8_t flags : {tcp_syn, static_cast<uint8_t>(tcp_syn | tcp_cwr_ece)}) {
                INFO(name << "=" << value << (ipv6 ? ", IPv6" : ", IPv4"));
                const Bytes syn = syn_of({"", linux_options, flags}, ipv6).build();
                compare_answers(wire, [&] { return ask_both(wire, guarded, syn); });
            }
        }
        REQUIRE(write_sysctl(name, *before));
    }
    // A secret offset is added to timestamps then: no option can be carried.
    REQUIRE(write_sysctl("net.ipv4.tcp_timestamps", "1"));
    outlast_what_is_kept();
    const auto outcome = guarded.run(syn_of({"", linux_options}, false).build());
    CHECK(outcome.reason == "syn_answered");
    CHECK(timestamp_at(outcome.frame) == 0);
    CHECK(checksums_hold(outcome.frame));
}

TEST_CASE("VLAN tags, IP options and extension headers on the way to the guard")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const bool ipv6 : {false, true}) {
        const auto plain = guarded.run(syn_of({"", linux_options}, ipv6).build());
        REQUIRE(plain.reason == "syn_answered");
        // This kernel has no VLAN devices: the answer is the plain one, tagged.
        for (const int tags : {1, 2}) {
            FrameBuilder builder = syn_of({"", linux_options}, ipv6);
            for (int i = 0; i < tags; i++) {
                builder.vlan(static_cast<uint16_t>(100 + i));
            }
            const Bytes syn = builder.build();
            const auto tagged = guarded.run(syn);
            CHECK(tagged.action == XDP_TX);
            Bytes bare = tagged.frame;
            const auto tag = bare.begin() + 12;
            CHECK(std::equal(tag, tag + 4 * tags, syn.begin() + 12));
            bare.erase(tag, tag + 4 * tags);
            CHECK(checksums_hold(bare));
            CHECK(to_hex(comparable(bare)) == to_hex(comparable(plain.frame)));
        }
    }
    for (const size_t words : {1, 10}) {
        INFO(words << " words of IPv4 options");
        const Bytes syn = syn_of({"", linux_options}, false).ipv4_options(words).build();
        compare_answers(wire, [&] { return ask_both(wire, guarded, syn); });
    }
    const uint8_t destination_options = 60;
    for (const size_t bytes : {6, 62}) {
        INFO(bytes << " bytes of destination options");
        FrameBuilder builder = syn_of({"", linux_options}, true);
        const Bytes syn = builder.extension(destination_options, bytes).build();
        const auto outcome = guarded.run(syn);
        CHECK(outcome.action == XDP_TX);
        CHECK(checksums_hold(outcome.frame));
        CHECK(outcome.frame.size() == 14 + 40 + 40);
    }
    SECTION("frames of several buffers")
    {
        Guarded frags(XDPCTL_GUARD_ON, {{}, true, false, ""});
        const Bytes syn = syn_of({"", linux_options}, true).build();
        compare_answers(wire, [&] { return ask_both(wire, frags, syn); });
    }
}

namespace
{

tcp_info info_of(const Fd& socket)
{
    tcp_info info{};
    socklen_t length = sizeof(info);
    REQUIRE(getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
    return info;
}

} // namespace

TEST_CASE("a cookie is accepted here and by the kernel, with all that was agreed on")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const bool ipv6 : {false, true}) {
        INFO((ipv6 ? "IPv6" : "IPv4"));
        const Bytes syn = syn_of({"", linux_options, tcp_syn | tcp_cwr_ece}, ipv6).build();
        const auto answer = guarded.run(syn);
        REQUIRE(answer.action == XDP_TX);
        const size_t data = 100;
        const Bytes ack = ack_of(answer.frame, ipv6, tcp_ack | tcp_psh).payload(data).build();
        const auto outcome = guarded.run(ack);
        CHECK(outcome.reason == "cookie_accepted");
        CHECK(outcome.action == XDP_PASS);

        wire.send(ack);
        const Fd connection = listener.accept();
        REQUIRE(connection.valid());
        const tcp_info info = info_of(connection);
        CHECK((info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0);
        CHECK((info.tcpi_options & TCPI_OPT_SACK) != 0);
        CHECK((info.tcpi_options & TCPI_OPT_WSCALE) != 0);
        CHECK((info.tcpi_options & TCPI_OPT_ECN) != 0);
        CHECK(info.tcpi_snd_wscale == 7);
        CHECK(info.tcpi_rcv_wscale == answer.frame.back()); // what the answer promised
        char received[data];
        CHECK(recv(connection.get(), received, data, MSG_WAITALL) == data);

        // It is a connection now: whatever it sends passes, also again.
        outlast_what_is_kept();
        for (const uint8_t flags : {tcp_ack, static_cast<uint8_t>(tcp_fin | tcp_ack), tcp_rst,
                                    static_cast<uint8_t>(tcp_ack | tcp_psh)}) {
            CHECK(
                guarded.run(Wire::from_client(ipv6).tcp(client_port, port, flags).build()).reason ==
                "passed");
        }
        CHECK(guarded.run(ack).reason == "passed");
        CHECK(guarded.run(syn).reason == "passed"); // the kernel's matter: a challenge ACK
        wire.forget();
    }
    CHECK(guarded.reading().counters.cookies == 2);
    CHECK(guarded.reading().counters.accepted == 2);
}

TEST_CASE("a listener's terms are kept for a moment, and no longer")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    const auto reason = [&](bool ipv6) {
        return guarded.run(syn_of({"", linux_options}, ipv6).build()).reason;
    };
    for (const bool ipv6 : {false, true}) {
        auto listener = std::make_unique<Listener>(Listener::Options{});
        outlast_what_is_kept();
        CHECK(reason(ipv6) == "syn_answered");
        listener.reset();
        CHECK(reason(ipv6) == "syn_answered"); // nobody was asked
        guarded.plane->mark_peer(Wire::client(ipv6));
        CHECK(reason(ipv6) != "syn_answered");
        outlast_what_is_kept();
        FrameBuilder stranger(ipv6 ? "2001:db8::9"_ip : "198.51.100.9"_ip, Wire::server(ipv6));
        CHECK(guarded.run(stranger.tcp(client_port, port, tcp_syn).build()).reason !=
              "syn_answered");
    }
}

TEST_CASE("without news of connections the socket table is asked at each SYN")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    guarded.spec.host.flags = XDPCTL_HOST_BLIND;
    guarded.commit();
    auto listener = std::make_unique<Listener>(Listener::Options{});
    const Bytes syn = syn_of({"", linux_options}, false).build();
    CHECK(guarded.run(syn).reason == "syn_answered");
    listener.reset();
    CHECK(guarded.run(syn).reason != "syn_answered");
}

TEST_CASE("explain leaves no trace in the guard")
{
    const Wire wire;
    const Listener listener({});
    Guarded guarded;
    const auto judged = guarded.plane->judge(syn_of({"", linux_options}, false).build(), 0);
    REQUIRE(judged);
    CHECK(judged->reason == XDPCTL_SYN_ANSWERED);
    CHECK(judged->action == XDP_TX);
    CHECK(guarded.reading().counters.syns == 0);
    CHECK(guarded.reading().counters.cookies == 0);
}

TEST_CASE("no answer leaves an interface without an Ethernet header")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    constexpr uint32_t lo = 1; // where test runs come from
    REQUIRE(guarded.plane->register_device(lo, XDPCTL_DEVICE_NO_ETHERNET));
    for (const bool ipv6 : {false, true}) {
        const Bytes syn = syn_of({"", linux_options}, ipv6).build();
        const std::span<const uint8_t> packet = std::span(syn).subspan(14);
        guarded.plane->set_answer_mss(lo, 0, 0);
        CHECK(guarded.plane->run(packet)->action == XDP_PASS); // within the limit
        // Even where somebody would allow it.
        guarded.plane->set_answer_mss(lo, 1460, 1440);
        CHECK(guarded.plane->run(packet)->action == XDP_DROP);
    }
}

TEST_CASE("an answer goes to the next hop of its route, and where no route leaves by the interface "
          "none goes")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    const Bytes syn = syn_of({"", linux_options}, ipv6).build();
    const Prefix all = ipv6 ? Prefix{{}, 0} : all_ipv4();
    const Prefix near = network_of(Wire::client(ipv6), ipv6 ? 64 : 96 + 24);
    const std::array<uint8_t, 6> router = {2, 0, 0, 0, 0, 9};
    const auto destination = [](const Bytes& frame) {
        return std::vector<uint8_t>(frame.begin(), frame.begin() + 6);
    };
    const std::vector<uint8_t> sender(syn.begin() + 6, syn.begin() + 12);
    const auto set = [&](std::vector<AnswerRoute> routes) {
        guarded.plane->set_answer_routes(AnswerRoutes(std::move(routes)));
    };
    guarded.plane->set_answer_routes(std::nullopt); // unknown: back to where it came from
    CHECK(destination(guarded.run(syn).frame) == sender);
    set({{all, {0}, router}});
    auto answer = guarded.run(syn);
    CHECK(answer.reason == "syn_answered");
    CHECK(destination(answer.frame) == std::vector<uint8_t>(router.begin(), router.end()));
    set({{all, {0}, router}, {near, {0}, std::nullopt}}); // the longer prefix: on the link
    CHECK(destination(guarded.run(syn).frame) == sender);
    set({{all, {0}, router}, {near, {77}, router}}); // which leaves by another interface
    CHECK(guarded.run(syn).reason == "passed");      // within the limit, without a cookie
    CHECK(guarded.reading().counters.misrouted == 1);
    set({}); // no way at all
    CHECK(guarded.run(syn).reason == "passed");
    CHECK(guarded.reading().counters.cookies == 3);
    // More routes than the table holds: nothing is known.
    std::vector<AnswerRoute> many;
    for (uint8_t n = 0; n < XDPCTL_ROUTES + 1; n++) {
        Address address = ipv6 ? "2001:db8:1::"_ip : "10.0.0.0"_ip;
        address.bytes[ipv6 ? 7 : 14] = n;
        many.push_back({network_of(address, ipv6 ? 64 : 96 + 24), {77}, std::nullopt});
    }
    set(std::move(many));
    CHECK(destination(guarded.run(syn).frame) == sender);
}

TEST_CASE("the guard answers for the host's own addresses only")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    REQUIRE(guarded.plane->set_own_addresses({Wire::server(true)}));
    const auto reason = [&](bool ipv6, uint8_t flags) {
        return guarded.run(Wire::from_client(ipv6).tcp(client_port, port, flags).build()).reason;
    };
    CHECK(reason(true, tcp_syn) == "syn_answered");
    CHECK(reason(true, tcp_ack) == "cookie_rejected");
    CHECK(reason(false, tcp_syn) == "passed");
    CHECK(reason(false, tcp_ack) == "passed");
    REQUIRE(guarded.plane->set_own_addresses({Wire::server(false)}));
    outlast_what_is_kept();
    CHECK(reason(false, tcp_syn) == "syn_answered");
    CHECK(reason(true, tcp_syn) == "passed");
}

TEST_CASE("neighbours with link-local addresses are left alone")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const uint8_t flags : {tcp_syn, tcp_ack, tcp_rst}) {
        FrameBuilder frame("fe80::5"_ip, "fe80::1"_ip);
        CHECK(guarded.run(frame.tcp(client_port, port, flags).build()).reason == "passed");
    }
}
