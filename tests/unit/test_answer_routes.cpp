// SPDX-License-Identifier: Apache-2.0
// Which way SYN-ACKs leave, and what takes packets without a socket.
#include "daemon/answer_routes.h"
#include "harness/catch.h"
#include "harness/literals.h"
#include "host/receivers.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint32_t uplink = 2;
constexpr uint32_t vlan = 10; // stacked on the uplink
constexpr uint32_t tunnel = 20;
constexpr uint32_t bond = 30;

std::vector<uint32_t> below(uint32_t ifindex)
{
    switch (ifindex) {
    case uplink:
    case vlan:
        return {uplink};
    case bond:
        return {bond, 0};
    default:
        return {};
    }
}

constexpr MacAddress router_mac = {2, 0, 0, 0, 0, 1};

} // namespace

TEST_CASE("the routes of the host say where answers go")
{
    const Address router = GENERATE("198.51.100.254"_ip, "fe80::1"_ip);
    const Prefix all = router.is_ipv4() ? all_ipv4() : Prefix{{}, 0};
    const Prefix near = router.is_ipv4() ? "198.51.100.0/24"_net : "2001:db8::/64"_net;
    RoutingTable table;
    table.routes = {{all, {{uplink, router}}}, {near, {{uplink, std::nullopt}}}};
    table.neighbours = {{uplink, router, router_mac, true}, {tunnel, router, {}, true}};
    const auto routes = answer_routes_of(table, below);
    REQUIRE(routes);
    CHECK(*routes ==
          std::vector<AnswerRoute>{{all, {uplink}, router_mac}, {near, {uplink}, std::nullopt}});
    SECTION("a gateway that is not resolved yet")
    {
        table.neighbours.clear();
        CHECK_FALSE(answer_routes_of(table, below)->at(0).next_hop);
    }
    SECTION("by a VLAN, a bond, and an interface that is not filtered")
    {
        table.routes = {{all, {{tunnel, std::nullopt}}}, {near, {{vlan, router}, {bond, router}}}};
        const auto more = answer_routes_of(table, below);
        CHECK(more->at(0).ifindexes.empty());
        CHECK(more->at(1).ifindexes == std::vector<uint32_t>{uplink, bond, 0});
        CHECK_FALSE(more->at(1).next_hop); // one of several, each on a link of its own
        table.routes = {{near, {{vlan, router}}}};
        CHECK_FALSE(answer_routes_of(table, below)->at(0).next_hop); // in a VLAN of its own
    }
    SECTION("of two routes to one prefix the first counts")
    {
        table.routes.push_back({all, {{tunnel, std::nullopt}}});
        CHECK(answer_routes_of(table, below) == routes);
    }
    SECTION("what the table does not say")
    {
        table.has_rules = true;
        CHECK_FALSE(answer_routes_of(table, below));
        table.has_rules = false;
        table.routes[0].hops.clear(); // a next hop object
        CHECK_FALSE(answer_routes_of(table, below));
    }
}

TEST_CASE("services of IPVS are read as the kernel writes them")
{
    UnseenReceivers found;
    parse_ipvs("IP Virtual Server version 1.2.1 (size=4096)\n"
               "Prot LocalAddress:Port Scheduler Flags\n"
               "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
               "TCP  C6336401:0050 rr\n"
               "  -> C0000202:1F90      Masq    1      0          0\n"
               "UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 wlc\n"
               "TCP  C6336401:01BB rr persistent 300\n"
               "FWM  00000001 rr\n"
               "TCP  broken\n"
               "TCP  C6336401:0000 rr\n",
               found);
    CHECK(found.tcp_ports == std::set<uint16_t>{80, 443});
    CHECK(found.udp_ports == std::set<uint16_t>{53});
    CHECK(found.found ==
          std::vector<std::string>{"IPVS serves what the firewall marks (0x00000001)"});
}
