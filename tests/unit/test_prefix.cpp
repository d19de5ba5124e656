// SPDX-License-Identifier: Apache-2.0
#include "harness/catch.h"
#include "harness/literals.h"
#include "harness/skip.h"

std::optional<std::string> xdpctl::testing::skip_all_because()
{
    return std::nullopt;
}

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("addresses and prefixes survive text and back")
{
    for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                             "198.51.100.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32"}) {
        INFO(text);
        const auto prefix = parse_prefix(text);
        REQUIRE(prefix);
        CHECK(to_string(*prefix) == text);
    }
}

TEST_CASE("a mapped address is the IPv4 one")
{
    CHECK("::ffff:192.0.2.1"_ip == "192.0.2.1"_ip);
    CHECK("192.0.2.0/24"_net.length == 120);
}

TEST_CASE("wrong prefixes say why")
{
    const auto why = [](const char* text) {
        const auto prefix = parse_prefix(text);
        REQUIRE_FALSE(prefix);
        return prefix.error().message;
    };
    CHECK_THAT(why("192.0.2.256"), Catch::Contains("neither an IPv4 nor an IPv6"));
    CHECK_THAT(why("192.0.2.0/33"), Catch::Contains("0 to 32"));
    CHECK_THAT(why("2001:db8::/129"), Catch::Contains("0 to 128"));
    CHECK_THAT(why("192.0.2.0/"), Catch::Contains("0 to 32"));
    CHECK_THAT(why("192.0.2.0/24x"), Catch::Contains("0 to 32"));
    CHECK_THAT(why("192.0.2.7/24"), Catch::Contains("the network is 192.0.2.0/24"));
    CHECK_THAT(why("2001:db8::7/64"), Catch::Contains("2001:db8::/64"));
    CHECK_THAT(why(""), Catch::Contains("neither"));
}

TEST_CASE("containment stays within a family")
{
    CHECK("192.0.2.0/24"_net.contains("192.0.2.255"_ip));
    CHECK_FALSE("192.0.2.0/24"_net.contains("192.0.3.0"_ip));
    CHECK("192.0.2.0/24"_net.contains("192.0.2.128/25"_net));
    CHECK_FALSE("192.0.2.128/25"_net.contains("192.0.2.0/24"_net));
    CHECK("::/0"_net.contains("2001:db8::1"_ip));
    CHECK_FALSE("::/0"_net.contains("192.0.2.1"_ip));
    CHECK("0.0.0.0/0"_net.contains("192.0.2.1"_ip));
    CHECK_FALSE("0.0.0.0/0"_net.contains("2001:db8::1"_ip));
}

TEST_CASE("a range is the fewest prefixes, and all of them together")
{
    const auto all = [](const char* text) {
        std::string out;
        for (const Prefix& prefix : prefixes_of(parse_range(text).value())) {
            out += to_string(prefix) + " ";
        }
        return out;
    };
    CHECK(all("0.0.0.0-255.255.255.255") == "0.0.0.0/0 ");
    CHECK(all("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") == "::/0 ");
    CHECK(all("192.0.2.255-192.0.3.0") == "192.0.2.255 192.0.3.0 ");
    CHECK(all("255.255.255.255 - 255.255.255.255") == "255.255.255.255 ");
    CHECK(all("2001:db8::/33") == "2001:db8::/33 ");
    for (unsigned first = 0; first < 32; first++) {
        for (unsigned last = first; last < 32; last++) {
            const std::string text = fmt::format("192.0.2.{}-192.0.2.{}", first, last);
            INFO(text);
            const AddressRange range = parse_range(text).value();
            const auto prefixes = prefixes_of(range);
            for (unsigned i = 0; i < 33; i++) {
                const Address address = parse_address(fmt::format("192.0.2.{}", i)).value();
                const auto holds = std::count_if(
                    prefixes.begin(), prefixes.end(),
                    [&address](const Prefix& prefix) { return prefix.contains(address); });
                CHECK(holds == (i >= first && i <= last ? 1 : 0));
            }
            CHECK(is_wider_than(range, 96 + 28) == (last - first >= 16));
            CHECK(is_wider_than(range, 128) == (last > first));
        }
    }
}

TEST_CASE("netmasks")
{
    CHECK(parse_prefix("192.0.2.0/255.255.255.0").value() == "192.0.2.0/24"_net);
    CHECK(parse_prefix("0.0.0.0/0.0.0.0").value() == "0.0.0.0/0"_net);
    CHECK(parse_prefix("192.0.2.1/255.255.255.255").value() == "192.0.2.1"_net);
    for (const char* wrong :
         {"192.0.2.0/255.0.255.0", "192.0.2.0/0.0.0.255", "192.0.2.0/255.255.255",
          "2001:db8::/255.255.0.0", "192.0.2.1/255.255.255.0"}) {
        INFO(wrong);
        CHECK_FALSE(parse_prefix(wrong));
    }
}
