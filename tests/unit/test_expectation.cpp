// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "replay/clock.h"
#include "replay/report.h"

using namespace xdpctl;

TEST_CASE("expectations")
{
    CHECK(parse_expectation("drop>=98%")->holds(98, 100));
    CHECK_FALSE(parse_expectation("drop>=98%")->holds(97, 100));
    CHECK(parse_expectation(" drop <= 0.1 % ")->holds(1, 1000));
    CHECK(parse_expectation("tcp_null>=10")->holds(10, 1000));
    CHECK_FALSE(parse_expectation("tcp_null>10")->holds(10, 1000));
    CHECK(parse_expectation("pass<5")->holds(4, 10));
    CHECK(parse_expectation("pass==5")->holds(5, 10));
    CHECK_FALSE(parse_expectation("drop>=98%")->holds(0, 0)); // nothing judged proves nothing
    for (const char* wrong :
         {"", "drop", "drop>=", "drop>=x", "drop=>5", "nonsense>=5", "drop>=-1"}) {
        INFO(wrong);
        CHECK_FALSE(parse_expectation(wrong));
    }
}

TEST_CASE("a report answers for totals and reasons, and CI can read it")
{
    ReplayReport report;
    report.file = "a<b>.pcap";
    report.judged = 10;
    report.dropped = 4;
    report.packets[XDPCTL_TCP_NULL] = 3;
    CHECK(report.metric("drop") == 4);
    CHECK(report.metric("pass") == 6);
    CHECK(report.metric("tcp_null") == 3);
    const Check failed = check(report, *parse_expectation("drop>=50%"));
    CHECK_FALSE(failed.holds);
    const std::string junit = to_junit({report}, {failed});
    CHECK_THAT(junit, Catch::Contains("a&lt;b&gt;.pcap: drop&gt;=50%"));
    CHECK_THAT(junit, Catch::Contains("tests=\"2\" failures=\"1\""));
    CHECK_THAT(junit, Catch::Contains("<failure message=\"4 packets, 40.000%\"/>"));
}

TEST_CASE("the capture's clock neither stands still at zero nor runs back")
{
    constexpr uint64_t step = ns_per_s / CaptureClock::fallback_packets_per_second;
    CaptureClock clock;
    CHECK(clock.advance(5 * ns_per_s) == CaptureClock::start_ns);
    CHECK(clock.advance(6 * ns_per_s) == CaptureClock::start_ns + ns_per_s);
    CHECK(clock.advance(6 * ns_per_s) == CaptureClock::start_ns + ns_per_s);
    CHECK(clock.advance(3 * ns_per_s) == CaptureClock::start_ns + ns_per_s + step); // backward
    CHECK(clock.advance(0) == CaptureClock::start_ns + ns_per_s + 2 * step);
    CHECK(clock.adjusted() == 2);
    clock.begin_file();
    CHECK(clock.advance(1) == CaptureClock::start_ns + ns_per_s + 2 * step);
}
