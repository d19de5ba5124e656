// SPDX-License-Identifier: Apache-2.0
#include "core/config.h"
#include "base/file.h"
#include "core/reasons.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

std::string error_of(const std::string& toml)
{
    const auto config = parse_config(toml, "x.toml");
    REQUIRE_FALSE(config);
    CHECK(config.error().kind == ErrorKind::invalid_config);
    return config.error().message;
}

} // namespace

TEST_CASE("an empty configuration is the defaults, in monitor mode")
{
    const auto config = parse_config("", "x.toml");
    REQUIRE(config);
    CHECK(*config == Config{});
    CHECK(config->mode == XDPCTL_MODE_MONITOR);
}

TEST_CASE("every key is read")
{
    const auto config = parse_config(R"(
mode = "enforce"
interfaces = ["eth0", "eth1"]
attach = "generic"
on_stop = "detach"
sockets = "elsewhere"
[lists]
allow = ["192.0.2.0/24", "2001:db8::1"]
trusted = ["198.51.100.128/25"]
block = ["198.51.100.0/24"]
[reasons]
monitor = ["port_zero"]
[events]
samples_per_second = 5
[guard]
mode = "armed"
off = [22]
on = [80, 443]
armed = [8443]
auto = [8080]
lockdown = [443]
admit_per_second = 7
known_after = "5m"
syn_prefix_per_second = 8
syn_service_per_second = 0
sysctls = false
mss = 1300
[strays]
per_second = 9
prefix_per_second = 3
[limits]
enabled = false
headroom = 3
udp = ["source 5kpps 10Mbit", "service none"]
udp_unknown = ["source 1pps"]
icmp_echo = ["prefix 1pps"]
icmp_error = ["network 1pps"]
icmp_control = ["destination 1pps"]
icmp_other = ["source 1pps"]
orphan = ["source 1pps"]
protocol = ["source 1Gbit"]
reflected = ["source 1pps"]
tcp_unknown = ["source 1pps"]
forwarded = ["source 1pps"]
[reflectors]
add = [7777]
remove = [53]
[protocols]
limit = ["sctp"]
pass = ["gre", "50"]
drop = ["igmp"]
inside = ["gre", "vxlan"]
[tcp]
services = [8443]
[udp]
services = [4790]
[[feeds]]
name = "drop"
url = "https://www.example/drop.txt"
refresh = "2h"
min_entries = 5
max_entries = 6
widest_ipv4 = 7
widest_ipv6 = 8
max_share_ipv4 = 12.5
max_share_ipv6 = 1
max_change = 9
max_faulty_lines = 3
[crowdsec]
url = "http://127.0.0.1:1"
key_file = "/key"
interval = "20s"
[geo]
databases = ["/var/lib/GeoIP/a.mmdb"]
[[geo.services]]
ports = [443, 80]
only = ["cn", "AS4134"]
closed = ["US"]
[maps]
bans = 1000
clients = 2000
known_clients = 3000
events_bytes = 8192
[metrics]
listen = "127.0.0.1:1"
[api]
socket = "/tmp/s"
group = "adm"
[paths]
state = "/tmp/state"
pins = "/sys/fs/bpf/x"
cgroup = "/sys/fs/cgroup"
)",
                                     "x.toml");
    REQUIRE(config);
    CHECK(config->mode == XDPCTL_MODE_ENFORCE);
    CHECK(config->interfaces == std::vector<std::string>{"eth0", "eth1"});
    CHECK(config->attach == AttachMode::generic);
    CHECK(config->on_stop == OnStop::detach);
    CHECK(config->allow == std::vector{"192.0.2.0/24"_net, "2001:db8::1"_net});
    CHECK(config->block == std::vector{"198.51.100.0/24"_net});
    CHECK(config->observed_reasons == 1ULL << XDPCTL_PORT_ZERO);
    CHECK(config->samples_per_second == 5);
    CHECK(config->sockets == SocketPlace::elsewhere);
    CHECK(config->tcp_services == std::set<uint16_t>{8443});
    CHECK(config->strays.per_second == 9);
    CHECK(config->strays.prefix_per_second == 3);
    CHECK(config->guard.mss == 1300);
    CHECK(config->guard == GuardConfig{XDPCTL_GUARD_ARMED,
                                       {{22, XDPCTL_GUARD_OFF},
                                        {80, XDPCTL_GUARD_ON},
                                        {443, XDPCTL_GUARD_ON},
                                        {8080, XDPCTL_GUARD_AUTO},
                                        {8443, XDPCTL_GUARD_ARMED}},
                                       {443},
                                       7,
                                       300 * ns_per_s,
                                       8,
                                       0,
                                       false,
                                       1300});
    CHECK(config->limits.set.at({XDPCTL_LIMIT_UDP, XDPCTL_LEVEL_SOURCE}) == Rate{5000, 10000000});
    CHECK(config->limits.set.at({XDPCTL_LIMIT_UDP, XDPCTL_LEVEL_SERVICE}) == Rate{});
    CHECK(config->limits.set.at({XDPCTL_LIMIT_PROTOCOL, XDPCTL_LEVEL_SOURCE}) ==
          Rate{0, 1000000000});
    CHECK(config->reflectors == ReflectorsConfig{{7777}, {53}});
    CHECK(config->feeds == std::vector<FeedConfig>{{"drop", "https://www.example/drop.txt",
                                                    7200 * ns_per_s, 5, 6, 7, 8, 12.5, 1, 9, 3}});
    CHECK(config->crowdsec == CrowdSecConfig{"http://127.0.0.1:1", "/key", 20 * ns_per_s});
    const GeoRule narrow{{"CN", "AS4134"}, {"US"}};
    CHECK(config->geo == GeoConfig{{"/var/lib/GeoIP/a.mmdb"}, {{80, narrow}, {443, narrow}}});
    CHECK(config->tunnels == (1U << XDPCTL_TUNNEL_GRE | 1U << XDPCTL_TUNNEL_VXLAN));
    CHECK(config->udp_services == std::set<uint16_t>{4790});
    CHECK(config->protocols ==
          std::map<uint8_t, xdpctl_protocol_action>{{2, XDPCTL_PROTOCOL_DROP},
                                                    {47, XDPCTL_PROTOCOL_PASS},
                                                    {50, XDPCTL_PROTOCOL_PASS},
                                                    {132, XDPCTL_PROTOCOL_LIMIT}});
    CHECK(config->maps == MapsConfig{1000, 2000, 3000, 8192});
    CHECK(config->metrics_listen == "127.0.0.1:1");
    CHECK(config->socket_path == "/tmp/s");
    CHECK(config->socket_group == "adm");
    CHECK(config->state_directory == "/tmp/state");
    CHECK(config->pin_directory == "/sys/fs/bpf/x");
    CHECK(config->cgroup == "/sys/fs/cgroup");
    // Each of them differs from its default, and diff knows each.
    CHECK(diff_configs(Config{}, *config).size() == config_keys().size());
}

TEST_CASE("errors name the line, the key and the cause")
{
    CHECK(error_of("mode = \"enforce\"\nmood = 1\n") == "x.toml:2: mood: unknown key");
    CHECK(error_of("\n[lists]\nalow = []\n") == "x.toml:3: lists.alow: unknown key");
    CHECK(error_of("mode = \"drop\"") == "x.toml:1: mode: must be \"monitor\" or \"enforce\"");
    CHECK(error_of("mode = 1") == "x.toml:1: mode: must be \"monitor\" or \"enforce\"");
    CHECK_THAT(error_of("mode = \n"), Catch::StartsWith("x.toml:1: "));
    CHECK_THAT(error_of("[lists]\nallow = [\n \"192.0.2.0/24\",\n \"192.0.2.1/24\"]"),
               Catch::Contains("line 4") && Catch::Contains("192.0.2.0/24"));
    CHECK_THAT(error_of("[limits]\nudp = [\"source 5\"]"), Catch::Contains("'5' is not a rate"));
    CHECK_THAT(error_of("[limits]\nudp = [\n\"host 5pps\"]"),
               Catch::StartsWith("x.toml:2: limits.udp: line 3: 'host 5pps' does not begin with"));
    CHECK_THAT(error_of("[limits]\nudp = [\"source 5pps\", \"source 6pps\"]"),
               Catch::Contains("set twice"));
    CHECK_THAT(error_of("[limits]\nheadroom = 0"), Catch::Contains("from 1 to 1000"));
    CHECK_THAT(error_of("[protocols]\ninside = [\"l2tp\"]"), Catch::Contains("\"vxlan\""));
    CHECK_THAT(error_of("[protocols]\ndrop = [\"tcp\"]"), Catch::Contains("neither a number"));
    CHECK_THAT(error_of("[protocols]\ndrop = [\"6\"]"), Catch::Contains("rules of its own"));
    CHECK_THAT(error_of("[protocols]\ndrop = [\"gre\"]\npass = [\"47\"]"),
               Catch::Contains("two actions"));
    CHECK_THAT(error_of("[maps]\nevents_bytes = 5000"), Catch::Contains("power of two"));
    CHECK_THAT(error_of("[maps]\nbans = -1"), Catch::Contains("whole number"));
    CHECK_THAT(error_of("[maps]\nbans = 5000000000"), Catch::Contains("whole number"));
    CHECK_THAT(error_of("interfaces = [\"a\", \"a\"]"), Catch::Contains("named twice"));
    CHECK_THAT(error_of("interfaces = [\"a/b\"]"), Catch::Contains("not an interface name"));
    CHECK_THAT(error_of("interfaces = \"eth0\""), Catch::Contains("array of strings"));
    CHECK_THAT(error_of("[[feeds]]\nname = \"a b\"\nurl = \"/x\""),
               Catch::Contains("line 2: name: must be"));
    CHECK_THAT(error_of("[[feeds]]\nname = \"geo\"\nurl = \"/x\""),
               Catch::Contains("'geo' is the name of a list"));
    CHECK_THAT(error_of("[[feeds]]\nname = \"a\"\nurl = \"ftp://x\""),
               Catch::Contains("line 3: url: must be"));
    CHECK_THAT(error_of("[[feeds]]\nname = \"a\"\nurl = \"/x\"\nsize = 1"),
               Catch::Contains("line 4: size: unknown key"));
    for (const char* share : {"-1", "100.5", "nan", "true", "\"5\""}) {
        CHECK_THAT(error_of(fmt::format("[[feeds]]\nmax_share_ipv6 = {}", share)),
                   Catch::Contains("max_share_ipv6: must be a number from 0 to 100"));
    }
    CHECK_THAT(error_of("[[feeds]]\nname = \"a\"\nurl = \"/x\"\n[[feeds]]\nname = \"a\"\n"
                        "url = \"/y\""),
               Catch::Contains("the name a is taken"));
    const std::string geo = "[geo]\ndatabases = [\"/a\"]\n[[geo.services]]\n";
    CHECK_THAT(error_of((geo + "ports = [80]\nonly = [\"CHN\"]").c_str()),
               Catch::Contains("line 5: 'CHN' is neither a country"));
    CHECK_THAT(error_of((geo + "ports = [80]").c_str()), Catch::Contains("line 3: needs ports"));
    CHECK_THAT(error_of((geo + "ports = [80]\nonly = [\"CN\"]\n[[geo.services]]\nports = [80]\n"
                               "closed = [\"US\"]")
                            .c_str()),
               Catch::Contains("port 80 has two rules"));
    CHECK_THAT(error_of("[[geo.services]]\nports = [80]\nonly = [\"CN\"]"),
               Catch::Contains("needs geo.databases"));
    CHECK_THAT(error_of("[crowdsec]\nurl = \"/x\""), Catch::Contains("https or http"));
    CHECK_THAT(error_of("[geo]\ndatabases = [\"a\"]"), Catch::Contains("absolute path"));
    CHECK_THAT(error_of("[reasons]\nmonitor = [\"passed\"]"),
               Catch::Contains("not a reason to drop"));
}

TEST_CASE("the configuration that is installed is valid and shows every key")
{
    const auto text = read_file(SOURCE_DIR "/tools/xdpctl.toml");
    REQUIRE(text);
    CHECK(parse_config(*text, "xdpctl.toml"));
    for (const std::string& key : config_keys()) {
        INFO(key);
        CHECK(text->find(key.substr(key.rfind('.') + 1)) != std::string::npos);
    }
}

TEST_CASE("diff tells what a reload cannot change")
{
    Config wanted;
    wanted.maps.bans = 5;
    wanted.mode = XDPCTL_MODE_ENFORCE;
    CHECK(diff_configs(Config{}, wanted) ==
          std::vector<std::string>{"mode: monitor -> enforce", "maps.bans: 0 -> 5"});
    CHECK(needs_reload(Config{}, wanted) == std::vector<std::string>{"maps.bans"});
}

TEST_CASE("metrics.listen is an address with a port that exists")
{
    for (const char* good : {"", "127.0.0.1:9417", "[::1]:9417", "9417", "localhost:1",
                             "127.0.0.1:9417,[::1]:65535"}) {
        INFO(good);
        const auto config = parse_config(fmt::format("metrics.listen = \"{}\"", good), "x");
        REQUIRE(config);
        CHECK(config->metrics_listen == good);
    }
    for (const char* wrong : {"127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1", "127.0.0.1:", ":9417",
                              "::1:9417", "[::1]", "127.0.0.1:94x", "127.0.0.1:9417,", "9417s"}) {
        INFO(wrong);
        const auto config = parse_config(fmt::format("\nmetrics.listen = \"{}\"", wrong), "x");
        REQUIRE_FALSE(config);
        CHECK(config.error().kind == ErrorKind::invalid_config);
        CHECK_THAT(config.error().message, Catch::StartsWith("x:2: metrics.listen: '"));
    }
    CHECK(parse_listen("[::1]:9417")->at(0).host == "::1");
}

TEST_CASE("what no host can have is refused with the file")
{
    CHECK_THAT(parse_config("paths.pins = \"/tmp/x\"", "x").error().message,
               Catch::Contains("x:1: paths.pins: must be below /sys/fs/bpf"));
    CHECK_THAT(parse_config(fmt::format("api.socket = \"/{}\"", std::string(107, 's')), "x")
                   .error()
                   .message,
               Catch::Contains("x:1: api.socket: must have 1 to 107 bytes"));
}

TEST_CASE("a key is found by its line, else its section")
{
    const char* text =
        "mode = \"monitor\"\n[crowdsec]\nurl = \"http://192.0.2.1\"\n"
        "[[feeds]]\nname = \"a\"\nurl = \"/a\"\n[[feeds]]\nname = \"b\"\nurl = \"/b\"\n";
    CHECK(config_line(text, "mode") == 1);
    CHECK(config_line(text, "crowdsec.url") == 3);
    CHECK(config_line(text, "crowdsec.key_file") == 2);
    CHECK(config_line(text, "feeds[1].url") == 9);
    CHECK(config_line(text, "metrics.listen") == 0);
    CHECK(config_line("not toml", "mode") == 0);
}

TEST_CASE("how wide a prefix may be allowed")
{
    for (const char* fine : {"10.0.0.0/8", "192.0.2.0/24", "192.0.2.1", "2001:db8::/32", "fc00::/7",
                             "fe80::/10", "2001:db8::1"}) {
        INFO(fine);
        CHECK_FALSE(too_wide_to_allow(*parse_prefix(fine)));
    }
    for (const char* wide :
         {"0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3", "2001::/31", "fc00::/6"}) {
        INFO(wide);
        CHECK(too_wide_to_allow(*parse_prefix(wide)));
    }
}

TEST_CASE("public networks of more than a few hosts are better trusted than allowed")
{
    for (const char* few : {"192.0.2.7", "198.51.100.16/28", "10.0.0.0/8", "192.168.0.0/16",
                            "2001:db8::7", "2001:db8:1:2::/64", "fc00::/7", "fe80::/10"}) {
        INFO(few);
        CHECK_FALSE(better_trusted(*parse_prefix(few)));
    }
    for (const char* wide :
         {"198.51.100.0/24", "203.0.113.0/27", "2001:db8::/32", "2001:db8::/63"}) {
        INFO(wide);
        CHECK(better_trusted(*parse_prefix(wide)));
    }
}

TEST_CASE("keys of earlier versions do nothing, and are no error")
{
    const auto config = parse_config(
        "[heuristics]\nenabled = true\nwindow = \"3s\"\n[guard]\nmode = \"on\"", "x.toml");
    REQUIRE(config);
    CHECK(config->retired == std::set<std::string>{"heuristics"});
    CHECK_FALSE(why_retired("heuristics").empty());
    CHECK(config->guard.mode == XDPCTL_GUARD_ON);
    CHECK(diff_configs(Config{}, *config).size() == 1);
}

TEST_CASE("a text that would exhaust the TOML library is refused before it reads it")
{
    const auto repeated = [](const char* text, size_t times) {
        std::string all;
        for (size_t i = 0; i < times; i++) {
            all += text;
        }
        return all;
    };
    const std::string triple = "'''"; // a string of several lines
    for (const auto& [text, cause] :
         {std::pair(repeated("a.", 100'000) + "a = 1\n", "x.toml:1: a key of more than 33 parts"),
          {"\n[" + repeated("a.", 100'000) + "a]\n", "x.toml:2: a key of more than 33 parts"},
          {"\n" + repeated("\"a\" . ", 100'000) + "a = 1", "x.toml:2: a key of more than 33"},
          {"x = \"\"\"\na\"\"\"\"\n" + repeated("a.", 40) + "a = 1", "x.toml:3: a key of more"},
          {"x = " + triple + " ' " + triple + " # ' \"\n" + repeated("a.", 40) + "a = 1",
           "x.toml:2: a key of more"},
          {"x = \"\\\\\" # \"\n" + repeated("a.", 40) + "a = 1", "x.toml:2: a key of more"},
          {"x = " + repeated("[", 100'000), "x.toml:1: nested deeper than 64"},
          {"x = " + repeated("{a = ", 100'000), "x.toml:1: nested deeper than 64"},
          {repeated("#", 1 << 20) + "\n", "x.toml:1: more than 1048576 bytes"}}) {
        INFO(text.substr(0, 60));
        CHECK_THAT(error_of(text), Catch::Contains(cause));
        CHECK(config_line(text, "mode") == 0);
    }
    // What is in strings and comments is text, and a line is a line.
    const std::string dots = repeated("1.", 100);
    CHECK_THAT(error_of("x = \"" + dots + "\""), Catch::Contains("x.toml:1: x: unknown key"));
    CHECK_THAT(error_of("x = '" + dots + "'"), Catch::Contains("x.toml:1: x: unknown key"));
    CHECK_THAT(error_of("x = \"\"\"\n" + dots + "\n\\\"\"\"\""), Catch::Contains("unknown key"));
    CHECK(parse_config("# " + dots + repeated("[", 100), "x.toml"));
    CHECK(parse_config("lists.block = [" + repeated("\"192.0.2.1\", ", 10'000) + "]", "x.toml"));
    CHECK(parse_config("[lists]\nblock = [\n" + repeated("\"192.0.2.1\",\n", 10'000) + "]",
                       "x.toml"));
}

TEST_CASE("keys that name something of the host are known as such")
{
    const auto changed = [](const std::string& before, const std::string& after) {
        return host_keys_changed(*parse_config(before, "a"), *parse_config(after, "b"));
    };
    using Keys = std::vector<std::string>;
    for (const auto& [key, value] : {std::pair("crowdsec.url", "\"http://192.0.2.1\""),
                                     {"crowdsec.key_file", "\"/etc/shadow\""},
                                     {"geo.databases", "[\"/etc/shadow\"]"},
                                     {"metrics.listen", "\"0.0.0.0:1\""},
                                     {"api.socket", "\"/s\""},
                                     {"api.group", "\"adm\""},
                                     {"paths.state", "\"/\""},
                                     {"paths.pins", "\"/sys/fs/bpf/y\""},
                                     {"paths.cgroup", "\"/c\""},
                                     {"feeds", "[{name = \"a\", url = \"/etc/shadow\"}]"}}) {
        const std::string line = fmt::format("{} = {}", key, value);
        INFO(line);
        CHECK(changed("", line) == Keys{key});
        CHECK(changed(line, "") == Keys{key});
        CHECK(changed(line, line).empty());
    }
    // In full, also what diff does not show.
    CHECK(changed("crowdsec.url = \"http://a?k=1\"", "crowdsec.url = \"http://a?k=2\"") ==
          Keys{"crowdsec.url"});
    // How much of a feed is taken, and how often, is no name.
    const std::string feed = "[[feeds]]\nname = \"a\"\nurl = \"https://a/\"\n";
    CHECK(changed(feed, feed + "refresh = \"2h\"\nmax_change = 5\n").empty());
    CHECK(changed(feed, "[[feeds]]\nname = \"b\"\nurl = \"https://a/\"\n") == Keys{"feeds"});
    CHECK(changed("", "mode = \"enforce\"\nlists.block = [\"192.0.2.1\"]\nlimits.headroom = 9\n"
                      "on_stop = \"detach\"\nmaps.bans = 5000\ncrowdsec.interval = \"9s\"")
              .empty());
}
