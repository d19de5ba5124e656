// SPDX-License-Identifier: Apache-2.0
#include "daemon/state.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("what was set by hand survives")
{
    HandState state;
    state.mode = XDPCTL_MODE_ENFORCE;
    state.allow = {"192.0.2.0/24"_net, "2001:db8::1"_net};
    state.prefix_bans = {{"198.51.100.0/24"_net, 1700000000},
                         {"2001:db8:1::/48"_net, std::nullopt, XDPCTL_BAN_CROWDSEC, "why", true}};
    state.shared_bans = {{"192.0.2.1"_net, 1700000001, XDPCTL_BAN_FAIL2BAN, "sshd"},
                         {"2001:db8::1"_net, std::nullopt, XDPCTL_BAN_FAIL2BAN, "web"}};
    state.geo_bits = {{"CN", 3}, {"AS4134", 0}};
    state.ban_reasons = BanReasons({"one", "two"});
    state.guards = {{443, XDPCTL_GUARD_ON}};
    state.lockdown = {{443, true}, {80, false}};
    state.geo = {{443, {{"CN", "AS4134"}, {"US"}}}, {80, {}}};
    state.sysctls = {{"net.ipv4.tcp_syncookies", {"1", "2"}}};
    const auto read = decode_state(encode_state(state, "boot"), "boot");
    REQUIRE(read);
    CHECK(read->guards == state.guards);
    CHECK(read->lockdown == state.lockdown);
    CHECK(read->geo == state.geo);
    CHECK(read->ban_reasons == state.ban_reasons);
    CHECK(read->geo_bits == state.geo_bits);
    CHECK(read->prefix_bans[1].origin == XDPCTL_BAN_CROWDSEC);
    CHECK(read->prefix_bans[1].reason == "why");
    CHECK(read->prefix_bans[1].forced);
    CHECK_FALSE(read->prefix_bans[0].forced);
    CHECK(read->shared_bans == state.shared_bans);
    CHECK(read->sysctls == state.sysctls);
    CHECK(decode_state(encode_state(state, "boot"), "another")->sysctls.empty());
    CHECK(read->mode == state.mode);
    CHECK(read->allow == state.allow);
    REQUIRE(read->prefix_bans.size() == 2);
    CHECK(read->prefix_bans[0].until_unix_s == 1700000000);
    CHECK_FALSE(read->prefix_bans[1].until_unix_s);
    CHECK(decode_state(encode_state({}))->allow.empty());
}

TEST_CASE("a damaged state file is refused, not guessed at")
{
    for (const char* text :
         {"",
          "[]",
          "{}",
          R"({"version": 2})",
          R"({"version": 1, "allow": ["x"]})",
          R"({"version": 1, "allow": [5]})",
          R"({"version": 1, "mode": "drop"})",
          R"({"version": 1, "guards": {"443": "sometimes"}})",
          R"({"version": 1, "guards": {"70000": "on"}})",
          R"({"version": 1, "guards": []})",
          R"({"version": 1, "lockdown": {"443": 1}})",
          R"({"version": 1, "sysctls": {"a": 1}})",
          R"({"version": 1, "geo": {"443": {"only": ["CHN"]}}})",
          R"({"version": 1, "geo": {"443": 5}})",
          R"({"version": 1, "shared_bans": [5]})",
          R"({"version": 1, "shared_bans": [{"prefix": "192.0.2.1", "until": "x"}]})",
          R"({"version": 1, "geo_bits": {"CN": 64}})",
          R"({"version": 1, "geo_bits": {"CN": 1, "US": 1}})",
          R"({"version": 1, "prefix_bans": [7]})",
          R"({"version": 1, "ban_reasons": [7]})",
          R"({"version": 1, "prefix_bans": [{"prefix": "192.0.2.1", "origin": "x"}]})",

          R"({"version": 1, "prefix_bans": [{"prefix": "192.0.2.1", "until": "soon"}]})"}) {
        INFO(text);
        CHECK_FALSE(decode_state(text));
    }
}
