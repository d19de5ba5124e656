// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <vector>

#include "core/limits.h"
#include "core/units.h"
#include "harness/catch.h"

using namespace xdpctl;

TEST_CASE("rates are read and written as people say them")
{
    CHECK(parse_rate("10000pps").value() == Rate{10000, 0});
    CHECK(parse_rate("10kpps 200Mbit").value() == Rate{10000, 200000000});
    CHECK(parse_rate("  1Gbit   5Mpps ").value() == Rate{5000000, 1000000000});
    CHECK(parse_rate("none").value() == Rate{});
    for (const char* wrong : {"", "5", "pps", "0pps", "-1pps", "1.5kpps", "5pps 6pps", "5pp",
                              "none 5pps", "99999999999999999999bit", "2000Gbit"}) {
        INFO(wrong);
        CHECK_FALSE(parse_rate(wrong));
    }
    CHECK(to_string(Rate{}) == "none");
    CHECK(to_string(Rate{10000, 0}) == "10.0kpps");
    CHECK(to_string(Rate{0, 200000000}) == "200Mbit");
}

TEST_CASE("a limit is what was set, else the peak with its headroom, else a floor")
{
    LimitsConfig config;
    Peaks peaks{};
    const Limits floor = limits_of(config, peaks);
    const Limit& service = floor[XDPCTL_LIMIT_UDP][XDPCTL_LEVEL_SERVICE];
    CHECK(service.origin == RateOrigin::floor);
    CHECK(service.rate.packets_per_second > 0);

    peaks[XDPCTL_LIMIT_UDP] = {500000, 0};
    const Limits grown = limits_of(config, peaks);
    CHECK(grown[XDPCTL_LIMIT_UDP][XDPCTL_LEVEL_SERVICE].rate.packets_per_second == 2000000);
    CHECK(grown[XDPCTL_LIMIT_UDP][XDPCTL_LEVEL_SERVICE].origin == RateOrigin::measured);
    // One peer may be all of a host's traffic.
    CHECK(grown[XDPCTL_LIMIT_UDP][XDPCTL_LEVEL_SOURCE].rate.packets_per_second == 1000000);
    CHECK(grown[XDPCTL_LIMIT_UDP][XDPCTL_LEVEL_SERVICE].rate.bits_per_second ==
          service.rate.bits_per_second);
    CHECK(grown[XDPCTL_LIMIT_ICMP_ECHO] == floor[XDPCTL_LIMIT_ICMP_ECHO]);

    // What has no limit in bits gets none from peacetime either.
    peaks[XDPCTL_LIMIT_ORPHAN] = {1, 8000};
    const Limits orphan = limits_of(config, peaks);
    CHECK(orphan[XDPCTL_LIMIT_ORPHAN] == floor[XDPCTL_LIMIT_ORPHAN]);

    config.set[{XDPCTL_LIMIT_UDP, XDPCTL_LEVEL_SERVICE}] = {7, 0};
    const Limits set = limits_of(config, peaks);
    CHECK(set[XDPCTL_LIMIT_UDP][XDPCTL_LEVEL_SERVICE] == Limit{{7, 0}, RateOrigin::configured});
    config.enabled = false;
    for (const auto& levels : limits_of(config, peaks)) {
        for (const Limit& limit : levels) {
            CHECK(limit.rate == Rate{});
        }
    }
}

namespace
{

Baseline::Counts counts(uint64_t packets)
{
    Baseline::Counts all{};
    all[XDPCTL_LIMIT_UDP] = {packets, packets * 100};
    return all;
}

uint64_t udp_peak(const Baseline& baseline)
{
    return baseline.peaks()[XDPCTL_LIMIT_UDP].packets_per_second;
}

} // namespace

TEST_CASE("peacetime is learned at once while nothing is enforced, slowly otherwise")
{
    Baseline baseline;
    uint64_t now = ns_per_s;
    uint64_t packets = 1000;
    const auto run = [&](uint64_t per_second, uint64_t seconds, bool calm, bool learning) {
        for (uint64_t s = 0; s < seconds; s++) {
            now += ns_per_s;
            packets += per_second;
            baseline.observe(now, counts(packets), calm, learning);
        }
    };
    run(300000, 60, true, true);
    CHECK(udp_peak(baseline) == 300000);
    CHECK(baseline.peaks()[XDPCTL_LIMIT_UDP].bits_per_second == 300000ULL * 800);
    run(1000, 600, true, true);
    CHECK(udp_peak(baseline) == 300000);
    // An hour's attack below the limits, in enforce mode: a tenth.
    run(900000, 3600, true, false);
    CHECK(udp_peak(baseline) > 300000);
    CHECK(udp_peak(baseline) < 300000 * 1.12);
    // One that is held teaches nothing.
    const uint64_t before = udp_peak(baseline);
    run(900000, 3600, false, false);
    CHECK(udp_peak(baseline) <= before);
    CHECK(udp_peak(baseline) > before * 0.99);
    // In monitor mode what a limit would hold teaches slowly: it may be an attack.
    run(9000000, 3600, false, true);
    CHECK(udp_peak(baseline) < before * 3);
    // A machine that enforces from its first day learns up to what changes no limit.
    baseline = Baseline();
    run(90000, 60, true, false);
    CHECK(udp_peak(baseline) < 13000);
    // Counters that begin anew are no flood.
    packets = 0;
    run(0, 20, true, false);
    CHECK(udp_peak(baseline) < 13000);
    // What does not come again is forgotten: to a third in a month.
    baseline = Baseline();
    run(300000, 60, true, true);
    const auto days = [&](int count) {
        for (int hour = 0; hour < 24 * count; hour++) {
            now += 3600 * ns_per_s;
            packets += 3600ULL * 1000;
            baseline.observe(now, counts(packets), true, true);
        }
    };
    days(7);
    CHECK(udp_peak(baseline) > 230000);
    days(83);
    CHECK(udp_peak(baseline) < 20000);
}

namespace
{

// One level of the sketch, as bpf/stage_limit.h asks it.
struct Sketch {
    std::vector<__u64> buckets = std::vector<__u64>(XDPCTL_BUCKETS);
    xdpctl_limit limit;
    uint64_t seed = 0;

    bool take(uint64_t key, uint64_t now_ns)
    {
        const uint64_t hash = xdpctl_bucket_hash(key, key * 31, seed);
        __u64& a = buckets[xdpctl_bucket_index(hash, 0)];
        __u64& b = buckets[xdpctl_bucket_index(hash, 1)];
        const uint64_t debt = xdpctl_bucket_debt(a, b, now_ns);
        if (debt > limit.burst_ns) {
            return false;
        }
        xdpctl_bucket_take(&a, &b, now_ns + debt + xdpctl_packet_cost(&limit, 100));
        return true;
    }
};

// Share of 2000 honest sources' packets that is held, each well below its limit, while
// `strangers` others send one packet each within a second.
double held_beside(uint32_t strangers, uint64_t seed)
{
    std::mt19937_64 random(seed);
    Sketch sketch;
    sketch.limit = compile_limit({1000, 0}, XDPCTL_LIMIT_UDP);
    sketch.seed = random();
    constexpr uint32_t honest = 2000;
    constexpr uint64_t packets_each = 20;
    const uint64_t total = strangers + honest * packets_each;
    uint64_t held = 0;
    uint64_t asked = 0;
    for (uint64_t i = 0; i < total; i++) {
        const uint64_t now = 1000 * ns_per_s + i * ns_per_s / total;
        if (random() % total < strangers) {
            sketch.take(random(), now);
        } else {
            asked++;
            held += sketch.take(random() % honest, now) ? 0 : 1;
        }
    }
    return static_cast<double>(held) / static_cast<double>(asked);
}

} // namespace

TEST_CASE("honest sources are not held beside 1, 10 and 100 times as many strangers as buckets")
{
    constexpr uint64_t seed = 20261122;
    INFO("seed " << seed);
    CHECK(held_beside(XDPCTL_BUCKET_ROW, seed) == 0);
    CHECK(held_beside(10 * XDPCTL_BUCKET_ROW, seed) == 0);
    CHECK(held_beside(100 * XDPCTL_BUCKET_ROW, seed) == 0);
}

TEST_CASE("the sketch keeps a heavy source to its rate among many others")
{
    constexpr uint64_t seed = 7;
    std::mt19937_64 random(seed);
    Sketch sketch;
    sketch.limit = compile_limit({10000, 0}, XDPCTL_LIMIT_UDP);
    uint64_t passed = 0;
    constexpr uint64_t packets = 1000000; // 100,000/s for ten seconds
    for (uint64_t i = 0; i < packets; i++) {
        const uint64_t now = 1000 * ns_per_s + i * ns_per_s / 100000;
        passed += sketch.take(42, now) ? 1 : 0;
        sketch.take(random(), now);
    }
    const double rate = static_cast<double>(passed) / 10;
    INFO("seed " << seed);
    CHECK(rate > 10000 * 0.99);
    CHECK(rate < 10000 * 1.03); // the burst of a quarter second is part of it
}

// Two CPUs that read before either stores lose the cost of one packet. The bound: so
// many times the limit as CPUs collide at every packet; what is usual is far below.
TEST_CASE("CPUs that collide let through too much, by as much as they collide, never too little")
{
    constexpr uint64_t seed = 20261122;
    INFO("seed " << seed);
    for (const uint32_t collide_percent : {0U, 1U, 10U, 100U}) {
        std::mt19937_64 random(seed);
        xdpctl_limit limit = compile_limit({100000, 0}, XDPCTL_LIMIT_UDP);
        __u64 a = 0;
        __u64 b = 0;
        uint64_t passed = 0;
        constexpr uint64_t pairs = 1000000; // each CPU: 1,000,000/s for a second
        for (uint64_t i = 0; i < pairs; i++) {
            const uint64_t now = 1000 * ns_per_s + i * 1000;
            uint64_t debt = xdpctl_bucket_debt(a, b, now);
            for (int cpu = 0; cpu < 2; cpu++) {
                if (debt <= limit.burst_ns) {
                    xdpctl_bucket_take(&a, &b, now + debt + xdpctl_packet_cost(&limit, 100));
                    passed++;
                }
                if (random() % 100 >= collide_percent) {
                    debt = xdpctl_bucket_debt(a, b, now); // the other one sees the store
                }
            }
        }
        const double exact = 100000 * 1.25; // with the burst of a quarter second
        INFO(collide_percent << " % collide: passed " << passed << ", exact " << exact);
        CHECK(static_cast<double>(passed) >= exact * 0.999);
        CHECK(static_cast<double>(passed) <= exact * (1.001 + collide_percent / 100.0));
    }
}
