// SPDX-License-Identifier: Apache-2.0
#include "core/units.h"
#include "daemon/guards.h"
#include "harness/catch.h"

using namespace xdpctl;

namespace
{

constexpr uint64_t now = 1000 * ns_per_s;

GuardReading reading(xdpctl_guard_mode mode, bool attacked = false, bool cookies_off = false)
{
    GuardReading reading;
    reading.slot = 1;
    reading.present = true;
    reading.service.port = 80;
    reading.service.guard = static_cast<uint8_t>(mode);
    reading.state.attack_since_ns = now - 3 * ns_per_s;
    reading.state.attack_until_ns = attacked ? now + 1 : 0;
    reading.state.cookies_off_until_ns = cookies_off ? now + 5 * ns_per_s : 0;
    return reading;
}

GuardState state(const GuardReading& reading)
{
    return guard_status(reading, now).state;
}

struct Kernel {
    Sysctls values = {{"a", "1"}, {"b", "1"}};
    bool refuses = false;
    bool saved_before_write = false;
    KernelSettings settings{{[this](const std::string& name) -> Result<std::string> {
                                 return values.contains(name) ? Result<std::string>(values.at(name))
                                                              : failure("no {}", name);
                             },
                             [this](const std::string& name, const std::string& value) -> Result<> {
                                 if (refuses) {
                                     return failure("read-only");
                                 }
                                 values[name] = value;
                                 return Done{};
                             }}};
};

} // namespace

TEST_CASE("what a guard does follows from its mode, the attack and its proof")
{
    CHECK(state(reading(XDPCTL_GUARD_OFF)) == GuardState::off);
    CHECK(state(reading(XDPCTL_GUARD_AUTO)) == GuardState::watching);
    CHECK(state(reading(XDPCTL_GUARD_AUTO, true)) == GuardState::answering);
    CHECK(state(reading(XDPCTL_GUARD_AUTO, true, true)) == GuardState::limiting);
    CHECK(state(reading(XDPCTL_GUARD_ARMED, true)) == GuardState::attacked);
    CHECK(state(reading(XDPCTL_GUARD_ON)) == GuardState::answering);
    CHECK(state(reading(XDPCTL_GUARD_ON, false, true)) == GuardState::limiting);
    GuardReading other = reading(XDPCTL_GUARD_OFF);
    other.slot = 0;
    other.service.port = 0;
    CHECK(state(other) == GuardState::watching);
    other.state.attack_until_ns = now + 1;
    CHECK(state(other) == GuardState::limiting);
    other.counters.syns = 9;
    other.counters.limited = 7;
    CHECK(guard_status(other, now).syns == 9); // the row "other ports" of `xdpctl guard`
    CHECK(guard_status(other, now).limited == 7);
    CHECK(guard_status(reading(XDPCTL_GUARD_AUTO, true), now).attacked_for_ns == 3 * ns_per_s);
}

TEST_CASE("begin and end of an attack are told once, with what it cost")
{
    Guards guards;
    CHECK(guards.watch({reading(XDPCTL_GUARD_AUTO)}, now).empty());
    auto said = guards.watch({reading(XDPCTL_GUARD_AUTO, true)}, now);
    REQUIRE(said.size() == 1);
    CHECK_THAT(said[0], Catch::Contains("tcp/80: SYN flood: SYNs are answered with cookies"));
    GuardReading busy = reading(XDPCTL_GUARD_AUTO, true);
    busy.counters.cookies = 5000;
    CHECK(guards.watch({busy}, now).empty());
    busy.state.attack_until_ns = 0;
    busy.counters.accepted = 7;
    said = guards.watch({busy}, now);
    REQUIRE(said.size() == 1);
    CHECK_THAT(said[0], Catch::Contains("over: 5.00k cookies sent, 7 clients proven"));
    said = guards.watch({reading(XDPCTL_GUARD_AUTO, false, true)}, now);
    REQUIRE(said.size() == 1);
    CHECK_THAT(said[0], Catch::Contains("COOKIES OFF for 5s"));
}

TEST_CASE("the hand is stronger than the configuration, and the host decides what is there")
{
    Guards guards;
    HostFacts host;
    host.backlogs = {{22, 128}, {80, 511}, {443, 4096}};
    host.network.conntrack = true;
    host.network.rmem_max = 4000000;
    guards.follow(host, {}, {});
    Config config;
    config.guard.mode = XDPCTL_GUARD_ARMED;
    config.guard.modes = {{80, XDPCTL_GUARD_ON}};
    config.guard.lockdown = {443};
    HandState hand;
    hand.guards = {{22, XDPCTL_GUARD_OFF}};
    hand.lockdown = {{443, false}, {80, true}};
    HostSpec spec = guards.spec(config, hand, host);
    REQUIRE(spec.services.size() == 3);
    CHECK(spec.services[0] == ServiceSpec{1, 22, true, XDPCTL_GUARD_OFF, false, 128});
    CHECK(spec.services[1] == ServiceSpec{2, 80, true, XDPCTL_GUARD_ON, true, 511});
    CHECK(spec.services[2] == ServiceSpec{3, 443, true, XDPCTL_GUARD_ARMED, false, 4096});
    CHECK(spec.flags == XDPCTL_HOST_CONNTRACK);
    host.sees_handshakes = false;
    CHECK((guards.spec(config, hand, host).flags & XDPCTL_HOST_BLIND) != 0);
    host.backlogs.erase(80);
    CHECK_FALSE(guards.spec(config, hand, host).services[1].present);
}

TEST_CASE("sysctls are asked for only while a guard needs them")
{
    const auto wanted = [](const GuardReading& r, const char* syncookies) {
        return sysctls_for({guard_status(r, now)}, syncookies);
    };
    const Sysctls timestamps = {{"net.ipv4.tcp_timestamps", "2"}};
    CHECK(wanted(reading(XDPCTL_GUARD_OFF), "1").empty());
    CHECK(wanted(reading(XDPCTL_GUARD_AUTO), "1") == timestamps);
    CHECK(wanted(reading(XDPCTL_GUARD_AUTO), "0").at("net.ipv4.tcp_syncookies") == "1");
    CHECK(wanted(reading(XDPCTL_GUARD_AUTO, true), "1").at("net.ipv4.tcp_syncookies") == "2");
}

TEST_CASE("sysctls are put back, unless somebody else changed them")
{
    Kernel kernel;
    ChangedSysctls saved;
    const auto want = [&](const Sysctls& wanted) {
        return kernel.settings.want(wanted, [&](const ChangedSysctls& changed) {
            saved = changed;
            // Before the write: a crash in between is no loss.
            kernel.saved_before_write |= changed.contains("a") && kernel.values.at("a") == "1";
        });
    };
    CHECK(want({{"a", "2"}, {"b", "1"}}) == std::vector<std::string>{"a set from 1 to 2"});
    CHECK(saved == ChangedSysctls{{"a", {"1", "2"}}});
    CHECK(kernel.saved_before_write);
    CHECK(kernel.settings.before("a") == "1");
    CHECK(want({{"a", "2"}}).empty());
    CHECK(want({}) == std::vector<std::string>{"a put back to 1"});
    CHECK(kernel.values.at("a") == "1");
    CHECK(saved.empty());

    (void)want({{"a", "2"}});
    kernel.values["a"] = "0"; // the administrator
    (void)want({});
    CHECK(kernel.values.at("a") == "0");

    SECTION("over a restart")
    {
        kernel.settings.adopt({{"a", {"1", "2"}}});
        (void)want({});
        CHECK(kernel.values.at("a") == "0"); // the administrator's still
        kernel.values["a"] = "2";
        kernel.settings.adopt({{"a", {"1", "2"}}});
        (void)want({});
        CHECK(kernel.values.at("a") == "1");
    }
    SECTION("a refusal is a problem as long as it lasts, and nothing is remembered")
    {
        kernel.refuses = true;
        CHECK(want({{"b", "9"}}).empty());
        CHECK(kernel.settings.problem() == "read-only");
        CHECK(kernel.settings.changed().empty());
        want({});
        CHECK(kernel.settings.problem().empty());
    }
}
