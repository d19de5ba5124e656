// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <netinet/in.h>

#include "harness/catch.h"
#include "harness/literals.h"
#include "replay/clock.h"
#include "replay/evidence.h"
#include "replay/report.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("expectations")
{
    CHECK(parse_expectation("drop>=98%")->holds(98, 100));
    CHECK_FALSE(parse_expectation("drop>=98%")->holds(97, 100));
    CHECK(parse_expectation(" drop <= 0.1 % ")->holds(1, 1000));
    CHECK(parse_expectation("tcp_null>=10 packets")->holds(10, 1000));
    CHECK(parse_expectation("tcp_null>=10")->holds(10, 1000)); // of a reason: packets
    CHECK_FALSE(parse_expectation("tcp_null>10")->holds(10, 1000));
    CHECK(parse_expectation("tcp_null==1%")->holds(10, 1000));
    CHECK(parse_expectation("pass<5packets")->holds(4, 10));
    CHECK(parse_expectation("pass == 1 packet")->holds(1, 10));
    for (const char* over_nothing : {"drop>=98%", "drop<=0.1%", "pass==0 packets", "tcp_null>=0"}) {
        INFO(over_nothing);
        CHECK_FALSE(parse_expectation(over_nothing)->holds(0, 0));
    }
    for (const char* wrong :
         {"", "drop", "drop>=", "drop>=x", "drop=>5%", "nonsense>=5", "drop>=-1%", "held>98",
          "drop<=1", "pass==0", "held>=198%", "drop>100%", "drop<0%", "tcp_null<0", "drop>=nan%",
          "drop>=inf packets", "tcp_null>=1.5", "tcp_null>=5 apples", "drop>=0x10%"}) {
        INFO(wrong);
        const auto parsed = parse_expectation(wrong);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().kind == ErrorKind::usage);
    }
    CHECK_THAT(parse_expectation("held>98").error().message,
               Catch::Contains("'98%'") && Catch::Contains("'98 packets'"));
}

TEST_CASE("a report answers for totals and reasons, and CI can read it")
{
    ReplayReport report;
    report.file = "a<b>\x01\xff.pcap";
    report.frames = report.judged = 10;
    report.dropped = 4;
    report.packets[XDPCTL_TCP_NULL] = 3;
    CHECK(report.metric("drop") == 4);
    CHECK(report.metric("pass") == 6);
    CHECK(report.metric("tcp_null") == 3);
    report.cut = "the file ends inside a record, after frame 10";
    const Check failed = check(report, *parse_expectation("drop>=50%"));
    CHECK_FALSE(failed.holds);
    const std::string junit = to_junit(
        {report}, {{"gone.pcap", failure(ErrorKind::not_found, "gone.pcap: no such file")}},
        {failed});
    CHECK_THAT(junit, Catch::Contains("a&lt;b&gt; \xef\xbf\xbd.pcap: drop&gt;=50%"));
    CHECK_THAT(junit, Catch::Contains("tests=\"3\" failures=\"1\" errors=\"1\""));
    CHECK_THAT(junit, Catch::Contains("<failure message=\"4 packets, 40.000%\"/>"));
    CHECK_THAT(junit, Catch::Contains("<error type=\"not_found\" message=\"gone.pcap: no such "
                                      "file\"/>"));
    CHECK_THAT(junit, Catch::Contains("<system-out>cut: the file ends inside a record"));
    CHECK(to_json(report)["cut"] == report.cut);
}

TEST_CASE("an expectation over nothing fails and says why")
{
    ReplayReport report;
    CHECK_THAT(check(report, *parse_expectation("drop<=1%")).why,
               Catch::Contains("holds no packet"));
    report.frames = report.outgoing = 5;
    report.protects = "192.0.2.1";
    const Check outgoing = check(report, *parse_expectation("drop<=1%"));
    CHECK_FALSE(outgoing.holds);
    CHECK_THAT(outgoing.why, Catch::Contains("5 come from the protected side (192.0.2.1)"));
}

TEST_CASE("what rests on a socket that a capture cannot show satisfies no expectation")
{
    ReplayReport report;
    report.one_way = true;
    report.frames = report.judged = 100;
    report.dropped = 100;
    report.packets[XDPCTL_UDP_NO_SOCKET] = report.drops[XDPCTL_UDP_NO_SOCKET] = 90;
    report.packets[XDPCTL_TCP_NULL] = report.drops[XDPCTL_TCP_NULL] = 10;
    const auto holds = [&report](const char* text) {
        return check(report, *parse_expectation(text)).holds;
    };
    CHECK(holds("drop>=98%"));
    report.unproven[XDPCTL_UDP_NO_SOCKET] = 90;
    const Check held = check(report, *parse_expectation("held>=98%"));
    CHECK_FALSE(held.holds);
    CHECK_THAT(held.why, Catch::Contains("udp_no_socket 90") && Catch::Contains("--service") &&
                             Catch::Contains("--assume closed"));
    CHECK_FALSE(holds("udp_no_socket>=90 packets"));
    CHECK_FALSE(holds("pass<=5%")); // nor by what would not pass
    CHECK(holds("held>=10%"));      // what is beyond doubt is enough
    CHECK(holds("tcp_null==10 packets"));
    CHECK_FALSE(holds("drop<=50%"));
}

TEST_CASE("evidence of answers is by address and protocol")
{
    Evidence evidence;
    CHECK(evidence.is_one_way());
    evidence.from_protected({"192.0.2.1"_ip, "198.51.100.1"_ip, IPPROTO_TCP, 0, true, 80, 1});
    evidence.from_protected({"2001:db8::1"_ip, "2001:db8::2"_ip, IPPROTO_ICMPV6, 0, false, 0, 0});
    CHECK_FALSE(evidence.is_one_way());
    CHECK(evidence.shows_answers("192.0.2.1"_ip, IPPROTO_TCP));
    CHECK(evidence.shows_answers("192.0.2.1"_ip, IPPROTO_ICMP)); // an error about its TCP
    CHECK_FALSE(evidence.shows_answers("192.0.2.1"_ip, IPPROTO_UDP));
    CHECK_FALSE(evidence.shows_answers("192.0.2.2"_ip, IPPROTO_TCP));
    CHECK(evidence.shows_answers("2001:db8::1"_ip, IPPROTO_UDP)); // port unreachable
    CHECK_FALSE(evidence.shows_answers("2001:db8::1"_ip, IPPROTO_TCP));
}

namespace
{

// The clock over these stamps, as in the two passes of a replay.
struct Run {
    std::vector<uint64_t> times_ns;
    CaptureClock::Adjusted adjusted;
    double seconds() const { return static_cast<double>(times_ns.back() - times_ns.front()) / 1e9; }
};

Run run_clock(const std::vector<uint64_t>& stamps)
{
    StampSurvey survey;
    for (const uint64_t stamp : stamps) {
        survey.see(stamp);
    }
    CaptureClock clock;
    clock.begin_file(survey.plan());
    Run run;
    for (const uint64_t stamp : stamps) {
        run.times_ns.push_back(clock.advance(stamp));
    }
    run.adjusted = clock.adjusted();
    CHECK(std::is_sorted(run.times_ns.begin(), run.times_ns.end()));
    return run;
}

constexpr uint64_t base = 1'700'000'000 * ns_per_s;
constexpr uint64_t ms = ns_per_s / 1000;
constexpr uint64_t hour = 3600 * ns_per_s;

// 20,000 packets in 0.2 s.
std::vector<uint64_t> flood_stamps(uint64_t begin = base)
{
    std::vector<uint64_t> stamps;
    for (uint64_t i = 0; i < 20000; i++) {
        stamps.push_back(begin + i * 10'000);
    }
    return stamps;
}

} // namespace

TEST_CASE("the capture's clock follows the greatest stamp")
{
    auto stamps = flood_stamps();
    const Run ordered = run_clock(stamps);
    CHECK(ordered.seconds() == Approx(0.2).margin(0.001));
    CHECK(ordered.adjusted.total() == 0);
    CHECK(ordered.times_ns.front() == CaptureClock::start_ns);
    for (size_t i = 1; i < stamps.size(); i += 2) {
        stamps[i] -= ms;
    }
    const Run mixed = run_clock(stamps);
    CHECK(mixed.seconds() == Approx(0.2).margin(0.001));
    CHECK(mixed.adjusted.early == 10000);
}

TEST_CASE("broken stamps neither stop the clock nor make it run away")
{
    const auto with = [](std::initializer_list<std::pair<size_t, uint64_t>> broken) {
        auto stamps = flood_stamps();
        for (const auto& [at, stamp] : broken) {
            stamps[at] = stamp;
        }
        return run_clock(stamps).seconds();
    };
    const auto about = Approx(0.2).margin(0.02);
    CHECK(with({{7000, base + 3 * hour}}) == about);
    CHECK(with({{7000, base - 3 * hour}}) == about);
    CHECK(with({{0, base + 3 * hour}}) == about);
    CHECK(with({{0, 1}}) == about);
    CHECK(with({{19999, base + 3 * hour}}) == about);
    CHECK(with({{7000, base + 3 * hour}, {7001, base + 5 * hour}, {9000, 77}}) == about);
    CHECK(with({{7000, UINT64_MAX}, {7001, 0}}) == about);
    CHECK(with({{7000, base + 10 * ns_per_s}, {7100, base + 20 * ns_per_s}}) == about);
    // A hundred in a row, and every second one: a clock that is ahead.
    auto stamps = flood_stamps();
    for (size_t i = 7000; i < 7100; i++) {
        stamps[i] += 3 * hour;
    }
    CHECK(run_clock(stamps).seconds() == about);
    stamps = flood_stamps();
    for (size_t i = 1; i < stamps.size(); i += 2) {
        stamps[i] += 3 * hour;
    }
    CHECK(run_clock(stamps).seconds() == about);
    // A clock that is set back, or a capture behind another: it goes on.
    stamps = flood_stamps();
    const auto earlier = flood_stamps(base - 5 * hour);
    stamps.insert(stamps.end(), earlier.begin(), earlier.end());
    CHECK(run_clock(stamps).seconds() == Approx(0.4).margin(0.02));
}

TEST_CASE("pauses of a capture are time")
{
    auto stamps = flood_stamps();
    const auto later = flood_stamps(base + 3 * hour);
    stamps.insert(stamps.end(), later.begin(), later.end());
    CHECK(run_clock(stamps).seconds() == Approx(3 * 3600 + 0.2).margin(0.1));
    std::vector<uint64_t> idle;
    for (uint64_t i = 0; i < 500; i++) {
        idle.push_back(base + i * 300 * ns_per_s); // a packet every five minutes
    }
    CHECK(run_clock(idle).seconds() == Approx(499 * 300));
    idle.insert(idle.begin() + 250, base + 900 * hour); // and one broken stamp
    CHECK(run_clock(idle).seconds() == Approx(499 * 300).margin(601));
    CHECK(run_clock({base, base + 10 * ns_per_s}).seconds() == Approx(10));
}

TEST_CASE("a capture without times has those of a steady sender")
{
    for (const uint64_t stamp : {uint64_t{0}, base}) {
        const Run run = run_clock(std::vector<uint64_t>(1001, stamp));
        CHECK(run.seconds() == Approx(1000.0 / CaptureClock::fallback_packets_per_second));
        CHECK(run.adjusted.no_stamp == 1001);
    }
    StampSurvey survey;
    survey.see(base);
    CaptureClock clock;
    clock.begin_file(survey.plan());
    CHECK(clock.advance(base) == CaptureClock::start_ns);
    const uint64_t end = clock.now_ns();
    clock.begin_file(survey.plan()); // a second file goes on there
    CHECK(clock.advance(base - hour) == end);
}
