// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/detector.h"
#include "core/units.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint64_t step = 250 * ns_per_ms;

// Feeds a steady rate for `seconds`; returns how often the source was reported.
size_t reports(RateDetector& detector, double session_pps, double seconds, uint32_t connections = 1)
{
    size_t count = 0;
    for (uint64_t t = 0; t < static_cast<uint64_t>(seconds * 1e9); t += step) {
        const auto sent = static_cast<uint64_t>(session_pps * static_cast<double>(t) / 1e9);
        count +=
            detector.observe({{"192.0.2.1"_ip, sent * 10, sent, connections}}, ns_per_s + t).size();
    }
    return count;
}

} // namespace

TEST_CASE("a source below the rate is never reported, one above soon and once a window")
{
    RateDetector below(1000, 2 * ns_per_s);
    CHECK(reports(below, 900, 60) == 0);
    RateDetector above(1000, 2 * ns_per_s);
    CHECK(reports(above, 1100, 60) >= 20);
    RateDetector far_above(1000, 2 * ns_per_s);
    CHECK(reports(far_above, 100000, 0.8) >= 1); // does not wait for the window's end
}

TEST_CASE("packets that belong to no socket are not held against a source")
{
    RateDetector detector(1000, 2 * ns_per_s);
    for (uint64_t i = 0; i < 100; i++) {
        CHECK(detector.observe({{"192.0.2.1"_ip, i * 1000000, i, 1}}, ns_per_s + i * step).empty());
    }
}

TEST_CASE("a late look is no offence")
{
    RateDetector detector(1000, 2 * ns_per_s);
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 0, 1}}, ns_per_s).empty());
    // 900 packets/s for ten seconds, seen at once.
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 9000, 1}}, 11 * ns_per_s).empty());
}

TEST_CASE("a counter that begins anew is not a burst")
{
    RateDetector detector(1000, 2 * ns_per_s);
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 1000000, 1}}, ns_per_s).empty());
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 10, 1}}, ns_per_s + step).empty());
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 20, 1}}, ns_per_s + 2 * step).empty());
}

TEST_CASE("a source that went away and comes back starts a new window")
{
    RateDetector detector(1000, 2 * ns_per_s);
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 0, 1}}, ns_per_s).empty());
    CHECK(detector.observe({}, 100 * ns_per_s).empty());
    CHECK(detector.observe({{"192.0.2.1"_ip, 0, 1000000, 1}}, 200 * ns_per_s).empty());
}
