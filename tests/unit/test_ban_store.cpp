// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <unordered_map>

#include "dataplane/ban_store.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

struct Memory {
    std::vector<xdpctl_ban_tags> tags;
    std::vector<xdpctl_ban_slot> slots;
    explicit Memory(uint32_t buckets) : tags(buckets), slots(buckets * XDPCTL_BAN_LANES) {}
    BanStore store(uint64_t secret = 1) { return {tags, slots, secret}; }
};

Address nth(uint64_t n)
{
    Address address = n % 2 == 0 ? "10.0.0.0"_ip : "2001:db8::"_ip;
    for (int i = 0; i < 3; i++) {
        address.bytes[static_cast<size_t>(15 - i)] = static_cast<uint8_t>(n >> 1 >> (8 * i));
    }
    return address;
}

xdpctl_ban ban_with(uint64_t deadline)
{
    return {.deadline_ns = deadline, .added_ns = 1, .hits = 0, .origin = 0, .strikes = 0};
}

} // namespace

TEST_CASE("the ban table agrees with a plain map over random adds and removals")
{
    const uint64_t seed = 11;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Memory memory(BanStore::buckets_for(2000));
    BanStore store = memory.store(random());
    std::unordered_map<Address, uint64_t, AddressHash> reference;
    for (int step = 0; step < 200000; step++) {
        const Address address = nth(random() % 4000);
        if (random() % 2 == 0 && reference.size() < 2000) {
            const uint64_t deadline = random();
            REQUIRE(store.put(address, ban_with(deadline)));
            reference[address] = deadline;
        } else {
            REQUIRE(store.erase(address) == (reference.erase(address) > 0));
        }
        const Address probe = nth(random() % 4000);
        const auto found = store.find(probe);
        const auto wanted = reference.find(probe);
        REQUIRE(found.has_value() == (wanted != reference.end()));
        if (found) {
            REQUIRE(found->deadline_ns == wanted->second);
        }
    }
    size_t visited = 0;
    store.for_each([&](const Address& address, const xdpctl_ban& ban) {
        visited++;
        REQUIRE(reference.at(address) == ban.deadline_ns);
    });
    CHECK(visited == reference.size());
}

TEST_CASE("the ban table takes what it is sized for")
{
    const uint64_t seed = 13;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    for (const uint32_t bans : {1U, 100U, 8192U, 131072U, 1048576U}) {
        INFO(bans);
        Memory memory(BanStore::buckets_for(bans));
        CHECK(BanStore::capacity(memory.tags.size()) >= bans);
        BanStore store = memory.store(random());
        size_t placed = 0;
        for (uint32_t i = 0; i < bans; i++) {
            placed += store.put(nth(i), ban_with(i)) ? 1 : 0;
        }
        CHECK(placed == bans);
    }
}

TEST_CASE("a full ban table says so and keeps what it has")
{
    Memory memory(1);
    BanStore store = memory.store();
    uint32_t added = 0;
    while (store.put(nth(added), ban_with(added))) {
        added++;
    }
    CHECK(added == XDPCTL_BAN_LANES);
    for (uint32_t i = 0; i < added; i++) {
        CHECK(store.find(nth(i))->deadline_ns == i);
    }
    CHECK(store.put(nth(3), ban_with(99))); // replacing needs no room
    CHECK(store.find(nth(3))->deadline_ns == 99);
}

TEST_CASE("a replaced ban keeps its hits")
{
    Memory memory(1);
    BanStore store = memory.store();
    REQUIRE(store.put("192.0.2.1"_ip, ban_with(1)));
    memory.slots[7].ban.hits = 5;
    REQUIRE(store.find("192.0.2.1"_ip)->hits == 5);
    REQUIRE(store.put("192.0.2.1"_ip, ban_with(2)));
    CHECK(store.find("192.0.2.1"_ip)->hits == 5);
}
