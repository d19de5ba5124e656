// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <tuple>

#include "daemon/geo_sets.h"
#include "geo/database.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

// Databases in memory: networks by code, and how often they were read.
struct FakeFiles {
    std::map<std::string, std::vector<Prefix>> networks;
    std::string stamp = "1";
    bool readable = true;
    int reads = 0;

    GeoSets::Source source()
    {
        return {[this](const std::vector<std::string>&, const GeoBits& bits) -> Result<GeoData> {
                    reads++;
                    if (!readable) {
                        return failure("no such file");
                    }
                    GeoData data;
                    for (const auto& [code, bit] : bits) {
                        for (const Prefix& prefix : networks[code]) {
                            data.networks.push_back({prefix, 1ULL << bit});
                            data.found |= 1ULL << bit;
                        }
                    }
                    data.networks = overlay(std::move(data.networks));
                    return data;
                },
                [this](const std::vector<std::string>&) { return stamp; }};
    }
};

GeoConfig wanting(const GeoRules& rules)
{
    return {{"/db"}, rules};
}

uint64_t codes_seen(const GeoSets::Plan& plan, const Address& address)
{
    return codes_at(plan.data->networks, address);
}

} // namespace

TEST_CASE("codes of countries and AS numbers")
{
    CHECK(parse_geo_code("cn").value() == "CN");
    CHECK(parse_geo_code("AS").value() == "AS"); // American Samoa
    CHECK(parse_geo_code("as4134").value() == "AS4134");
    CHECK(parse_geo_code("AS4294967295").value() == "AS4294967295");
    for (const char* wrong :
         {"", "C", "CHN", "C1", "AS0", "AS01", "AS4294967296", "ASX", "4134", "AS-1", "\xc3\xa9"}) {
        INFO(wrong);
        CHECK_FALSE(parse_geo_code(wrong));
    }
}

TEST_CASE("an overlay says of each address what all networks say together")
{
    std::mt19937 random(7);
    for (int round = 0; round < 200; round++) {
        std::vector<GeoNetwork> networks;
        for (int i = 0; i < 30; i++) {
            const bool ipv4 = random() % 2 == 0;
            Address address = ipv4 ? "10.0.0.0"_ip : "2001:db8::"_ip;
            address.bytes[15] = static_cast<uint8_t>(random());
            const auto length =
                static_cast<uint8_t>(random() % 20 == 0 ? (ipv4 ? 96 : 0) : 120 + random() % 9);
            networks.push_back({network_of(address, length), 1ULL << random() % 4});
        }
        const auto laid = overlay(networks);
        CHECK(std::is_sorted(laid.begin(), laid.end(), [](const auto& a, const auto& b) {
            return std::pair(a.prefix.is_ipv4(), a.prefix) <
                   std::pair(b.prefix.is_ipv4(), b.prefix);
        }));
        for (unsigned probe = 0; probe < 512; probe++) {
            Address address = probe < 256 ? "10.0.0.0"_ip : "2001:db8::"_ip;
            address.bytes[15] = static_cast<uint8_t>(probe);
            uint64_t expected = 0;
            for (const GeoNetwork& network : networks) {
                expected |= network.prefix.contains(address) ? network.codes : 0;
            }
            REQUIRE(codes_at(laid, address) == expected);
        }
    }
}

TEST_CASE("codes keep their bits while any rule asks for them")
{
    const auto first = assign_bits({}, {"CN", "US"}).value();
    const auto second = assign_bits(first, {"AS1", "CN", "DE"}).value();
    CHECK(second.at("CN") == first.at("CN"));
    CHECK(second.at("AS1") != second.at("DE"));
    std::set<std::string> many;
    for (int i = 1; i <= 65; i++) {
        many.insert(fmt::format("AS{}", i));
    }
    CHECK_FALSE(assign_bits({}, many));
    many.erase("AS65");
    CHECK(assign_bits({}, many));
}

TEST_CASE("who is admitted")
{
    CHECK(admits({0, 0}, 0));
    CHECK(admits({0b01, 0}, 0b01));
    CHECK_FALSE(admits({0b01, 0}, 0b10));
    CHECK_FALSE(admits({0b01, 0}, 0)); // unknown to the databases
    CHECK(admits({0, 0b10}, 0));
    CHECK_FALSE(admits({0b01, 0b10}, 0b11)); // closed speaks louder
}

TEST_CASE("databases of every maker say the same, one without a known field is refused")
{
    const std::string directory = fmt::format("/tmp/xdpctl-test-geo-{}", getpid());
    std::filesystem::create_directories(directory);
    for (const auto& [kind, code, codes] :
         {std::tuple("country", "CN", std::set<std::string>{"CN"}),
          {"registered", "CN", {"CN"}},
          {"code", "CN", {"CN"}},
          {"lite", "CN", {"CN", "AS64501"}},
          {"asn", "AS64500", {"AS64500"}},
          {"asn16", "AS64500", {"AS64500"}},
          {"traits", "AS64500", {"AS64500"}},
          {"text", "AS64500", {"AS64500"}},
          {"text", "64500", {"AS64500"}},
          {"city", "CN", {}}}) {
        INFO(kind << " " << code);
        const std::string path = directory + "/" + kind;
        const int made = std::system(
            fmt::format(
                "printf '192.0.2.0/24 {}\\n2001:db8::/32 {}\\n' | {}/tests/harness/mkmmdb.pl "
                "{} {}",
                code, code, SOURCE_DIR, path, kind)
                .c_str());
        if (WIFEXITED(made) && WEXITSTATUS(made) == 77) {
            WARN("SKIPPED: needs MaxMind::DB::Writer (libmaxmind-db-writer-perl)");
            break;
        }
        REQUIRE(made == 0);
        CHECK(read_codes_at({path}, "192.0.2.1"_ip).value() == codes);
        CHECK(read_codes_at({path}, "2001:db8::1"_ip).value() == codes);
        const auto data = read_geo({path}, {{"CN", 0}, {"AS64500", 1}});
        CHECK(data.ok() == !codes.empty());
        if (data) {
            CHECK(codes_at(data->networks, "2001:db8::1"_ip) == (codes.contains("CN") ? 1 : 2));
        } else {
            CHECK_THAT(data.error().message,
                       Catch::Contains(path) &&
                           Catch::Contains("its first record has: city, name"));
        }
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("a record with many ways through its pointers is told in a few words")
{
    using namespace std::string_literals;
    const auto text = [](std::string_view word) {
        return static_cast<char>(0x40 + word.size()) + std::string(word);
    };
    // 2^30 ways: arrays, each of which points twice to the one before it.
    std::string data = "\xa2\0\1"s; // a number of 2 bytes
    size_t last = 0;
    for (int level = 0; level < 30; level++) {
        const std::string pointer = {static_cast<char>(0x20 + (last >> 8)),
                                     static_cast<char>(last & 0xff)};
        last = data.size();
        data += "\x02\x04"s + pointer + pointer;
    }
    const size_t record = data.size();
    data += "\xe2"s + text("many") + static_cast<char>(0x20 + (last >> 8)) +
            static_cast<char>(last & 0xff) + text("more") + text("x");
    const std::string meta =
        "\xe9"s + text("binary_format_major_version") + "\xa1\2" + text("node_count") + "\xc1\1" +
        text("binary_format_minor_version") + "\xa0" + text("build_epoch") + "\1\2\1" +
        text("database_type") + text("T") + text("description") + "\xe0" + text("ip_version") +
        "\xa1\4" + text("languages") + "\1\4" + text("en") + text("record_size") + "\xa1\x18";
    const std::string entry = {0, static_cast<char>((1 + 16 + record) >> 8),
                               static_cast<char>(1 + 16 + record)};
    const std::string path = fmt::format("/tmp/xdpctl-test-geo-{}.mmdb", getpid());
    std::ofstream(path) << entry << entry << std::string(16, '\0') << data
                        << "\xab\xcd\xefMaxMind.com" << meta;
    const auto read = read_geo({path}, {{"CN", 0}});
    std::filesystem::remove(path);
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().message, Catch::EndsWith("its first record has: many"));
}

TEST_CASE("databases are read when a rule needs more than is known")
{
    FakeFiles files;
    files.networks = {{"CN", {"10.0.0.0/8"_net}}, {"US", {"11.0.0.0/8"_net}}};
    GeoSets sets(files.source());
    auto narrow = sets.plan(wanting({{443, {{"CN"}, {}}}}));
    REQUIRE(narrow);
    sets.keep(*narrow);
    CHECK(files.reads == 1);
    CHECK(admits(narrow->rules().at(443), codes_seen(*narrow, "10.1.1.1"_ip)));
    CHECK_FALSE(admits(narrow->rules().at(443), codes_seen(*narrow, "11.1.1.1"_ip)));

    SECTION("another rule for the same codes reads nothing")
    {
        CHECK(sets.plan(wanting({{443, {{"CN"}, {}}}, {80, {{}, {"CN"}}}})));
        CHECK(files.reads == 1);
    }
    SECTION("what is in force keeps its bits until what follows is, then goes")
    {
        auto other = sets.plan(wanting({{443, {{"US"}, {}}}}));
        REQUIRE(other);
        CHECK(other->bits.at("CN") == narrow->bits.at("CN"));
        CHECK(codes_seen(*other, "10.1.1.1"_ip) == codes_seen(*narrow, "10.1.1.1"_ip));
        sets.keep(*other);
        const auto less = sets.shrunk();
        CHECK(less.bits.size() == 1);
        CHECK(codes_seen(less, "10.1.1.1"_ip) == 0);
        CHECK(codes_seen(less, "11.1.1.1"_ip) == codes_seen(*other, "11.1.1.1"_ip));
    }
    SECTION("without a rule nothing stays")
    {
        sets.keep(sets.plan(wanting({})).value());
        CHECK(sets.shrunk().data->networks.empty());
    }
    SECTION("a code that is nowhere is an error")
    {
        const auto wrong = sets.plan(wanting({{443, {{"XX"}, {}}}}));
        REQUIRE_FALSE(wrong);
        CHECK_THAT(wrong.error().message, Catch::Contains("XX is nowhere in /db"));
        CHECK_FALSE(sets.plan({{}, {{443, {{"US"}, {}}}}}));
    }
    SECTION("a new file is read again, with the same bits")
    {
        CHECK_FALSE(sets.is_stale());
        files.networks["CN"] = {"12.0.0.0/8"_net};
        files.stamp = "2";
        CHECK(sets.is_stale());
        const auto again = sets.read_again();
        REQUIRE(again);
        CHECK(again->bits == narrow->bits);
        CHECK(codes_seen(*again, "12.1.1.1"_ip) != 0);
        sets.keep(*again);
        CHECK_FALSE(sets.is_stale());
    }
    SECTION("a bad one leaves what was read, and is not tried again until it changes")
    {
        files.stamp = "2";
        files.networks["CN"].clear();
        const auto again = sets.read_again();
        REQUIRE_FALSE(again);
        sets.failed(again.error().message, files.stamp);
        CHECK_FALSE(sets.is_stale());
        sets.keep(sets.plan(wanting({{443, {{"CN"}, {}}}, {80, {{"CN"}, {}}}})).value());
        CHECK_FALSE(sets.is_stale());
        CHECK_FALSE(sets.problem().empty());
        CHECK(codes_seen(sets.in_force(), "10.1.1.1"_ip) != 0);
        files.networks["CN"] = {"12.0.0.0/8"_net};
        files.stamp = "1"; // the very file that was there before
        CHECK(sets.is_stale());
        sets.keep(sets.read_again().value());
        CHECK(sets.problem().empty());
        CHECK_FALSE(sets.is_stale());
    }
    SECTION("a code that vanishes is passed over where the rule has others")
    {
        const GeoConfig two = wanting({{443, {{"CN", "US"}, {}}}, {80, {{}, {"US"}}}});
        sets.keep(sets.plan(two).value());
        files.networks["US"].clear();
        files.stamp = "2";
        sets.keep(sets.read_again().value());
        CHECK_THAT(sets.problem(), Catch::Contains("US is nowhere"));
        CHECK_FALSE(sets.is_stale());
        GeoSets later(files.source()); // after a restart
        later.adopt(sets.in_force().bits);
        CHECK_FALSE(later.plan(two));
        const auto plan = later.plan_leniently(two);
        REQUIRE(plan);
        CHECK(plan->bits == sets.in_force().bits);
        files.networks["CN"].clear(); // now it would be for nobody
        files.stamp = "3";
        CHECK_FALSE(GeoSets(files.source()).plan_leniently(two));
    }
}

TEST_CASE("rules whose databases cannot be read are suspended until they can")
{
    FakeFiles files;
    files.networks = {{"CN", {"10.0.0.0/8"_net}}};
    files.readable = false;
    GeoSets sets(files.source());
    const GeoConfig wanted = wanting({{443, {{"CN"}, {}}}});
    const auto plan = sets.plan(wanted);
    REQUIRE_FALSE(plan);
    sets.suspend(wanted, plan.error().message);
    const auto suspended = sets.plan(wanted);
    REQUIRE(suspended);
    CHECK(suspended->rules().empty()); // open, not shut
    sets.keep(*suspended);
    CHECK(sets.is_suspended());
    CHECK_FALSE(sets.is_stale());
    CHECK_FALSE(sets.plan(wanting({{80, {{"CN"}, {}}}}))); // the operator is told

    files.readable = true;
    files.stamp = "2";
    CHECK(sets.is_stale());
    sets.keep(sets.read_again().value());
    CHECK_FALSE(sets.is_suspended());
    CHECK(sets.problem().empty());
    CHECK(sets.plan(wanted)->rules().size() == 1);
}
