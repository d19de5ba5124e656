// SPDX-License-Identifier: Apache-2.0
// What the data path costs: nanoseconds per packet over an empty program
// (BPF_PROG_TEST_RUN) and live frames through a veth pair as a ratio to a bare
// XDP_DROP. Run it as root in a network namespace of its own (scripts/bench).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <random>

#include <nlohmann/json.hpp>

#include "core/config.h"
#include "core/frame.h"
#include "core/reasons.h"
#include "dataplane/bpf_dataplane.h"

using namespace xdpctl;

namespace
{

constexpr uint32_t repeat = 1'000'000;
constexpr int rounds = 9;
constexpr uint64_t seed = 20261122;
constexpr const char* sender = "bench-tx";
constexpr const char* receiver = "bench-rx";

template <typename T> T must(Result<T> result)
{
    if (!result) {
        fmt::print(stderr, "bench: {}\n", result.error().message);
        std::exit(1);
    }
    return std::move(*result);
}

Address addr(const char* text)
{
    return must(parse_address(text));
}

// An XDP program that only returns `action`.
Fd bare_program(int action)
{
    const bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = action},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    };
    Fd fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "bare", "GPL", insns, std::size(insns), nullptr));
    if (!fd.valid()) {
        must(Result<>(system_failure(errno, "loading a bare program")));
    }
    return fd;
}

double run_once(int program, const Bytes& frame)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = repeat);
    if (const int code = bpf_prog_test_run_opts(program, &opts); code != 0) {
        must(Result<>(system_failure(code, "running a program")));
    }
    return opts.duration;
}

struct Row {
    std::string name;
    std::string reason;
    double ns = 0;      // median
    double over_ns = 0; // over the bare program of the same action, pairwise
    double aim_ns = 0;  // 0: none
};

// Ours and the bare program take turns, so that a drift of the machine's speed
// meets both.
Row measure(const std::string& name, BpfDataplane& plane, int program, int bare, const Bytes& frame,
            double aim_ns)
{
    Row row{name, "", 0, 0, aim_ns};
    row.reason = reason_info(must(plane.judge(frame, 0)).reason).name;
    std::vector<double> costs;
    std::vector<double> over;
    for (int i = 0; i < rounds; i++) {
        const double ours = run_once(program, frame);
        const double empty = run_once(bare, frame);
        costs.push_back(ours);
        over.push_back(ours - empty);
    }
    std::nth_element(costs.begin(), costs.begin() + rounds / 2, costs.end());
    std::nth_element(over.begin(), over.begin() + rounds / 2, over.end());
    row.ns = costs[rounds / 2];
    row.over_ns = over[rounds / 2];
    return row;
}

PolicySpec policy_with(size_t prefixes, std::mt19937_64& random)
{
    PolicySpec spec;
    spec.mode = XDPCTL_MODE_ENFORCE;
    spec.samples_per_second = 200;
    spec.host.services = {{1, 80, true, XDPCTL_GUARD_AUTO, false, 1024}}; // in peace
    if (prefixes == 0) {
        return spec;
    }
    spec.allow = {must(parse_prefix("192.0.2.0/24")), must(parse_prefix("2001:db8:a::/48"))};
    spec.block.push_back({must(parse_prefix("203.0.113.0/24")), XDPCTL_NO_DEADLINE});
    for (size_t i = 1; i < prefixes; i++) {
        // /24s below 100.0.0.0/6, away from the addresses that are asked.
        const uint64_t bits = random();
        const std::array<uint8_t, 4> bytes = {static_cast<uint8_t>(100 + (bits & 3)),
                                              static_cast<uint8_t>(bits >> 8),
                                              static_cast<uint8_t>(bits >> 16), 0};
        spec.block.push_back({{Address::from_ipv4(bytes.data()), 120}, XDPCTL_NO_DEADLINE});
    }
    return spec;
}

void fill_bans(BpfDataplane& plane, size_t count, std::mt19937_64& random)
{
    std::vector<BanEntry> entries;
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = random();
        const std::array<uint8_t, 4> bytes = {10, static_cast<uint8_t>(bits),
                                              static_cast<uint8_t>(bits >> 8),
                                              static_cast<uint8_t>(bits >> 16)};
        entries.push_back({Address::from_ipv4(bytes.data()),
                           {.deadline_ns = XDPCTL_NO_DEADLINE,
                            .added_ns = 0,
                            .hits = 0,
                            .origin = 0,
                            .strikes = 0}});
    }
    for (const char* text : {"198.51.100.66", "2001:db8::66"}) {
        entries.push_back({addr(text),
                           {.deadline_ns = XDPCTL_NO_DEADLINE,
                            .added_ns = 0,
                            .hits = 0,
                            .origin = 0,
                            .strikes = 0}});
    }
    must(plane.ban(entries));
}

Bytes tcp(const char* src, const char* dst, uint8_t flags)
{
    return FrameBuilder(addr(src), addr(dst)).tcp(40000, 80, flags).payload(20).build();
}

Bytes udp(const char* src, const char* dst, uint16_t sport, uint16_t dport)
{
    return FrameBuilder(addr(src), addr(dst)).udp(sport, dport).payload(20).build();
}

template <typename Add> void measure_volumetric(BpfDataplane& plane, std::mt19937_64& random,
                                                const Fd& pass, const Fd& drop, Add add)
{
    constexpr uint16_t service = 4433;
    PolicySpec spec = policy_with(0, random);
    spec.reflectors = reflectors_of({});
    spec.host.udp_services = {{false, service}, {true, service}};
    LimitsConfig roomy; // every level is asked, and none refuses
    for (size_t level = 0; level < XDPCTL_LIMIT_LEVEL_COUNT; level++) {
        for (size_t c = 0; c < XDPCTL_LIMIT_CLASS_COUNT; c++) {
            roomy.set[{c, level}] = {1'000'000'000, 0};
        }
    }
    spec.host.limits = limits_of(roomy, {});
    must(plane.commit(compile_policy(spec, 1)));
    const auto both = [&](const std::string& name, const Fd& bare, uint16_t sport, uint16_t dport,
                          double aim) {
        add(name + ", IPv4", bare, udp("203.0.113.9", "198.51.100.2", sport, dport), aim);
        add(name + ", IPv6", bare, udp("2001:db8:9::9", "2001:db8::2", sport, dport), aim);
    };
    both("reflected to a service (no lookup)", drop, 53, service, 25);
    both("reflected to a port without socket (lookup)", drop, 53, 40000, 25);
    both("UDP to a port without socket (lookup)", drop, 5000, 40000, 0);
    both("UDP to a service, five levels with room", pass, 5000, service, 30);
    spec.host.limits = limits_of({}, {});
    must(plane.commit(compile_policy(spec, 1)));
    both("UDP to a service, its source limited", drop, 5000, service, 30);
}

// A service that is for some only: of the country, of another, of none that is known.
template <typename Add> void measure_geo(BpfDataplane& plane, std::mt19937_64& random,
                                         const Fd& pass, const Fd& drop, Add add)
{
    PolicySpec spec = policy_with(0, random);
    spec.geo[80] = {1, 0};
    spec.host.services.front().guard = XDPCTL_GUARD_OFF;
    ListContent countries{XDPCTL_LIST_GEO, XDPCTL_PREFIX_GEO, {}};
    for (const auto& [text, codes] : {std::pair("203.0.113.0/24", 1U),
                                      {"198.18.0.0/15", 2U},
                                      {"2001:db8:9::/48", 1U},
                                      {"2001:db8:8::/48", 2U}}) {
        countries.prefixes.push_back({must(parse_prefix(text)), XDPCTL_NO_DEADLINE, codes});
    }
    const auto both = [&](const std::string& name, const Fd& bare, const char* ipv4,
                          const char* ipv6) {
        add(name + ", IPv4", bare, tcp(ipv4, "198.51.100.2", tcp_syn), 0);
        add(name + ", IPv6", bare, tcp(ipv6, "2001:db8::2", tcp_syn), 0);
    };
    must(plane.set_lists({&countries, 1}));
    PolicySpec without = spec;
    without.geo.clear();
    must(plane.commit(compile_policy(without, 1)));
    both("SYN to a service without a rule", pass, "203.0.113.9", "2001:db8:9::9");
    must(plane.commit(compile_policy(spec, 1)));
    both("SYN of the country that the service is for", pass, "203.0.113.9", "2001:db8:9::9");
    both("SYN of another country", drop, "198.18.0.9", "2001:db8:8::9");
    both("SYN of no country that is named", drop, "192.0.2.9", "2001:db8:7::9");
}

std::vector<Row> measure_stages(BpfObject& object, BpfDataplane& plane, std::mt19937_64& random)
{
    const Fd pass = bare_program(2);
    const Fd drop = bare_program(1);
    const Bytes arp = FrameBuilder(addr("198.51.100.1"), addr("198.51.100.2"))
                          .ether_type(0x0806)
                          .payload(18)
                          .build();
    const Bytes clean4 = tcp("198.51.100.1", "198.51.100.2", tcp_ack);
    const Bytes clean6 = tcp("2001:db8::1", "2001:db8::2", tcp_ack);
    const Bytes null4 = tcp("198.51.100.1", "198.51.100.2", 0);
    std::vector<Row> rows;
    const auto add = [&](const std::string& name, const Fd& bare, const Bytes& frame,
                         double aim = 0) {
        rows.push_back(measure(name, plane, object.program(), bare.get(), frame, aim));
        fmt::print(stderr, "\r\033[K{}", name);
    };
    must(plane.set_own_addresses({addr("198.51.100.2"), addr("2001:db8::2")}));
    must(plane.commit(compile_policy(policy_with(0, random), 1)));
    add("not IP (parse only)", pass, arp);
    add("clean TCP, IPv4, empty lists", pass, clean4, 40);
    add("clean TCP, IPv6, empty lists", pass, clean6, 40);

    fill_bans(plane, 100000, random);
    must(plane.commit(compile_policy(policy_with(1000, random), 1)));
    add("clean TCP, IPv4, 1,000 prefixes, 100,000 bans", pass, clean4, 40);
    add("clean TCP, IPv6, 1,000 prefixes, 100,000 bans", pass, clean6, 40);
    must(plane.seed_client(addr("198.51.100.1"), 1));
    must(plane.seed_client(addr("2001:db8::1"), 1));
    add("same, a known client, IPv4", pass, clean4, 40);
    add("same, a known client, IPv6", pass, clean6, 40);
    add("allowed prefix, IPv4", pass, tcp("192.0.2.1", "198.51.100.2", tcp_ack));
    add("allowed prefix, IPv6", pass, tcp("2001:db8:a::1", "2001:db8::2", tcp_ack));
    add("blocked prefix of 1,000, IPv4", drop, tcp("203.0.113.1", "198.51.100.2", tcp_ack));
    add("banned source of 100,000, IPv4", drop, tcp("198.51.100.66", "198.51.100.2", tcp_ack), 15);
    add("banned source of 100,000, IPv6", drop, tcp("2001:db8::66", "2001:db8::2", tcp_ack), 15);
    must(plane.commit(compile_policy(policy_with(0, random), 1)));
    add("banned source, no prefixes, IPv4", drop, tcp("198.51.100.66", "198.51.100.2", tcp_ack),
        15);
    add("banned source, no prefixes, IPv6", drop, tcp("2001:db8::66", "2001:db8::2", tcp_ack), 15);
    add("TCP without flags (sanity)", drop, null4);
    measure_geo(plane, random, pass, drop, add);
    measure_volumetric(plane, random, pass, drop, add);
    return rows;
}

// --- live -------------------------------------------------------------------

struct LiveRow {
    std::string name;
    double mpps = 0;
    double ratio = 0; // to the bare drop, pairwise
};

// Sends `frames` frames out of the sender and returns million packets per second.
double blast(int generator, const Bytes& frame, uint32_t frames)
{
    xdp_md context{};
    context.data_end = static_cast<uint32_t>(frame.size());
    context.ingress_ifindex = if_nametoindex(sender);
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .ctx_in = &context,
                .ctx_size_in = sizeof(context), .repeat = static_cast<int>(frames),
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
    const auto begin = std::chrono::steady_clock::now();
    if (const int code = bpf_prog_test_run_opts(generator, &opts); code != 0) {
        must(Result<>(system_failure(code, "sending live frames")));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    return frames / took.count() / 1e6;
}

void attach_to(const char* device, int program)
{
    const int ifindex = static_cast<int>(if_nametoindex(device));
    bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, nullptr);
    if (const int code = bpf_xdp_attach(ifindex, program, XDP_FLAGS_DRV_MODE, nullptr); code != 0) {
        must(Result<>(system_failure(code, fmt::format("attaching to {}", device))));
    }
}

std::vector<LiveRow> measure_live(BpfObject& object)
{
    constexpr uint32_t frames = 2'000'000;
    constexpr int live_rounds = 5;
    const Fd transmit = bare_program(3);
    const Fd drop = bare_program(1);
    const Fd pass = bare_program(2);
    attach_to(sender, pass.get()); // XDP_TX out of a veth needs a program there
    const std::vector<std::pair<std::string, Bytes>> floods = {
        {"banned source, IPv4", tcp("198.51.100.66", "198.51.100.2", tcp_syn)},
        {"banned source, IPv6", tcp("2001:db8::66", "2001:db8::2", tcp_syn)},
        {"TCP without flags", tcp("198.51.100.1", "198.51.100.2", 0)}};
    std::vector<LiveRow> rows = {{"bare XDP_DROP", 0, 1}};
    for (const auto& [name, frame] : floods) {
        std::vector<double> ratios;
        std::vector<double> ours;
        for (int i = 0; i < live_rounds; i++) {
            attach_to(receiver, drop.get());
            const double bare = blast(transmit.get(), frame, frames);
            attach_to(receiver, object.program());
            ours.push_back(blast(transmit.get(), frame, frames));
            ratios.push_back(ours.back() / bare);
            rows.front().mpps = std::max(rows.front().mpps, bare);
        }
        std::sort(ratios.begin(), ratios.end());
        std::sort(ours.begin(), ours.end());
        rows.push_back({name, ours[live_rounds / 2], ratios[live_rounds / 2]});
    }
    return rows;
}

void print(const std::vector<Row>& rows, const std::vector<LiveRow>& live)
{
    fmt::print("{:<48} {:<16} {:>8} {:>11} {:>7}\n", "PACKET", "REASON", "NS", "OVER EMPTY", "AIM");
    for (const Row& row : rows) {
        const std::string aim = row.aim_ns > 0 ? fmt::format("{:.0f}{}", row.aim_ns,
                                                             row.over_ns <= row.aim_ns ? "" : " !")
                                               : "";
        fmt::print("{:<48} {:<16} {:>8.1f} {:>11.1f} {:>7}\n", row.name, row.reason, row.ns,
                   row.over_ns, aim);
    }
    fmt::print("\n{:<48} {:>8} {:>18}\n", "LIVE VETH, ONE CORE SENDS AND RECEIVES", "MPPS",
               "OF BARE XDP_DROP");
    for (const LiveRow& row : live) {
        fmt::print("{:<48} {:>8.2f} {:>17.2f}x\n", row.name, row.mpps, row.ratio);
    }
}

} // namespace

int main(int argc, char** argv)
{
    std::mt19937_64 random(seed);
    auto object = must(BpfObject::open({}));
    must(object->load());
    auto plane = must(BpfDataplane::create(*object));
    for (const uint32_t ifindex : {1U, if_nametoindex(receiver)}) { // test runs come from lo
        must(plane->register_device(ifindex));
    }
    const auto rows = measure_stages(*object, *plane, random);
    const auto live = measure_live(*object);
    fmt::print(stderr, "\r\033[K");
    print(rows, live);
    nlohmann::json out = {{"seed", seed},
                          {"stages", nlohmann::json::array()},
                          {"live", nlohmann::json::array()},
                          {"schema_version", 1}};
    for (const Row& row : rows) {
        out["stages"].push_back({{"packet", row.name},
                                 {"reason", row.reason},
                                 {"ns", row.ns},
                                 {"over_empty_ns", row.over_ns},
                                 {"aim_ns", row.aim_ns}});
    }
    for (const LiveRow& row : live) {
        out["live"].push_back({{"flood", row.name}, {"mpps", row.mpps}, {"ratio", row.ratio}});
    }
    if (argc > 1) {
        FILE* file = std::fopen(argv[1], "w");
        if (file == nullptr) {
            must(Result<>(system_failure(errno, argv[1])));
        }
        fmt::print(file, "{}\n", out.dump(2));
        std::fclose(file);
    }
    return 0;
}
