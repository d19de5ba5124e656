// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <linux/netlink.h>
#include <unistd.h>
#include <utmp.h>

#include "core/asked.h"
#include "core/bans.h"
#include "core/protected.h"
#include "harness/catch.h"
#include "harness/literals.h"
#include "host/dependencies.h"
#include "host/netlink_messages.h"
#include "host/server_files.h"
#include "host/ssh.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

using Addresses = std::vector<Address>;
constexpr uint64_t second = 1'000'000'000;

ProtectedSet sample()
{
    return protect({{"192.0.2.0/24"_net, Protection::ALLOWED, "lists.allow"},
                    {"198.51.100.1"_net, Protection::OWN_ADDRESS, "eth0"},
                    {"2001:db8::1"_net, Protection::OWN_ADDRESS, "eth0"},
                    {"198.51.100.254"_net, Protection::GATEWAY, "route, table main"},
                    {"203.0.113.53"_net, Protection::RESOLVER, "/etc/resolv.conf"},
                    {"203.0.113.54"_net, Protection::RESOLVER, "a socket", true},
                    {"203.0.113.123"_net, Protection::TIME_SERVER, "/etc/chrony/chrony.conf"},
                    {"2001:db8:5::7"_net, Protection::SSH_PEER, "logind"},
                    {"10.1.0.0/16"_net, Protection::PRIVATE_NETWORK, "route"},
                    {"fd00:1::/64"_net, Protection::PRIVATE_NETWORK, "eth0"}});
}

} // namespace

TEST_CASE("nothing blocks what the host needs, and it is said where that is known from")
{
    const ProtectedSet set = sample();
    const auto why = [&set](const char* prefix, Authority who = Authority::automatic) {
        return set.refuses(parse_prefix(prefix).value(), who).value_or("");
    };
    CHECK(why("192.0.2.7") == "it is inside 192.0.2.0/24, on the allow list (lists.allow)");
    CHECK(why("198.51.100.1") == "it is an address of this host (eth0)");
    CHECK_THAT(why("198.51.100.254"), Catch::Contains("a gateway of this host (route, table"));
    CHECK_THAT(why("203.0.113.53"), Catch::Contains("a resolver of this host (/etc/resolv.conf)"));
    CHECK_THAT(why("198.51.100.0/24"), Catch::Contains("it contains 198.51.100.1, an address"));
    CHECK_THAT(why("2001:db8::/48"), Catch::Contains("it contains 2001:db8::1"));
    CHECK_THAT(why("::/0"), Catch::Contains("it contains 2001:db8::1"));
    CHECK_THAT(why("10.0.0.0/8"), Catch::Contains("it contains 10.1.0.0/16, a private network"));
    CHECK_THAT(why("10.1.2.3"), Catch::Contains("it is inside 10.1.0.0/16"));
    CHECK_THAT(why("fd00:1::7"), Catch::Contains("it is inside fd00:1::/64"));
    CHECK_THAT(why("169.254.169.254"), Catch::Contains("metadata"));
    CHECK_THAT(why("fd00:ec2::254"), Catch::Contains("AWS"));
    CHECK(why("192.0.0.0/16").empty()); // allow beats block inside it
    CHECK(why("203.0.113.55").empty());
    CHECK(why("2001:db8:1::/48").empty());
    CHECK(why("10.2.0.0/16").empty());
}

TEST_CASE("an order of the operator reaches what is only seen, never what is stated")
{
    const ProtectedSet set = sample();
    const auto refused = [&set](const char* prefix, Authority who) {
        return set.refuses(parse_prefix(prefix).value(), who).has_value();
    };
    for (const char* stated : {"198.51.100.1", "198.51.100.254", "203.0.113.53", "203.0.113.123",
                               "169.254.169.254", "2001:db8::1", "2001:db8::/64"}) {
        INFO(stated);
        for (const Authority who : {Authority::automatic, Authority::operator_hand,
                                    Authority::operator_force, Authority::configuration}) {
            CHECK(refused(stated, who));
        }
    }
    for (const char* seen : {"203.0.113.54", "10.1.2.3", "10.0.0.0/8", "fd00:1::/64"}) {
        INFO(seen);
        CHECK(refused(seen, Authority::automatic));
        CHECK(refused(seen, Authority::operator_hand));
        CHECK_FALSE(refused(seen, Authority::operator_force));
        CHECK_FALSE(refused(seen, Authority::configuration));
    }
    CHECK(refused("2001:db8:5::7", Authority::operator_hand));
    CHECK(refused("2001:db8:5::7", Authority::configuration)); // nobody locks himself out
    CHECK_FALSE(refused("2001:db8:5::7", Authority::operator_force));
    CHECK_THAT(set.refuses("10.1.2.3"_net, Authority::operator_hand).value(),
               Catch::EndsWith("--force bans it"));
    CHECK_THAT(set.refuses("198.51.100.1"_net, Authority::operator_hand).value(),
               !Catch::Contains("--force"));
}

TEST_CASE("of a network the parts that are not protected can be blocked")
{
    const ProtectedSet set = sample();
    CHECK(set.blockable("203.0.114.0/24"_net, Authority::configuration) ==
          std::vector{"203.0.114.0/24"_net});
    CHECK(set.blockable("198.51.100.1"_net, Authority::configuration).empty());
    CHECK(set.blockable("198.51.100.0/30"_net, Authority::configuration) ==
          std::vector{"198.51.100.0"_net, "198.51.100.2/31"_net});
    for (const char* text : {"198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0"}) {
        INFO(text);
        const Prefix whole = parse_prefix(text).value();
        const auto parts = set.blockable(whole, Authority::configuration);
        REQUIRE_FALSE(parts.empty());
        for (size_t i = 0; i < parts.size(); i++) {
            CHECK(whole.contains(parts[i]));
            const auto why = set.refuses(parts[i], Authority::configuration);
            // The allow list is not taken out: it comes first in the data path.
            CHECK((!why || why->find("allow list") != std::string::npos));
            for (size_t j = 0; j < i; j++) {
                CHECK_FALSE((parts[j].contains(parts[i]) || parts[i].contains(parts[j])));
            }
        }
    }
    // All but two of 256.
    size_t hosts = 0;
    for (const Prefix& part : set.blockable("198.51.100.0/24"_net, Authority::configuration)) {
        hosts += size_t{1} << (128 - part.length);
    }
    CHECK(hosts == 254);
}

TEST_CASE("a million questions of a set with many addresses are soon answered")
{
    std::vector<Protected> many;
    for (uint32_t i = 0; i < 60000; i++) {
        Address own = "10.0.0.0"_ip;
        own.bytes[14] = static_cast<uint8_t>(i >> 8);
        own.bytes[15] = static_cast<uint8_t>(i);
        many.push_back({{own, 128}, Protection::OWN_ADDRESS, "eth0"});
    }
    const ProtectedSet set = protect(std::move(many));
    size_t refused = 0;
    for (uint32_t i = 0; i < 1'000'000; i++) {
        Address source = "10.0.0.0"_ip;
        source.bytes[13] = static_cast<uint8_t>(i >> 16);
        source.bytes[14] = static_cast<uint8_t>(i >> 8);
        source.bytes[15] = static_cast<uint8_t>(i);
        refused += set.refuses({source, 128}, Authority::automatic) ? 1 : 0;
    }
    CHECK(refused == 60000);
}

TEST_CASE("what was added is told once, whatever it is known from")
{
    const ProtectedSet before = protect({{"192.0.2.1"_net, Protection::GATEWAY, "a"}});
    const ProtectedSet now = protect({{"192.0.2.1"_net, Protection::GATEWAY, "b"},
                                      {"192.0.2.1"_net, Protection::RESOLVER, "b"},
                                      {"192.0.2.1"_net, Protection::RESOLVER, "c"}});
    const auto added = added_protection(before, now);
    REQUIRE(added.size() == 1);
    CHECK(added[0].as == Protection::RESOLVER);
    CHECK(added_protection(now, before).empty());
}

TEST_CASE("servers that the host's sockets ask are remembered, strangers are not")
{
    AskedServers asked;
    const auto known = [&asked] {
        std::vector<std::string> all;
        for (const Protected& entry : asked.servers()) {
            CHECK(entry.observed);
            all.push_back(fmt::format("{} {}", to_string(entry.prefix), name_of(entry.as)));
        }
        return all;
    };
    using Names = std::vector<std::string>;
    SECTION("for a day")
    {
        asked.observe({{40000, "192.0.2.53"_ip, 53, 0},
                       {40001, "2001:db8::53"_ip, 853, 101},
                       {40002, "192.0.2.123"_ip, 123, 102},
                       {40003, "127.0.0.53"_ip, 53, 0}},
                      {22, 443}, {}, second);
        CHECK(known() ==
              Names{"192.0.2.53 resolver", "192.0.2.123 time_server", "2001:db8::53 resolver"});
        asked.observe({}, {}, {}, 23 * 3600 * second);
        CHECK(known().size() == 3);
        asked.observe({{40000, "192.0.2.53"_ip, 53, 0}}, {}, {}, 23 * 3600 * second);
        asked.observe({}, {}, {}, 25 * 3600 * second);
        CHECK(known() == Names{"192.0.2.53 resolver"});
    }
    SECTION("who connects to a service from port 53 was not asked")
    {
        asked.observe({{443, "203.0.113.9"_ip, 53, 33}}, {443}, {}, second);
        CHECK(known().empty());
        // Not when the listener goes away and the connection stays, either.
        asked.observe({{443, "203.0.113.9"_ip, 53, 33}}, {}, {}, 2 * second);
        CHECK(known().empty());
        // Nor where a UDP service connects a socket to each client.
        asked.observe({{50000, "2001:db8:bad::1"_ip, 123, 33}}, {}, {50000}, 3 * second);
        CHECK(known().empty());
    }
    SECTION("of a resolver that asks the whole world nobody is a server of ours")
    {
        std::vector<Question> world;
        for (uint8_t i = 1; i <= 40; i++) {
            Address server = "203.0.113.0"_ip;
            server.bytes[15] = i;
            world.push_back({static_cast<uint16_t>(40000 + i), server, 53, 115});
        }
        world.push_back({50000, "192.0.2.53"_ip, 53, 0});
        asked.observe(world, {}, {}, second);
        CHECK(known() == Names{"192.0.2.53 resolver"});
    }
    SECTION("accounts of users crowd out none of the system's")
    {
        asked.observe({{40000, "192.0.2.53"_ip, 53, 101}}, {}, {}, second);
        for (uint32_t user = 0; user < 500; user++) {
            std::vector<Question> questions;
            for (uint8_t i = 0; i < 16; i++) {
                Address server = "203.0.0.0"_ip;
                server.bytes[13] = static_cast<uint8_t>(user >> 4);
                server.bytes[14] = static_cast<uint8_t>(user << 4);
                server.bytes[15] = i;
                questions.push_back({40001, server, 53, 1000 + user});
            }
            asked.observe(questions, {}, {}, 2 * second);
        }
        const auto all = known();
        CHECK(all.size() == AskedServers::servers_most);
        CHECK(std::count(all.begin(), all.end(), "192.0.2.53 resolver") == 1);
    }
}

TEST_CASE("an address with what such files put around it")
{
    for (const char* text :
         {"192.0.2.1", "192.0.2.1:53", "192.0.2.1#5353", "192.0.2.1@853", "[192.0.2.1]:53",
          "192.0.2.1%eth0", "192.0.2.1:853%eth0#dns.example", "192.0.2.1@853#dns.example",
          "\"192.0.2.1\"", "::ffff:192.0.2.1", "192.0.2.1@eth0"}) {
        INFO(text);
        CHECK(parse_server(text) == "192.0.2.1"_ip);
    }
    for (const char* text :
         {"2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:853", "[2001:db8::1]:853%eth0#dns.example",
          "2001:db8::1%2", "2001:db8::1#dns.example", "2001:db8::1@853", "[2001:db8::1%eth0]:53"}) {
        INFO(text);
        CHECK(parse_server(text) == "2001:db8::1"_ip);
    }
    for (const char* text : {"", "[", "[]", ":", "#", "dns.example", "dns.example:53", "1.2.3",
                             "192.0.2.1.5", "192.0.2.256", "2001:db8::1::2", "[2001:db8::1"}) {
        INFO(text);
        CHECK((parse_server(text) == std::nullopt || std::string_view(text) == "[2001:db8::1"));
    }
}

TEST_CASE("resolv.conf is read as resolv.conf(5) says, and as people write it")
{
    CHECK(parse_resolvers("# nameserver 192.0.2.9\nnameserver 192.0.2.53\n"
                          "  nameserver fe80::1%eth0\nsearch example.org\nnameserver x\n") ==
          Addresses{"192.0.2.53"_ip, "fe80::1"_ip});
    CHECK(parse_resolvers("nameserver\t192.0.2.53\r\n;nameserver 192.0.2.9\r\n"
                          "NameServer  2001:db8::53\r\n\r\nnameserver") ==
          Addresses{"192.0.2.53"_ip, "2001:db8::53"_ip});
    CHECK(parse_resolvers("nameserver 192.0.2.53 192.0.2.54 # 192.0.2.9\n"
                          "nameserver 192.0.2.55; 192.0.2.9\nnameserver 192.0.2.56 ;192.0.2.9\n"
                          "nameserver [2001:db8::53]:5353") ==
          Addresses{"192.0.2.53"_ip, "192.0.2.54"_ip, "192.0.2.55"_ip, "192.0.2.56"_ip,
                    "2001:db8::53"_ip});
    CHECK(parse_resolvers("\xef\xbb\xbfnameserver 192.0.2.53") == Addresses{"192.0.2.53"_ip});
    CHECK(parse_resolvers("nameservers 192.0.2.53\nnameserver192.0.2.53\nxnameserver 192.0.2.53")
              .empty());
    CHECK(parse_resolvers(std::string_view("nameserver 192.0.2.53\0\nnameserver 192.0.2.54\n", 45))
              .size() == 1); // a line with a zero byte is none
}

TEST_CASE("systemd's files")
{
    CHECK(parse_assigned("[Resolve]\n#DNS=192.0.2.9\nDNS=192.0.2.53#dns.example "
                         "[2001:db8::53]:853#dns.example\n DNS = 192.0.2.54:5353%eth0 \n"
                         "FallbackDNS=\nDNSSEC=no\nDNS=dns.example\n",
                         {"DNS", "FallbackDNS"}) ==
          Addresses{"192.0.2.53"_ip, "2001:db8::53"_ip, "192.0.2.54"_ip});
    CHECK(parse_assigned("NTP=192.0.2.1 \\\n  192.0.2.2\nDNS=192.0.2.3\n", {"NTP"}) ==
          Addresses{"192.0.2.1"_ip, "192.0.2.2"_ip});
    CHECK(parse_assigned("SERVERS=\"192.0.2.53 2001:db8::53\"\n", {"SERVERS"}).size() == 2);
    CHECK(parse_assigned("DNS", {"DNS"}).empty());

    const Lease lease = parse_networkd_lease("# This is private data. Do not parse.\n"
                                             "ADDRESS=198.51.100.7\nROUTER=198.51.100.1\n"
                                             "SERVER_ADDRESS=198.51.100.2\nDNS=192.0.2.53 "
                                             "192.0.2.54\nNTP=192.0.2.123\n");
    CHECK(lease.dhcp_servers == Addresses{"198.51.100.2"_ip});
    CHECK(lease.routers == Addresses{"198.51.100.1"_ip});
    CHECK(lease.resolvers == Addresses{"192.0.2.53"_ip, "192.0.2.54"_ip});
    CHECK(lease.time_servers == Addresses{"192.0.2.123"_ip});
}

TEST_CASE("forwarders of dnsmasq, unbound and BIND")
{
    const ServerFile dnsmasq = parse_dnsmasq(
        "# "
        "server=192.0.2.9\nserver=192.0.2.1\nserver=/example.org/example.net/192.0.2.2#5353@eth0\n"
        "server=/local/\nserver=/ads.example/#\nserver = 2001:db8::53 # why\n"
        "server=192.0.2.3@192.0.2.9#53\nrev-server=198.51.100.0/24,192.0.2.4\nno-resolv\n"
        "resolv-file=/run/other/resolv.conf\nconf-dir=/etc/more,*.conf\nconf-file=/etc/one\n");
    CHECK(dnsmasq.servers == Addresses{"192.0.2.1"_ip, "192.0.2.2"_ip, "2001:db8::53"_ip,
                                       "192.0.2.3"_ip, "192.0.2.4"_ip});
    CHECK(dnsmasq.resolv_confs == std::vector<std::string>{"/run/other/resolv.conf"});
    CHECK(dnsmasq.includes == std::vector<std::string>{"/etc/more/*", "/etc/one"});

    const ServerFile unbound = parse_unbound(
        "server:\n  interface: 192.0.2.9 # forward-addr: 192.0.2.8\nforward-zone:\n  name: \".\"\n"
        "\tforward-addr: 192.0.2.1@853#dns.example\n  forward-addr:2001:db8::53\n"
        "#  forward-addr: 192.0.2.9\nstub-zone: stub-addr: 192.0.2.2\n"
        "include: \"/etc/unbound/more/*.conf\"\n");
    CHECK(unbound.servers == Addresses{"192.0.2.1"_ip, "2001:db8::53"_ip, "192.0.2.2"_ip});
    CHECK(unbound.includes == std::vector<std::string>{"/etc/unbound/more/*.conf"});

    const ServerFile named = parse_named(
        "include \"/etc/bind/more.conf\";\noptions { // forwarders { 192.0.2.9; };\n"
        " forwarders port 53 { 192.0.2.1; 2001:db8::53 port 853 tls example; # 192.0.2.9;\n"
        "  /* 192.0.2.9; */ 192.0.2.2;};\n allow-query { 192.0.2.9; };\n};\n"
        "zone \"x\" { forwarders {}; masters { 192.0.2.9; }; };\n");
    CHECK(named.servers == Addresses{"192.0.2.1"_ip, "2001:db8::53"_ip, "192.0.2.2"_ip});
    CHECK(named.includes == std::vector<std::string>{"/etc/bind/more.conf"});
    CHECK(parse_named("forwarders { 192.0.2.1").servers.size() == 1);
    CHECK(parse_named("/* forwarders { 192.0.2.1; };").servers.empty());
}

TEST_CASE("time servers of chrony, ntpd and OpenNTPD")
{
    const ServerFile file = parse_time_servers(
        "pool 2.debian.pool.ntp.org iburst\nserver 192.0.2.1 iburst\n! server 192.0.2.9\n"
        "Server\t2001:db8::123\npeer 192.0.2.2 key 1\nserver -4 192.0.2.3\nservers 192.0.2.4\n"
        "server\nconfdir /etc/chrony/conf.d /run/x\nsourcedir /run/chrony-dhcp\n"
        "include /etc/chrony/*.inc\nincludefile \"/etc/ntp/more\"\nallow 192.0.2.9\n");
    CHECK(file.servers == Addresses{"192.0.2.1"_ip, "2001:db8::123"_ip, "192.0.2.2"_ip,
                                    "192.0.2.3"_ip, "192.0.2.4"_ip});
    CHECK(file.includes == std::vector<std::string>{"/etc/chrony/conf.d/*.conf", "/run/x/*.conf",
                                                    "/run/chrony-dhcp/*.sources",
                                                    "/etc/chrony/*.inc", "/etc/ntp/more"});
}

TEST_CASE("what the command line of a resolver or time daemon says")
{
    const ServerFile dnsmasq = parse_server_command(
        "dnsmasq", {"-k", "--server=192.0.2.1", "-S", "192.0.2.2#5353", "-S/x/2001:db8::53",
                    "--server", "192.0.2.3", "-r", "/run/x", "--conf-file=/etc/x", "-7", "/etc/d",
                    "--server", "--no-resolv", "-C"});
    CHECK(dnsmasq.servers ==
          Addresses{"192.0.2.1"_ip, "192.0.2.2"_ip, "2001:db8::53"_ip, "192.0.2.3"_ip});
    CHECK(dnsmasq.resolv_confs == std::vector<std::string>{"/run/x"});
    CHECK(dnsmasq.includes == std::vector<std::string>{"/etc/x", "/etc/d/*", ""});
    const ServerFile chrony = parse_server_command(
        "chronyd", {"-F", "1", "server 192.0.2.123 iburst", "-f", "/etc/my.conf"});
    CHECK(chrony.servers == Addresses{"192.0.2.123"_ip});
    CHECK(chrony.includes == std::vector<std::string>{"/etc/my.conf"});
    CHECK(parse_server_command("unbound", {"-d", "-c", "/x", "-c"}).includes ==
          std::vector<std::string>{"/x"});
    CHECK(parse_server_command("named", {"-c/x"}).includes == std::vector<std::string>{"/x"});

    const std::string root = fmt::format("/tmp/xdpctl-running-{}", getpid());
    std::filesystem::remove_all(root);
    const auto run = [&root](const char* pid, const std::string& name, const char* status,
                             const std::string& command) {
        const std::string directory = root + "/proc/" + pid + "/";
        std::filesystem::create_directories(directory);
        std::ofstream(directory + "comm") << name << "\n";
        std::ofstream(directory + "status") << status;
        std::ofstream(directory + "cmdline") << command;
    };
    using namespace std::string_literals;
    run("1", "systemd", "Uid:\t0\t0\nNSpid:\t1\n", "init\0"s);
    run("20", "dnsmasq", "Uid:\t107\t107\nNSpid:\t20\n", "dnsmasq\0--server=192.0.2.1\0"s);
    run("21", "dnsmasq", "Uid:\t1000\t0\nNSpid:\t21\n", "dnsmasq\0--server=192.0.2.2\0"s);
    run("22", "dnsmasq", "Uid:\t0\t0\nNSpid:\t22\t1\n", "dnsmasq\0--server=192.0.2.3\0"s);
    run("23", "unbound", "Uid:\t108\t0\nNSpid:\t23\n", "unbound\0-c\0/forward.conf\0"s);
    run("24", "unbound", "", "");
    std::ofstream(root + "/forward.conf") << "forward-addr: 2001:db8::53\n";
    std::vector<Protected> found = read_running_servers(root).entries;
    std::sort(found.begin(), found.end());
    std::filesystem::remove_all(root);
    REQUIRE(found.size() == 2); // not of the user, nor of the container
    CHECK(found[0].prefix == "192.0.2.1"_net);
    CHECK(found[0].source == "command line of dnsmasq");
    CHECK(found[1].prefix == "2001:db8::53"_net);
    CHECK(found[1].source == "/forward.conf");
}

TEST_CASE("leases of dhclient that are not over")
{
    const auto lease = [](const char* server, const char* expire) {
        return fmt::format("lease {{\n  interface \"eth0\";\n  fixed-address 192.0.2.7;\n"
                           "  option routers 192.0.2.1;\n  option dhcp-server-identifier {};\n"
                           "  option domain-name-servers 192.0.2.53,192.0.2.54;\n"
                           "  renew 1 2024/01/01 00:00:00;\n  expire {};\n}}\n",
                           server, expire);
    };
    constexpr uint64_t now = 1'700'000'000; // 2023-11-14
    CHECK(parse_dhclient_leases(lease("192.0.2.2", "4 2023/11/16 12:00:00"), now).dhcp_servers ==
          Addresses{"192.0.2.2"_ip});
    CHECK(parse_dhclient_leases(lease("192.0.2.2", "4 2023/11/10 12:00:00"), now)
              .dhcp_servers.empty());
    CHECK(parse_dhclient_leases(lease("192.0.2.2", "never"), now).resolvers.size() == 2);
    CHECK(parse_dhclient_leases(lease("192.0.2.2", "epoch 1600000000; # Sun"), now)
              .dhcp_servers.empty());
    const Lease both = parse_dhclient_leases(lease("192.0.2.2", "2 2020/01/01 00:00:00") +
                                                 lease("192.0.2.3", "2 2030/01/01 00:00:00"),
                                             now);
    CHECK(both.dhcp_servers == Addresses{"192.0.2.3"_ip});
    CHECK(both.routers == Addresses{"192.0.2.1"_ip});
    CHECK(parse_dhclient_leases("lease { option dhcp-server-identifier 192.0.2.2;", now)
              .dhcp_servers.empty());
    CHECK(parse_dhclient_leases("}}}{{;;expire;option;", now).dhcp_servers.empty());
}

TEST_CASE("the ports that sshd listens on")
{
    using Ports = std::set<uint16_t>;
    const auto ports = [](std::string_view text) { return parse_sshd_config(text).listens_on(); };
    CHECK(ports("") == Ports{22});
    CHECK(ports("# Port 2222\nPort 22\nport=2200\n  PORT\t2201 # why\r\nPort = \"2202\"\r\n") ==
          Ports{22, 2200, 2201, 2202});
    CHECK(ports("ListenAddress 192.0.2.1:2222\nListenAddress [2001:db8::1]:2223\n") ==
          Ports{2222, 2223});
    CHECK(ports("ListenAddress 192.0.2.1:2222\nListenAddress 2001:db8::22\n") == Ports{22, 2222});
    CHECK(ports("ListenAddress 192.0.2.1\nListenAddress 192.0.2.2:2222\nPort 2200") ==
          Ports{2200, 2222});
    CHECK(ports("AddressFamily inet\nListenAddress=\"0.0.0.0:2222\"\n"
                "ListenAddress ssh.example:2223 rdomain x") == Ports{2222, 2223});
    CHECK(ports("ListenAddress [::]:ssh") == Ports{22});
    CHECK(ports("Port 70000\nPort\nPort x\nListenAddress :\n") == Ports{22});
    // Only what comes before the first Match holds for the listener.
    CHECK(ports("Port 2222\nMatch User x\n  PermitTTY no\n  Port 2223\n") == Ports{2222});

    SshdFile file = parse_sshd_config("Include /etc/ssh/sshd_config.d/*.conf \"a b\" # c\n");
    CHECK(file.includes == std::vector<std::string>{"/etc/ssh/sshd_config.d/*.conf", "a b"});
    file.merge(parse_sshd_config("Port 2222\n"));
    CHECK(file.listens_on() == Ports{2222});
    file.merge(parse_sshd_config("ListenAddress 192.0.2.1:2200\n"));
    CHECK(file.listens_on() == Ports{2200});
    CHECK(parse_listen_streams("[Socket]\nListenStream=\nListenStream=2222\n"
                               "ListenStream=[::]:2223\nListenStream=192.0.2.1:2224\n"
                               "ListenStream=/run/x\n") == Ports{2222, 2223, 2224});
}

TEST_CASE("who is logged in by utmp, with times of 32 and of 64 bits")
{
    const auto entry = [](size_t size, size_t address_at, short type, const char* from,
                          const char* host = "") {
        std::string one(size, '\0');
        std::memcpy(one.data(), &type, sizeof(type));
        const int32_t pid = 4711;
        std::memcpy(one.data() + 4, &pid, sizeof(pid));
        one.replace(44, 4, "user");
        one.replace(76, std::strlen(host), host);
        const Address address = parse_address(from).value();
        const size_t skip = address.is_ipv4() ? 12 : 0;
        std::memcpy(one.data() + address_at, address.bytes.data() + skip, 16 - skip);
        return one;
    };
    const auto from = [](const std::string& file) {
        std::set<Address> all;
        for (const Login& login : parse_utmp(file)) {
            CHECK(login.pid == 4711);
            all.insert(login.from);
        }
        return all;
    };
    using Origins = std::set<Address>;
    for (const auto& [size, at] : {std::pair<size_t, size_t>{384, 348}, {400, 360}}) {
        INFO(size);
        const std::string file = entry(size, at, BOOT_TIME, "192.0.2.4") +
                                 entry(size, at, USER_PROCESS, "192.0.2.1") +
                                 entry(size, at, DEAD_PROCESS, "192.0.2.2") +
                                 entry(size, at, USER_PROCESS, "2001:db8::1") +
                                 entry(size, at, USER_PROCESS, "0.0.0.0") +
                                 entry(size, at, USER_PROCESS, "0.0.0.0", "192.0.2.3 via mosh") +
                                 entry(size, at, USER_PROCESS, "0.0.0.0", "tmux(1).%0");
        CHECK(from(file) == Origins{"192.0.2.1"_ip, "2001:db8::1"_ip, "192.0.2.3"_ip});
        CHECK(from(file.substr(0, 2 * size + 5)) == Origins{"192.0.2.1"_ip}); // cut short
    }
    CHECK(parse_utmp("").empty());
    CHECK(parse_utmp(std::string(383, '\x07')).empty());
    // What glibc here writes.
    utmp native{};
    native.ut_type = USER_PROCESS;
    native.ut_pid = 4711;
    std::strcpy(native.ut_user, "root");
    std::memcpy(native.ut_addr_v6, "\xc0\x00\x02\x09", 4);
    CHECK(from(std::string(reinterpret_cast<const char*>(&native), sizeof(native))) ==
          Origins{"192.0.2.9"_ip});
}

TEST_CASE("a dump of netlink that the kernel could not finish in one go is known")
{
    std::string piece;
    const auto add = [&piece](uint16_t type, uint16_t flags, int32_t word) {
        const nlmsghdr header{NLMSG_LENGTH(sizeof(word)), type, flags, 0, 0};
        piece.append(reinterpret_cast<const char*>(&header), sizeof(header));
        piece.append(reinterpret_cast<const char*>(&word), sizeof(word));
    };
    const auto scan = [&piece](size_t size = SIZE_MAX) {
        size_t count = 0;
        alignas(nlmsghdr) uint8_t buffer[256];
        std::memcpy(buffer, piece.data(), piece.size());
        const DumpPiece result = scan_dump({buffer, std::min(size, piece.size())},
                                           [&count](const nlmsghdr&) { count++; });
        return std::tuple(count, result.done, result.interrupted, result.error);
    };
    add(20, NLM_F_MULTI, 1);
    CHECK(scan() == std::tuple(1, false, false, 0));
    add(20, NLM_F_MULTI | NLM_F_DUMP_INTR, 1);
    CHECK(scan() == std::tuple(2, false, true, 0));
    CHECK(scan(piece.size() - 1) == std::tuple(1, false, false, EBADMSG));
    add(NLMSG_DONE, NLM_F_MULTI, 0);
    add(20, NLM_F_MULTI, 1);
    CHECK(scan() == std::tuple(2, true, true, 0));
    piece.clear();
    add(NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR, -EINTR); // a dump that failed in the middle
    CHECK(scan() == std::tuple(0, true, true, EINTR));
    piece.clear();
    add(NLMSG_ERROR, 0, -EOPNOTSUPP);
    CHECK(scan() == std::tuple(0, true, false, EOPNOTSUPP));
}

TEST_CASE("whom the host depends on, by its files")
{
    const std::string root = fmt::format("/tmp/xdpctl-protected-{}", getpid());
    std::filesystem::remove_all(root);
    const auto put = [&root](const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(root + path).parent_path());
        std::ofstream(root + path) << text;
    };
    put("/etc/resolv.conf", "nameserver 127.0.0.53\nnameserver 0.0.0.0\n");
    put("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n");
    put("/run/systemd/resolve/netif/2", "SERVERS=192.0.2.54\n");
    put("/run/NetworkManager/no-stub-resolv.conf", "nameserver 192.0.2.55\n");
    put("/run/systemd/netif/leases/2", "SERVER_ADDRESS=198.51.100.2\n");
    put("/etc/dnsmasq.conf", "conf-dir=/etc/other.d\nresolv-file=/run/other.conf\n");
    put("/etc/other.d/one", "server=192.0.2.56\nconf-file=/etc/dnsmasq.conf\n"); // a circle
    put("/run/other.conf", "nameserver 192.0.2.57\n");
    put("/etc/unbound/unbound.conf", "include: \"more/*.conf\"\n");
    put("/etc/unbound/more/a.conf", "forward-addr: 192.0.2.58@853\n");
    put("/etc/chrony/chrony.conf", "sourcedir /run/chrony-dhcp\nserver 192.0.2.123\n");
    put("/run/chrony-dhcp/eth0.sources", "server 2001:db8::123 iburst\n");
    std::filesystem::create_directories(root + "/etc/dnsmasq.d/a-directory");
    std::map<std::string, std::string> found; // address -> kind and file
    const Dependencies all = read_dependencies(root, 0);
    for (const Protected& entry : all.entries) {
        found[to_string(entry.prefix)] = fmt::format("{} {}", name_of(entry.as), entry.source);
    }
    std::filesystem::remove_all(root);
    CHECK(all.problems.empty());
    CHECK(found == std::map<std::string, std::string>{
                       {"192.0.2.53", "resolver /run/systemd/resolve/resolv.conf"},
                       {"2001:db8::53", "resolver /run/systemd/resolve/resolv.conf"},
                       {"192.0.2.54", "resolver /run/systemd/resolve/netif/2"},
                       {"192.0.2.55", "resolver /run/NetworkManager/no-stub-resolv.conf"},
                       {"198.51.100.2", "dhcp_server /run/systemd/netif/leases/2"},
                       {"192.0.2.56", "resolver /etc/other.d/one"},
                       {"192.0.2.57", "resolver /run/other.conf"},
                       {"192.0.2.58", "resolver /etc/unbound/more/a.conf"},
                       {"192.0.2.123", "time_server /etc/chrony/chrony.conf"},
                       {"2001:db8::123", "time_server /run/chrony-dhcp/eth0.sources"}});
}
