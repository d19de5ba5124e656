// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/services.h"
#include "harness/catch.h"

using namespace xdpctl;

namespace
{

using Present = std::map<uint16_t, ServiceRank>;

Present ports(std::initializer_list<uint16_t> list, ServiceRank rank = ServiceRank::other)
{
    Present present;
    for (const uint16_t port : list) {
        present.emplace(port, rank);
    }
    return present;
}

// As many as there are slots.
Present as_many_as_fit(uint16_t first, ServiceRank rank)
{
    Present present;
    for (uint16_t i = 1; i < XDPCTL_SERVICES; i++) {
        present.emplace(static_cast<uint16_t>(first + i - 1), rank);
    }
    return present;
}

bool has(const ServiceSlots& slots, uint16_t port)
{
    return std::count(slots.ports().begin() + 1, slots.ports().end(), port) == 1;
}

} // namespace

TEST_CASE("a service keeps its slot while it comes and goes")
{
    ServiceSlots slots;
    slots.adopt(7, 443);
    const auto first = slots.follow(ports({80, 443}));
    CHECK(first.reset == std::vector<uint8_t>{1});
    CHECK(slots.ports()[1] == 80);
    CHECK(slots.ports()[7] == 443);
    // 80 is gone, its slot is kept
    CHECK(slots.follow(ports({22})).reset == std::vector<uint8_t>{2});
    CHECK(slots.follow(ports({22, 80, 443})).reset.empty());
    CHECK(slots.ports()[0] == 0);
}

TEST_CASE("only where no slot is free is that of a service that is gone given away")
{
    ServiceSlots slots;
    Present many = as_many_as_fit(1, ServiceRank::other);
    CHECK(slots.follow(many).reset.size() == XDPCTL_SERVICES - 1);
    many.emplace(9000, ServiceRank::other);
    CHECK(slots.follow(many).homeless == std::vector<uint16_t>{9000});
    many.erase(17);
    const auto changes = slots.follow(many);
    CHECK(changes.homeless.empty());
    CHECK(changes.reset == std::vector<uint8_t>{17});
    CHECK(slots.ports()[17] == 9000);
}

TEST_CASE("a user who listens everywhere takes no slot from what matters more")
{
    ServiceSlots slots;
    Present present = as_many_as_fit(20000, ServiceRank::other);
    REQUIRE(slots.follow(present).homeless.empty());
    present.emplace(443, ServiceRank::below_1024);
    present.emplace(5432, ServiceRank::system_account);
    present.emplace(30000, ServiceRank::configured);
    present.emplace(40000, ServiceRank::other);
    const auto changes = slots.follow(present);
    CHECK(changes.reset.size() == 3);
    CHECK(changes.homeless.size() == 4); // each of them told once
    CHECK(std::count(changes.homeless.begin(), changes.homeless.end(), 40000) == 1);
    CHECK(has(slots, 443));
    CHECK(has(slots, 5432));
    CHECK(has(slots, 30000));
    CHECK_FALSE(has(slots, 40000)); // of the same rank: who was there first stays
    const auto again = slots.follow(present);
    CHECK(again.reset.empty());
    CHECK(again.homeless == changes.homeless);

    SECTION("what is configured comes before all")
    {
        ServiceSlots full;
        Present low = as_many_as_fit(1, ServiceRank::below_1024);
        REQUIRE(full.follow(low).homeless.empty());
        low.emplace(5432, ServiceRank::system_account);
        CHECK(full.follow(low).homeless == std::vector<uint16_t>{5432});
        low.emplace(8443, ServiceRank::configured);
        CHECK(full.follow(low).reset.size() == 1);
        CHECK(has(full, 8443));
    }
}
