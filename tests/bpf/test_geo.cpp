// SPDX-License-Identifier: Apache-2.0
// Services for some countries and AS numbers only, and what is read of real databases.
#include <cstdlib>
#include <fstream>
#include <random>

#include "bpf/loaded.h"
#include "core/frame.h"
#include "daemon/geo_sets.h"
#include "geo/database.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint8_t syn = 0x02;
constexpr uint8_t ack = 0x10;
constexpr uint64_t cn = 1;
constexpr uint64_t as64500 = 2;

struct GeoLab : Loaded {
    GeoLab() : Loaded({{}, false, true, ""})
    {
        spec.geo[443] = {cn, as64500};
        spec.host.udp_services = {{false, 443}, {true, 443}, {false, 80}, {true, 80}};
        commit();
        networks({{"11.1.0.0/16"_net, cn},
                  {"11.1.2.0/24"_net, cn | as64500},
                  {"2001:db8:1::/48"_net, cn},
                  {"2001:db8:1:5::/64"_net, cn | as64500}});
    }
    void networks(const std::vector<GeoNetwork>& all)
    {
        GeoData data;
        data.networks = all;
        const ListContent content = content_of(data);
        const auto done = plane->set_lists({&content, 1});
        INFO((done ? "" : done.error().message));
        REQUIRE(done);
    }
    std::string tcp(const char* source, uint16_t port, uint8_t flags = syn)
    {
        return run(from(source).tcp(1000, port, flags).build()).reason;
    }
    std::string udp(const char* source, uint16_t port)
    {
        return run(from(source).udp(1000, port).payload(8).build()).reason;
    }
    static FrameBuilder from(const char* source)
    {
        const Address address = parse_address(source).value();
        return {address, address.is_ipv4() ? "192.0.2.1"_ip : "2001:db8:ffff::2"_ip};
    }
};

// Skips aloud where there is no writer.
std::optional<std::string> make_database(const char* kind, const std::string& lines)
{
    static int number = 0;
    const std::string path = fmt::format("/tmp/xdpctl-geo.{}.{}.mmdb", getpid(), number++);
    const std::string input = path + ".txt";
    std::ofstream(input) << lines;
    const int status = std::system(
        fmt::format("{}/tests/harness/mkmmdb.pl {} {} < {}", SOURCE_DIR, path, kind, input)
            .c_str());
    std::remove(input.c_str());
    if (WEXITSTATUS(status) == 77) {
        WARN("SKIPPED: needs MaxMind::DB::Writer (libmaxmind-db-writer-perl)");
        return std::nullopt;
    }
    REQUIRE(status == 0);
    return path;
}

} // namespace

TEST_CASE("a service is for some countries, and closed for an AS number")
{
    GeoLab lab;
    for (const auto& [source, inside] : {std::pair("11.1.1.1", true),
                                         {"11.1.2.1", false},
                                         {"11.2.1.1", false},
                                         {"2001:db8:1::1", true},
                                         {"2001:db8:1:5::1", false},
                                         {"2001:db8:2::1", false},
                                         // Of no country: networks of the host's own site.
                                         {"10.2.1.1", true},
                                         {"172.31.255.9", true},
                                         {"192.168.7.7", true},
                                         {"100.127.0.1", true},
                                         {"172.32.0.1", false},
                                         {"100.128.0.1", false},
                                         {"fd00::1", true},
                                         {"fe80::1", true},
                                         {"fec0::1", false},
                                         {"2001:db8::1", false}}) {
        INFO(source);
        CHECK(lab.tcp(source, 443) == (inside ? "passed" : "geo_refused"));
        CHECK(lab.udp(source, 443) == (inside ? "passed" : "geo_refused"));
        CHECK(lab.tcp(source, 80) == "passed");
        CHECK(lab.udp(source, 80) == "passed");
        CHECK(lab.tcp(source, 443, ack) == "passed"); // who is connected stays
        CHECK(lab.tcp(source, 443, syn | ack) == "passed");
    }
    const auto usage = lab.plane->lists();
    REQUIRE(usage);
    const auto geo = std::find_if(usage->begin(), usage->end(), [](const ListUsage& list) {
        return list.list == XDPCTL_LIST_GEO;
    });
    REQUIRE(geo != usage->end());
    CHECK(geo->met.packets == 16);
    CHECK(geo->prefixes[0] == 2);
    CHECK(geo->prefixes[1] == 2);
}

TEST_CASE("allow and block lists speak before countries do")
{
    GeoLab lab;
    lab.spec.allow = {"11.2.3.0/24"_net, "2001:db8:2:1::/64"_net};
    lab.spec.block = {{"11.1.7.0/24"_net}, {"2001:db8:1:7::/64"_net}};
    lab.spec.bans = {{"11.1.8.0/24"_net, lab.now + ns_per_s},
                     {"2001:db8:1:8::/64"_net, lab.now + ns_per_s},
                     {"11.2.8.0/24"_net, lab.now + ns_per_s}};
    lab.commit();
    CHECK(lab.tcp("11.2.3.1", 443) == "allowed");
    CHECK(lab.tcp("2001:db8:2:1::1", 443) == "allowed");
    CHECK(lab.tcp("11.1.7.1", 443) == "blocked");
    CHECK(lab.tcp("2001:db8:1:7::1", 443) == "blocked");
    CHECK(lab.tcp("11.1.9.1", 443) == "passed");
    CHECK(lab.tcp("11.1.8.1", 443) == "blocked");
    CHECK(lab.tcp("2001:db8:1:8::1", 443) == "blocked");
    // Where a ban is over and still in the tables nobody can tell: open, not shut.
    lab.advance(2 * ns_per_s);
    CHECK(lab.tcp("11.1.8.1", 443) == "passed");
    CHECK(lab.tcp("2001:db8:1:8::1", 443) == "passed");
    CHECK(lab.tcp("11.2.8.1", 443) == "passed");
    lab.spec.bans.clear();
    lab.commit();
    CHECK(lab.tcp("11.1.8.1", 443) == "passed");
    CHECK(lab.tcp("11.2.8.1", 443) == "geo_refused");
}

TEST_CASE("an exchange of databases says the new, and combinations are given back")
{
    GeoLab lab;
    // More rounds than there are leaves: they must be used again.
    for (unsigned round = 0; round < 80; round++) {
        std::vector<GeoNetwork> networks;
        for (uint32_t i = 0; i < 1000; i++) {
            Address address = "11.0.0.0"_ip;
            address.bytes[13] = static_cast<uint8_t>(i >> 8);
            address.bytes[14] = static_cast<uint8_t>(i);
            const uint64_t other = (uint64_t{round} << 10 | i) << 2; // no two the same
            networks.push_back({{address, 120}, (i % 2 == round % 2 ? cn : 0) | other});
        }
        lab.networks(networks);
        CHECK(lab.tcp("11.0.2.9", 443) == (round % 2 == 0 ? "passed" : "geo_refused"));
        CHECK(lab.tcp("11.0.3.9", 443) == (round % 2 == 1 ? "passed" : "geo_refused"));
    }
    lab.networks({});
    CHECK(lab.tcp("11.0.2.9", 443) == "geo_refused");
}

TEST_CASE("countries and lists together mean what a plain reference says")
{
    const char* wanted = std::getenv("XDPCTL_SEED");
    const uint64_t seed = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 5;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    GeoLab lab;
    for (int round = 0; round < 60; round++) {
        const auto some = [&random](bool ipv4, unsigned bits) {
            Address address = ipv4 ? "11.0.0.0"_ip : "2001:db8::"_ip;
            address.bytes[14] = static_cast<uint8_t>(random() % 4);
            address.bytes[15] = static_cast<uint8_t>(random());
            return network_of(address, static_cast<uint8_t>(128 - random() % bits));
        };
        std::vector<GeoNetwork> raw;
        std::vector<ListEntry> block;
        for (int i = 0; i < 20; i++) {
            raw.push_back({some(i % 2 == 0, 12), 1ULL << random() % 3});
            block.push_back({some(i % 2 == 0, 8)});
        }
        block.resize(random() % 10);
        lab.spec.block = block;
        lab.commit();
        lab.networks(overlay(raw));
        for (int probe = 0; probe < 200; probe++) {
            const Address address = some(probe % 2 == 0, 1).address;
            uint64_t codes = 0;
            bool blocked = false;
            for (const GeoNetwork& network : raw) {
                codes |= network.prefix.contains(address) ? network.codes : 0;
            }
            for (const ListEntry& entry : block) {
                blocked = blocked || entry.prefix.contains(address);
            }
            REQUIRE(lab.udp(to_string(address).c_str(), 443) == (blocked ? "blocked"
                                                                 : admits(lab.spec.geo[443], codes)
                                                                     ? "passed"
                                                                     : "geo_refused"));
        }
    }
}

TEST_CASE("databases of countries and AS numbers are read, of both families")
{
    const auto countries =
        make_database("country", "10.0.0.0/9 CN\n10.128.0.0/9 CN\n10.9.9.9/32 US\n"
                                 "2001:db8::/33 CN\n2001:db8:8000::/33 CN\n"
                                 "2001:db8:0:9::/64 US\n");
    const auto numbers = make_database("asn", "10.9.0.0/16 AS64500\n2001:db8:0:8::/62 AS64500\n");
    if (!countries || !numbers) {
        return;
    }
    const std::vector<std::string> paths = {*countries, *numbers};
    const auto data = read_geo(paths, {{"CN", 0}, {"AS64500", 1}, {"DE", 2}});
    INFO((data ? "" : data.error().message));
    REQUIRE(data);
    CHECK(data->found == 3);
    CHECK(data->files.at(0).type == "Test-country");
    const auto at = [&data](const char* address) {
        return codes_at(data->networks, parse_address(address).value());
    };
    CHECK(at("10.200.1.1") == cn);
    CHECK(at("10.9.1.1") == (cn | as64500));
    CHECK(at("10.9.9.9") == as64500);
    CHECK(at("11.0.0.1") == 0);
    CHECK(at("2001:db8:7::1") == cn);
    CHECK(at("2001:db8:0:9::1") == as64500);
    CHECK(at("2001:db8:0:a::1") == (cn | as64500));
    CHECK(at("2002:0a01:101::1") == 0); // 6to4 is an alias of IPv4, not told twice
    // Neighbours that say the same are one.
    CHECK(std::count_if(data->networks.begin(), data->networks.end(), [](const GeoNetwork& n) {
              return n.prefix == "10.0.0.0/8"_net || n.prefix == "2001:db8::/32"_net;
          }) == 0); // they have a hole
    const auto whole = read_geo({*countries}, {{"US", 0}});
    REQUIRE(whole);
    CHECK(whole->networks ==
          std::vector<GeoNetwork>{{"2001:db8:0:9::/64"_net, 1}, {"10.9.9.9"_net, 1}});
    CHECK(read_codes_at(paths, "10.9.1.1"_ip).value() == std::set<std::string>{"CN", "AS64500"});
    CHECK(read_codes_at(paths, "2001:db8:0:9::1"_ip).value() ==
          std::set<std::string>{"US", "AS64500"});
    CHECK(read_codes_at(paths, "192.0.2.1"_ip).value().empty());

    // What is damaged is an error with its name, never a crash.
    std::ifstream file(*countries, std::ios::binary);
    const std::string good((std::istreambuf_iterator<char>(file)), {});
    std::mt19937 random(3);
    for (int i = 0; i < 300; i++) {
        std::string bad = good;
        if (i % 3 == 0) {
            bad.resize(random() % bad.size());
        } else {
            for (int n = 0; n < 20; n++) {
                bad[random() % (i % 2 == 0 ? 400 : bad.size())] = static_cast<char>(random());
            }
        }
        const std::string path = *countries + ".bad";
        std::ofstream(path, std::ios::binary) << bad;
        if (const auto read = read_geo({path}, {{"CN", 0}}); !read) {
            CHECK_THAT(read.error().message, Catch::Contains(path));
        }
        std::remove(path.c_str());
    }
    CHECK_FALSE(read_geo({"/nowhere.mmdb"}, {{"CN", 0}}));
    std::remove(countries->c_str());
    std::remove(numbers->c_str());
}
