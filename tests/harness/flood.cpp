// SPDX-License-Identifier: Apache-2.0
// A flood of spoofed packets with valid checksums, out of a veth of the lab.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <thread>

#include <CLI/CLI.hpp>

#include "base/fd.h"
#include "base/result.h"
#include "core/frame.h"
#include "host/netlink.h"

#define _Bool bool
#include "flood.skel.h"
#undef _Bool

using namespace xdpctl;

namespace
{

constexpr std::string_view kinds = "syn ack rst synack fin udp icmp error fragment first gre";

struct Options {
    std::string interface;
    std::string destination;
    std::string kind;
    std::string source;
    std::string mac; // of the receiver
    uint16_t port = 80;
    uint16_t from_port = 0; // of UDP; 0: random
    uint64_t count = 0;
    double seconds = 0;
    uint32_t spread = 0; // 0: every address of `source`
    bool list = false;
    uint64_t pps = 0; // 0: as fast as it goes
    uint64_t seed = 1;
    uint64_t batch = 65536; // frames per system call, each of which takes some 20 ms to begin
    bool options = true;    // TCP options in SYNs, as Linux sends them
    bool even = false;      // one by one at the same distance, not in batches
};

// What differs from packet to packet where they are made one by one.
struct Drawn {
    uint16_t from_port = 1024;
    uint32_t sequence = 1;
    uint32_t id = 1; // of a datagram
};

struct Template {
    Bytes frame;
    uint32_t transport = 0;
    uint32_t checksum = 0;
    bool sequence = false;
};

// tests/harness/lab.sh names its namespaces so.
bool in_lab()
{
    struct stat ours {
    };
    if (stat("/proc/thread-self/ns/net", &ours) != 0) {
        return false;
    }
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/run/netns", none)) {
        struct stat named {
        };
        if (entry.path().filename().string().starts_with("xl") &&
            stat(entry.path().c_str(), &named) == 0 && named.st_ino == ours.st_ino &&
            named.st_dev == ours.st_dev) {
            return true;
        }
    }
    return false;
}

// Only where nothing can get out: a namespace of the lab, a veth, no default route.
Result<> refuse_outside_lab(const std::string& interface)
{
    if (!in_lab()) {
        return failure(ErrorKind::refused, "not in a network namespace of the lab");
    }
    auto routers = gateways();
    if (!routers || !routers->empty()) {
        return failure(ErrorKind::refused, "this namespace has a route out");
    }
    auto links = links_here();
    if (!links) {
        return links.error();
    }
    for (const LinkInfo& link : *links) {
        if (link.name == interface && link.kind == "veth") {
            return Done{};
        }
    }
    return failure(ErrorKind::refused, "{} is not a veth of this namespace", interface);
}

// Host or no route to it unreachable, about a segment of `destination` to `source` (RFC 792, 4443).
Template make_icmp_error(const Options& options, const Address& source, const Address& destination,
                         uint16_t port)
{
    Bytes quote = FrameBuilder(destination, source).tcp(options.port, port, tcp_ack).build();
    quote.erase(quote.begin(), quote.begin() + ETH_HLEN);
    FrameBuilder frame(source, destination);
    const bool ipv4 = destination.is_ipv4();
    frame.icmp(ipv4 ? 3 : 1, ipv4 ? 1 : 0).payload(quote.size());
    Template made{frame.build(), 0, 0, false};
    const auto at = static_cast<ptrdiff_t>(frame.transport_offset());
    std::copy(quote.begin(), quote.end(), made.frame.begin() + at + 8);
    uint8_t* checksum = &made.frame[static_cast<size_t>(at) + 2]; // right for a payload of zeros
    const auto sum = internet_checksum(quote, ~(checksum[0] << 8 | checksum[1]) & 0xffffU);
    checksum[0] = static_cast<uint8_t>(sum >> 8);
    checksum[1] = static_cast<uint8_t>(sum);
    made.checksum = ipv4 ? 0 : static_cast<uint32_t>(at + 2);
    return made;
}

Result<Template> make_template(const Options& options, const Address& source,
                               const Address& destination, const Drawn& drawn = {})
{
    FrameBuilder frame(source, destination);
    const std::map<std::string, uint8_t> tcp_kinds = {{"syn", tcp_syn},
                                                      {"ack", tcp_ack},
                                                      {"rst", tcp_rst},
                                                      {"synack", tcp_syn | tcp_ack},
                                                      {"fin", tcp_fin | tcp_ack}};
    if (const auto kind = tcp_kinds.find(options.kind); kind != tcp_kinds.end()) {
        frame.tcp(drawn.from_port, options.port, kind->second).sequence(drawn.sequence, 1);
        if (kind->second == tcp_syn && options.options) {
            frame.tcp_options({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 1, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7});
        }
        const auto transport = static_cast<uint32_t>(frame.transport_offset());
        return Template{frame.build(), transport, transport + 16, true};
    }
    if (options.kind == "udp") {
        frame.udp(options.from_port == 0 ? drawn.from_port : options.from_port, options.port)
            .payload(18);
        const auto transport = static_cast<uint32_t>(frame.transport_offset());
        return Template{frame.build(), options.from_port == 0 ? transport : 0, transport + 6,
                        false};
    }
    if (options.kind == "icmp") {
        frame.icmp(destination.is_ipv4() ? 8 : 128, 0).payload(24);
        // Over IPv6 the addresses are part of the checksum.
        const auto checksum = static_cast<uint32_t>(frame.transport_offset() + 2);
        return Template{frame.build(), 0, destination.is_ipv4() ? 0 : checksum, false};
    }
    if (options.kind == "error") {
        return make_icmp_error(options, source, destination, drawn.from_port);
    }
    if (options.kind == "fragment") {
        frame.fragment(800, true, drawn.id).udp(drawn.from_port, options.port).payload(32);
        return Template{frame.build(), 0, 0, false};
    }
    if (options.kind == "first") {
        frame.fragment(0, true, drawn.id).udp(drawn.from_port, options.port).payload(48);
        return Template{frame.build(), 0, 0, false};
    }
    if (options.kind == "gre") {
        frame.protocol(IPPROTO_GRE).payload(32);
        return Template{frame.build(), 0, 0, false};
    }
    return failure(ErrorKind::usage, "'{}' is none of {}", options.kind, kinds);
}

// To `mac`, from the interface: how a frame begins.
Result<Bytes> macs_of(const std::string& mac, const std::string& interface)
{
    unsigned int to[6];
    unsigned int from[6];
    std::ifstream file("/sys/class/net/" + interface + "/address");
    std::string own;
    file >> own;
    // NOLINTNEXTLINE(cert-err34-c): the counts tell
    if (sscanf(mac.c_str(), "%x:%x:%x:%x:%x:%x", to, to + 1, to + 2, to + 3, to + 4, to + 5) != 6 ||
        sscanf(own.c_str(), "%x:%x:%x:%x:%x:%x", from, from + 1, from + 2, from + 3, from + 4,
               from + 5) != 6) {
        return failure(ErrorKind::usage, "'{}' or '{}' is not a MAC address", mac, own);
    }
    Bytes macs(std::begin(to), std::end(to)); // narrowed: a byte each
    macs.insert(macs.end(), std::begin(from), std::end(from));
    return macs;
}

using Program = std::unique_ptr<flood_bpf, decltype(&flood_bpf__destroy)>;

Result<Program> load(const Template& made, const Prefix& source, uint64_t seed, uint32_t spread)
{
    Program program(flood_bpf__open(), flood_bpf__destroy);
    if (!program) {
        return system_failure(errno, "opening the generator");
    }
    auto& rodata = *program->rodata;
    const size_t words = (made.frame.size() + 7) / 8;
    if (made.frame.size() % 8 != 0 || words > std::size(rodata.flood_template)) {
        return failure("a template of {} bytes", made.frame.size());
    }
    std::memcpy(const_cast<__u64*>(rodata.flood_template), made.frame.data(), made.frame.size());
    rodata.flood_words = static_cast<uint32_t>(words);
    const bool ipv4 = source.address.is_ipv4();
    rodata.flood_family = ipv4 ? 4 : 6;
    const xdpctl_addr address = source.address.to_abi();
    for (size_t i = 0; i < 4; i++) {
        const size_t word = ipv4 ? 3 : i; // of the 128-bit form
        if (ipv4 && i > 0) {
            break;
        }
        uint32_t mask = 0;
        for (size_t bit = 0; bit < 32; bit++) {
            mask |= word * 32 + bit >= source.length ? 1U << (31 - bit) : 0;
        }
        rodata.flood_source[i] = address.word[word];
        rodata.flood_mask[i] = __builtin_bswap32(mask);
    }
    rodata.flood_spread = spread;
    rodata.flood_transport = made.transport;
    rodata.flood_checksum = made.checksum;
    rodata.flood_sequence = made.sequence ? 1 : 0;
    program->data->flood_random = seed * 0x9e3779b97f4a7c15ULL | 1;
    if (const int code = flood_bpf__load(program.get()); code != 0) {
        return system_failure(code, "loading the generator");
    }
    return program;
}

// The nth source of --spread: an odd factor makes a permutation of what the mask leaves,
// and IPv6 sources differ in their /64.
Address spread_source(const Prefix& source, uint32_t n)
{
    const bool ipv4 = source.address.is_ipv4();
    const size_t first = ipv4 ? 12 : 4; // byte of the word
    const uint32_t bits = n * 0x9e3779b1U;
    Address address = source.address;
    for (size_t i = 0; i < 4; i++) {
        const size_t begin = (first + i) * 8;
        const uint32_t mask = begin >= source.length       ? 0xffU
                              : begin + 8 <= source.length ? 0U
                                                           : 0xffU >> (source.length - begin);
        address.bytes[first + i] |= static_cast<uint8_t>(bits >> (24 - 8 * i) & mask);
    }
    return address;
}

Result<> list_sources(const Options& options)
{
    auto source = parse_prefix(options.source);
    if (!source) {
        return source.error();
    }
    for (uint32_t n = 0; n < options.spread; n++) {
        fmt::print("{}\n", to_string(spread_source(*source, n)));
    }
    return Done{};
}

Result<> send(int program, const Bytes& frame, uint32_t ifindex, uint64_t count)
{
    xdp_md context{};
    context.data_end = static_cast<uint32_t>(frame.size());
    context.ingress_ifindex = ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .ctx_in = &context,
                .ctx_size_in = sizeof(context), .repeat = static_cast<int>(count),
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
    const int code = bpf_prog_test_run_opts(program, &opts);
    return code == 0 ? Result<>(Done{}) : system_failure(code, "sending frames");
}

Address random_source(const Prefix& source, std::mt19937_64& random)
{
    Address address = source.address;
    for (size_t bit = source.length; bit < 128; bit++) {
        if (random() % 2 != 0) {
            address.bytes[bit / 8] |= static_cast<uint8_t>(0x80U >> bit % 8);
        }
    }
    return address;
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin)
{
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

void print_sent(const Options& options, uint64_t sent, double seconds)
{
    fmt::print("{{\"kind\": \"{}\", \"sent\": {}, \"seconds\": {:.3f}, \"pps\": {:.0f}, "
               "\"seed\": {}}}\n",
               options.kind, sent, seconds, static_cast<double>(sent) / seconds, options.seed);
}

// Batches hide what a limit does to packets that come one by one.
Result<> send_evenly(const Options& options, const Prefix& source, const Address& destination)
{
    if (options.pps == 0) {
        return failure(ErrorKind::usage, "--even needs --pps");
    }
    const Fd socket_fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(if_nametoindex(options.interface.c_str()));
    if (!socket_fd.valid()) {
        return system_failure(errno, "opening a packet socket");
    }
    const auto macs = macs_of(options.mac, options.interface);
    if (!macs) {
        return macs.error();
    }
    std::mt19937_64 random(options.seed);
    uint64_t sent = 0;
    const auto begin = Clock::now();
    for (double now = 0; options.seconds == 0 || now < options.seconds;
         now = seconds_since(begin)) {
        const auto due = static_cast<uint64_t>(now * static_cast<double>(options.pps));
        while (sent < due && (options.count == 0 || sent < options.count)) {
            const Drawn drawn{static_cast<uint16_t>(1024 + random() % 60000),
                              static_cast<uint32_t>(random()), static_cast<uint32_t>(random())};
            auto made = make_template(options, random_source(source, random), destination, drawn);
            if (!made) {
                return made.error();
            }
            std::copy(macs->begin(), macs->end(), made->frame.begin());
            if (sendto(socket_fd.get(), made->frame.data(), made->frame.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0 &&
                errno != ENOBUFS) {
                return system_failure(errno, "sending");
            }
            sent++;
        }
        if (options.count > 0 && sent >= options.count) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    print_sent(options, sent, seconds_since(begin));
    return Done{};
}

Result<> run(const Options& options)
{
    if (auto done = refuse_outside_lab(options.interface); !done) {
        return done;
    }
    auto source = parse_prefix(options.source);
    auto destination = parse_address(options.destination);
    if (!source || !destination) {
        return source ? destination.error() : source.error();
    }
    if (options.even) {
        return send_evenly(options, *source, *destination);
    }
    auto made = make_template(options, source->address, *destination);
    if (!made) {
        return made.error();
    }
    const auto macs = macs_of(options.mac, options.interface);
    if (!macs) {
        return macs.error();
    }
    std::copy(macs->begin(), macs->end(), made->frame.begin());
    made->frame.resize((made->frame.size() + 7) / 8 * 8); // as padding
    auto program = load(*made, *source, options.seed, options.spread);
    if (!program) {
        return program.error();
    }
    const uint32_t ifindex = if_nametoindex(options.interface.c_str());
    const auto begin = Clock::now();
    const auto elapsed = [begin] { return seconds_since(begin); };
    const uint64_t batch =
        options.pps > 0 ? std::max<uint64_t>(options.pps / 10, 1) : options.batch;
    uint64_t sent = 0;
    while ((options.count == 0 || sent < options.count) &&
           (options.seconds == 0 || elapsed() < options.seconds)) {
        const uint64_t now = options.count > 0 ? std::min(batch, options.count - sent) : batch;
        if (auto done = send(bpf_program__fd((*program)->progs.flood), made->frame, ifindex, now);
            !done) {
            return done;
        }
        sent += now;
        if (options.pps > 0) {
            std::this_thread::sleep_until(
                begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                            static_cast<double>(sent) / static_cast<double>(options.pps))));
        }
    }
    print_sent(options, sent, elapsed());
    return Done{};
}

} // namespace

int main(int argc, char** argv)
{
    Options options;
    CLI::App app("Floods a veth of the lab with spoofed packets.", "flood");
    app.add_option("INTERFACE", options.interface, "veth to send from")->required();
    app.add_option("DESTINATION", options.destination, "address")->required();
    app.add_option("KIND", options.kind, std::string(kinds))->required();
    app.add_option("--mac", options.mac, "of the receiver");
    app.add_option("--source", options.source, "prefix: every bit beyond it is random")->required();
    app.add_option("--port", options.port, "destination port")->capture_default_str();
    app.add_option("--from-port", options.from_port, "source port of UDP (default: random)");
    app.add_option("--count", options.count, "packets");
    app.add_option("--seconds", options.seconds, "or how long");
    app.add_option("--pps", options.pps, "packets per second, 0: as fast as it goes");
    app.add_option("--seed", options.seed, "of the random numbers")->capture_default_str();
    app.add_option("--spread", options.spread, "so many sources, scattered over the prefix");
    app.add_flag("--list", options.list, "print the sources of --spread instead");
    app.add_option("--batch", options.batch, "frames per system call")->capture_default_str();
    app.add_flag("--even", options.even, "at the same distance, not in batches; needs --pps");
    app.add_flag("!--bare", options.options, "SYNs without options");
    CLI11_PARSE(app, argc, argv);
    if (!options.list && options.count == 0 && options.seconds == 0) {
        fmt::print(stderr, "flood: --count or --seconds bounds it\n");
        return 2;
    }
    const auto done = options.list ? list_sources(options) : run(options);
    if (!done) {
        fmt::print(stderr, "flood: {}\n", done.error().message);
        return static_cast<int>(done.error().kind);
    }
    return 0;
}
