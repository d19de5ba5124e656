// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "core/panic.h"
#include "daemon/controller.h"
#include "harness/catch.h"
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
    Inbox inbox;
    Jobs jobs{inbox}; // has no threads: what is started is done at once
    std::unique_ptr<Controller> controller;

    HostFacts host;
    std::string feed;    // what servers of feeds answer
    Decisions decisions; // what CrowdSec answers
    std::optional<BouncerJob> asked;
    bool host_fails = false;
    HostLook look;
    Sysctls sysctls = {{"net.ipv4.tcp_syncookies", "1"}, {"net.ipv4.tcp_timestamps", "1"}};

    explicit House(Config config = {})
    {
        std::filesystem::remove_all(directory);
        std::filesystem::create_directories(directory);
        restart(std::move(config));
    }
    ~House() { std::filesystem::remove_all(directory); }

    // When the controller asks the next time; then it counts. Was it asked for all of them?
    bool crowdsec_answers(const Decisions& decisions)
    {
        this->decisions = decisions;
        for (asked.reset(); !asked; controller->tick()) {
            plane.now += ns_per_s;
        }
        controller->tick(); // counts its bans
        return asked->all;
    }
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
        host.dependencies = {{"198.51.100.1"_net, Protection::OWN_ADDRESS, "eth0"}};
        ControllerSetup setup{"1", directory + "/x.toml", config, {}, {}, {}};
        setup.read_host = [this] {
            return host_fails ? Result<HostFacts>(failure("no netlink")) : Result<HostFacts>(host);
        };
        setup.look = look;
        setup.fetch_feed = [this](const FeedJob&, const Stop&) {
            return Result<Fetched>(Fetched{false, feed, {}});
        };
        setup.ask_crowdsec = [this](const BouncerJob& job, const Stop&) {
            asked = job;
            return Result<Decisions>(decisions);
        };
        setup.sysctls.read = [this](const std::string& name) {
            return Result<std::string>(sysctls.at(name));
        };
        setup.sysctls.write = [this](const std::string& name, const std::string& value) {
            sysctls[name] = value;
            return Result<>(Done{});
        };
        controller = std::make_unique<Controller>(plane, interfaces, jobs, std::move(setup));
        REQUIRE(controller->start());
    }
    std::string condition(const std::string& name) const
    {
        for (const ActiveCondition& one : controller->status().conditions) {
            if (condition_info(one.id).name == name) {
                return one.text;
            }
        }
        return "";
    }
    size_t events(const std::string& kind) const
    {
        const auto all = controller->events(0);
        return static_cast<size_t>(std::count_if(
            all.begin(), all.end(), [&kind](const LogEvent& e) { return e.kind == kind; }));
    }
    void write_config(const std::string& text) const
    {
        std::ofstream(directory + "/x.toml")
            << text << "\n[paths]\nstate = \"" << directory << "/state\"\n";
    }
    bool logged(const std::string& kind, const std::string& text = "") const
    {
        const auto events = controller->events(0);
        return std::any_of(events.begin(), events.end(), [&](const LogEvent& e) {
            return e.kind == kind && e.text.find(text) != std::string::npos;
        });
    }
    Result<size_t> unban(const std::vector<Prefix>& prefixes,
                         std::optional<xdpctl_ban_origin> origin) const
    {
        return controller->lift({prefixes, std::nullopt, origin, std::nullopt});
    }
    std::string not_saved() const
    {
        return controller->not_saved(controller->ban_file().check_room());
    }
    void look_again()
    {
        plane.now += 2 * ns_per_s;
        controller->tick();
    }
    bool is_banned(const char* address) const
    {
        const auto found = plane.table.find(parse_address(address).value());
        return found != plane.table.end() && plane.now < found->second.deadline_ns;
    }
};

} // namespace

TEST_CASE("a change that the data path refuses changes nothing")
{
    House house;
    house.plane.fail_commit = true;
    CHECK_FALSE(house.controller->set_mode(XDPCTL_MODE_ENFORCE));
    CHECK_FALSE(house.controller->allow(Spared::allowed, {"192.0.2.0/24"_net}));
    CHECK_FALSE(house.controller->apply("mode = \"enforce\"", "x", Caller::root));
    house.plane.fail_commit = false;
    CHECK(house.controller->status().mode == XDPCTL_MODE_MONITOR);
    CHECK(house.controller->status().of(Spared::allowed).empty());
}

TEST_CASE("what is set by hand is in force and survives a restart")
{
    House house;
    REQUIRE(house.controller->set_mode(XDPCTL_MODE_ENFORCE));
    REQUIRE(*house.controller->allow(Spared::allowed, {"192.0.2.0/24"_net, "192.0.2.0/24"_net}) ==
            1);
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
    REQUIRE(house.controller->allow(Spared::allowed, {"192.0.2.0/24"_net}));
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
    CHECK(*house.unban({"203.0.113.7"_net, "2001:db8::/48"_net}, {}) == 2);
    CHECK(house.controller->bans()->empty());
    CHECK(house.unban({"203.0.113.7"_net}, {}).error().kind == ErrorKind::not_found);
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
        CHECK_FALSE(house.unban({prefix}, XDPCTL_BAN_FAIL2BAN));
        ban(200, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "fail2ban 200");
        ban(50, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "fail2ban 50"); // who banned may
        ban(20, XDPCTL_BAN_OPERATOR);
        CHECK(of(text) == "operator 20");
        ban(500, XDPCTL_BAN_FAIL2BAN);
        CHECK(of(text) == "operator 20");
        CHECK_FALSE(house.unban({prefix}, XDPCTL_BAN_FAIL2BAN));
        CHECK(house.unban({prefix}, {}));
        CHECK(of(text) == "none");
    }
}

TEST_CASE("each jail of fail2ban lifts its own ban, also after a restart")
{
    House house;
    const auto of = [&house](const char* prefix) {
        for (const BanInfo& ban : *house.controller->bans()) {
            if (to_string(ban.prefix) == prefix) {
                return fmt::format("{} {}", ban.reason, ban.remaining_ns.value_or(0) / ns_per_s);
            }
        }
        return std::string("none");
    };
    for (const char* text : {"203.0.113.7", "2001:db8::7", "192.0.2.0/24", "2001:db8::/48"}) {
        INFO(text);
        const Prefix prefix = parse_prefix(text).value();
        const auto ban = [&](const char* jail, uint64_t seconds) {
            REQUIRE(
                house.controller->ban({{prefix, seconds * ns_per_s, jail}}, XDPCTL_BAN_FAIL2BAN));
        };
        const auto unban = [&](const char* jail) {
            return house.controller
                ->lift({std::vector<Prefix>{prefix}, {}, XDPCTL_BAN_FAIL2BAN, jail})
                .ok();
        };
        ban("sshd", 600);
        ban("web", 60);
        CHECK(of(text) == "sshd 600"); // not shortened
        CHECK(unban("sshd"));
        CHECK(of(text) == "web 60");
        CHECK_FALSE(unban("sshd"));
        CHECK(of(text) == "web 60");
        ban("recidive", 3600);
        house.restart({});
        CHECK(of(text).starts_with("recidive 3"));
        CHECK(unban("web"));
        CHECK(of(text).starts_with("recidive 3"));
        ban("web", 60);
        CHECK(unban("recidive"));
        CHECK(of(text) == "web 60");
        CHECK(unban("web"));
        CHECK(of(text) == "none");
        ban("sshd", 600);
        ban("web", 700);
        REQUIRE(house.unban({prefix}, {})); // by the operator: all of it
        CHECK(of(text) == "none");
        ban("sshd", 600);
        CHECK_FALSE(unban("web")); // forgotten
    }
}

TEST_CASE("bans are lifted by source, reason, inside a network, and all")
{
    House house;
    Controller& control = *house.controller;
    const auto ban = [&control](const char* prefix, const char* reason, xdpctl_ban_origin origin) {
        REQUIRE(control.ban({{parse_prefix(prefix).value(), {}, reason}}, origin));
    };
    const auto left = [&control] {
        std::string all;
        for (const BanInfo& info : *control.bans()) {
            all += to_string(info.prefix) + " ";
        }
        return all;
    };
    ban("192.0.2.1", "a", XDPCTL_BAN_OPERATOR);
    ban("192.0.2.128/25", "b", XDPCTL_BAN_FAIL2BAN);
    ban("203.0.113.1", "b", XDPCTL_BAN_FAIL2BAN);
    ban("203.0.113.2", "c", XDPCTL_BAN_FAIL2BAN);
    ban("2001:db8::1", "a", XDPCTL_BAN_CROWDSEC);
    ban("2001:db8:1::/48", "a", XDPCTL_BAN_OPERATOR);
    SECTION("inside")
    {
        CHECK(control.lift({{}, "192.0.2.0/24"_net, {}, {}}).value() == 2);
        CHECK(left() == "203.0.113.1 203.0.113.2 2001:db8::1 2001:db8:1::/48 ");
        CHECK(control.lift({{}, "2001:db8::/32"_net, XDPCTL_BAN_CROWDSEC, {}}).value() == 1);
        CHECK(control.lift({{}, "0.0.0.0/0"_net, {}, {}}).value() == 2);
        CHECK(left() == "2001:db8:1::/48 ");
    }
    SECTION("by source and reason")
    {
        CHECK(control.lift({{}, {}, XDPCTL_BAN_FAIL2BAN, "b"}).value() == 2);
        CHECK(control.lift({{}, {}, {}, "a"}).value() == 3);
        CHECK(left() == "203.0.113.2 ");
        CHECK(control.lift({{}, {}, XDPCTL_BAN_CROWDSEC, {}}).error().kind == ErrorKind::not_found);
    }
    SECTION("all")
    {
        CHECK(control.lift({}).value() == 6);
        CHECK(left().empty());
        CHECK_FALSE(control.lift({}));
    }
}

TEST_CASE("a ban that is renewed keeps its reason, hits and strikes")
{
    House house;
    Controller& control = *house.controller;
    for (const char* text : {"203.0.113.7", "2001:db8::7", "192.0.2.0/24", "2001:db8::/48"}) {
        INFO(text);
        const Prefix prefix = parse_prefix(text).value();
        REQUIRE(control.ban({{prefix, 60 * ns_per_s, "a scanner"}}, XDPCTL_BAN_OPERATOR));
        if (prefix.is_host()) {
            house.plane.table.at(prefix.address).hits = 7;
            house.plane.table.at(prefix.address).strikes = 2;
        }
        REQUIRE(control.ban({{prefix, 600 * ns_per_s, ""}}, XDPCTL_BAN_OPERATOR));
        const auto bans = control.bans();
        REQUIRE(bans->size() == 1);
        CHECK(bans->front().reason == "a scanner");
        CHECK(bans->front().remaining_ns == 600 * ns_per_s);
        if (prefix.is_host()) {
            CHECK(bans->front().hits == 7);
            CHECK(bans->front().strikes == 2);
        }
        REQUIRE(control.ban({{prefix, 600 * ns_per_s, "worse"}}, XDPCTL_BAN_OPERATOR));
        CHECK(control.bans()->front().reason == "worse");
        house.plane.now += 601 * ns_per_s;
        REQUIRE(control.ban({{prefix, 600 * ns_per_s, ""}}, XDPCTL_BAN_OPERATOR));
        CHECK(control.bans()->front().reason.empty()); // the old one was over
        REQUIRE(control.lift({}));
    }
}

TEST_CASE("bans that cannot be saved are in force, and it is told")
{
    House house;
    Controller& control = *house.controller;
    REQUIRE(control.ban({{"203.0.113.1"_net, {}, ""}}, XDPCTL_BAN_OPERATOR));
    CHECK(house.not_saved().empty());
    house.look_again(); // saves them
    std::filesystem::remove_all(house.directory + "/state");
    std::ofstream(house.directory + "/state") << "in the way";
    for (const char* text : {"203.0.113.2", "2001:db8::2"}) {
        REQUIRE(control.ban({{parse_prefix(text).value(), {}, ""}}, XDPCTL_BAN_OPERATOR));
        CHECK_THAT(house.not_saved(), Catch::Contains("bans are not saved"));
    }
    CHECK(house.plane.table.size() == 3);
    control.status();
    CHECK(house.logged("state"));
    REQUIRE(control.ban({{"192.0.2.0/24"_net, {}, ""}}, XDPCTL_BAN_OPERATOR));
    CHECK_THAT(house.not_saved(), Catch::Contains("set by hand is not saved"));
    const auto events = [&control] {
        const auto all = control.events(0);
        return std::count_if(all.begin(), all.end(),
                             [](const LogEvent& event) { return event.kind == "state"; });
    };
    control.status();     // which looks at the conditions
    CHECK(events() == 2); // each once
    std::filesystem::remove(house.directory + "/state");
    house.look_again(); // saves them
    REQUIRE(control.allow(Spared::allowed, {"192.0.2.7"_net}));
    CHECK(house.not_saved().empty());
    control.status();
    CHECK(events() == 4);
}

TEST_CASE("decisions of CrowdSec become bans, and no more than there is room for")
{
    Config config;
    config.crowdsec.url = "http://192.0.2.1";
    House house(config);
    house.plane.room = 80;
    Controller& control = *house.controller;
    const auto answer = [&](const Decisions& decisions) {
        return house.crowdsec_answers(decisions);
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

TEST_CASE("interfaces follow the configuration, a foreign program is left alone")
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
    const auto refused = house.controller->apply("interfaces = [\"b\", \"c\"]\nmode = \"enforce\"",
                                                 "x", Caller::root);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("nothing was changed: c already runs"));
    CHECK(house.controller->status().mode == XDPCTL_MODE_MONITOR);
    CHECK(house.interfaces.present.contains("a"));
    CHECK_FALSE(house.interfaces.present.contains("b"));
    REQUIRE(house.controller->apply("interfaces = [\"b\"]", "x", Caller::root));
    CHECK_FALSE(house.interfaces.present.contains("a"));
    CHECK(house.interfaces.present.contains("b"));
}

TEST_CASE("after a panic a restart attaches nothing, only its end attaches, and all")
{
    Config config;
    config.interfaces = {"a", "b", "c"};
    House house(config);
    house.plane.bypassed = true;
    house.interfaces.freed = {"a", "by_hand"};
    house.restart(config);
    REQUIRE(house.controller->attach_configured());
    CHECK(house.interfaces.present.empty());
    CHECK(house.logged("panic"));
    CHECK(house.condition("panic") == panic_text);
    CHECK(house.condition("interface_not_attached").empty()); // told once, as panic

    const auto refused = house.controller->attach("a");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::refused);
    CHECK(refused.error().message == panic_text);
    CHECK(house.plane.bypassed);
    CHECK(house.interfaces.present.empty());

    const auto detached = house.controller->detach("b"); // it shall not come back with the end
    REQUIRE(detached);
    CHECK_FALSE(*detached); // it was not attached
    CHECK(house.controller->detach("b").error().kind == ErrorKind::not_found);
    house.interfaces.refuses = "c";
    const auto end = house.controller->end_panic();
    REQUIRE(end);
    CHECK_FALSE(house.plane.bypassed);
    CHECK(house.interfaces.present.size() == 2);
    CHECK(house.interfaces.present.contains("a"));
    CHECK(house.interfaces.present.contains("by_hand"));
    CHECK(house.interfaces.freed.empty());
    REQUIRE(end->failed.size() == 1);
    CHECK(end->failed[0].interface == "c");
    CHECK(house.condition("panic").empty());
    CHECK(house.condition("interface_not_attached") ==
          "nothing is filtered on c (c already runs a foreign program)");
    CHECK(house.controller->end_panic().error().kind == ErrorKind::not_found);
    REQUIRE(house.controller->attach("a"));
}

TEST_CASE("a state that cannot be saved is said until it is saved")
{
    House house;
    house.look_again(); // of the run before
    const std::string state = house.directory + "/state";
    std::filesystem::remove_all(state);
    std::ofstream(state) << "in the way";
    REQUIRE(house.controller->set_mode(XDPCTL_MODE_ENFORCE)); // in force all the same
    CHECK(house.plane.policy.policy.mode == XDPCTL_MODE_ENFORCE);
    CHECK_THAT(house.not_saved(), Catch::Contains(state));
    CHECK_THAT(house.condition("state_not_saved"), Catch::Contains("not saved"));
    CHECK(house.events("state") == 1);
    house.controller->tick();
    CHECK(house.events("state") == 1); // told once
    std::filesystem::remove(state);
    house.plane.now += 11 * ns_per_s; // without another change
    house.controller->tick();
    CHECK(house.not_saved().empty());
    CHECK(house.condition("state_not_saved").empty());
    CHECK(house.events("state") == 2);
    house.restart({});
    CHECK(house.plane.policy.policy.mode == XDPCTL_MODE_ENFORCE);
}

TEST_CASE("bans that cannot be saved are said until they are")
{
    House house;
    REQUIRE(house.controller->ban({{"203.0.113.7"_net, {}, ""}}, XDPCTL_BAN_OPERATOR));
    const std::string state = house.directory + "/state";
    std::filesystem::remove_all(state);
    std::ofstream(state) << "in the way";
    house.look_again();
    CHECK_THAT(house.condition("bans_not_saved"), Catch::Contains(state));
    std::filesystem::remove(state);
    house.plane.now += 60 * ns_per_s; // the disk is left alone after each try
    house.look_again();
    CHECK(house.condition("bans_not_saved").empty());
    CHECK(house.events("state") == 2);
}

TEST_CASE("a connection tracking table without room is said once, until it has room again")
{
    House house;
    const auto entries = [&house](uint64_t count) {
        house.host.network.conntrack_entries = count;
        house.host.network.conntrack_max_entries = 1000;
        house.plane.now += 2 * ns_per_s;
        house.controller->tick();
        return house.condition("conntrack_full");
    };
    CHECK(entries(899).empty());
    CHECK_THAT(entries(900), Catch::Contains("full to 90% (900 of 1000)"));
    CHECK_THAT(entries(1000), Catch::Contains("full to 100%"));
    CHECK_FALSE(entries(800).empty());
    CHECK(house.events("host") == 1);
    CHECK(entries(799).empty());
    CHECK(house.events("host") == 2);
    CHECK(house.controller->status().conntrack_entries == 799);
}

TEST_CASE("an interface that is not attached is said with its cause")
{
    Config config;
    config.interfaces = {"a", "b"};
    House house(config);
    house.interfaces.refuses = "b";
    REQUIRE(house.controller->attach_configured());
    CHECK(house.condition("interface_not_attached") ==
          "nothing is filtered on b (b already runs a foreign program)");
    const size_t events = house.events("interface"); // one for a, one for b
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK(house.events("interface") == events);
    CHECK(house.controller->status().wanted_interfaces == std::vector<std::string>{"a", "b"});
    house.interfaces.refuses = "";
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    house.controller->tick();
    CHECK(house.condition("interface_not_attached").empty());
    CHECK(house.events("interface") == events + 2); // attached, and all is well
}

TEST_CASE("panic does not make a missing interface a filtered one")
{
    Config config;
    config.interfaces = {"a", "b"};
    House house(config);
    house.interfaces.refuses = "b";
    REQUIRE(house.controller->attach_configured());
    house.controller->tick();
    const size_t events = house.events("interface");
    house.plane.bypassed = true;
    house.interfaces.present.clear();
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK(house.events("interface") == events);
    CHECK(house.controller->status().missing_interfaces == std::vector<std::string>{"a", "b"});
    house.interfaces.refuses = "";
    REQUIRE(house.controller->end_panic());
    CHECK(house.condition("interface_not_attached").empty());
    CHECK(*house.controller->detach("a"));
}

TEST_CASE("a policy that the data path refuses in the background is said")
{
    House house;
    house.plane.fail_commit = true;
    house.host.backlogs = {{443, 4096}};
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK_THAT(house.condition("policy_not_committed"), Catch::Contains("the kernel says no"));
    house.plane.fail_commit = false;
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK(house.condition("policy_not_committed").empty());
}

TEST_CASE("what the start found and what others report lasts")
{
    House house;
    house.controller->set_metrics_problem("127.0.0.1:9417: Address already in use");
    house.controller->tick();
    CHECK_THAT(house.condition("metrics_unavailable"), Catch::Contains("9417"));
    house.controller->set_metrics_problem("");
    CHECK(house.condition("metrics_unavailable").empty());
    house.host.services_problem = "no sock_diag";
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK_THAT(house.condition("services_unknown"), Catch::Contains("no sock_diag"));
    house.plane.fail_counters = true;
    house.controller->tick();
    CHECK_THAT(house.condition("data_path_unreadable"), Catch::Contains("no such map"));
    house.plane.fail_counters = false;
    house.controller->tick();
    CHECK(house.condition("data_path_unreadable").empty());
    house.host_fails = true;
    house.plane.now += 2 * ns_per_s;
    house.controller->tick();
    CHECK_THAT(house.condition("host_unknown"), Catch::Contains("no netlink"));
}

TEST_CASE("a ban of whole countries needs force")
{
    House house;
    for (const char* wide : {"64.0.0.0/3", "128.0.0.0/3", "2000::/3"}) {
        INFO(wide);
        const Prefix prefix = parse_prefix(wide).value();
        const auto result = house.controller->ban(
            {{prefix, {}, ""}, {"203.0.113.0/24"_net, {}, ""}}, XDPCTL_BAN_OPERATOR);
        REQUIRE(result);
        CHECK(result->added == 1);
        REQUIRE(result->refused.size() == 1);
        CHECK_THAT(result->refused[0].why, Catch::Contains("--force"));
        CHECK(house.controller->ban({{prefix, {}, "", true}}, XDPCTL_BAN_OPERATOR)->added == 1);
        REQUIRE(house.unban({prefix}, std::nullopt));
    }
}

TEST_CASE("hardly anybody means to allow everybody")
{
    House house;
    for (const char* wide : {"0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3"}) {
        INFO(wide);
        const std::vector<Prefix> prefixes = {"192.0.2.0/24"_net, parse_prefix(wide).value()};
        const auto refused = house.controller->allow(Spared::allowed, prefixes);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == ErrorKind::refused);
        CHECK_THAT(refused.error().message, Catch::Contains(wide) && Catch::Contains("--force"));
        CHECK(house.controller->status().of(Spared::allowed).empty()); // nothing of it
    }
    CHECK(house.condition("allow_too_wide").empty());
    REQUIRE(house.controller->allow(Spared::allowed, {"0.0.0.0/0"_net}, true));
    CHECK_THAT(house.condition("allow_too_wide"), Catch::Contains("0.0.0.0/0"));
    REQUIRE(house.controller->disallow(Spared::allowed, {"0.0.0.0/0"_net}));
    CHECK(house.condition("allow_too_wide").empty());
    const auto applied = house.controller->apply("lists.allow = [\"::/0\"]", "x", Caller::root);
    REQUIRE(applied);
    CHECK(std::any_of(applied->warnings.begin(), applied->warnings.end(), [](const auto& warning) {
        return warning.starts_with("x:1: lists.allow: ::/0 is wider");
    }));
    CHECK_FALSE(house.condition("allow_too_wide").empty());
}

TEST_CASE("networks of CrowdSec that would cover too much in all are not banned, and told")
{
    Config config;
    config.crowdsec.url = "http://192.0.2.1";
    House house(config);
    Controller& control = *house.controller;
    const auto answer = [&](const Decisions& decisions) {
        return house.crowdsec_answers(decisions);
    };
    const auto decide = [](std::vector<Prefix> prefixes) {
        Decisions decisions;
        for (const Prefix& prefix : prefixes) {
            decisions.fresh.push_back({prefix, 6000 * ns_per_s, "a"});
        }
        return decisions;
    };
    const Prefix narrow = "203.0.113.0/24"_net;
    CHECK(answer(decide({"2a00::/19"_net, "11.0.0.0/8"_net})));
    CHECK(control.status().crowdsec->problem.empty());
    CHECK_FALSE(answer(decide({"2a00:2000::/19"_net, narrow})));
    CHECK_THAT(control.status().crowdsec->problem,
               Catch::Contains("1 networks are not banned, such as 2a00:2000::/19") &&
                   Catch::Contains("0.002 %"));
    CHECK(house.logged("crowdsec", "such as 2a00:2000::/19"));
    CHECK(control.bans()->size() == 3);
    Decisions exchanged = decide({"2a00:2000::/19"_net}); // there is room again
    exchanged.gone = {"2a00::/19"_net};
    CHECK_FALSE(answer(exchanged));
    CHECK(control.status().crowdsec->problem.empty());
    CHECK(control.bans()->size() == 3);
}

TEST_CASE("a feed that covers too much is refused at its first fetch, one that is forced outlives "
          "a restart")
{
    Config config;
    config.feeds.resize(1);
    config.feeds[0].name = "a";
    config.feeds[0].url = "https://www.example/a";
    config.feeds[0].widest_ipv4 = 8;
    House house(config);
    const auto fetch = [&house](const std::string& text) {
        house.feed = text;
        house.look_again();
        return house.controller->report()->feeds[0];
    };
    std::string wide;
    for (int i = 11; i < 100; i++) {
        wide += fmt::format("{}.0.0.0/8\n", i);
    }
    const FeedStatus refused = fetch(wide);
    CHECK_THAT(refused.problem, Catch::Contains("of the public IPv4 addresses, at most 5 %"));
    CHECK(refused.prefixes[0] == 0);
    REQUIRE(house.controller->refresh_feed("a", false));
    CHECK(fetch("192.0.2.1\n").prefixes[0] == 1);
    REQUIRE(house.controller->refresh_feed("a", false));
    const FeedStatus changed = fetch("192.0.2.1\n11.0.0.0/8\n");
    CHECK_THAT(changed.problem, Catch::Contains("% come"));
    CHECK(changed.prefixes[0] == 1);
    REQUIRE(house.controller->refresh_feed("a", true));
    const FeedStatus forced = fetch(wide);
    CHECK(forced.problem.empty());
    CHECK(forced.prefixes[0] == 89);
    house.restart(config);
    CHECK(house.controller->status().feeds[0].prefixes[0] == 89);
    // What an earlier version took without being told to is not in force any more.
    const FeedCopies copies(house.directory + "/state");
    FeedCopy copy = **copies.load("a");
    copy.forced = false;
    REQUIRE(copies.save("a", copy));
    house.restart(config);
    CHECK(house.controller->status().feeds[0].prefixes[0] == 0);
    CHECK(house.logged("feed", "its copy is not used: it covers"));
}

TEST_CASE("check says what apply would, apply refuses only what it brings in")
{
    House house;
    house.look.find_interface = [](const std::string& name) {
        return name == "gone" ? Result<>(failure(ErrorKind::not_found, "no interface named gone"))
                              : Result<>(Done{});
    };
    house.look.files = true;
    const std::string gone = "interfaces = [\"gone\"]\n";
    const std::string keyless =
        "\n[crowdsec]\nurl = \"http://192.0.2.1\"\nkey_file = \"" + house.directory + "/none\"\n";
    const std::string socket = "[api]\nsocket = \"" + house.directory + "/s\"\n";
    house.restart({});
    for (const auto& [text, words] :
         {std::pair(gone, "x:1: interfaces: no interface named gone"),
          {keyless, "x:4: crowdsec.key_file: the key of CrowdSec's API: "}}) {
        const auto checked = house.controller->check(text + socket, "x", Caller::root);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().kind == ErrorKind::invalid_config);
        CHECK_THAT(checked.error().message, Catch::Contains(words));
        const auto applied = house.controller->apply(text + socket, "x", Caller::root);
        REQUIRE_FALSE(applied);
        CHECK(applied.error().kind == ErrorKind::invalid_config);
        CHECK(applied.error().message == "nothing was changed: " + checked.error().message);
        CHECK(house.controller->status().mode == XDPCTL_MODE_MONITOR);
    }
    Config running; // the start took it, and what was missing is missing still
    running.interfaces = {"gone"};
    running.crowdsec.url = "http://192.0.2.1";
    running.crowdsec.key_file = house.directory + "/none";
    running.socket_path = house.directory + "/s";
    house.restart(running);
    house.interfaces.refuses = "gone";
    (void)house.controller->attach_configured();
    const auto applied = house.controller->apply("mode = \"enforce\"\n" + gone + keyless + socket,
                                                 "x", Caller::root);
    REQUIRE(applied);
    CHECK(house.controller->status().mode == XDPCTL_MODE_ENFORCE);
    const auto warns = [&applied](const char* words) {
        return std::any_of(applied->warnings.begin(), applied->warnings.end(),
                           [words](const auto& w) { return w.find(words) != std::string::npos; });
    };
    CHECK(warns("x:2: interfaces: no interface named gone"));
    CHECK(warns("crowdsec.key_file"));
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
        const auto events = house.controller->events(0);
        CHECK(std::any_of(events.begin(), events.end(), [](const LogEvent& event) {
            return event.text.find("NO COOKIES") != std::string::npos &&
                   event.text.find("no Ethernet header") != std::string::npos;
        }));
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

TEST_CASE("what becomes protected is banned no more, and that is said")
{
    Config config;
    config.mode = XDPCTL_MODE_ENFORCE;
    config.block = {"192.0.2.0/30"_net};
    House house(config);
    Controller& control = *house.controller;
    const std::optional<uint64_t> ttl = 600 * ns_per_s;
    for (const char* text : {"203.0.113.7", "203.0.113.8", "2001:db8::7", "10.1.2.3",
                             "203.0.114.0/24", "2001:db8:1::/48"}) {
        REQUIRE(control.ban({{parse_prefix(text).value(), ttl, ""}}, XDPCTL_BAN_OPERATOR)->added ==
                1);
    }
    house.plane.table["203.0.113.7"_ip].strikes = 2;
    const auto in_force = [&house](const char* text, uint16_t list) {
        const Prefix prefix = parse_prefix(text).value();
        const auto& entries = house.content(list);
        return std::any_of(entries.begin(), entries.end(),
                           [&](const ListEntry& e) { return e.prefix.contains(prefix); });
    };
    const auto before = house.host.dependencies;
    const auto depend = [&house](const char* text, Protection as) {
        house.host.dependencies.push_back({parse_prefix(text).value(), as, "a test"});
    };
    depend("203.0.113.7", Protection::GATEWAY);
    depend("2001:db8::7", Protection::RESOLVER);
    depend("10.1.0.0/16", Protection::PRIVATE_NETWORK);
    depend("203.0.114.9", Protection::GATEWAY);
    depend("2001:db8:1::53", Protection::RESOLVER);
    depend("192.0.2.2", Protection::TIME_SERVER);
    house.look_again();
    CHECK_FALSE(house.is_banned("203.0.113.7"));
    CHECK(house.plane.table.at("203.0.113.7"_ip).strikes == 2); // not forgotten
    CHECK_FALSE(house.is_banned("2001:db8::7"));
    CHECK_FALSE(house.is_banned("10.1.2.3"));
    CHECK(house.is_banned("203.0.113.8"));
    CHECK(house.logged("unban", "203.0.113.7: it is a gateway of this host (a test)"));
    CHECK(house.logged("protected", "2001:db8::7 is protected now: a resolver"));
    CHECK_FALSE(in_force("203.0.114.9", XDPCTL_LIST_BANS));
    CHECK(in_force("203.0.114.8", XDPCTL_LIST_BANS));
    CHECK(in_force("203.0.114.128/25", XDPCTL_LIST_BANS));
    CHECK_FALSE(in_force("2001:db8:1::53", XDPCTL_LIST_BANS));
    CHECK(in_force("2001:db8:1:8000::/49", XDPCTL_LIST_BANS));
    CHECK(house.logged("ban", "the ban of 203.0.114.0/24 is not in force where it would do harm"));
    CHECK_FALSE(in_force("192.0.2.2", XDPCTL_LIST_BLOCK));
    CHECK(in_force("192.0.2.3", XDPCTL_LIST_BLOCK));
    CHECK_THAT(house.condition("protection"),
               Catch::Contains("lists.block: 192.0.2.0/30 is not in force where"));
    // They are still there, and whole again when nothing in them is protected any more.
    size_t networks = 0;
    for (const BanInfo& ban : *control.bans()) {
        networks += ban.prefix == "203.0.114.0/24"_net || ban.prefix == "2001:db8:1::/48"_net;
    }
    CHECK(networks == 2);
    house.host.dependencies = before;
    house.look_again();
    CHECK(in_force("203.0.114.9", XDPCTL_LIST_BANS));
    CHECK(in_force("192.0.2.2", XDPCTL_LIST_BLOCK));
    CHECK(house.logged("ban", "the ban of 203.0.114.0/24 is in force as a whole again"));
    CHECK(house.logged("protected", "203.0.113.7 is not protected any more"));
}

TEST_CASE("bans that the operator forced hold against what is only seen, over a restart too")
{
    House house;
    house.host.dependencies.push_back({"10.1.0.0/16"_net, Protection::PRIVATE_NETWORK, "route"});
    house.host.dependencies.push_back({"2001:db8:5::7"_net, Protection::SSH_PEER, "logind"});
    house.look_again();
    for (const char* text : {"10.1.2.3", "10.1.0.0/16", "2001:db8:5::7", "2001:db8:5::/48"}) {
        INFO(text);
        const Prefix prefix = parse_prefix(text).value();
        for (const auto origin : {XDPCTL_BAN_OPERATOR, XDPCTL_BAN_FAIL2BAN, XDPCTL_BAN_CROWDSEC}) {
            CHECK(house.controller->ban({{prefix, {}, ""}}, origin)->refused.size() == 1);
        }
        CHECK(house.controller->ban({{prefix, {}, "", true}}, XDPCTL_BAN_OPERATOR)->added == 1);
    }
    CHECK(house.controller->ban({{"198.51.100.1"_net, {}, "", true}}, XDPCTL_BAN_OPERATOR)
              ->refused.size() == 1);
    const auto dependencies = house.host.dependencies;
    const auto restart = [&] {
        house.restart({});
        house.host.dependencies = dependencies;
        house.look_again();
    };
    restart();
    restart();
    CHECK(house.is_banned("10.1.2.3"));
    CHECK(house.is_banned("2001:db8:5::7"));
    CHECK(house.content(XDPCTL_LIST_BANS).size() == 2);
    // Not where it becomes what is stated.
    house.host.dependencies.push_back({"10.1.2.3"_net, Protection::GATEWAY, "route"});
    house.look_again();
    CHECK_FALSE(house.is_banned("10.1.2.3"));
    CHECK(house.content(XDPCTL_LIST_BANS).size() ==
          17); // 10.1.0.0/16 without one host, and the other
}

TEST_CASE("what is protected since the daemon ran last is not banned any more")
{
    House house;
    REQUIRE(house.controller->ban({{"203.0.113.7"_net, {}, ""}}, XDPCTL_BAN_FAIL2BAN)->added == 1);
    house.host.dependencies.push_back({"203.0.113.7"_net, Protection::RESOLVER, "a test"});
    ControllerSetup setup{"1", house.directory + "/x.toml", {}, {}, {}, {}};
    setup.config.state_directory = house.directory + "/state";
    setup.read_host = [&house] { return Result<HostFacts>(house.host); };
    Controller next(house.plane, house.interfaces, house.jobs, std::move(setup));
    REQUIRE(next.start());
    CHECK_FALSE(house.is_banned("203.0.113.7"));
}

TEST_CASE("what does not fit is told once and stays in status while it does not")
{
    House house;
    const auto events = [&house] {
        const auto all = house.controller->events(0);
        return std::count_if(all.begin(), all.end(), [](const LogEvent& e) {
            return e.text.find("have no SYN guard") != std::string::npos;
        });
    };
    const auto warned = [&house] {
        return house.condition("limit_reached").find("have no SYN guard, the first is tcp/") !=
                       std::string::npos
                   ? 1
                   : 0;
    };
    for (uint16_t i = 0; i < 300; i++) {
        house.host.backlogs[static_cast<uint16_t>(20000 + i)] = 128;
        house.host.accounts[static_cast<uint16_t>(20000 + i)] = 1000;
    }
    house.look_again();
    house.host.backlogs[20400] = 128; // one more
    house.look_again();
    CHECK(events() == 1);
    CHECK(warned() == 1);
    house.host.backlogs[443] = 128;
    house.look_again();
    CHECK(house.plane.policy.policy.service_of_port[443] != 0);
    house.host.backlogs = {{443, 128}};
    house.look_again();
    CHECK(warned() == 0);
}

TEST_CASE("a member of the group decides about packets, not about files and URLs")
{
    House house;
    house.look.files = true;
    Config running;
    running.socket_path = house.directory + "/s";
    running.feeds = {{"a", "https://a/"}};
    house.restart(running);
    const std::string own = "[paths]\nstate = \"" + house.directory +
                            "/state\"\n[api]\nsocket = \"" + house.directory +
                            "/s\"\n[[feeds]]\nname = \"a\"\nurl = ";
    const std::string kept = own + "\"https://a/\"\n";
    const std::string asked =
        "mode = \"enforce\"\ncrowdsec.url = \"http://192.0.2.1\"\ncrowdsec.key_file = \"" +
        house.directory + "/none\"\n" + own + "\"/etc/shadow\"\n";
    Controller& controller = *house.controller;
    const auto refused = [](const auto& result) {
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::refused);
        CHECK_THAT(result.error().message, Catch::Contains("x:8: feeds: only root may set it") &&
                                               Catch::Contains("x:2: crowdsec.url: only root") &&
                                               Catch::Contains("x:3: crowdsec.key_file: only") &&
                                               !Catch::Contains("no such file"));
    };
    refused(controller.apply(asked, "x", Caller::member));
    refused(controller.check(asked, "x", Caller::member));
    refused(controller.diff(asked, "x", Caller::member));
    CHECK(controller.status().mode == XDPCTL_MODE_MONITOR);
    CHECK(controller.status().feeds[0].url == "https://a/");
    // What is missing is the default, which is not what is in force either.
    CHECK_THAT(controller.apply("mode = \"enforce\"", "x", Caller::member).error().message,
               Catch::Contains("x: api.socket: only root") && Catch::Contains("x: feeds: only"));

    REQUIRE(controller.check("mode = \"enforce\"\n" + kept, "x", Caller::member));
    CHECK(controller.diff("mode = \"enforce\"\n" + kept, "x", Caller::member)->size() == 1);
    REQUIRE(controller.apply("mode = \"enforce\"\n" + kept, "x", Caller::member));
    CHECK(controller.status().mode == XDPCTL_MODE_ENFORCE);

    // The daemon's own file may name them, whoever asks for it; so may root.
    REQUIRE(controller.apply(own + "\"/nonexistent\"\n", "x", Caller::root));
    CHECK(controller.status().feeds[0].url == "/nonexistent");
}

TEST_CASE("known clients need age, and nobody grows old while a service is attacked")
{
    House house;
    GuardReading service;
    service.slot = 1;
    service.present = true;
    GuardReading closed_ports; // which everybody scans
    const auto tick = [&](uint64_t seconds) {
        house.plane.now += seconds * ns_per_s;
        closed_ports.state.attack_until_ns = house.plane.now + ns_per_s;
        house.plane.readings = {closed_ports, service};
        house.controller->tick();
        return house.plane.trusted_before_ns;
    };
    house.plane.now = 5000 * ns_per_s;
    CHECK(tick(10) == (5010 - 600) * ns_per_s);
    CHECK(tick(100) == (5110 - 600) * ns_per_s);
    service.state.attack_until_ns = UINT64_MAX;
    CHECK(tick(3600) == (5110 - 600) * ns_per_s);
    service.state.attack_until_ns = 0;
    CHECK(tick(10) == (8720 - 600) * ns_per_s);
    service.service.lockdown = 1;
    CHECK(tick(3600) == (8720 - 600) * ns_per_s);
    // A lockdown that lasts makes no strangers of everybody.
    CHECK(tick(86400) == (8720 + 3600) * ns_per_s);
    // Another daemon on the same maps lets the bound stand, too.
    house.plane.trusted_before_ns = 77;
    house.restart({});
    CHECK(tick(1) == 77);
}
