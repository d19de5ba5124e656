// SPDX-License-Identifier: Apache-2.0
#include <random>

#include "core/units.h"
#include "daemon/ban_file.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("bans are read as they were written, on another clock")
{
    const Clocks before = {5000 * ns_per_s, 1'700'000'000};
    const Clocks after = {300 * ns_per_s, 1'700'000'100}; // booted again 100 s later
    const BanReasons reasons({"jail sshd"});
    const std::vector<BanEntry> bans = {
        {"192.0.2.1"_ip, {XDPCTL_NO_DEADLINE, 0, 7, XDPCTL_BAN_FAIL2BAN, 0, 1}},
        {"2001:db8::1"_ip, {before.now_ns + 250 * ns_per_s, 0, 8, XDPCTL_BAN_HEURISTIC, 3}},
        {"192.0.2.3"_ip, {before.now_ns - 50 * ns_per_s, 0, 0, XDPCTL_BAN_HEURISTIC, 2}},
        {"192.0.2.4"_ip, {1, 0, 0, XDPCTL_BAN_OPERATOR, 1, 0, XDPCTL_BAN_FORCED}}};
    const auto read = decode_bans(encode_bans(bans, reasons, before), after);
    REQUIRE(read);
    REQUIRE(read->size() == 4);
    CHECK(read->at(0).entry.source == "192.0.2.1"_ip);
    CHECK(read->at(0).entry.ban.deadline_ns == XDPCTL_NO_DEADLINE);
    CHECK(read->at(0).entry.ban.hits == 7);
    CHECK(read->at(0).entry.ban.origin == XDPCTL_BAN_FAIL2BAN);
    CHECK(read->at(0).reason == "jail sshd");
    CHECK(read->at(1).reason.empty());
    CHECK(read->at(1).entry.source == "2001:db8::1"_ip);
    CHECK(read->at(1).entry.ban.deadline_ns == after.now_ns + 150 * ns_per_s);
    CHECK(read->at(1).entry.ban.origin == XDPCTL_BAN_HEURISTIC);
    CHECK(read->at(1).entry.ban.strikes == 3);
    CHECK(read->at(2).entry.ban.deadline_ns == after.now_ns - 150 * ns_per_s);
    CHECK(read->at(3).entry.ban.deadline_ns == 1); // over since before the boot
    CHECK(read->at(3).entry.ban.origin == XDPCTL_BAN_OPERATOR);
    CHECK(read->at(3).entry.ban.flags == XDPCTL_BAN_FORCED);
    CHECK(read->at(0).entry.ban.flags == 0);
}

TEST_CASE("a clock that is not set yet makes no ban longer")
{
    const Clocks before = {5000 * ns_per_s, 1'700'000'000};
    const Clocks after = {20 * ns_per_s, 100};
    const BanReasons reasons;
    const std::vector<BanEntry> bans = {
        {"192.0.2.1"_ip, {before.now_ns + 600 * ns_per_s, 0, 0, XDPCTL_BAN_HEURISTIC, 1}}};
    const auto read = decode_bans(encode_bans(bans, reasons, before), after);
    REQUIRE(read);
    CHECK(read->at(0).entry.ban.deadline_ns == after.now_ns + 600 * ns_per_s);
}

TEST_CASE("a clock that was ahead once loses no ban when it is right again")
{
    const Clocks ahead = {5000 * ns_per_s, 1'900'000'000};
    const Clocks right = {20 * ns_per_s, 1'800'000'000};
    const std::vector<BanEntry> bans = {
        {"192.0.2.1"_ip, {ahead.now_ns + 600 * ns_per_s, 0, 0, XDPCTL_BAN_OPERATOR, 1}}};
    const auto read = decode_bans(encode_bans(bans, {}, ahead), right);
    REQUIRE(read);
    CHECK(read->at(0).entry.ban.deadline_ns > right.now_ns + 600 * ns_per_s);
}

TEST_CASE("damaged files of bans are refused, whatever is damaged")
{
    const uint64_t seed = 20261122;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const Clocks clocks = {5000 * ns_per_s, 1'700'000'000};
    std::vector<BanEntry> bans;
    for (int i = 0; i < 20; i++) {
        Address address = "192.0.2.0"_ip;
        address.bytes[15] = static_cast<uint8_t>(i);
        bans.push_back({address, {clocks.now_ns + random() % ns_per_s, 0, random() % 9, 0, 0}});
    }
    const std::string text = encode_bans(bans, {}, clocks);
    REQUIRE(decode_bans(text, clocks)->size() == 20);
    for (size_t i = 0; i < text.size(); i++) {
        INFO("byte " << i);
        CHECK_FALSE(decode_bans(text.substr(0, i), clocks));
        std::string flipped = text;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << random() % 7));
        CHECK_FALSE(decode_bans(flipped, clocks));
    }
    CHECK_FALSE(decode_bans(text + "x", clocks));
}
