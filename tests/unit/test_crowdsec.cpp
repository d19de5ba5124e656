// SPDX-License-Identifier: Apache-2.0
#include "core/crowdsec.h"
#include "core/feed.h"
#include "daemon/bouncer.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

CrowdSecConfig config_of(const char* url)
{
    CrowdSecConfig config;
    config.url = url;
    config.interval_ns = 10 * ns_per_s;
    return config;
}

} // namespace

TEST_CASE("durations as Go writes them")
{
    CHECK(parse_go_duration("3h59m48.5s").value() ==
          (3 * 3600 + 59 * 60 + 48) * ns_per_s + ns_per_s / 2);
    CHECK(parse_go_duration("59.28s").value() == 59280 * ns_per_ms);
    CHECK(parse_go_duration("9.2ms").value() == 9200000);
    CHECK(parse_go_duration("5\xc2\xb5s").value() == 5000);
    CHECK(parse_go_duration("168h0m0s").value() == 604800 * ns_per_s);
    CHECK(parse_go_duration("-937.877092ms").value() == std::nullopt);
    CHECK(parse_go_duration("0s").value() == std::nullopt);
    for (const char* wrong :
         {"", "-", "5", "h", "1d", "1h-5m", "1e9h", "9999999999h", "inf s", "1h 5m", "nanh"}) {
        INFO(wrong);
        CHECK_FALSE(parse_go_duration(wrong));
    }
}

TEST_CASE("decisions of CrowdSec")
{
    const auto decisions = parse_decisions(R"({"deleted":[
        {"duration":"-9.2ms","id":1,"origin":"cscli","scenario":"x","scope":"Ip","type":"ban","value":"203.0.113.9"},
        {"duration":"-2s","id":4,"scope":"Ip","type":"captcha","value":"203.0.113.61"}],
      "new":[
        {"duration":"3h59m57.4s","id":2,"origin":"cscli","scenario":"range","scope":"Range","type":"ban","value":"198.51.100.77/24"},
        {"duration":"1h","scenario":"six","scope":"ip","type":"ban","value":"2001:DB8:0::0003"},
        {"duration":"1h","scope":"Ip","type":"ban","value":"::ffff:192.0.2.9"},
        {"duration":"1h","scope":"Country","type":"ban","value":"CN"},
        {"duration":"1h","scope":"Ip","type":"ban","simulated":true,"value":"192.0.2.50"},
        {"duration":"1h","scope":" RANGE ","type":"Ban","simulated":false,"value":" 192.0.2.64 - 192.0.2.191 "},
        {"duration":"1h","scope":"ip","type":"ban","value":"198.18.0.0/255.255.0.0"},
        {"duration":"1h","scope":"Range","type":"ban","value":"2001:db8::1-2001:db8::2"},
        {"duration":"1h","scope":"Range","type":"ban","value":"1.0.0.0-9.0.0.0"},
        {"duration":"1h","scope":"Ip","type":"ban","value":"192.0.2.1:80"},
        {"duration":"1h","scope":"Ip","type":"ban","value":"fe80::1%eth0"},
        {"duration":"1h","scope":"Range","type":"ban","value":"0.0.0.0/0"},
        {"duration":"1h","scope":"Range","type":"ban","value":"2001::/16"},
        {"duration":"1h","scope":"Range","type":"ban","value":"203.0.0.0/9"},
        {"duration":"1h","scope":"Range","type":"ban","value":"2001:db8::/28"},
        {"duration":"soon","scope":"Ip","type":"ban","value":"192.0.2.1"},
        {"duration":"-1s","scope":"Ip","type":"ban","value":"192.0.2.2"},
        {"duration":5,"scope":"Ip","type":"ban","value":["192.0.2.2"]}, 7]})");
    REQUIRE(decisions);
    REQUIRE(decisions->fresh.size() == 8);
    CHECK(decisions->fresh[0].prefix == "198.51.100.0/24"_net);
    CHECK(decisions->fresh[0].reason == "range");
    CHECK(decisions->fresh[0].ttl_ns == 14397'400 * ns_per_ms);
    CHECK(decisions->fresh[1].prefix == "2001:db8::3"_net);
    CHECK(decisions->fresh[2].prefix == "192.0.2.9"_net);
    CHECK(decisions->fresh[3].prefix == "192.0.2.64/26"_net);
    CHECK(decisions->fresh[4].prefix == "192.0.2.128/26"_net);
    CHECK(decisions->fresh[5].prefix == "198.18.0.0/16"_net);
    CHECK(decisions->fresh[6].prefix == "2001:db8::1"_net);
    CHECK(decisions->fresh[7].prefix == "2001:db8::2"_net);
    CHECK(decisions->gone == std::vector<Prefix>{"203.0.113.9"_net});
    CHECK(decisions->passed_over == 3);
    CHECK(decisions->faults == 10);
    CHECK(decisions->first_fault == "1.0.0.0-9.0.0.0: wider than /10");
    std::string deep = R"({"deleted":null,"new":[)" + std::string(300000, '[');
    deep += std::string(300000, ']') + "]}";
    CHECK_THAT(parse_decisions(deep).error().message, Catch::Contains("nested deeper"));

    CHECK(parse_decisions(R"({"deleted":null,"new":null})")->fresh.empty());
    for (const char* wrong :
         {"", "null", "[]", "{}", R"({"new":[]})", R"({"new":5,"deleted":null})",
          R"({"message":"access forbidden"})", "<html>"}) {
        INFO(wrong);
        CHECK_FALSE(parse_decisions(wrong));
    }
}

TEST_CASE(
    "networks that CrowdSec bans cover no more than a list of others, the widest are left out")
{
    std::vector<Prefix> wide; // each 0.11 % of IPv4: 44 fit into 5 %
    for (uint8_t i = 0; i < 44; i++) {
        wide.push_back(network_of(
            Address::from_ipv4(std::array<uint8_t, 4>{static_cast<uint8_t>(11 + i), 64}.data()),
            96 + 10));
    }
    const Prefix narrow = "203.0.113.0/24"_net;
    CHECK(beyond_share({}, wide).empty());
    CHECK(beyond_share(wide, wide).empty());
    CHECK(beyond_share(wide, {narrow}).empty());
    wide.push_back("60.64.0.0/10"_net);
    wide.push_back(narrow);
    CHECK(beyond_share({}, wide) == std::set<Prefix>{"60.64.0.0/10"_net});
    const std::vector<Prefix> in_force(wide.begin() + 1, wide.begin() + 45);
    CHECK(beyond_share(in_force, wide) == std::set<Prefix>{wide[0]}); // what is in force stays
    CHECK(beyond_share({}, {"2001:db8::/32"_net, "2a00::/14"_net}) ==
          std::set<Prefix>{"2a00::/14"_net});
}

TEST_CASE("errors do not show what a server answered")
{
    const std::string secret = "root:$6$saltsalt$0123456789abcdef:19000:0:99999";
    const std::string beyond = secret.substr(1, 17);
    CHECK_THAT(parse_decisions(secret).error().message, !Catch::Contains("root"));
    for (const char* row :
         {R"({{"duration":"1h","scope":"Ip","type":"ban","value":"{}"}})",
          R"({{"duration":"{}","scope":"Ip","type":"ban","value":"192.0.2.1"}})"}) {
        const auto decisions = parse_decisions(R"({"deleted":null,"new":[)" +
                                               fmt::format(fmt::runtime(row), secret) + "]}");
        REQUIRE(decisions);
        CHECK(decisions->faults == 1);
        CHECK_THAT(decisions->first_fault,
                   Catch::Contains("root:$6$saltsalt...") && !Catch::Contains(beyond));
    }
}

TEST_CASE("when CrowdSec is asked, and for what")
{
    Bouncer bouncer;
    CHECK_FALSE(bouncer.due(0));
    CHECK_FALSE(bouncer.status(0));
    CHECK_FALSE(bouncer.configure(config_of("http://a"), 0));
    auto job = bouncer.due(0);
    REQUIRE(job);
    CHECK(job->all);
    CHECK(job->url() == "http://a/v1/decisions/stream?startup=true&scopes=ip,range");
    CHECK_FALSE(bouncer.due(ns_per_s)); // one at a time
    CHECK(bouncer.taken(*job, {}, 2, ns_per_s, 1000));
    CHECK(bouncer.status(1000)->refused == 2);
    CHECK_FALSE(bouncer.due(10 * ns_per_s));
    job = bouncer.due(11 * ns_per_s);
    REQUIRE(job);
    CHECK_FALSE(job->all); // what changed

    SECTION("after a failure all of it, later each time")
    {
        uint64_t now = 11 * ns_per_s;
        uint64_t waited = 0;
        for (int i = 0; i < 20; i++) {
            CHECK(bouncer.failed(*job, "no answer", now));
            const uint64_t failed = now;
            while (!(job = bouncer.due(now))) {
                now += ns_per_s;
            }
            CHECK(job->all);
            CHECK(now - failed >= waited);
            CHECK(now - failed <= 60 * ns_per_s);
            waited = now - failed;
        }
        CHECK(bouncer.status(1089)->stale == false);
        CHECK(bouncer.status(1091)->stale == true);
        CHECK(bouncer.status(1091)->problem == "no answer");
        CHECK(bouncer.taken(*job, {}, 0, now, 2000));
        CHECK(bouncer.status(2000)->problem.empty());
        CHECK(bouncer.status(2000)->refused == 0);
    }
    SECTION("all of it now and then")
    {
        CHECK(bouncer.taken(*job, {}, 1, 12 * ns_per_s, 1011));
        CHECK(bouncer.status(1011)->refused == 3);
        job = bouncer.due(600 * ns_per_s);
        CHECK_FALSE(job->all);
        CHECK(bouncer.taken(*job, {}, 0, 600 * ns_per_s, 1600));
        job = bouncer.due(611 * ns_per_s);
        CHECK(job->all);
        CHECK(bouncer.taken(*job, {}, 0, 611 * ns_per_s, 1611));
        CHECK(bouncer.status(1611)->refused == 0);
        CHECK_FALSE(bouncer.due(1200 * ns_per_s)->all);
        bouncer.configure(config_of("http://a/"), 0);
        CHECK(bouncer.due(0)->all);
    }
    SECTION("answers of another one count for nothing")
    {
        CHECK(bouncer.configure(config_of("http://b/"), 0));
        CHECK_FALSE(bouncer.taken(*job, {}, 0, ns_per_s, 1000));
        CHECK_FALSE(bouncer.failed(*job, "x", ns_per_s));
        CHECK(bouncer.due(0)->url() == "http://b/v1/decisions/stream?startup=true&scopes=ip,range");
        CHECK(bouncer.configure({}, 0));
    }
}

TEST_CASE("passwords and keys in URLs are not shown")
{
    CHECK(shown_url("https://user:secret@host/list?a=b@c") == "https://...@host/list?...");
    CHECK(shown_url("http://u:a@b@host") == "http://...@host");
    CHECK(shown_url("http://host?key=x@y/z") == "http://host?...");
    for (const char* plain :
         {"https://host/a@b", "/etc/list@x?y", "http://[2001:db8::1]:80/", ""}) {
        CHECK(shown_url(plain) == plain);
    }
}
