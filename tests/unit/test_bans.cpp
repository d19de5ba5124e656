// SPDX-License-Identifier: Apache-2.0
#include "core/bans.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint64_t hour = 3600 * ns_per_s;

xdpctl_ban ban_until(uint64_t deadline, uint32_t strikes)
{
    return {.deadline_ns = deadline,
            .added_ns = 0,
            .hits = 0,
            .origin = XDPCTL_BAN_HEURISTIC,
            .strikes = strikes};
}

} // namespace

TEST_CASE("good behaviour forgives one strike at a time, beginning when the ban ends")
{
    const xdpctl_ban ban = ban_until(10 * hour, 3);
    CHECK(strikes_left(ban, 0) == 3);
    CHECK(strikes_left(ban, 10 * hour) == 3);
    CHECK(strikes_left(ban, 11 * hour) == 2);
    CHECK(strikes_left(ban, 13 * hour) == 0);
    CHECK(strikes_left(ban, 99 * hour) == 0);
    CHECK_FALSE(is_forgotten(ban, 12 * hour));
    CHECK(is_forgotten(ban, 13 * hour));
    CHECK_FALSE(is_forgotten(ban_until(XDPCTL_NO_DEADLINE, 0), 99 * hour));
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
