// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/bans.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint64_t minute = 60 * ns_per_s;
constexpr uint64_t hour = 60 * minute;

xdpctl_ban ban_until(uint64_t deadline, uint32_t strikes)
{
    return {.deadline_ns = deadline,
            .added_ns = 0,
            .hits = 0,
            .origin = XDPCTL_BAN_HEURISTIC,
            .strikes = strikes};
}

} // namespace

TEST_CASE("the time to live doubles up to its maximum")
{
    CHECK(escalated_ttl(0, minute, hour) == minute);
    CHECK(escalated_ttl(1, minute, hour) == 2 * minute);
    CHECK(escalated_ttl(5, minute, hour) == 32 * minute);
    CHECK(escalated_ttl(6, minute, hour) == hour);
    CHECK(escalated_ttl(4000, minute, hour) == hour);
}

TEST_CASE("good behaviour forgives one strike at a time, beginning when the ban ends")
{
    const xdpctl_ban ban = ban_until(10 * hour, 3);
    CHECK(strikes_left(ban, 0, hour) == 3);
    CHECK(strikes_left(ban, 10 * hour, hour) == 3);
    CHECK(strikes_left(ban, 11 * hour, hour) == 2);
    CHECK(strikes_left(ban, 13 * hour, hour) == 0);
    CHECK(strikes_left(ban, 99 * hour, hour) == 0);
    CHECK_FALSE(is_forgotten(ban, 12 * hour, hour));
    CHECK(is_forgotten(ban, 13 * hour, hour));
    CHECK_FALSE(is_forgotten(ban_until(XDPCTL_NO_DEADLINE, 0), 99 * hour, hour));
}

TEST_CASE("an offender is banned longer each time")
{
    const HeuristicsConfig config;
    const std::vector<Offender> offenders = {{"192.0.2.1"_ip, 1e6}};
    BanTable table;
    uint64_t now = hour;
    auto orders = decide_bans(offenders, table, {}, config, now);
    REQUIRE(orders.size() == 1);
    CHECK(orders[0].ban.deadline_ns == now + config.ban_ttl_ns);
    CHECK(orders[0].ban.strikes == 1);
    table["192.0.2.1"_ip] = orders[0].ban;

    CHECK(decide_bans(offenders, table, {}, config, now + 1).empty()); // still banned

    now = orders[0].ban.deadline_ns;
    orders = decide_bans(offenders, table, {}, config, now);
    REQUIRE(orders.size() == 1);
    CHECK(orders[0].ban.deadline_ns == now + 2 * config.ban_ttl_ns);
    CHECK(orders[0].ban.strikes == 2);
}

TEST_CASE("reasons of bans keep their numbers, and give way when nobody uses them")
{
    BanReasons reasons;
    const auto none = [] { return std::set<uint32_t>{}; };
    CHECK(reasons.number_of("", none) == 0);
    const uint32_t first = reasons.number_of("ssh\nbrute force", none);
    CHECK(reasons.text_of(first) == "ssh?brute force");
    CHECK(reasons.number_of("ssh\nbrute force", none) == first);
    std::set<uint32_t> used = {first};
    for (int i = 0; i < 5000; i++) {
        used.insert(reasons.number_of(fmt::format("reason {}", i), [&used] { return used; }));
    }
    CHECK(reasons.text_of(first) == "ssh?brute force");
    CHECK(used.contains(0)); // no room for all that are in use
    const uint32_t late = reasons.number_of("late", [first] { return std::set{first}; });
    CHECK(reasons.text_of(late) == "late");
    CHECK(reasons.text_of(first) == "ssh?brute force");
    CHECK(reasons.text_of(77777).empty());
    CHECK(BanReasons::clean(std::string(500, 'x')).size() == BanReasons::text_most);
}

TEST_CASE("a network is banned where enough of its hosts are")
{
    CrowdedNetworks networks;
    networks.watch("192.0.2.9"_ip);
    networks.watch("2001:db8::9"_ip);
    networks.watch("2001:db8:0:1::9"_ip);
    for (int i = 0; i < 128; i++) {
        Address host = "192.0.2.0"_ip;
        host.bytes[15] = static_cast<uint8_t>(i);
        networks.add(host, static_cast<uint64_t>(i == 0 ? 1'000'000 : 1000 + i));
        host.bytes[14] = 3; // nobody was banned there now
        networks.add(host, 5);
        if (i < 32) {
            Address near = "2001:db8::"_ip;
            near.bytes[15] = static_cast<uint8_t>(i);
            networks.add(near, 5);
            near.bytes[7] = static_cast<uint8_t>(i + 1); // each in a /64 of its own
            networks.add(near, 5);
        }
    }
    const auto half = networks.above(50);
    REQUIRE(half.size() == 2);
    CHECK(half[0].prefix == "192.0.2.0/24"_net);
    CHECK(half[0].hosts == 128);
    CHECK(half[0].deadline_ns == 1001); // until so many of them are free
    CHECK(half[1].prefix == "2001:db8::/64"_net);
    CHECK(networks.above(51).empty());
    const auto some = networks.above(10);
    REQUIRE(some.size() == 2);
    CHECK(some[0].deadline_ns == 1103); // 26 hosts hold longer than one that holds for ever
}
