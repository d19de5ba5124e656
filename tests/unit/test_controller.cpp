// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "daemon/controller.h"
#include "harness/fake_dataplane.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

struct House {
    std::string directory = fmt::format("/tmp/xdpctl-test-{}", getpid());
    FakeDataplane plane;
    FakeInterfaces interfaces;
    std::unique_ptr<Controller> controller;

    HostFacts host;
    Sysctls sysctls = {{"net.ipv4.tcp_syncookies", "1"}, {"net.ipv4.tcp_timestamps", "1"}};

    explicit House(Config config = {})
    {
        std::filesystem::remove_all(directory);
        std::filesystem::create_directories(directory);
        restart(std::move(config));
    }
    ~House() { std::filesystem::remove_all(directory); }

    const std::vector<ListEntry>& content(uint16_t list) const
    {
        const auto& lists = plane.policy.lists;
        const auto found = std::find_if(lists.begin(), lists.end(),
                                        [list](const ListContent& c) { return c.list == list; });
        REQUIRE(found != lists.end());
        return found->prefixes;
    }
    void restart(Config config)
    {
        config.state_directory = directory + "/state";
        host.addresses = {"198.51.100.1"_ip};
        ControllerSetup setup{"1", directory + "/x.toml", config, {}, {}, {}};
        setup.read_host = [this] { return Result<HostFacts>(host); };
        setup.sysctls.read = [this](const std::string& name) {
            return Result<std::string>(sysctls.at(name));
        };
        setup.sysctls.write = [this](const std::string& name, const std::string& value) {
            sysctls[name] = value;
            return Result<>(Done{});
        };
        controller = std::make_unique<Controller>(plane, interfaces, std::move(setup));
        REQUIRE(controller->start());
    }
    void write_config(const std::string& text) const
    {
        std::ofstream(directory + "/x.toml")
            << text << "\n[paths]\nstate = \"" << directory << "/state\"\n";
    }
    bool logged(const std::string& kind) const
    {
        const auto events = controller->events(0);
        return std::any_of(events.begin(), events.end(),
                           [&kind](const LogEvent& e) { return e.kind == kind; });
    }
};

} // namespace

TEST_CASE("a change that the data path refuses changes nothing")
{
    House house;
    house.plane.fail_commit = true;
    CHECK_FALSE(house.controller->set_mode(XDPCTL_MODE_ENFORCE));
    CHECK_FALSE(house.controller->allow({"192.0.2.0/24"_net}));
    CHECK_FALSE(house.controller->apply("mode = \"enforce\"", "x"));
    house.plane.fail_commit = false;
    CHECK(house.controller->status().mode == XDPCTL_MODE_MONITOR);
    CHECK(house.controller->allowed().empty());
}

TEST_CASE("what is set by hand is in force and survives a restart")
{
    House house;
    REQUIRE(house.controller->set_mode(XDPCTL_MODE_ENFORCE));
    REQUIRE(*house.controller->allow({"192.0.2.0/24"_net, "192.0.2.0/24"_net}) == 1);
    REQUIRE(house.controller->ban({{"203.0.113.0/24"_net, {}, ""}}, XDPCTL_BAN_OPERATOR)->added ==
            1);
    CHECK(house.plane.policy.policy.mode == XDPCTL_MODE_ENFORCE);
    CHECK(house.content(XDPCTL_LIST_ALLOW).size() == 1);
    CHECK(house.content(XDPCTL_LIST_BANS).size() == 1);
    house.plane.policy = {};
    house.restart({});
    CHECK(house.plane.policy.policy.mode == XDPCTL_MODE_ENFORCE);
    CHECK(house.content(XDPCTL_LIST_ALLOW).size() == 1);
    CHECK(house.content(XDPCTL_LIST_BANS).size() == 1);
    CHECK(house.controller->status().mode_overridden);
}

TEST_CASE("an invalid reload is refused whole and remembered for status")
{
    House house;
    house.write_config("mode = \"enforce\"\n");
    REQUIRE(house.controller->reload());
    CHECK(house.controller->status().mode == XDPCTL_MODE_ENFORCE);
    house.write_config("mode = \"monitor\"\nnonsense = 1\n");
    const auto refused = house.controller->reload();
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("x.toml:2: nonsense: unknown key"));
    CHECK(house.controller->status().mode == XDPCTL_MODE_ENFORCE);
    CHECK_FALSE(house.controller->status().config_ok);
    house.write_config("");
    REQUIRE(house.controller->reload());
    CHECK(house.controller->status().config_ok);
}

TEST_CASE("bans: guarded in parts, listed, lifted")
{
    House house;
    REQUIRE(house.controller->allow({"192.0.2.0/24"_net}));
    const std::optional<uint64_t> ttl = ns_per_s * 90;
    const auto result = house.controller->ban({{"203.0.113.7"_net, ttl, "a scanner"},
                                               {"192.0.2.7"_net, ttl, ""},
                                               {"198.51.100.0/24"_net, ttl, ""},
                                               {"2001:db8::/48"_net, ttl, "a whole site"}},
                                              XDPCTL_BAN_FAIL2BAN);
    REQUIRE(result);
    CHECK(result->added == 2);
    REQUIRE(result->refused.size() == 2);
    CHECK(result->refused[0].prefix == "192.0.2.7"_net);
    CHECK(result->refused[1].prefix == "198.51.100.0/24"_net);
    CHECK(house.plane.table.contains("203.0.113.7"_ip));
    const auto list = house.controller->bans();
    REQUIRE(list);
    REQUIRE(list->size() == 2);
    for (const BanInfo& ban : *list) {
        CHECK(ban.origin == "fail2ban");
        CHECK(ban.reason == (ban.prefix.is_host() ? "a scanner" : "a whole site"));
    }
    house.restart({});
    CHECK(house.controller->bans()->at(0).reason == list->at(0).reason);
    CHECK(*house.controller->unban({"203.0.113.7"_net, "2001:db8::/48"_net}, {}) == 2);
    CHECK(house.controller->bans()->empty());
    CHECK(house.controller->unban({"203.0.113.7"_net}, {}).error().kind == ErrorKind::not_found);
}

TEST_CASE("no program puts aside what others decided")
{
    House house;
    Controller& control = *house.controller;
    const auto of = [&control](const char* prefix) {
        for (const BanInfo& ban : *control.bans()) {
            if (to_string(ban.prefix) == prefix) {
                return fmt::format("{} {}", ban.origin, ban.remaining_ns.value_or(0) / ns_per_s);
            }
        }
        return std::string("none");
    };
    for (const char* text : {"203.0.113.7", "2001:db8::/48"}) {
        INFO(text);
        const Prefix prefix = parse_prefix(text).value();
        const auto ban = [&](uint64_t seconds, xdpctl_ban_origin origin) {
            REQUIRE(control.ban({{prefix, seconds * ns_per_s, ""}}, origin));
        };
        ban(100, XDPCTL_BAN_CROWDSEC);
        ban(10, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "crowdsec 100"); // not shortened
        CHECK_FALSE(control.unban({prefix}, XDPCTL_BAN_FAIL2BAN));
        ban(200, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "fail2ban 200");
        ban(50, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "fail2ban 50"); // who banned may
        ban(20, XDPCTL_BAN_OPERATOR);
        CHECK(of(text) == "operator 20");
        ban(500, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "operator 20");
        CHECK_FALSE(control.unban({prefix}, XDPCTL_BAN_FAIL2BAN));
        CHECK(control.unban({prefix}, {}));
        CHECK(of(text) == "none");
    }
}

TEST_CASE("decisions of CrowdSec become bans, and no more than there is room for")
{
    Config config;
    config.crowdsec.url = "http://192.0.2.1";
    House house(config);
    house.plane.room = 80;
    Controller& control = *house.controller;
    const auto answer = [&](const Decisions& decisions) {
        std::optional<BouncerJob> job;
        while (!(job = control.due_decisions())) {
            house.plane.now += ns_per_s;
        }
        control.decisions_fetched(*job, decisions);
        control.tick(); // which counts
        return job->all;
    };
    const auto banned = [&control] {
        std::vector<std::string> all;
        for (const BanInfo& ban : *control.bans()) {
            all.push_back(fmt::format("{} {}", to_string(ban.prefix), ban.origin));
        }
        return all;
    };
    using Names = std::vector<std::string>;
    Decisions first;
    first.fresh = {{"203.0.113.7"_net, 60 * ns_per_s, "a"},
                   {"2001:db8::/48"_net, 60 * ns_per_s, "b"},
                   {"198.51.100.1"_net, 60 * ns_per_s, "our own address"}};
    CHECK(answer(first));
    CHECK(banned() == Names{"203.0.113.7 crowdsec", "2001:db8::/48 crowdsec"});
    CHECK(control.status().crowdsec->refused == 1);
    CHECK(control.status().crowdsec->decisions == 2);

    REQUIRE(control.ban({{"203.0.113.8"_net, {}, ""}}, XDPCTL_BAN_OPERATOR));
    Decisions then;
    then.gone = {"203.0.113.7"_net, "203.0.113.8"_net, "203.0.113.9"_net};
    CHECK_FALSE(answer(then));
    CHECK(banned() == Names{"203.0.113.8 operator", "2001:db8::/48 crowdsec"});

    Decisions many;
    for (uint8_t i = 0; i < 200; i++) {
        Address source = "192.0.2.0"_ip;
        source.bytes[15] = i;
        many.fresh.push_back({{source, 128}, 6000 * ns_per_s, "many"});
    }
    answer(many);
    CHECK(house.plane.table.size() == 70); // an eighth is kept for others
    CHECK_THAT(control.status().crowdsec->problem, Catch::Contains("131 decisions do not fit"));
    CHECK(control.ban({{"203.0.113.9"_net, {}, ""}}, XDPCTL_BAN_OPERATOR));

    while (!answer({})) { // until all is told: there is nothing any more
    }
    CHECK(banned() == Names{"203.0.113.8 operator", "203.0.113.9 operator"});
    CHECK(control.status().crowdsec->problem.empty());

    answer(first);
    house.restart({}); // without CrowdSec
    CHECK(house.controller->bans()->size() == 2);
}

TEST_CASE("a full table refuses the batch and keeps what it had")
{
    House house;
    house.plane.room = 2;
    REQUIRE(house.controller->ban({{"203.0.113.1"_net, {}, ""}}, XDPCTL_BAN_OPERATOR));
    CHECK_FALSE(house.controller->ban({{"203.0.113.2"_net, {}, ""}, {"203.0.113.3"_net, {}, ""}},
                                      XDPCTL_BAN_OPERATOR));
    CHECK(house.plane.table.size() == 1);
}

TEST_CASE("an offender is banned at the tick, expires, is forgotten")
{
    Config config;
    config.mode = XDPCTL_MODE_ENFORCE;
    config.heuristics.client_packets_per_second = 1000;
    House house(config);
    for (uint64_t i = 0; i < 8 && house.plane.table.empty(); i++) {
        house.plane.samples = {{"203.0.113.7"_ip, i * 1000, i * 1000, 1},
                               {"198.51.100.1"_ip, i * 1000, i * 1000, 1}}; // our own address
        house.controller->tick();
        house.plane.now += tick_ns;
    }
    REQUIRE(house.plane.table.size() == 1);
    CHECK(house.plane.table.contains("203.0.113.7"_ip));
    CHECK(house.logged("ban"));
    house.plane.samples.clear();
    house.plane.now += config.heuristics.ban_ttl_ns;
    house.controller->tick();
    CHECK(house.controller->bans()->empty());
    CHECK(house.plane.table.size() == 1); // its strike is remembered
    house.plane.now += 2 * config.heuristics.strike_decay_ns;
    house.controller->tick();
    CHECK(house.plane.table.empty());
}

TEST_CASE("where half of a network's hosts are banned, all of it is")
{
    Config config;
    config.mode = XDPCTL_MODE_ENFORCE;
    config.heuristics.client_packets_per_second = 1000;
    House house(config);
    house.plane.room = 1000;
    const auto flood = [&house](unsigned hosts) {
        for (uint64_t i = 0; i < 12; i++) {
            house.plane.samples.clear();
            for (unsigned host = 0; host < hosts; host++) {
                Address source = host % 2 == 0 ? "203.0.113.0"_ip : "2001:db8:7::"_ip;
                source.bytes[15] = static_cast<uint8_t>(host / 2);
                house.plane.samples.push_back({source, i * 1000, i * 1000, 1});
            }
            house.controller->tick();
            house.plane.now += tick_ns;
        }
    };
    const auto networks = [&house] {
        std::vector<BanInfo> all = *house.controller->bans();
        std::erase_if(all, [](const BanInfo& ban) { return ban.prefix.is_host(); });
        return all;
    };
    flood(62); // 31 of each family
    CHECK(networks().empty());
    flood(64);
    REQUIRE(networks().size() == 1);
    CHECK(networks()[0].prefix == "2001:db8:7::/64"_net);
    CHECK(networks()[0].origin == "heuristic");
    CHECK(networks()[0].reason == "32 of its hosts are banned");
    flood(256);
    REQUIRE(networks().size() == 2);
    CHECK(networks()[0].prefix == "203.0.113.0/24"_net);
    house.plane.samples.clear();
    house.plane.now += config.heuristics.ban_ttl_ns * 64;
    house.controller->tick();
    CHECK(networks().empty()); // with its hosts
}

TEST_CASE("interfaces follow the configuration; a foreign program is left alone")
{
    Config config;
    config.interfaces = {"a", "b"};
    House house(config);
    house.interfaces.present["old"] = {"old", 9, true, false};
    house.interfaces.refuses = "b";
    REQUIRE(house.controller->attach_configured());
    CHECK(house.interfaces.present.contains("a"));
    CHECK(house.interfaces.present.contains("old")); // by hand, before a restart
    CHECK(house.controller->status().missing_interfaces == std::vector<std::string>{"b"});
    house.interfaces.refuses = "";
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK(house.interfaces.present.contains("b")); // tried again
    house.interfaces.refuses = "a";
    house.interfaces.present.clear();
    Config only_a;
    only_a.interfaces = {"a"};
    house.restart(only_a);
    CHECK_FALSE(house.controller->attach_configured()); // nothing could be attached
}

TEST_CASE("a configuration whose interface cannot be attached changes nothing")
{
    Config config;
    config.interfaces = {"a"};
    House house(config);
    REQUIRE(house.controller->attach_configured());
    house.interfaces.refuses = "c";
    const auto refused =
        house.controller->apply("interfaces = [\"b\", \"c\"]\nmode = \"enforce\"", "x");
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("nothing was changed: c already runs"));
    CHECK(house.controller->status().mode == XDPCTL_MODE_MONITOR);
    CHECK(house.interfaces.present.contains("a"));
    CHECK_FALSE(house.interfaces.present.contains("b"));
    REQUIRE(house.controller->apply("interfaces = [\"b\"]", "x"));
    CHECK_FALSE(house.interfaces.present.contains("a"));
    CHECK(house.interfaces.present.contains("b"));
}

TEST_CASE("after a panic a restart attaches nothing; attach ends the panic")
{
    Config config;
    config.interfaces = {"a"};
    House house(config);
    house.plane.bypassed = true;
    house.restart(config);
    REQUIRE(house.controller->attach_configured());
    CHECK(house.interfaces.present.empty());
    CHECK(house.logged("panic"));
    REQUIRE(house.controller->attach("a"));
    CHECK_FALSE(house.plane.bypassed);
}

TEST_CASE("a new listener gets its guard, and the guard its sysctls while it answers")
{
    Config config;
    config.mode = XDPCTL_MODE_ENFORCE;
    config.interfaces = {"a"};
    House house(config);
    REQUIRE(house.controller->attach_configured());
    CHECK(house.plane.policy.policy.service_of_port[443] == 0);

    house.host.backlogs = {{443, 4096}};
    LinkFacts link;
    link.ifindex = 1;
    link.name = "a";
    link.advmss_ipv4 = 1460;
    link.advmss_ipv6 = 1440;
    house.host.network.links = {link};
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    const uint8_t slot = house.plane.policy.policy.service_of_port[443];
    REQUIRE(slot != 0);
    CHECK(house.plane.policy.policy.services[slot].capacity == 4096);
    CHECK(house.plane.resets == std::vector<uint8_t>{slot});
    CHECK(house.plane.mss.at(1) == std::pair<uint16_t, uint16_t>{1460, 1440});

    GuardReading reading;
    reading.slot = slot;
    reading.present = true;
    reading.service = house.plane.policy.policy.services[slot];
    house.plane.readings = {reading};
    house.controller->tick();
    CHECK(house.sysctls.at("net.ipv4.tcp_timestamps") == "2");
    CHECK(house.sysctls.at("net.ipv4.tcp_syncookies") == "1");
    house.plane.readings[0].state.attack_until_ns = house.plane.now + ns_per_s;
    house.controller->tick();
    CHECK(house.sysctls.at("net.ipv4.tcp_syncookies") == "2");
    CHECK(house.logged("guard"));

    SECTION("the end of the attack, and of the daemon, put them back")
    {
        house.plane.now += 5 * ns_per_s;
        house.controller->tick();
        CHECK(house.sysctls.at("net.ipv4.tcp_syncookies") == "1");
        house.controller->put_back_sysctls();
        CHECK(house.sysctls.at("net.ipv4.tcp_timestamps") == "1");
    }
    SECTION("a daemon that comes after a crash knows what they were")
    {
        house.restart(config);
        house.controller->put_back_sysctls();
        CHECK(house.sysctls.at("net.ipv4.tcp_syncookies") == "1");
        CHECK(house.sysctls.at("net.ipv4.tcp_timestamps") == "1");
    }
    SECTION("the hand sets guard and lockdown, of services only, and a restart keeps them")
    {
        REQUIRE(house.controller->set_guard(443, XDPCTL_GUARD_ON));
        REQUIRE(house.controller->set_lockdown(443, true));
        CHECK(house.controller->set_guard(80, XDPCTL_GUARD_ON).error().kind ==
              ErrorKind::not_found);
        house.restart(config);
        const xdpctl_service& service = house.plane.policy.policy.services[slot];
        CHECK(service.guard == XDPCTL_GUARD_ON);
        CHECK(service.lockdown == 1);
        REQUIRE(house.controller->set_guard(443, std::nullopt));
        CHECK(house.plane.policy.policy.services[slot].guard == XDPCTL_GUARD_AUTO);
    }
    SECTION("a link without an Ethernet header forbids answers, and says so")
    {
        house.host.network.links[0].no_answers = "its packets have no Ethernet header";
        house.plane.now += 2 * ns_per_s;
        house.controller->tick();
        CHECK(house.plane.mss.at(1) == std::pair<uint16_t, uint16_t>{0, 0});
        CHECK_THAT(house.controller->events(0).back().text,
                   Catch::Contains("NO COOKIES") && Catch::Contains("no Ethernet header"));
    }
    SECTION("a tag that is stripped forbids answers")
    {
        house.host.network.links[0].has_vlans = true;
        house.host.network.links[0].strips_vlan_tags = true;
        house.plane.now += 2 * ns_per_s;
        house.controller->tick();
        CHECK(house.plane.mss.at(1) == std::pair<uint16_t, uint16_t>{0, 0});
    }
}
