// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <fstream>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/config_check.h"
#include "harness/catch.h"
#include "host/listen.h"

using namespace xdpctl;

namespace
{

struct Here {
    std::string directory = fmt::format("/tmp/xdpctl-test-check-{}", getpid());
    Config config;
    HostLook look = HostLook::real();

    Here()
    {
        std::filesystem::remove_all(directory);
        std::filesystem::create_directories(directory);
        config.interfaces = {"lo"};
        config.socket_path = directory + "/run/s.sock"; // a directory that can be made
        config.state_directory = directory + "/state";
        config.metrics_listen = "";
    }
    ~Here() { std::filesystem::remove_all(directory); }

    std::string file(const std::string& name, const std::string& content) const
    {
        std::ofstream(directory + "/" + name) << content;
        return directory + "/" + name;
    }
    std::vector<ConfigFinding> found() const { return check_config(config, look); }
    void one(const std::string& key, const std::string& words, bool refuses) const
    {
        const auto all = found();
        INFO(key);
        REQUIRE(all.size() == 1);
        CHECK(all[0].key == key);
        CHECK_THAT(all[0].text, Catch::Contains(words));
        CHECK(all[0].refuses == refuses);
    }
};

} // namespace

TEST_CASE("a configuration that this host bears out")
{
    CHECK(Here().found().empty());
}

TEST_CASE("each thing that is missing on this host is found, and only that")
{
    Here here;
    SECTION("an interface")
    {
        here.config.interfaces = {"lo", "none0"};
        here.one("interfaces", "no interface named none0", true);
    }
    SECTION("none configured")
    {
        here.config.interfaces = {};
        here.one("interfaces", "nothing is filtered", false);
    }
    SECTION("a socket that is a file")
    {
        here.config.socket_path = here.file("file", "x");
        here.one("api.socket", "is not a socket", true);
    }
    SECTION("a socket below a file")
    {
        here.config.socket_path = here.file("file", "x") + "/deep/s.sock";
        here.one("api.socket", "is not a directory", true);
    }
    SECTION("a state directory that is a file")
    {
        here.config.state_directory = here.file("file", "x");
        here.one("paths.state", "is not a directory", true);
    }
    SECTION("a group")
    {
        here.config.socket_group = "nosuchgroup";
        here.one("api.group", "groupadd -r nosuchgroup", false);
    }
    SECTION("a cgroup")
    {
        here.config.cgroup = here.directory;
        here.one("paths.cgroup", "not a directory of a cgroup v2", true);
        here.config.cgroup = here.directory + "/none";
        here.one("paths.cgroup", "No such file", true);
    }
    SECTION("a key")
    {
        here.config.crowdsec.url = "http://192.0.2.1";
        here.config.crowdsec.key_file = here.directory + "/none";
        here.one("crowdsec.key_file", "no such file", true);
        here.config.crowdsec.key_file = here.file("empty", "\n");
        here.one("crowdsec.key_file", "no key in it", true);
        here.config.crowdsec.key_file = here.file("key", "secret\n");
        chmod(here.config.crowdsec.key_file.c_str(), 0640);
        CHECK(here.found().empty());
        chmod(here.config.crowdsec.key_file.c_str(), 0644);
        here.one("crowdsec.key_file", "every user of this host may read", false);
    }
    SECTION("a feed")
    {
        here.config.feeds = {FeedConfig{}};
        here.config.feeds[0].name = "local";
        here.config.feeds[0].url = here.directory + "/none";
        here.one("feeds[0].url", "local: ", false);
    }
    SECTION("a feed by plain http")
    {
        here.config.feeds.resize(2);
        here.config.feeds[0].name = "safe";
        here.config.feeds[0].url = "https://www.example/list";
        here.config.feeds[1] = here.config.feeds[0];
        here.config.feeds[1].url = "http://www.example/list";
        here.one("feeds[1].url", "anybody on the path can write your block list", false);
    }
    SECTION("a database of geo, with rules and without")
    {
        here.config.geo.databases = {here.directory + "/none.mmdb"};
        here.one("geo.databases[0]", "none.mmdb", false);
        here.config.geo.services[443].only = {"CN"};
        here.one("geo", "none.mmdb", true);
    }
    SECTION("lists")
    {
        here.config.allow = {*parse_prefix("::/0")};
        here.one("lists.allow", "::/0 is wider than /32", false);
        here.config.allow.clear();
        here.config.block = {*parse_prefix("192.0.2.0/24")};
        here.look.refuses_ban = [](const Prefix&) {
            return std::optional<std::string>("a gateway");
        };
        here.one("lists.block", "192.0.2.0/24: a gateway", false);
    }
}

TEST_CASE("an address for metrics that somebody else has")
{
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    REQUIRE(listen(fd.get(), 1) == 0);
    Here here;
    here.config.metrics_listen = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
    here.one("metrics.listen", "Address already in use", false);
    here.config.metrics_listen = "192.0.2.77:9417";
    here.one("metrics.listen", "Cannot assign requested address", false);
}

TEST_CASE("an address for metrics that everybody may reach")
{
    Here here;
    here.look.can_listen = {};
    for (const char* all : {"9417", "0.0.0.0:9417", "[::]:9417", "127.0.0.1:1,9417"}) {
        INFO(all);
        here.config.metrics_listen = all;
        here.one("metrics.listen", "everybody who reaches port 9417 can read the metrics", false);
    }
    here.config.metrics_listen = "127.0.0.1:9417,[::1]:9417";
    CHECK(here.found().empty());
}

TEST_CASE("all that refuses is one error, each with its line")
{
    const std::vector<ConfigFinding> findings = {{"interfaces", "no interface named a", true},
                                                 {"lists.allow", "wide", false},
                                                 {"crowdsec.key_file", "no such file", true}};
    const auto error = refusal(findings, "interfaces = [\"a\"]\n[crowdsec]\n", "x");
    REQUIRE(error);
    CHECK(error->kind == ErrorKind::invalid_config);
    CHECK(error->message ==
          "x:1: interfaces: no interface named a\nx:2: crowdsec.key_file: no such file");
    CHECK_FALSE(refusal({findings[1]}, "", "x"));
}
