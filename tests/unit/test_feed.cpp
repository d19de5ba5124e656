// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/feed.h"
#include "daemon/feeds.h"
#include "feeds/copies.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

FeedConfig config_of(const std::string& name)
{
    FeedConfig config;
    config.name = name;
    config.url = "/list/" + name;
    return config;
}

} // namespace

TEST_CASE("every format of lists is read")
{
    const FeedText feed =
        parse_feed("\xef\xbb\xbf# FireHOL netset\n"
                   "192.0.2.0/24\n"
                   "203.0.113.7\r\n"
                   "\n"
                   "   198.51.100.0/25   trailing words\n"
                   "; Spamhaus DROP List\n"
                   "198.18.0.0/15 ; SBL1234\n"
                   "{\"cidr\":\"2001:db8:1::/48\",\"sblid\":\"SBL5\",\"rir\":\"ripe\"}\n"
                   "{\"type\":\"metadata\",\"timestamp\":1700000000}\n"
                   "create bad hash:net family inet hashsize 1024 maxelem 65536\n"
                   "add bad 192.0.2.128/25 timeout 300\n"
                   "add bad 2001:db8::5\n"
                   "192.0.2.0/24");
    CHECK(feed.faults == 0);
    CHECK(feed.entries == 8);
    CHECK(feed.prefixes == std::vector<Prefix>{"192.0.2.0/24"_net, "192.0.2.128/25"_net,
                                               "198.18.0.0/15"_net, "198.51.100.0/25"_net,
                                               "203.0.113.7"_net, "2001:db8::5"_net,
                                               "2001:db8:1::/48"_net});
}

TEST_CASE("faults are counted, the first is told, host bits are cleared")
{
    const FeedText feed =
        parse_feed("192.0.2.77/24\n<html>\n300.0.0.1\n{\"cidr\":5}\n{broken\n10.0.0.0/33\n::1/129");
    CHECK(feed.prefixes == std::vector<Prefix>{"192.0.2.0/24"_net});
    CHECK(feed.host_bits == 1);
    CHECK(feed.faults == 6);
    CHECK(feed.first_fault.line == 2);
    CHECK(feed.first_fault.text == "<html>");
    CHECK(parse_feed("").prefixes.empty());
    const FeedText rude =
        parse_feed("\x1b[2J" + std::string(3000, 'x') + "\n" + std::string(5000, '{') + "\n");
    CHECK(rude.faults == 2);
    CHECK(rude.first_fault.text.starts_with("?[2J"));
    CHECK(rude.first_fault.text.size() + rude.first_fault.why.size() < 300);
}

TEST_CASE("what is no list, or of another size, is not taken")
{
    FeedConfig config = config_of("a");
    const auto why = [&config](const char* text) {
        const auto taken = take_feed(parse_feed(text), config, {});
        return taken ? std::string("taken") : taken.error().message;
    };
    CHECK_THAT(why("<html>\n<body>\n192.0.2.1\n</body>"), Catch::Contains("line 1: '<html>'"));
    CHECK_THAT(why(""), Catch::Contains("0 entries, at least 1"));
    CHECK(why("192.0.2.1\noops") == "taken");
    config.max_entries = 1;
    CHECK_THAT(why("192.0.2.1\n192.0.2.2"), Catch::Contains("2 entries, at most 1"));
}

TEST_CASE("what would hurt this host is not taken, and told")
{
    const ProtectedSet host({{"192.0.2.1"_net, Protection::GATEWAY, "route"},
                             {"10.1.0.0/16"_net, Protection::PRIVATE_NETWORK, "route"}});
    FeedConfig config = config_of("a");
    const auto taken = take_feed(
        parse_feed("192.0.2.0/24\n10.1.2.0/24\n10.0.0.0/8\n10.2.0.0/16\n0.0.0.0/1\n2000::/3"),
        config, host);
    REQUIRE(taken);
    CHECK(taken->prefixes == std::vector<Prefix>{"10.2.0.0/16"_net});
    CHECK(taken->protected_here == 3);
    CHECK(taken->too_wide == 2);
    CHECK_FALSE(taken->first_refused.why.empty());
}

TEST_CASE("a change beyond what is expected is refused")
{
    const std::vector<Prefix> before = {"192.0.2.1"_net, "192.0.2.2"_net, "192.0.2.3"_net,
                                        "192.0.2.4"_net};
    CHECK(accept_change({}, before, 0));
    CHECK(accept_change(before, before, 0));
    CHECK(accept_change(before, {"192.0.2.1"_net, "192.0.2.2"_net}, 50));
    CHECK_FALSE(accept_change(before, {"192.0.2.1"_net}, 50));
    CHECK_FALSE(accept_change(before, {}, 50));
    CHECK(accept_change(before, {}, 100));
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
    const FeedCopy copy{"https://www.example/x", {"\"e\"", "Tue"}, 7, "192.0.2.1\n192.0.2.2\n"};
    const std::string file = encode_copy(copy);
    const auto read = decode_copy(file);
    REQUIRE(read);
    CHECK(read->url == copy.url);
    CHECK(read->validators == copy.validators);
    CHECK(read->fetched_unix_s == 7);
    CHECK(read->text == copy.text);
    for (size_t i = 0; i < file.size(); i++) {
        CHECK_FALSE(decode_copy(file.substr(0, i)));
    }
    std::string flipped = file;
    flipped.back() ^= 1;
    CHECK_FALSE(decode_copy(flipped));
}
