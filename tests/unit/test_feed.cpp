// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "core/coverage.h"
#include "core/feed.h"
#include "daemon/feeds.h"
#include "feeds/copies.h"
#include "feeds/unpack.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

// Of a file where it begins with a slash.
FeedConfig config_of(const std::string& url)
{
    FeedConfig config;
    config.name = url.substr(url.find_last_of('/') + 1);
    config.url = url.find('/') == std::string::npos ? "/list/" + url : url;
    return config;
}

// What the list says, as text; of one that is refused the cause.
std::string read(std::string_view text, const FeedConfig& config = {})
{
    const auto feed = parse_feed(text, config);
    if (!feed) {
        return feed.error().message;
    }
    const auto taken = take_feed(*feed, config, {});
    if (!taken) {
        return taken.error().message;
    }
    std::string out;
    for (const Prefix& prefix : taken->prefixes) {
        out += (out.empty() ? "" : " ") + to_string(prefix);
    }
    return out;
}

} // namespace

TEST_CASE("every format of lists is read")
{
    const auto feed =
        parse_feed("\xef\xbb\xbf# FireHOL netset\n"
                   "192.0.2.0/24\n"
                   "203.0.113.7\r\n"
                   "\n"
                   "   198.51.100.0/25   # a comment\n"
                   "203.0.113.9#4#2#Malicious Host#KR##37.5,126.9#3\n"
                   "; Spamhaus DROP List\n"
                   "198.18.0.0/15 ; SBL1234\n"
                   "{\"cidr\":\"2001:db8:1::/48\",\"sblid\":\"SBL5\",\"rir\":\"ripe\"}\n"
                   "{\"type\":\"metadata\",\"timestamp\":1700000000}\n"
                   "create bad hash:net family inet hashsize 1024 maxelem 65536\n"
                   "add bad 192.0.2.128/25 timeout 300\n"
                   "add bad 2001:db8::5 packets 5 bytes 6 comment \"x y\"\n"
                   "COMMIT\n"
                   "192.0.2.0/24",
                   {});
    REQUIRE(feed);
    INFO(feed->first_fault.text);
    CHECK(feed->faults == 0);
    CHECK(feed->entries == 9);
    CHECK(feed->prefixes == std::vector<Prefix>{"192.0.2.0/24"_net, "192.0.2.128/25"_net,
                                                "198.18.0.0/15"_net, "198.51.100.0/25"_net,
                                                "203.0.113.7"_net, "203.0.113.9"_net,
                                                "2001:db8::5"_net, "2001:db8:1::/48"_net});
}

TEST_CASE("ranges are the networks that they hold")
{
    CHECK(read("192.0.2.0 - 192.0.2.255\n198.51.100.0-198.51.100.255\n") ==
          "192.0.2.0/24 198.51.100.0/24");
    CHECK(read("192.0.2.0 -192.0.2.1\n192.0.2.4- 192.0.2.4") == "192.0.2.0/31 192.0.2.4");
    CHECK(read("192.0.2.1-192.0.2.6") == "192.0.2.1 192.0.2.2/31 192.0.2.4/31 192.0.2.6");
    CHECK(read("2001:db8::1 - 2001:db8::4") == "2001:db8::1 2001:db8::2/127 2001:db8::4");
    CHECK(read("2001:db8::-2001:db8:0:ffff:ffff:ffff:ffff:ffff") == "2001:db8::/48");
    CHECK(read("192.0.2.0/255.255.255.0\n198.51.100.0 255.255.254.0") ==
          "192.0.2.0/24 198.51.100.0/23");
    CHECK_THAT(read("192.0.2.9 - 192.0.2.1"), Catch::Contains("it ends before it begins"));
    CHECK_THAT(read("192.0.2.9-2001:db8::1"), Catch::Contains("different families"));
    CHECK_THAT(read("192.0.2.1-9"), Catch::Contains("line 1"));
    CHECK_THAT(read("192.0.2.0/255.0.255.0"), Catch::Contains("not a netmask"));
    // Neither half of one that is too wide, nor IPv4 through the back door of IPv6.
    const auto wide = parse_feed("1.0.0.0-200.0.0.0\n2001::-3001::\n192.0.2.1", {});
    REQUIRE(wide);
    CHECK(wide->too_wide == 2);
    CHECK(wide->prefixes == std::vector<Prefix>{"192.0.2.1"_net});
    CHECK(read("::fffe:ffff:ffff-::1:0:0:0") == "::fffe:ffff:ffff ::1:0:0:0");
}

TEST_CASE("DShield's columns")
{
    const std::string rows = "198.51.100.0\t198.51.100.255\t24\t1234\tNAME\tUS\ta@b\n"
                             "203.0.113.0\t203.0.113.255\t24\t99\n";
    const std::string networks = "198.51.100.0/24 203.0.113.0/24";
    CHECK(read("# DShield.org Recommended Block List\nStart\tEnd\tNetmask\tAttacks\tName\tCountry\t"
               "email\n" +
               rows) == networks);
    CHECK(read("# without the header\n" + rows) == networks);
    CHECK_THAT(read("Start\tEnd\tNetmask\n198.51.100.0\t198.51.100.255\t25\n"),
               Catch::Contains("line 2") && Catch::Contains("not a network of length 25"));
    CHECK_THAT(read("198.51.100.0\t198.51.100.255\t25\n"), Catch::Contains("two addresses"));
    CHECK_THAT(read("198.51.100.0 198.51.100.255\n"), Catch::Contains("two addresses"));
}

TEST_CASE("tables need one column of addresses")
{
    CHECK(read("# abuse.ch\n\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\"\r\n"
               "\"2024-01-01 00:00:00\",\"192.0.2.1\",\"443\",\"on, line\"\r\n# END\r\n") ==
          "192.0.2.1");
    CHECK(read("# Firstseen,DstIP,DstPort\n2024-01-01 00:00:00,192.0.2.1,443\n") == "192.0.2.1");
    CHECK(read("network;netmask;what\n192.0.2.0;255.255.255.0;x\n198.51.100.0;24;y\n") ==
          "192.0.2.0/24 198.51.100.0/24");
    CHECK(read("start_address,end_address,asn\n2001:db8::,2001:db8::1,5\n") == "2001:db8::/127");
    CHECK(read("ip\n192.0.2.1\n") == "192.0.2.1");
    CHECK(read("IP Address,Country\n192.0.2.1,\"a \"\"b\"\"\"\n") == "192.0.2.1");
    for (const auto& [text, cause] :
         {std::pair("192.0.2.1,80\n192.0.2.2,443\n", "no header says"),
          {"192.0.2.0,24\n", "no header says"},
          {"src_ip,dst_ip\n192.0.2.1,198.51.100.1\n", "both 'src_ip' and 'dst_ip'"},
          {"name,score\nx,5\n", "none of 'name', 'score' is known"},
          {"ip,action\n192.0.2.1,allow\n", "'action' may say that an entry is not to be blocked"},
          {"ip,start,end\n192.0.2.1,1,2\n", "not clear which"},
          {"ip,x\n192.0.2.1,1\nx,192.0.2.2\n", "line 3"},
          {"x,ip\n1,192.0.2.1\n2\n", "shorter than the header"},
          {"ip,x\n\"192.0.2.1\"y,1\n", "line 2"},
          {"ip,x\n\"192.0.2.1,1\n", "does not end"}}) {
        INFO(text);
        CHECK_THAT(read(text), Catch::Contains(cause));
    }
}

TEST_CASE("JSON that is a whole")
{
    CHECK(read("[\n {\"ip_address\": \"192.0.2.1\", \"port\": 443, \"as_name\": \"x\"},\n"
               " {\"ip_address\": \"2001:db8::1\"}\n]") == "192.0.2.1 2001:db8::1");
    CHECK(read("[\"192.0.2.0/24\"]") == "192.0.2.0/24");
    for (const char* text :
         {"{\"message\": \"rate limit\"}", "{\n\"data\": [\"192.0.2.1\"]\n}", "[1]", "[{\"x\": 1}]",
          "[\"192.0.2.1\", {\"ip\": \"192.0.2.1\", \"cidr\": \"192.0.2.0/24\"}]", "[\"192.0.2.1\"",
          "{\"cidr\":5}", "{\"ip\":\"192.0.2.1\",\"action\":\"allow\"}", "{broken"}) {
        INFO(text);
        CHECK_FALSE(read(text).starts_with("192"));
        CHECK_FALSE(read(text).empty());
    }
}

TEST_CASE("ipset save: what is not a block of hosts is refused, nomatch is taken out")
{
    const auto set = [](std::string_view entries) {
        return read(fmt::format("create bad hash:net family inet\n{}", entries));
    };
    CHECK(set("add bad 192.0.2.0/24\nadd bad 192.0.2.0/25 nomatch\n") == "192.0.2.128/25");
    CHECK(set("add bad 192.0.2.0/29\nadd bad 192.0.2.1 nomatch\nadd bad 192.0.2.6/31 nomatch\n") ==
          "192.0.2.0 192.0.2.2/31 192.0.2.4/31");
    // The longest that covers an address decides.
    CHECK(set("add bad 192.0.2.0/24\nadd bad 192.0.2.0/25 nomatch\nadd bad 192.0.2.4/32\n") ==
          "192.0.2.4 192.0.2.128/25");
    CHECK(set("add bad 192.0.2.4\nadd bad 192.0.2.0/25 nomatch\n") == "192.0.2.4");
    CHECK(read("create bad hash:net family inet6\nadd bad 2001:db8::/126\n"
               "add bad 2001:db8::2 nomatch") == "2001:db8::/127 2001:db8::3");
    CHECK(read("create bad hash:ip family inet netmask 24\nadd bad 192.0.2.0\n") == "192.0.2.0/24");
    CHECK(read("add -exist bad 192.0.2.1-192.0.2.2 -exist") == "192.0.2.1 192.0.2.2");
    for (const auto& [text, cause] :
         {std::pair("add a 192.0.2.1,tcp:80", "more than an address"),
          {"create a hash:ip,port family inet\nadd a 192.0.2.1,tcp:80", "type 'hash:ip,port'"},
          {"create a list:set\nadd a b", "type 'list:set'"},
          {"add a 192.0.2.1\nadd b 192.0.2.2", "more than one set: 'a' and 'b'"},
          {"create a hash:ip bitmask 255.255.0.0", "bitmask"},
          {"create a hash:ip netmask x", "netmask"},
          {"add a 192.0.2.1 skip", "'skip' is not understood"},
          {"add a", "needs a set"},
          {"add a x", "neither"}}) {
        INFO(text);
        CHECK_THAT(read(text), Catch::Contains(cause));
    }
}

TEST_CASE("a line that is not understood refuses the list, with its cause")
{
    for (const auto& [line, cause] :
         {std::pair("0.0.0.0 evil.example", "host names"),
          {"127.0.0.1\tevil.example", "host names"},
          {"::1 localhost", "host names"},
          {"192.0.2.5 evil.example", "what follows the address is not understood: 'evil.example'"},
          {"192.0.2.5 24", "what follows the address"},
          {"192.0.2.5:80", "a port"},
          {"[2001:db8::1]:80", "without brackets and port"},
          {"[2001:db8::1]", "without brackets"},
          {"fe80::1%eth0", "zone id"},
          {"192.0.02.1", "leading zeros"},
          {"010.0.0.1", "leading zeros"},
          {"192.0.2.0/024", "0 to 32"},
          {"::ffff:192.0.2.0/24", "96 to 128"},
          {"!192.0.2.1", "neither"},
          {"192.0.2", "neither"},
          {"deny 192.0.2.1", "neither"}}) {
        const std::string text = fmt::format("192.0.2.1\n192.0.2.2\n{}\n192.0.2.4\n", line);
        INFO(text);
        CHECK_THAT(read(text), Catch::Contains(cause) && Catch::Contains("line 3"));
        CHECK_THAT(read(line), Catch::Contains(cause)); // also where it is the first
    }
    CHECK_FALSE(read("192.0.2.1\n192.0.2.2,").starts_with("192"));
    CHECK_FALSE(read("192.0.2.1;").starts_with("192"));
    using namespace std::string_literals;
    CHECK_THAT(read("192.0.2.1\0.evil"s), Catch::Contains("byte 0"));
    CHECK_THAT(read("\n <!DOCTYPE html>\n192.0.2.1"), Catch::Contains("HTML"));
    CHECK_THAT(read("\xff\xfe"
                    "1\0"s),
               Catch::Contains("UTF-16"));
    FeedConfig lenient;
    lenient.max_faulty_lines = 1;
    CHECK(read("192.0.2.1\noops", lenient) == "192.0.2.1");
    CHECK_THAT(read("192.0.2.1\noops\noops", lenient), Catch::Contains("and 1 more"));
    CHECK_THAT(read("add a 192.0.2.1,80", lenient), Catch::Contains("more than an address"));
}

TEST_CASE("Tor's exit addresses")
{
    CHECK(read("ExitNode 0011BD2485AD45D984EC4159C88FC066E5E3300E\nPublished 2024-01-01 00:00:00\n"
               "LastStatus 2024-01-01 00:00:00\nExitAddress 192.0.2.1 2024-01-01 00:00:00\n") ==
          "192.0.2.1");
    CHECK_THAT(read("ExitAddress x 2024-01-01 00:00:00\n"), Catch::Contains("line 1"));
}

TEST_CASE("faults are counted, the first is told, host bits are cleared")
{
    const auto feed = parse_feed(
        "192.0.2.77/24\n300.0.0.1\n{\"cidr\":5}\n{broken\n10.0.0.0/33\n::1/129\n<html>", {});
    REQUIRE(feed);
    CHECK(feed->prefixes == std::vector<Prefix>{"192.0.2.0/24"_net});
    CHECK(feed->host_bits == 1);
    CHECK(feed->faults == 6);
    CHECK(feed->first_fault.line == 2);
    CHECK(feed->first_fault.text == "300.0.0.1");
    CHECK(parse_feed("", {})->prefixes.empty());
    const auto rude =
        parse_feed("\x1b[2J" + std::string(3000, 'x') + "\n" + std::string(5000, '{') + "\n", {});
    REQUIRE(rude);
    CHECK(rude->faults == 2);
    CHECK(rude->first_fault.text.starts_with("?[2J"));
    CHECK(rude->first_fault.text.size() + rude->first_fault.why.size() < 300);
}

TEST_CASE("a list of another size is not taken")
{
    FeedConfig config = config_of("https://www.example/a");
    CHECK_THAT(read("", config), Catch::Contains("0 entries, at least 1"));
    config.max_entries = 1;
    CHECK_THAT(read("192.0.2.1\n192.0.2.2", config), Catch::Contains("2 entries, at most 1"));
    FeedConfig own = config_of("/own"); // who empties his own file means it
    CHECK(read("# nobody\n", own).empty());
    own.min_entries = 5;
    CHECK_THAT(read("", own), Catch::Contains("at least 5"));
}

TEST_CASE("behind max_entries nothing is read")
{
    FeedConfig config;
    config.max_entries = 2;
    config.max_faulty_lines = 5;
    const std::string two = "192.0.2.1\n192.0.2.2\n";
    CHECK(read(two + two + two + two + two, config) == "192.0.2.1 192.0.2.2");
    CHECK_THAT(read(two + "192.0.2.3\nno list\nadd a 192.0.2.1,80\n", config),
               Catch::Contains("line 3: it has at least 3 entries, at most 2 are expected"));
    CHECK_THAT(read("192.0.2.0-192.0.2.6\nadd a 192.0.2.1,80\n", config),
               Catch::Contains("line 1: it has at least 3 entries"));
    CHECK_THAT(read("[\"192.0.2.1\",\"192.0.2.2\",\"2001:db8::1\",{broken", config),
               Catch::Contains("at least 3 entries"));
    // What nomatch leaves is counted, too.
    CHECK_THAT(read("add a 192.0.2.0/24\nadd a 192.0.2.7 nomatch\n", config),
               Catch::Contains("at least 3 entries"));
    CHECK_THAT(
        read("add a 192.0.2.1 nomatch\nadd a 192.0.2.2 nomatch\nadd a 192.0.2.3 nomatch\n", config),
        Catch::Contains("at least 3 entries"));
    config.max_entries = 1000;
    CHECK(config.bytes_most() < 2UL << 20);
    CHECK(FeedConfig{}.bytes_most() == 256UL << 20);
}

TEST_CASE("an element of a JSON array has a size")
{
    std::string nested = "[[1,2,[3],{}";
    for (int i = 0; i < 2000; i++) {
        nested += ",0";
    }
    CHECK_THAT(read("[{\"ip\":\"192.0.2.1\",\"x\":" + nested + "]]}]"),
               Catch::Contains("element 1: more than 1000 values"));
    CHECK(read("[{\"x\":[1,{\"y\":[2]}],\"ip\":\"192.0.2.1\"},{\"ip\":\"192.0.2.2\",\"z\":{}}]") ==
          "192.0.2.1 192.0.2.2");
}

TEST_CASE("coverage is the share of the public addresses, what overlaps counts once")
{
    const auto of = [](std::vector<Prefix> prefixes) {
        std::sort(prefixes.begin(), prefixes.end());
        return coverage_of(prefixes);
    };
    const auto is = [](double percent) { return Approx(percent).epsilon(1e-6); };
    CHECK(of({}) == Coverage{0, 0});
    CHECK(of({"::/0"_net, "0.0.0.0/0"_net})[0] == is(100));
    CHECK(of({"::/0"_net, "0.0.0.0/0"_net})[1] == is(100));
    CHECK(of({"2000::/3"_net, "2001:db8::/32"_net}) == Coverage{0, 100});
    CHECK(of({"2001:db8::/32"_net})[1] == is(100 / std::ldexp(1, 29)));
    CHECK(of({"::/4"_net, "fc00::/7"_net, "fe80::1"_net, "10.0.0.0/8"_net, "192.168.0.0/16"_net,
              "224.0.0.0/4"_net, "0.0.0.0/8"_net}) == Coverage{0, 0});
    const double one = of({"11.0.0.0/8"_net})[0]; // of 220.7 /8s
    CHECK(one > 0.45);
    CHECK(one < 0.46);
    CHECK(of({"10.0.0.0/7"_net})[0] == is(one));
    CHECK(of({"11.0.0.0/8"_net, "11.0.0.0/9"_net, "11.128.0.0/9"_net, "11.255.0.0/16"_net,
              "12.0.0.0/8"_net, "2000::/3"_net})[0] == is(2 * one));
    // Inside what is not public, and around it.
    CHECK(of({"172.0.0.0/8"_net, "172.16.0.0/13"_net, "172.32.0.0/12"_net})[0] ==
          is(one * 15 / 16));
    const auto change =
        coverage_change({"11.0.0.0/8"_net, "12.0.0.0/9"_net}, {"11.0.0.0/9"_net, "12.0.0.0/8"_net});
    CHECK(change.before[0] == is(1.5 * one));
    CHECK(change.go[0] == is(0.5 * one));
    CHECK(change.come[0] == is(0.5 * one));
    CHECK(change.come[1] == 0);
}

TEST_CASE("a list that covers too much is refused, of either family")
{
    const auto wide = [](uint8_t from, uint8_t count) {
        std::vector<Prefix> all;
        for (uint8_t i = 0; i < count; i++) {
            const std::array<uint8_t, 4> bytes = {static_cast<uint8_t>(from + i), 0, 0, 0};
            all.push_back(network_of(Address::from_ipv4(bytes.data()), 96 + 8));
        }
        return all;
    };
    FeedConfig config = config_of("https://www.example/a");
    CHECK(accept_share({}, config));
    CHECK(accept_share(wide(11, 11), config)); // 4.98 %
    CHECK_THAT(accept_share(wide(11, 12), config).error().message,
               Catch::Contains("5.44 % of the public IPv4 addresses, at most 5 %") &&
                   Catch::Contains("max_share_ipv4") &&
                   Catch::Contains("xdpctl feed refresh a --force"));
    CHECK(accept_share({"2001:db8::/29"_net, "2a00::/19"_net}, config));
    CHECK_THAT(accept_share({"2a00::/18"_net}, config).error().message,
               Catch::Contains("0.00305 % of the public IPv6 addresses, at most 0.002 %") &&
                   Catch::Contains("max_share_ipv6"));
    CHECK_FALSE(accept_share(wide(11, 12), config_of("/own/file"))); // and of a file
    config.max_share_ipv4 = 6;
    CHECK(accept_share(wide(11, 12), config));
}

TEST_CASE("a change of what a list covers is bounded, however few entries it takes")
{
    FeedConfig config = config_of("https://www.example/a");
    std::vector<Prefix> before; // 1000 hosts, as many as may always come
    for (uint32_t i = 0; i < 1000; i++) {
        const std::array<uint8_t, 4> bytes = {60, 0, static_cast<uint8_t>(i >> 8),
                                              static_cast<uint8_t>(i)};
        before.push_back({Address::from_ipv4(bytes.data()), 128});
    }
    const auto with = [&before](const std::vector<Prefix>& more) {
        std::vector<Prefix> all = before;
        all.insert(all.end(), more.begin(), more.end());
        std::sort(all.begin(), all.end());
        return all;
    };
    CHECK(accept_change(before, with({"61.0.0.0/11"_net, "2001:db8::/32"_net}), config));
    CHECK_THAT(accept_change(before, with({"61.0.0.0/10"_net}), config).error().message,
               Catch::Contains("0.113 % come") && Catch::Contains("more than 50 % at once") &&
                   Catch::Contains("refresh a --force"));
    CHECK_FALSE(accept_change(before, with({"2a00::/23"_net}), config));
    CHECK_FALSE(accept_change(with({"61.0.0.0/10"_net}), before, config)); // it goes
    CHECK_FALSE(accept_change(with({"2a00::/23"_net}), before, config));
    // Half of what was there before.
    const auto large = with({"11.0.0.0/9"_net, "61.0.0.0/10"_net, "62.0.0.0/10"_net});
    CHECK(accept_change(large, with({"11.0.0.0/9"_net}), config));
    CHECK_FALSE(accept_change(large, with({"61.0.0.0/10"_net}), config));
    // Other entries of the same addresses are no change.
    CHECK(accept_change(with({"61.0.0.0/9"_net}), with({"61.0.0.0/10"_net, "61.64.0.0/10"_net}),
                        config));
    config.max_change = 1'000'000'000;
    CHECK(accept_change(before, with({"61.0.0.0/10"_net}), config));
    CHECK(accept_change(before, with({"61.0.0.0/10"_net}), config_of("/own/file")));
}

TEST_CASE("compressed lists")
{
    using namespace std::string_literals;
    // echo 192.0.2.1 | gzip -n
    const std::string gzip = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x33\xb4\x34\xd2\x33\xd0\x33"
                             "\xd2\x33\xe4\x02\x00\x9c\xc2\xb1\x8a\x0a\x00\x00\x00"s;
    CHECK(unpack("192.0.2.1\n", 100).value() == "192.0.2.1\n");
    CHECK(unpack(gzip, 100).value() == "192.0.2.1\n");
    CHECK(unpack(gzip + gzip, 100).value() == "192.0.2.1\n192.0.2.1\n");
    CHECK_THAT(unpack(gzip, 9).error().message,
               Catch::Contains("more than 9 bytes") || Catch::Contains("larger than 9"));
    for (size_t i = 2; i < gzip.size(); i++) {
        INFO(i);
        CHECK_FALSE(unpack(gzip.substr(0, i), 100));
    }
    std::string damaged = gzip;
    damaged[15] ^= 0x10;
    CHECK_FALSE(unpack(damaged, 100));
    CHECK_FALSE(unpack(gzip + "x", 100));
    for (const auto& [bytes, name] : {std::pair("PK\x03\x04 and more"s, "zip"),
                                      {"BZh91AY"s, "bzip2"},
                                      {"\xfd\x37zXZ\0"s, "xz"},
                                      {"\x28\xb5\x2f\xfd"s, "zstd"},
                                      {"192.0.2.1\0"s, "binary"},
                                      {std::string(257, 'x') + "ustar\0"s, "tar"}}) {
        CHECK_THAT(unpack(bytes, 1000).error().message, Catch::Contains(name));
    }
}

TEST_CASE("what would hurt this host is not taken, and told")
{
    const ProtectedSet host({{"192.0.2.1"_net, Protection::GATEWAY, "route"},
                             {"10.1.0.0/16"_net, Protection::PRIVATE_NETWORK, "route"}});
    FeedConfig config = config_of("a");
    config.widest_ipv4 = 8;
    const auto taken =
        take_feed(*parse_feed("192.0.2.0/24\n10.1.2.0/24\n10.0.0.0/8\n10.2.0.0/16\n0.0.0.0/1\n"
                              "2000::/3",
                              config),
                  config, host);
    REQUIRE(taken);
    CHECK(taken->prefixes == std::vector<Prefix>{"10.2.0.0/16"_net});
    CHECK(taken->protected_here == 3);
    CHECK(taken->too_wide == 2);
    CHECK(taken->first_refused.why == "wider than /8");
}

TEST_CASE("a change beyond what is expected is refused, a small list may grow")
{
    const auto hosts = [](uint32_t from, uint32_t count) {
        std::vector<Prefix> all;
        for (uint32_t i = from; i < from + count; i++) {
            Address address = "10.0.0.0"_ip;
            address.bytes[13] = static_cast<uint8_t>(i >> 16);
            address.bytes[14] = static_cast<uint8_t>(i >> 8);
            address.bytes[15] = static_cast<uint8_t>(i);
            all.push_back({address, 128});
        }
        return all;
    };
    FeedConfig config = config_of("https://www.example/a");
    CHECK(accept_change({}, hosts(0, 5000), config));
    CHECK(accept_change(hosts(0, 5000), hosts(0, 5000), config));
    CHECK(accept_change(hosts(0, 3), hosts(0, 900), config)); // 900 come
    CHECK_FALSE(accept_change(hosts(0, 3), hosts(0, 1100), config));
    CHECK(accept_change(hosts(0, 100), hosts(500, 1), config)); // 100 go
    CHECK_FALSE(accept_change(hosts(0, 120), hosts(0, 10), config));
    CHECK(accept_change(hosts(0, 4000), hosts(0, 2000), config));
    CHECK_FALSE(accept_change(hosts(0, 4000), hosts(0, 1999), config));
    CHECK(accept_change(hosts(0, 4000), hosts(0, 6000), config));
    CHECK_FALSE(accept_change(hosts(0, 4000), hosts(0, 6001), config));
    CHECK(accept_change(hosts(0, 4000), {}, config_of("/own/file")));
    config.max_change = 100;
    CHECK(accept_change(hosts(0, 4000), {}, config));
}

TEST_CASE("feeds are due by their interval, sooner after failures, and keep their numbers")
{
    std::map<std::string, uint16_t> lists = {{"b", 40}};
    Feeds feeds;
    const uint64_t begin = 1000 * ns_per_s;
    CHECK(feeds.configure({config_of("a"), config_of("b")}, lists, begin).empty());
    CHECK(feeds.list_of("b") == 40);
    const uint16_t a = *feeds.list_of("a");
    CHECK(a >= XDPCTL_LIST_FIRST_FEED);
    CHECK(feeds.name_of(a) == "a");

    const FeedJob job_a = *feeds.due(begin);
    const FeedJob job_b = *feeds.due(begin);
    REQUIRE(job_a.config.name == "a");
    REQUIRE(job_b.config.name == "b");
    CHECK_FALSE(feeds.due(begin)); // both are in work
    feeds.fetched(job_a, true, begin, 5);
    CHECK(feeds.failed(job_b, "no route", begin));
    CHECK_FALSE(feeds.due(begin + 20 * ns_per_s));
    CHECK(feeds.due(begin + 40 * ns_per_s)->config.name == "b");
    CHECK(feeds.failed(job_b, "no route", begin + 40 * ns_per_s));
    CHECK_FALSE(feeds.due(begin + 80 * ns_per_s)); // 30 s doubled
    CHECK_FALSE(feeds.due(begin + 3200 * ns_per_s)->config.name == "a");
    CHECK(feeds.due(begin + 4000 * ns_per_s)->config.name == "a"); // an hour and a tenth
    const std::vector<FeedStatus> status = feeds.status(begin, 5 + 3 * 3600 + 1);
    CHECK(status[0].stale);
    CHECK(status[1].problem == "no route");
    CHECK(feeds.status(begin, 5 + 3600)[0].stale == false);

    // Configured anew while it is in work: asked again at once.
    FeedConfig other = config_of("a");
    other.max_change = 7;
    CHECK(feeds.configure({other, config_of("b")}, lists, begin).empty());
    CHECK_FALSE(feeds.failed(job_a, "of the old one", begin));
    CHECK(feeds.due(begin)->config == other);

    CHECK(feeds.refresh("a", true, begin));
    CHECK_FALSE(feeds.refresh("c", false, begin));
    CHECK(feeds.configure({config_of("b")}, lists, begin) == std::vector<uint16_t>{a});
    CHECK(lists.at("a") == a); // it may come back
}

TEST_CASE("a copy is read as it was written, and damage is found")
{
    const FeedCopy copy{
        "https://www.example/x", {"\"e\"", "Tue"}, 7, "192.0.2.1\n192.0.2.2\n", true};
    const std::string file = encode_copy(copy);
    const auto read = decode_copy(file);
    REQUIRE(read);
    CHECK(read->url == copy.url);
    CHECK(read->validators == copy.validators);
    CHECK(read->fetched_unix_s == 7);
    CHECK(read->text == copy.text);
    CHECK(read->forced);
    for (size_t i = 0; i < file.size(); i++) {
        CHECK_FALSE(decode_copy(file.substr(0, i)));
    }
    std::string flipped = file;
    flipped.back() ^= 1;
    CHECK_FALSE(decode_copy(flipped));
}

TEST_CASE("an error shows no more of a list than a few characters")
{
    const std::string secret = "root:$6$saltsalt$0123456789abcdef:19000:0:99999";
    const std::string beyond = secret.substr(1, 17);
    for (const char* text :
         {"{}", "192.0.2.1 {}", "{} 192.0.2.1", "add a {}", "add {} 192.0.2.1,80", "a,{},b\n1,2,3",
          "# a,{},b\n1,192.0.2.1,2", "<{}", "create a {}", "add a 192.0.2.1 {}", "192.0.2.1-{}",
          "{{\"{}\": 5}}", "{{\"ip\": \"{}\"}}", "[\"{}\"]", "[{{\"{}\": 5}}]",
          "ip,x\n192.0.2.1,1\n{},2", "{{\n{}"}) {
        INFO(text);
        const std::string told = read(fmt::format(fmt::runtime(text), secret));
        INFO(told);
        CHECK_FALSE(told.empty());
        CHECK_THAT(told, !Catch::Contains(beyond));
    }
    CHECK_THAT(read(secret), Catch::Contains("'root:$6$saltsalt...'"));
    CHECK_THAT(read(std::string(100'000, '[') + "{"), !Catch::Contains("[[[[[[[[[[[[[[[[["));
    CHECK_THAT(read("[{\"ip\": " + std::string(10'000, '[')),
               Catch::Contains("more than 1000 values"));
    CHECK_THAT(read("{\"ip\": " + std::string(3000, '[') + std::string(3000, ']') + "}"),
               Catch::Contains("line 1") || Catch::Contains("nested deeper"));
}
