// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/services.h"

using namespace xdpctl;

TEST_CASE("a service keeps its slot while it comes and goes")
{
    ServiceSlots slots;
    slots.adopt(7, 443);
    const auto first = slots.follow({80, 443});
    CHECK(first.reset == std::vector<uint8_t>{1});
    CHECK(slots.ports()[1] == 80);
    CHECK(slots.ports()[7] == 443);
    CHECK(slots.follow({22}).reset == std::vector<uint8_t>{2}); // 80 is gone, its slot is kept
    CHECK(slots.follow({22, 80, 443}).reset.empty());
    CHECK(slots.ports()[0] == 0);
}

TEST_CASE("only where no slot is free is that of a service that is gone given away")
{
    ServiceSlots slots;
    std::set<uint16_t> many;
    for (uint16_t port = 1; port < XDPCTL_SERVICES; port++) {
        many.insert(port);
    }
    CHECK(slots.follow(many).reset.size() == XDPCTL_SERVICES - 1);
    many.insert(9000);
    CHECK(slots.follow(many).homeless == std::vector<uint16_t>{9000});
    many.erase(17);
    const auto changes = slots.follow(many);
    CHECK(changes.homeless.empty());
    CHECK(changes.reset == std::vector<uint8_t>{17});
    CHECK(slots.ports()[17] == 9000);
}
