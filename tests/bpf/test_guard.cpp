// SPDX-License-Identifier: Apache-2.0
// The SYN guard against the kernel's own listener.
#include <catch2/catch.hpp>

#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <fcntl.h>
#include <random>
#include <thread>

#include "api/codec.h"
#include "bpf/loaded.h"
#include "bpf/wire.h"
#include "harness/literals.h"
#include "host/sysctl.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint16_t client_port = 4000;
constexpr uint16_t port = 80;
constexpr uint8_t slot = 1;
constexpr uint8_t tcp_cwr_ece = 0xc0;

// Longer than a connection passes for having just been accepted (ACCEPTED_NS), and
// than a listener's terms are kept (TERMS_FRESH_NS).
void outlast_what_is_kept()
{
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
}

// Terms are kept for each CPU.
struct OneCpu {
    cpu_set_t before{};
    OneCpu()
    {
        sched_getaffinity(0, sizeof(before), &before);
        cpu_set_t one{};
        CPU_SET(sched_getcpu(), &one);
        REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    }
    ~OneCpu() { sched_setaffinity(0, sizeof(before), &before); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;
};

struct Guarded : Loaded {
    explicit Guarded(xdpctl_guard_mode mode = XDPCTL_GUARD_ON, LoadOptions options = {})
        : Loaded(options)
    {
        spec.host.services = {{slot, port, true, mode, false, 64}};
        const auto rmem_max = read_sysctl("net.core.rmem_max");
        spec.host.rmem_max = static_cast<uint32_t>(std::stoul(*rmem_max));
        spec.syn_prefix_per_second = 10;
        spec.syn_service_per_second = 20;
        commit();
        REQUIRE(plane->set_own_addresses({Wire::server(false), Wire::server(true)}));
        plane->set_answer_mss(0, 1460, 1440); // test runs come from a device that nobody registered
    }
    // As if the client had a connection: then the listener is asked at each SYN.
    void ask_always()
    {
        for (const bool ipv6 : {false, true}) {
            plane->mark_peer(Wire::client(ipv6));
        }
    }
    GuardReading reading() const
    {
        for (const GuardReading& reading : *plane->guards()) {
            if (reading.slot == slot) {
                return reading;
            }
        }
        return {};
    }
};

Bytes operator+(Bytes a, const Bytes& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

const Bytes opt_mss = {2, 4, 5, 0xb4};
const Bytes opt_sack_timestamp = {4, 2, 8, 10, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0};
const Bytes opt_nop = {1};
const Bytes opt_wscale = {3, 3, 7};
const Bytes opt_timestamp = {8, 10, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 0};
const Bytes opt_sack = {4, 2};
const Bytes linux_options = opt_mss + opt_sack_timestamp + opt_nop + opt_wscale;

struct SynKind {
    const char* what;
    Bytes options;
    uint8_t flags = tcp_syn;
    size_t payload = 0;
};

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

FrameBuilder syn_of(const SynKind& kind, bool ipv6)
{
    return Wire::from_client(ipv6)
        .tcp(client_port, port, kind.flags)
        .sequence(0xfffffff0, 0)
        .tcp_options(kind.options)
        .payload(kind.payload);
}

constexpr size_t network = 14;

size_t transport_of(const Bytes& frame)
{
    return network + (frame.at(12) == 8 ? (frame.at(network) & 15) * 4U : 40U);
}

uint32_t word(const Bytes& frame, size_t at)
{
    return static_cast<uint32_t>(frame.at(at) << 24 | frame.at(at + 1) << 16 |
                                 frame.at(at + 2) << 8 | frame.at(at + 3));
}

uint32_t sequence_of(const Bytes& frame)
{
    return word(frame, transport_of(frame) + 4);
}

// Where the timestamp's value is; 0 for none. Options are well formed here.
size_t timestamp_at(const Bytes& frame)
{
    const size_t tcp = transport_of(frame);
    const size_t end = tcp + (frame.at(tcp + 12) >> 4) * 4U;
    for (size_t at = tcp + 20; at < end && frame[at] != 0;
         at += frame[at] == 1 ? 1 : frame.at(at + 1)) {
        if (frame[at] == 8) {
            return at + 2;
        }
    }
    return 0;
}

// By the definition: the sum over pseudo header and segment is 0.
// Of RFC 9293, 3.1 and RFC 8200, 8.1: what the checksum of TCP covers beside the segment.
Bytes pseudo_header(const Bytes& frame, size_t tcp_bytes)
{
    const bool ipv6 = frame.at(12) != 8;
    const auto addresses = std::span(frame).subspan(network + (ipv6 ? 8 : 12), ipv6 ? 32 : 8);
    return Bytes(addresses.begin(), addresses.end()) +
           Bytes{0, 6, static_cast<uint8_t>(tcp_bytes >> 8), static_cast<uint8_t>(tcp_bytes)};
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

// The client's ACK to a SYN-ACK, which echoes its timestamp.
FrameBuilder ack_of(const Bytes& syn_ack, bool ipv6, uint8_t flags = tcp_ack)
{
    FrameBuilder builder = Wire::from_client(ipv6)
                               .tcp(client_port, port, flags)
                               .sequence(0xfffffff1, sequence_of(syn_ack) + 1);
    if (const size_t at = timestamp_at(syn_ack)) {
        Bytes options = {1, 1, 8, 10, 0x11, 0x22, 0x33, 0x45};
        options.insert(options.end(), syn_ack.begin() + static_cast<std::ptrdiff_t>(at),
                       syn_ack.begin() + static_cast<std::ptrdiff_t>(at) + 4);
        builder.tcp_options(options);
    }
    return builder;
}

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

namespace
{

// The program that learns of connections, on a cgroup that is mounted for it.
class Learning
{
  public:
    explicit Learning(const BpfObject& object)
    {
        REQUIRE(mkdtemp(directory_) != nullptr);
        REQUIRE(mount("none", directory_, "cgroup2", 0, nullptr) == 0);
        const Fd cgroup(open(directory_, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        link_ = Fd(bpf_link_create(object.clients(), cgroup.get(), BPF_CGROUP_SOCK_OPS, nullptr));
        REQUIRE(link_.valid());
    }
    ~Learning()
    {
        umount2(directory_, MNT_DETACH);
        rmdir(directory_);
    }
    Learning(const Learning&) = delete;
    Learning& operator=(const Learning&) = delete;

  private:
    char directory_[32] = "/tmp/xdpctl-cgroup-XXXXXX";
    Fd link_;
};

// A client whose segments go past the guard, and what passes on to the kernel.
struct Conversation {
    const Wire& wire;
    Guarded& guarded;
    bool ipv6;
    uint32_t sent = 0xfffffff0;
    uint32_t received = 0;

    std::string say(uint8_t flags, size_t payload = 0)
    {
        const Bytes frame = Wire::from_client(ipv6)
                                .tcp(client_port, port, flags)
                                .sequence(sent, received)
                                .payload(payload)
                                .build();
        const auto outcome = guarded.run(frame);
        if (outcome.action == XDP_PASS) {
            wire.send(frame);
        } else if (outcome.action == XDP_TX) {
            received = sequence_of(outcome.frame) + 1;
        }
        return outcome.reason;
    }
    Fd connect(const Listener& listener)
    {
        CHECK(say(tcp_syn) == "syn_answered");
        CHECK(say(tcp_syn) == "syn_answered"); // once more: the same cookie
        sent++;
        CHECK(say(tcp_ack) == "cookie_accepted");
        Fd connection = listener.accept();
        REQUIRE(connection.valid());
        outlast_what_is_kept();
        return connection;
    }
    // So that the listener's terms are fresh.
    void somebody_else_comes() const
    {
        FrameBuilder other(ipv6 ? "2001:db8::9"_ip : "198.51.100.9"_ip, Wire::server(ipv6));
        CHECK(guarded.run(other.tcp(client_port, port, tcp_syn).build()).reason == "syn_answered");
    }
    // Of what the kernel sends, the first segment with these flags.
    bool hears(uint8_t flags) const
    {
        while (const auto frame = wire.receive()) {
            if ((frame->at(transport_of(*frame) + 13) & flags) == flags) {
                return true;
            }
        }
        return false;
    }
};

} // namespace

TEST_CASE("a SYN comes again whose handshake the kernel holds already")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    INFO((ipv6 ? "IPv6" : "IPv4"));
    Conversation client{wire, guarded, ipv6};
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1")); // the kernel has room itself
    CHECK(client.say(tcp_syn) == "passed");
    CHECK(client.hears(tcp_syn | tcp_ack)); // lost on its way to the client
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "2"));
    client.somebody_else_comes();
    CHECK(client.say(tcp_syn) == "passed"); // the kernel's, which answers it as before
    CHECK(client.hears(tcp_syn | tcp_ack));
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

TEST_CASE("keep-alives, crossing FINs and a port that is used again go past the guard")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    const Learning learning(*guarded.object);
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    INFO((ipv6 ? "IPv6" : "IPv4"));
    REQUIRE(write_sysctl("net.ipv4.tcp_invalid_ratelimit", "0")); // challenges at once
    Conversation client{wire, guarded, ipv6};
    Fd connection = client.connect(listener);

    // RFC 9293 section 3.8.4: one before the next expected, with a byte or none.
    client.sent--;
    wire.forget();
    CHECK(client.say(tcp_ack) == "passed");
    CHECK(client.hears(tcp_ack));
    CHECK(client.say(tcp_ack, 1) == "passed");
    CHECK(client.hears(tcp_ack));
    client.sent++;

    client.somebody_else_comes();
    CHECK(client.say(tcp_syn) == "passed"); // of a client that lost its memory
    CHECK(client.hears(tcp_ack));           // RFC 5961: a challenge

    connection = Fd();
    CHECK(client.hears(tcp_fin));
    CHECK(client.say(tcp_fin | tcp_ack) == "passed"); // before it saw ours: CLOSING
    client.sent++;
    client.received++;
    CHECK(client.say(tcp_ack) == "passed"); // TIME_WAIT
    outlast_what_is_kept();
    CHECK(client.say(tcp_fin | tcp_ack) == "passed");

    client.sent += 100000; // beyond the last: may open anew (RFC 6191, RFC 9293 section 3.6.1)
    wire.forget();
    client.somebody_else_comes();
    CHECK(client.say(tcp_syn) == "passed");
    CHECK(client.hears(tcp_syn | tcp_ack));
}

TEST_CASE("what belongs to no connection ends at the guard")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const bool ipv6 : {false, true}) {
        const auto reason = [&](uint8_t flags, uint16_t to = port) {
            return guarded.run(Wire::from_client(ipv6).tcp(client_port, to, flags).build()).reason;
        };
        CHECK(reason(tcp_ack) == "cookie_rejected");
        CHECK(reason(tcp_ack | tcp_psh) == "cookie_rejected");
        CHECK(reason(tcp_fin | tcp_ack) == "cookie_rejected");
        CHECK(reason(tcp_rst) == "no_session");
        CHECK(reason(tcp_rst | tcp_ack) == "no_session");
        CHECK(reason(tcp_syn | tcp_ack) == "no_session");
        // A cookie of somebody else, and a number beside it.
        const auto answer = guarded.run(syn_of({"", linux_options}, ipv6).build());
        const uint32_t cookie = sequence_of(answer.frame);
        const auto with = [&](uint16_t from, uint32_t acknowledged) {
            return guarded
                .run(Wire::from_client(ipv6)
                         .tcp(from, port, tcp_ack)
                         .sequence(0xfffffff1, acknowledged)
                         .build())
                .reason;
        };
        CHECK(with(client_port, cookie + 1000) == "cookie_rejected");
        CHECK(with(client_port + 1, cookie + 1) == "cookie_rejected");
        CHECK(with(client_port, cookie + 1) == "cookie_accepted");
    }
    SECTION("handshakes that were open before the guard was on go through")
    {
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1"));
        outlast_what_is_kept();
        for (const bool ipv6 : {false, true}) {
            wire.forget();
            wire.send(syn_of({"", linux_options}, ipv6).build());
            const auto kernel = wire.receive();
            REQUIRE(kernel);
            CHECK(guarded.run(ack_of(*kernel, ipv6).build()).reason == "passed");
        }
    }
}

TEST_CASE("off, armed and auto leave SYNs alone in peace, monitor mode tells only")
{
    const Wire wire;
    const Listener listener({});
    const Bytes syn = syn_of({"", linux_options}, false).build();
    const Bytes ack = Wire::from_client(true).tcp(client_port, port, tcp_ack).build();
    for (const auto mode : {XDPCTL_GUARD_OFF, XDPCTL_GUARD_ARMED, XDPCTL_GUARD_AUTO}) {
        Guarded guarded(mode);
        guarded.spec.strays_per_second = 64;
        guarded.commit();
        CHECK(guarded.run(syn).reason == "passed");
        CHECK(guarded.run(ack).reason == "passed");
    }
    Guarded guarded;
    guarded.spec.mode = XDPCTL_MODE_MONITOR;
    guarded.commit();
    const auto outcome = guarded.run(syn);
    CHECK(outcome.reason == "syn_answered");
    CHECK(outcome.disposition == XDPCTL_WOULD_DROP);
    CHECK(outcome.action == XDP_PASS);
    CHECK(outcome.frame == syn);
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

TEST_CASE("where the accept queue is full a SYN is dropped under its own reason")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({.backlog = 1});
    const auto connect = [&](uint16_t from) {
        const auto answer = guarded.run(Wire::from_client(false)
                                            .tcp(from, port, tcp_syn)
                                            .sequence(0xfffffff0, 0)
                                            .tcp_options(opt_mss)
                                            .build());
        if (answer.action == XDP_TX) {
            wire.send(Wire::from_client(false)
                          .tcp(from, port, tcp_ack)
                          .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
                          .build());
        }
        return answer.reason;
    };
    CHECK(connect(5000) == "syn_answered");
    CHECK(connect(5001) == "syn_answered"); // a backlog of 1 holds two (listen(2))
    for (int i = 0; i < 100 && connect(5002) != "accept_queue"; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10)); // the kernel takes its time
    }
    CHECK(connect(5002) == "accept_queue");
}

TEST_CASE("where no cookie can be made, SYNs are limited, who is known passes")
{
    const Wire wire;
    Guarded guarded;
    const auto count_passed = [&](const char* net, bool ipv6, uint16_t to, int count) {
        int passed = 0;
        for (int i = 0; i < count; i++) {
            const auto source = *parse_address(fmt::format("{}{}", net, i % 200 + 1));
            FrameBuilder builder(source, Wire::server(ipv6));
            const std::string reason =
                guarded.run(builder.tcp(client_port, to, tcp_syn).build()).reason;
            CHECK((reason == "passed" || reason == "syn_limited"));
            passed += reason == "passed" ? 1 : 0;
        }
        return passed;
    };
    // 10 a second and prefix, and what a second has saved.
    const auto fair = [](int passed, int limit) { return passed >= limit && passed <= 3 * limit; };
    CHECK(fair(count_passed("203.0.113.", false, 9999, 500), 10)); // no service
    CHECK(fair(count_passed("2001:db8:7::", true, 9999, 500), 10));
    CHECK(count_passed("203.0.113.", false, 9996, 100) <= 10);    // no service either: one limit
    CHECK(fair(count_passed("198.18.0.", false, port, 500), 10)); // a service without a listener
    SECTION("the service's own limit")
    {
        int passed = 0;
        for (int net = 0; net < 100; net++) {
            passed += count_passed(fmt::format("198.18.{}.", net + 1).c_str(), false, 9998, 1);
        }
        CHECK(passed <= 60);
    }
    REQUIRE(guarded.plane->seed_client("203.0.113.77"_ip, 1));
    FrameBuilder known("203.0.113.77"_ip, Wire::server(false));
    CHECK(guarded.run(known.tcp(client_port, 9999, tcp_syn).build()).reason == "passed");
    SECTION("syncookies switched off")
    {
        const Listener listener({});
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "0"));
        CHECK(fair(count_passed("198.19.0.", false, port, 100), 10));
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1")); // the kernel has room itself
        CHECK(count_passed("198.19.1.", false, port, 100) == 100);
    }
    SECTION("an interface on which no answer may be sent")
    {
        const Listener listener({});
        guarded.plane->set_answer_mss(0, 0, 0);
        CHECK(fair(count_passed("198.19.2.", false, port, 100), 10));
    }
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

TEST_CASE("cookies go off where accepted ones do not become connections")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const Bytes syn = syn_of({"", linux_options}, false).build();
    const auto answer = guarded.run(syn);
    REQUIRE(answer.reason == "syn_answered");
    const Bytes ack = ack_of(answer.frame, false).build();
    // As if something took the ACKs away behind us: the listener never sees them.
    CHECK(guarded.run(ack).reason == "cookie_accepted");
    CHECK(guarded.run(ack).reason == "passed"); // once more says nothing new
    CHECK(guarded.reading().state.proof_accepted == 1);
    std::string reason;
    for (uint16_t from = 5000; from < 5100; from++) {
        const auto next = guarded.run(
            Wire::from_client(false).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
        reason = next.reason;
        if (reason != "syn_answered") {
            break;
        }
        CHECK(guarded
                  .run(Wire::from_client(false)
                           .tcp(from, port, tcp_ack)
                           .sequence(0xfffffff1, sequence_of(next.frame) + 1)
                           .build())
                  .reason == "cookie_accepted");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(guarded.reading().counters.accepted >= 16); // of one prefix, so many are needed
    CHECK(reason == "passed");                        // within the limit
    CHECK(guarded.reading().state.cookies_off_until_ns > guarded.plane->now_ns());
    // Without conntrack nothing tells whether an ACK belongs to somebody.
    const Bytes stray = Wire::from_client(false).tcp(9, port, tcp_ack).build();
    CHECK(guarded.run(stray).reason == "passed");
}

namespace
{

// A handshake from this port, up to its last segment, which is not sent yet.
Bytes ack_by_cookie(Guarded& guarded, bool ipv6, uint16_t from)
{
    const auto answer = guarded.run(
        Wire::from_client(ipv6).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
    REQUIRE(answer.reason == "syn_answered");
    return Wire::from_client(ipv6)
        .tcp(from, port, tcp_ack)
        .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
        .build();
}

} // namespace

TEST_CASE("one connection that came by a cookie refutes that they fail, and a wrong checksum "
          "proves nothing")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    const auto handshake = [&](uint16_t from, uint32_t checksum_error) {
        Bytes ack = ack_by_cookie(guarded, ipv6, from);
        ack[transport_of(ack) + 16] ^= static_cast<uint8_t>(checksum_error);
        CHECK(guarded.run(ack).reason == "cookie_accepted");
    };
    for (uint16_t from = 5000; from < 5040; from++) {
        handshake(from, 0x55);
    }
    CHECK(guarded.reading().state.proof_accepted == 0);
    handshake(5100, 0);
    CHECK(guarded.reading().state.proof_accepted == 1);
}

TEST_CASE(
    "a checksum that the other end of a veth left unfinished is sound there, and nowhere else")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    constexpr uint32_t lo = 1; // where test runs come from
    uint16_t from = 5000;
    const auto accepted = [&](uint16_t checksum_error) {
        const uint64_t before = guarded.reading().state.proof_accepted;
        from++;
        Bytes ack = ack_by_cookie(guarded, ipv6, from);
        const size_t tcp = transport_of(ack);
        const auto partial =
            static_cast<uint16_t>(~internet_checksum(pseudo_header(ack, 20)) ^ checksum_error);
        ack[tcp + 16] = static_cast<uint8_t>(partial >> 8);
        ack[tcp + 17] = static_cast<uint8_t>(partial);
        CHECK(guarded.run(ack).reason == "cookie_accepted");
        return guarded.reading().state.proof_accepted > before;
    };
    REQUIRE(guarded.plane->register_device(lo));
    guarded.plane->set_answer_mss(lo, 1460, 1440);
    CHECK_FALSE(accepted(0));
    REQUIRE(guarded.plane->register_device(lo, XDPCTL_DEVICE_PARTIAL_CHECKSUMS));
    CHECK_FALSE(accepted(1));
    CHECK(accepted(0));
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

TEST_CASE("a listener whose queue has room is not attacked, however many SYNs came and went")
{
    const Wire wire;
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1")); // with 2 there is no queue to ask
    Guarded guarded(XDPCTL_GUARD_AUTO);
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    // Health checks: none of them stays in the listener's queue.
    for (uint16_t n = 0; n < 2000; n++) {
        CHECK(guarded
                  .run(Wire::from_client(ipv6)
                           .tcp(static_cast<uint16_t>(2000 + n), port, tcp_syn)
                           .build())
                  .reason == "passed");
    }
    CHECK(guarded.reading().state.attacks == 0);
    // The same SYNs reach the listener and stay there.
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "0"));
    for (uint16_t n = 0; n < 2000 && guarded.reading().state.attacks == 0; n++) {
        const Bytes syn =
            Wire::from_client(ipv6).tcp(static_cast<uint16_t>(2000 + n), port, tcp_syn).build();
        guarded.run(syn);
        wire.send(syn);
    }
    CHECK(guarded.reading().state.attacks == 1);
}

TEST_CASE("a full accept queue is overload, not an attack")
{
    const Wire wire;
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1"));
    Guarded guarded(XDPCTL_GUARD_AUTO);
    const Listener listener({.backlog = 1});
    // With one that stays open the queue of unfinished handshakes is full, too: who
    // completes his waits longer.
    if (GENERATE(false, true)) {
        wire.send(Wire::from_client(false).tcp(4999, port, tcp_syn).tcp_options(opt_mss).build());
    }
    for (uint16_t from = 5000; from < 5003; from++) { // a backlog of 1 holds two
        wire.forget();
        wire.send(Wire::from_client(false)
                      .tcp(from, port, tcp_syn)
                      .sequence(0xfffffff0, 0)
                      .tcp_options(opt_mss)
                      .build());
        const auto answer = wire.receive(from < 5002 ? 2000 : 200);
        if (answer) {
            wire.send(Wire::from_client(false)
                          .tcp(from, port, tcp_ack)
                          .sequence(0xfffffff1, sequence_of(*answer) + 1)
                          .build());
        }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (uint16_t n = 0; n < 500; n++) {
        guarded.run(
            Wire::from_client(false).tcp(static_cast<uint16_t>(6000 + n), port, tcp_syn).build());
    }
    CHECK(guarded.reading().state.attacks == 0);
    CHECK(guarded.reading().state.overloaded_until_ns > guarded.plane->now_ns());
}

TEST_CASE("a client that gives up its handshake with a RST is not pending any more")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    for (uint16_t from = 5000; from < 5050; from++) {
        const auto answer = guarded.run(
            Wire::from_client(ipv6).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
        REQUIRE(answer.reason == "syn_answered");
        CHECK(guarded
                  .run(Wire::from_client(ipv6)
                           .tcp(from, port, tcp_rst | tcp_ack)
                           .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
                           .build())
                  .reason == "passed");
    }
    CHECK(guarded.reading().state.pending <= 1);
    // One that never saw the cookie takes nothing back.
    for (uint16_t from = 6000; from < 6020; from++) {
        guarded.run(Wire::from_client(ipv6).tcp(from, port, tcp_syn).build());
        guarded.run(Wire::from_client(ipv6).tcp(from, port, tcp_rst | tcp_ack).build());
    }
    CHECK(guarded.reading().state.pending >= 15);
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

TEST_CASE("in lockdown known clients connect, and so many new ones as are admitted")
{
    const Wire wire;
    const Listener listener({});
    Guarded guarded(XDPCTL_GUARD_AUTO);
    guarded.spec.host.services[0].lockdown = true;
    guarded.spec.host.services[0].capacity = 100000; // no attack
    guarded.spec.admit_per_second = 16;
    guarded.commit();
    const bool kernel_handshake = GENERATE(false, true);
    if (kernel_handshake) { // no cookies while the kernel has room: admitted at the SYN
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1"));
    }
    int admitted = 0;
    for (uint32_t i = 0; i < 200; i++) {
        Address source = i % 2 == 0 ? "198.18.0.1"_ip : "2001:db8:0:1::1"_ip;
        source.bytes[i % 2 == 0 ? 14 : 7] = static_cast<uint8_t>(i); // a prefix each
        const auto packet = [&](uint8_t flags, uint32_t acknowledged) {
            return guarded.run(FrameBuilder(source, Wire::server(i % 2 == 1))
                                   .tcp(client_port, port, flags)
                                   .sequence(0xfffffff0 + (flags == tcp_ack ? 1 : 0), acknowledged)
                                   .build());
        };
        const auto answer = packet(tcp_syn, 0);
        if (kernel_handshake) {
            CHECK((answer.reason == "passed" || answer.reason == "lockdown"));
            admitted += answer.reason == "passed" ? 1 : 0;
            continue;
        }
        REQUIRE(answer.reason == "syn_answered"); // proven first
        const std::string reason = packet(tcp_ack, sequence_of(answer.frame) + 1).reason;
        CHECK((reason == "cookie_accepted" || reason == "lockdown"));
        admitted += reason == "cookie_accepted" ? 1 : 0;
    }
    CHECK(admitted >= 16);
    CHECK(admitted < 100);
    for (const bool ipv6 : {false, true}) {
        REQUIRE(guarded.plane->seed_client(Wire::client(ipv6), 0));
        CHECK(guarded.run(syn_of({"", linux_options}, ipv6).build()).reason == "passed");
    }
}

TEST_CASE("in lockdown one host cannot take all admissions")
{
    const Wire wire;
    const Listener listener({});
    Guarded guarded;
    guarded.spec.host.services[0].lockdown = true;
    guarded.spec.admit_per_second = 80;
    guarded.commit();
    int admitted = 0;
    for (uint16_t from = 5000; from < 5200; from++) {
        const auto answer = guarded.run(
            Wire::from_client(false).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
        REQUIRE(answer.reason == "syn_answered");
        admitted += guarded.run(Wire::from_client(false)
                                    .tcp(from, port, tcp_ack)
                                    .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
                                    .build())
                                .reason == "cookie_accepted"
                        ? 1
                        : 0;
    }
    CHECK(admitted >= 10);
    CHECK(admitted <= 30);
}

TEST_CASE("what follows a right ACK in the same breath passes before its socket is made")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const bool ipv6 : {false, true}) {
        const auto answer = guarded.run(syn_of({"", linux_options}, ipv6).build());
        const uint32_t cookie = sequence_of(answer.frame);
        CHECK(guarded.run(ack_of(answer.frame, ipv6).build()).reason == "cookie_accepted");
        const auto later = [&](uint8_t flags, uint16_t from) {
            return guarded
                .run(Wire::from_client(ipv6)
                         .tcp(from, port, flags)
                         .sequence(0xfffffff1 + 1448, cookie + 1)
                         .payload(500)
                         .build())
                .reason;
        };
        CHECK(later(tcp_ack | tcp_psh, client_port) == "passed");
        CHECK(later(tcp_ack | tcp_fin, client_port) == "passed");
        CHECK(later(tcp_ack | tcp_psh, client_port + 1) == "cookie_rejected");
    }
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

TEST_CASE("a guard that sees no handshakes does not turn itself on")
{
    const Wire wire;
    Guarded guarded(XDPCTL_GUARD_AUTO);
    const Listener listener({});
    guarded.spec.host.flags = XDPCTL_HOST_BLIND;
    guarded.commit();
    for (uint16_t from = 1024; from < 2024; from++) {
        REQUIRE(guarded.run(Wire::from_client(false).tcp(from, port, tcp_syn).build()).reason ==
                "passed");
    }
    CHECK(guarded.reading().state.attacks == 0);
}

namespace
{

// The guard on a clock in our hands, with the sockets of a capture.
struct Timed : Guarded {
    uint32_t next = 0;

    Timed() : Guarded(XDPCTL_GUARD_AUTO, {{}, false, true, ""})
    {
        for (const bool ipv6 : {false, true}) {
            REQUIRE(plane->open_socket({IPPROTO_TCP, Wire::server(ipv6), port, {}, 0},
                                       XDPCTL_SESSION_LISTENER));
        }
    }
    std::string syn()
    {
        next++;
        Address source = next % 2 == 0 ? "10.0.0.0"_ip : "2001:db8:bad::"_ip;
        source.bytes[14] = static_cast<uint8_t>(next >> 8);
        source.bytes[15] = static_cast<uint8_t>(next);
        return run(FrameBuilder(source, Wire::server(!source.is_ipv4()))
                       .tcp(client_port, port, tcp_syn)
                       .build())
            .reason;
    }
};

} // namespace

TEST_CASE("auto turns on when handshakes exceed what the listener holds, and off with hysteresis")
{
    Timed guarded;
    int passed = 0;
    while (guarded.syn() == "passed" && passed < 1000) {
        passed++;
    }
    CHECK(passed == 64); // the listener's room
    CHECK(guarded.reading().state.attacks == 1);
    // A flood: it stays on.
    for (int second = 0; second < 30; second++) {
        for (int i = 0; i < 200; i++) {
            CHECK(guarded.syn() == "syn_answered");
        }
        guarded.advance(ns_per_s);
    }
    // Silence, then single SYNs: it goes off once, and not at the first of them.
    int answered = 0;
    for (int second = 0; second < 120; second++) {
        guarded.advance(ns_per_s);
        answered += guarded.syn() == "syn_answered" ? 1 : 0;
    }
    CHECK(answered >= 10);
    CHECK(answered < 60);
    CHECK(guarded.reading().state.attacks == 1);
    CHECK(guarded.syn() == "passed");
}

TEST_CASE("a crowd that completes its handshakes is no attack")
{
    Timed guarded;
    for (int i = 0; i < 5000; i++) {
        REQUIRE(guarded.syn() == "passed");
        REQUIRE(guarded.plane->client_opened(
            {IPPROTO_TCP, Wire::server(false), port, Wire::client(false), client_port}));
        guarded.advance(ns_per_s / 5000);
    }
    CHECK(guarded.reading().state.attacks == 0);
}

TEST_CASE(
    "where known clients ask again and again and no answer comes back, cookies go off for a moment")
{
    Timed guarded;
    guarded.spec.host.services[0].guard = XDPCTL_GUARD_ON;
    guarded.spec.syn_prefix_per_second = guarded.spec.syn_service_per_second = 100000;
    guarded.commit();
    const auto clients = [](uint8_t n) {
        Address client = n % 2 == 0 ? "198.51.100.0"_ip : "2001:db8:c::"_ip;
        client.bytes[n % 2 == 0 ? 15 : 7] = n;
        return client;
    };
    for (uint8_t n = 0; n < 12; n++) {
        REQUIRE(guarded.plane->seed_client(clients(n), 0));
        guarded.plane->mark_peer(clients(n));
    }
    const auto ask = [&](bool spoofed) {
        for (uint8_t n = 0; n < 12; n++) {
            Address source = clients(n);
            source.bytes[n % 2 == 0 ? 13 : 5] ^= spoofed ? 0x77 : 0;
            guarded.run(FrameBuilder(source, Wire::server(n % 2 != 0))
                            .tcp(client_port, port, tcp_syn)
                            .build());
        }
    };
    const auto off = [&] { return guarded.now < guarded.reading().state.cookies_off_until_ns; };
    // A flood from strangers says nothing: they are not there.
    for (int second = 0; second < 10; second++) {
        ask(true);
        guarded.advance(ns_per_s);
    }
    CHECK_FALSE(off());
    SECTION("nobody comes through")
    {
        ask(false);
        guarded.advance(ns_per_s); // TCP's first retransmission
        ask(false);
        CHECK(off());
        CHECK(guarded.reading().state.doubt == XDPCTL_COOKIES_NOT_RETURNED);
        guarded.advance(3 * ns_per_s); // the first time for two seconds
        CHECK_FALSE(off());
    }
    SECTION("one comes through")
    {
        for (uint16_t second = 0; second < 10; second++) {
            ask(false);
            const auto from = static_cast<uint16_t>(client_port + second);
            const SocketKey half{IPPROTO_TCP, Wire::server(false), port, clients(0), from};
            REQUIRE(guarded.plane->open_socket(half, XDPCTL_SESSION_HALF_OPEN));
            guarded.run(
                FrameBuilder(clients(0), Wire::server(false)).tcp(from, port, tcp_ack).build());
            REQUIRE(guarded.plane->client_opened(half));
            CHECK_FALSE(off());
            guarded.advance(ns_per_s);
        }
    }
}
