// SPDX-License-Identifier: Apache-2.0
// Messages of netlink that are not whole. Each lies where it ends at a page that cannot be read.
#include <cstring>

#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "fuzz/guarded.h"
#include "harness/catch.h"
#include "harness/literals.h"
#include "host/netlink_messages.h"
#include "host/receivers.h"
#include "host/routing.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

std::string attribute(uint16_t type, std::string_view payload)
{
    const rtattr head{static_cast<uint16_t>(RTA_LENGTH(payload.size())), type};
    std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
    bytes += payload;
    bytes.resize(RTA_ALIGN(bytes.size()));
    return bytes;
}

class Message
{
  public:
    template <typename Body> Message(const Body& body, const std::string& attributes)
        : Message(std::string(reinterpret_cast<const char*>(&body), sizeof(body)) + attributes)
    {
    }
    explicit Message(const std::string& payload) : memory_(4096)
    {
        const nlmsghdr head{static_cast<uint32_t>(NLMSG_LENGTH(payload.size())), 0, 0, 0, 0};
        const std::string all =
            std::string(reinterpret_cast<const char*>(&head), sizeof(head)) + payload;
        at_ = memory_.put({reinterpret_cast<const uint8_t*>(all.data()), all.size()},
                          alignof(nlmsghdr));
    }
    const nlmsghdr& get() const { return *reinterpret_cast<const nlmsghdr*>(at_.data()); }

  private:
    Guarded memory_;
    std::span<const uint8_t> at_;
};

LinkInfo link_of(const std::string& attributes)
{
    std::vector<LinkInfo> found;
    read_link(Message(ifinfomsg{}, attributes).get(), found);
    REQUIRE(found.size() == 1);
    return found[0];
}

std::vector<UnicastRoute> route_of(uint8_t length, const std::string& attributes)
{
    std::vector<UnicastRoute> found;
    const rtmsg body{.rtm_family = AF_INET,
                     .rtm_dst_len = length,
                     .rtm_table = RT_TABLE_MAIN,
                     .rtm_type = RTN_UNICAST};
    add_route(Message(body, attributes).get(), found);
    return found;
}

} // namespace

TEST_CASE("names of links end where their attribute does")
{
    CHECK(link_of(attribute(IFLA_IFNAME, "eth0")).name == "eth0");
    CHECK(link_of(attribute(IFLA_IFNAME, std::string_view("eth0\0x\0\0", 8))).name == "eth0");
    CHECK(link_of(attribute(IFLA_IFNAME, "")).name.empty());
    CHECK(link_of(attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, "veth"))).kind == "veth");
}

TEST_CASE("a GRE tunnel without a remote address has not one peer")
{
    const auto has_one_peer = [](std::string_view remote) {
        return link_of(attribute(IFLA_LINKINFO,
                                 attribute(IFLA_INFO_KIND, std::string_view("gre\0", 4)) +
                                     attribute(IFLA_INFO_DATA, attribute(IFLA_GRE_REMOTE, remote))))
            .has_one_peer;
    };
    CHECK(has_one_peer("\xc0\x01\x02\x09"));
    CHECK_FALSE(has_one_peer("\xe0\x01\x02\x09")); // multicast
    CHECK_FALSE(has_one_peer(std::string_view("\0\0\0\0", 4)));
    CHECK_FALSE(has_one_peer(""));
}

TEST_CASE("next hops of a route are read as far as they are whole")
{
    const auto hop = [](uint32_t ifindex) {
        const rtnexthop one{sizeof(rtnexthop), 0, 0, static_cast<int>(ifindex)};
        return std::string(reinterpret_cast<const char*>(&one), sizeof(one));
    };
    const auto hops_of = [](std::string_view multipath) {
        const auto routes = route_of(24, attribute(RTA_MULTIPATH, multipath));
        REQUIRE(routes.size() == 1);
        return routes[0].hops.size();
    };
    CHECK(hops_of(hop(2) + hop(3)) == 2);
    CHECK(hops_of((hop(2) + hop(3)).substr(0, sizeof(rtnexthop) + 4)) == 1);
    CHECK(hops_of("") == 0);
}

TEST_CASE("routes whose prefix cannot be are left out, and short numbers are completed with zeros")
{
    CHECK(route_of(32, "").size() == 1);
    CHECK(route_of(33, "").empty());
    const auto routes = route_of(24, attribute(RTA_OIF, "\x07"));
    REQUIRE(routes.size() == 1);
    CHECK(routes[0].hops == std::vector<RouteHop>{{7, std::nullopt}});
}

TEST_CASE("messages without their fixed part say nothing")
{
    const Message empty{std::string()};
    std::vector<UnicastRoute> routes;
    std::vector<Neighbour> neighbours;
    UnseenReceivers receivers;
    add_route(empty.get(), routes);
    add_neighbour(empty.get(), neighbours);
    read_rule(empty.get(), receivers);
    read_filter(empty.get(), "eth0", receivers);
    CHECK(routes.empty());
    CHECK(neighbours.empty());
    CHECK_FALSE(is_usual_rule(empty.get()));
    CHECK(receivers == UnseenReceivers{});
}
