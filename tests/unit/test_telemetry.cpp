// SPDX-License-Identifier: Apache-2.0
#include "core/units.h"
#include "harness/catch.h"
#include "harness/literals.h"
#include "telemetry/event_log.h"
#include "telemetry/sampler.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

Reading reading_at(uint64_t time_ns, uint64_t dropped)
{
    Reading reading;
    reading.time_ns = time_ns;
    DeviceCounters device;
    device.ifindex = 3;
    device.cells[XDPCTL_IPV4][XDPCTL_EFFECTIVE][XDPCTL_BANNED] = {dropped, dropped * 60};
    device.cells[XDPCTL_IPV6][XDPCTL_EFFECTIVE][XDPCTL_PASSED] = {5, 500};
    device.cells[XDPCTL_IPV6][XDPCTL_WOULD_DROP][XDPCTL_LAND] = {2, 200};
    device.cells[XDPCTL_IPV4][XDPCTL_WOULD_DROP][XDPCTL_SYN_ANSWERED] = {7, 700};
    device.events_lost = 1;
    reading.devices = {device};
    reading.clients = {{"192.0.2.1"_ip, dropped, 1}, {"2001:db8::1"_ip, 0, 2}};
    return reading;
}

xdpctl_event dropped_from(const char* source, uint64_t time_ns)
{
    xdpctl_event event{};
    event.src = parse_address(source)->to_abi();
    event.judgement.time_ns = time_ns;
    event.judgement.reason = XDPCTL_BANNED;
    return event;
}

} // namespace

TEST_CASE("a snapshot adds up and has rates")
{
    Sampler sampler;
    const std::map<uint32_t, std::string> names = {{3, "eth0"}};
    (void)sampler.take(reading_at(ns_per_s, 0), names);
    const Snapshot snapshot = sampler.take(reading_at(2 * ns_per_s, 1000), names);
    CHECK(snapshot.devices.at(0).name == "eth0");
    CHECK(snapshot.received.packets == 1014);
    CHECK(snapshot.of(Outcome::passed).packets == 5);
    CHECK(snapshot.of(Outcome::dropped).packets == 1000);
    CHECK(snapshot.of(Outcome::would_drop).packets == 2);
    CHECK(snapshot.of(Outcome::would_answer).packets == 7); // not "would drop": no client is lost
    CHECK(snapshot.events_lost == 1);
    CHECK(snapshot.of(Outcome::dropped).packets_per_second == Approx(1000));
    CHECK(snapshot.of(Outcome::dropped).bits_per_second == Approx(1000 * 60 * 8));
    REQUIRE(snapshot.clients.size() == 2);
    CHECK(snapshot.clients[0].source == "192.0.2.1"_ip);
    CHECK(snapshot.clients[0].packets_per_second == Approx(1000));
}

TEST_CASE("an interface that was made anew goes on under its name")
{
    Sampler sampler;
    Reading reading = reading_at(ns_per_s, 10);
    reading.devices.push_back(reading.devices[0]);
    reading.devices[1].ifindex = 7;
    const Snapshot snapshot = sampler.take(reading, {{3, "eth0"}, {7, "eth0"}});
    REQUIRE(snapshot.devices.size() == 1);
    CHECK(
        snapshot.devices[0].counters.cells[XDPCTL_IPV4][XDPCTL_EFFECTIVE][XDPCTL_BANNED].packets ==
        20);
    CHECK(snapshot.of(Outcome::dropped).packets == 20);
}

TEST_CASE("counters that begin anew give no negative rate")
{
    Sampler sampler;
    (void)sampler.take(reading_at(ns_per_s, 1000), {});
    const Snapshot snapshot = sampler.take(reading_at(2 * ns_per_s, 10), {});
    CHECK(snapshot.of(Outcome::dropped).packets_per_second == 0);
}

TEST_CASE("the event log keeps the last ones in order")
{
    EventLog log(3);
    for (int i = 1; i <= 5; i++) {
        log.add(1000, "ban", std::to_string(i));
    }
    const auto all = log.since(0);
    REQUIRE(all.size() == 3);
    CHECK(all.front().text == "3");
    CHECK(log.since(4).size() == 1);
    CHECK(log.since(5).empty());
    CHECK(log.last_sequence() == 5);
    for (int i = 0; i < 10; i++) {
        log.add(1000, dropped_from("192.0.2.1", 1));
    }
    CHECK(log.since(0).size() == 6); // a flood does not push decisions out
    CHECK(log.since(0).front().text == "3");
}

TEST_CASE("the most dropped sources of the window come first")
{
    EventLog log(100);
    log.add(0, dropped_from("192.0.2.9", 1));
    for (int i = 0; i < 3; i++) {
        log.add(0, dropped_from("192.0.2.1", 100));
    }
    log.add(0, dropped_from("2001:db8::1", 100));
    const auto top = log.top_dropped(50, 10);
    REQUIRE(top.size() == 2);
    CHECK(top[0].source == "192.0.2.1"_ip);
    CHECK(top[0].share == Approx(0.75));
    CHECK(top[1].source == "2001:db8::1"_ip);
    CHECK(log.top_dropped(50, 1).size() == 1);
}
