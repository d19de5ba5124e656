// SPDX-License-Identifier: Apache-2.0
// The prefix engine against a plain reference: what the lists say of an address is
// what the data path does.
#include <sys/resource.h>

#include <cstdlib>
#include <random>

#include "bpf/loaded.h"
#include "core/frame.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

using Lists = std::map<uint16_t, ListContent>;

// Who speaks for the address: the list's number, or 0.
struct Speaker {
    uint8_t verdict = XDPCTL_PREFIX_NONE;
    uint16_t list = 0;
    uint64_t deadline_ns = 0;
    int length = -1;
};

bool speaks_before(const Speaker& a, const Speaker& b)
{
    const bool allow_a = a.verdict == XDPCTL_PREFIX_ALLOW;
    const bool allow_b = b.verdict == XDPCTL_PREFIX_ALLOW;
    if (allow_a != allow_b) {
        return allow_a;
    }
    if (!allow_a && a.deadline_ns != b.deadline_ns) {
        return a.deadline_ns > b.deadline_ns;
    }
    return a.length != b.length ? a.length > b.length : a.list < b.list;
}

Speaker speaker_of(const Lists& lists, const Address& address)
{
    Speaker best;
    for (const auto& [list, content] : lists) {
        for (const ListEntry& entry : content.prefixes) {
            if (!entry.prefix.contains(address)) {
                continue;
            }
            const Speaker other{content.verdict, list, entry.deadline_ns, entry.prefix.length};
            if (best.length < 0 || speaks_before(other, best)) {
                best = other;
            }
        }
    }
    return best;
}

std::string expected(const Speaker& speaker, uint64_t now)
{
    if (speaker.verdict == XDPCTL_PREFIX_ALLOW) {
        return fmt::format("allowed by {}", speaker.list);
    }
    return speaker.verdict == XDPCTL_PREFIX_BLOCK && now < speaker.deadline_ns
               ? fmt::format("blocked by {}", speaker.list)
               : "none";
}

struct Engine : Loaded {
    Engine() : Loaded({{}, false, true, ""}) {}

    std::string verdict(const Address& source)
    {
        FrameBuilder frame(source, source.is_ipv4() ? "198.51.100.2"_ip : "2001:db8:ffff::2"_ip);
        const auto judged = plane->judge(frame.udp(1000, 2000).payload(8).build(), 0);
        REQUIRE(judged);
        if (judged->reason == XDPCTL_ALLOWED) {
            return fmt::format("allowed by {}", judged->list);
        }
        return judged->reason == XDPCTL_BLOCKED ? fmt::format("blocked by {}", judged->list)
                                                : "none";
    }
    void set(const Lists& lists)
    {
        std::vector<ListContent> contents;
        for (const auto& [list, content] : lists) {
            contents.push_back(content);
        }
        const auto done = plane->set_lists(contents);
        INFO((done ? "" : done.error().message));
        REQUIRE(done);
    }
};

// Few distinct bits, so that prefixes nest, touch and collide.
Address random_address(std::mt19937_64& random, bool ipv4)
{
    Address address = ipv4 ? "10.0.0.0"_ip : "2001:db8::"_ip;
    for (size_t byte = ipv4 ? 12 : 0; byte < 16; byte++) {
        if (random() % 3 == 0) {
            address.bytes[byte] = static_cast<uint8_t>(
                address.bytes[byte] ^ (random() % 2 == 0 ? random() % 4 : random() % 4 << 6));
        }
    }
    return address;
}

Prefix random_prefix(std::mt19937_64& random, bool ipv4)
{
    Prefix prefix{random_address(random, ipv4), 0};
    const uint64_t most = ipv4 ? 32 : 128;
    const uint64_t length = random() % 4 == 0 ? random() % (most + 1) : most - random() % 17;
    prefix.length = static_cast<uint8_t>(length + (ipv4 ? 96 : 0));
    for (size_t bit = prefix.length; bit < 128; bit++) {
        prefix.address.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
    }
    return prefix;
}

// One of the first, the last and the neighbours of a prefix, or any.
Address random_probe(std::mt19937_64& random, const Lists& lists, bool ipv4)
{
    if (lists.empty() || random() % 4 == 0) {
        return random_address(random, ipv4);
    }
    auto list = lists.begin();
    std::advance(list, static_cast<std::ptrdiff_t>(random() % lists.size()));
    const auto& prefixes = list->second.prefixes;
    if (prefixes.empty()) {
        return random_address(random, ipv4);
    }
    const Prefix prefix = prefixes[random() % prefixes.size()].prefix;
    Address address = prefix.address;
    if (random() % 2 == 0) {
        for (size_t bit = prefix.length; bit < 128; bit++) {
            address.bytes[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
        }
    }
    const int step = static_cast<int>(random() % 3) - 1;
    for (size_t i = 16, carry = 1; step != 0 && carry != 0 && i-- > (prefix.is_ipv4() ? 12 : 0);) {
        address.bytes[i] = static_cast<uint8_t>(address.bytes[i] + step);
        carry = address.bytes[i] == (step > 0 ? 0 : 0xff) ? 1 : 0;
    }
    return address;
}

uint64_t seed_of_this_run()
{
    const char* wanted = std::getenv("XDPCTL_SEED");
    return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 20261122;
}

} // namespace

TEST_CASE("the lists mean what a plain reference says, through any sequence of changes")
{
    const uint64_t seed = seed_of_this_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Engine engine;
    for (int round = 0; round < 100; round++) {
        Lists lists;
        for (uint16_t list = 1; list <= 6; list++) {
            lists[list] = {list, XDPCTL_PREFIX_BLOCK, {}};
        }
        engine.set(lists);
        for (int step = 0; step < 30; step++) {
            const auto list = static_cast<uint16_t>(1 + random() % 6);
            ListContent& content = lists[list];
            content.list = list;
            content.verdict = list == 1 ? XDPCTL_PREFIX_ALLOW : XDPCTL_PREFIX_BLOCK;
            auto& prefixes = content.prefixes;
            for (uint64_t i = random() % 8; i > 0 && !prefixes.empty(); i--) {
                prefixes.erase(prefixes.begin() +
                               static_cast<std::ptrdiff_t>(random() % prefixes.size()));
            }
            for (uint64_t i = random() % (step == 0 ? 200 : 8); i > 0; i--) {
                const uint64_t deadlines[] = {engine.now - 1, engine.now + 1, engine.now + 2};
                const bool timed = list == XDPCTL_LIST_BANS && random() % 2 == 0;
                prefixes.push_back({random_prefix(random, random() % 2 == 0),
                                    timed ? deadlines[random() % 3] : XDPCTL_NO_DEADLINE});
            }
            engine.set(lists);
            for (int i = 0; i < 300; i++) {
                const Address address = random_probe(random, lists, random() % 2 == 0);
                INFO("round " << round << ", step " << step << ", " << to_string(address));
                REQUIRE(engine.verdict(address) ==
                        expected(speaker_of(lists, address), engine.now));
            }
        }
    }
}

TEST_CASE("the edges of the address space, duplicates and mixed families")
{
    Engine engine;
    Lists lists;
    lists[5] = {5, XDPCTL_PREFIX_BLOCK, {{"0.0.0.0/0"_net, XDPCTL_NO_DEADLINE}}};
    engine.set(lists);
    CHECK(engine.verdict("255.255.255.255"_ip) == "blocked by 5");
    CHECK(engine.verdict("0.0.0.1"_ip) == "blocked by 5");
    CHECK(engine.verdict("2001:db8::1"_ip) == "none"); // one family does not speak for another
    lists[6] = {6, XDPCTL_PREFIX_BLOCK, {{"::/0"_net, XDPCTL_NO_DEADLINE}}};
    lists[1] = {1,
                XDPCTL_PREFIX_ALLOW,
                {{"255.255.255.255"_net, XDPCTL_NO_DEADLINE},
                 {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"_net, XDPCTL_NO_DEADLINE},
                 {"::"_net, XDPCTL_NO_DEADLINE}}};
    engine.set(lists);
    CHECK(engine.verdict("2001:db8::1"_ip) == "blocked by 6");
    CHECK(engine.verdict("255.255.255.255"_ip) == "allowed by 1");
    CHECK(engine.verdict("255.255.255.254"_ip) == "blocked by 5");
    CHECK(engine.verdict("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"_ip) == "allowed by 1");
    CHECK(engine.verdict("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"_ip) == "blocked by 6");
    CHECK(engine.verdict("::"_ip) == "allowed by 1");
    // The same prefix twice in one list, and in two: one entry, the lower list speaks.
    lists[7] = {
        7,
        XDPCTL_PREFIX_BLOCK,
        {{"192.0.2.0/24"_net, XDPCTL_NO_DEADLINE}, {"192.0.2.0/24"_net, XDPCTL_NO_DEADLINE}}};
    lists[8] = lists[7];
    lists[8].list = 8;
    engine.set(lists);
    CHECK(engine.verdict("192.0.2.9"_ip) == "blocked by 7");
    for (const ListUsage& usage : *engine.plane->lists()) {
        if (usage.list == 7 || usage.list == 8) {
            CHECK(usage.prefixes[0] == 1);
        }
    }
    lists[7].prefixes.clear();
    engine.set(lists);
    CHECK(engine.verdict("192.0.2.9"_ip) == "blocked by 8");
}

// The kernel refuses new maps where no descriptor is left.
class NoDescriptors
{
  public:
    NoDescriptors()
    {
        REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const rlimit none{0, before_.rlim_max};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
};

TEST_CASE("lists that the kernel has no room for change nothing")
{
    const uint64_t seed = seed_of_this_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Engine engine;
    Lists lists;
    for (uint16_t list = 1; list <= 6; list++) {
        lists[list] = {
            list, static_cast<uint8_t>(list == 1 ? XDPCTL_PREFIX_ALLOW : XDPCTL_PREFIX_BLOCK), {}};
        for (int i = 0; i < 40; i++) {
            const uint64_t deadline =
                i % 3 == 0 && list != 1 ? engine.now + random() % 5 * ns_per_s : XDPCTL_NO_DEADLINE;
            lists[list].prefixes.push_back({random_prefix(random, i % 2 == 0), deadline});
        }
    }
    engine.set(lists);
    for (int round = 0; round < 20; round++) {
        // So much that the tables must be built anew, and other times for what is there.
        Lists wanted = lists;
        for (auto& [list, content] : wanted) {
            for (ListEntry& entry : content.prefixes) {
                if (entry.deadline_ns != XDPCTL_NO_DEADLINE) {
                    entry.deadline_ns += ns_per_s;
                }
            }
            content.prefixes.resize(random() % content.prefixes.size());
        }
        for (uint32_t i = 0; i < 12000; i++) {
            Address address = "10.0.0.0"_ip;
            address.bytes[13] = static_cast<uint8_t>(i >> 8);
            address.bytes[14] = static_cast<uint8_t>(i);
            wanted[5].prefixes.push_back({{address, 128}});
        }
        std::vector<ListContent> contents;
        for (const auto& [list, content] : wanted) {
            contents.push_back(content);
        }
        Result<> refused = Done{};
        {
            const NoDescriptors none;
            refused = engine.plane->set_lists(contents);
        }
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, Catch::Contains("Too many open files"));
        for (int probe = 0; probe < 200; probe++) {
            const Address address =
                random_probe(random, probe % 2 == 0 ? lists : wanted, probe % 4 < 2);
            INFO(to_string(address));
            REQUIRE(engine.verdict(address) == expected(speaker_of(lists, address), engine.now));
        }
        // What follows is not disturbed by it.
        lists[6].prefixes.push_back({random_prefix(random, round % 2 == 0), XDPCTL_NO_DEADLINE});
        engine.set({{6, lists[6]}});
        for (int probe = 0; probe < 200; probe++) {
            const Address address =
                random_probe(random, probe % 2 == 0 ? lists : wanted, probe % 4 < 2);
            INFO(to_string(address));
            REQUIRE(engine.verdict(address) == expected(speaker_of(lists, address), engine.now));
        }
    }
    engine.set(lists);
    for (int probe = 0; probe < 500; probe++) {
        const Address address = random_probe(random, lists, probe % 2 == 0);
        REQUIRE(engine.verdict(address) == expected(speaker_of(lists, address), engine.now));
    }
}

TEST_CASE("a packet counts for the list that spoke, and for no other")
{
    Engine engine;
    engine.set({{5, {5, XDPCTL_PREFIX_BLOCK, {{"192.0.2.0/24"_net, XDPCTL_NO_DEADLINE}}}},
                {6, {6, XDPCTL_PREFIX_BLOCK, {{"2001:db8:6::/48"_net, XDPCTL_NO_DEADLINE}}}},
                {1, {1, XDPCTL_PREFIX_ALLOW, {{"192.0.2.9"_net, XDPCTL_NO_DEADLINE}}}}});
    const auto send = [&](const Address& source, int count) {
        const Bytes frame =
            FrameBuilder(source, source.is_ipv4() ? "198.51.100.2"_ip : "2001:db8::2"_ip)
                .udp(1, 2)
                .payload(50)
                .build();
        for (int i = 0; i < count; i++) {
            REQUIRE(engine.plane->run(frame));
        }
        return frame.size();
    };
    const size_t bytes = send("192.0.2.1"_ip, 7);
    send("2001:db8:6::1"_ip, 3);
    send("192.0.2.9"_ip, 2);
    send("203.0.113.1"_ip, 4);
    std::map<uint16_t, xdpctl_cell> met;
    for (const ListUsage& usage : *engine.plane->lists()) {
        met[usage.list] = usage.met;
    }
    CHECK(met[5].packets == 7);
    CHECK(met[5].bytes == 7 * bytes);
    CHECK(met[6].packets == 3);
    CHECK(met[1].packets == 2);
}

TEST_CASE("a million prefixes of each family, added and taken away")
{
    constexpr size_t count = 1'000'000;
    const uint64_t seed = seed_of_this_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Engine engine;
    ListContent feed{9, XDPCTL_PREFIX_BLOCK, {}};
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = random();
        Prefix prefix{i % 2 == 0 ? "0.0.0.0"_ip : "2000::"_ip, 128};
        for (size_t byte = 0; byte < 4; byte++) {
            prefix.address.bytes[(i % 2 == 0 ? 12 : 1) + byte] =
                static_cast<uint8_t>(bits >> 8 * byte);
        }
        if (i % 2 == 1) {
            prefix.length = 40;
        } else if (i % 4 == 0) {
            prefix.length = 96 + 24;
            prefix.address.bytes[15] = 0;
        }
        feed.prefixes.push_back({prefix, XDPCTL_NO_DEADLINE});
    }
    engine.set({{9, feed}});
    const auto probe = [&](const Prefix& prefix, const std::string& wanted) {
        REQUIRE(engine.verdict(prefix.address) == wanted);
    };
    for (size_t i = 0; i < count; i += 97) {
        probe(feed.prefixes[i].prefix, "blocked by 9");
    }
    // Few changes, in place: others are as they were.
    const std::vector<ListEntry> gone(feed.prefixes.end() - 200, feed.prefixes.end());
    feed.prefixes.resize(count - 200);
    std::set<Prefix> left;
    for (const ListEntry& entry : feed.prefixes) {
        left.insert(entry.prefix);
    }
    engine.set({{9, feed}});
    for (const ListEntry& entry : gone) {
        Prefix wider = entry.prefix; // a host may lie in a /24 that stays
        if (wider.is_ipv4()) {
            wider.address.bytes[15] = 0;
            wider.length = 96 + 24;
        }
        probe(entry.prefix,
              left.contains(entry.prefix) || left.contains(wider) ? "blocked by 9" : "none");
    }
    for (size_t i = 0; i < count - 200; i += 911) {
        probe(feed.prefixes[i].prefix, "blocked by 9");
    }
    const uint64_t full = engine.plane->list_bytes();
    feed.prefixes.clear();
    engine.set({{9, feed}});
    probe(gone[0].prefix, "none");
    CHECK(engine.plane->list_bytes() < full / 4); // and the memory is given back
}
