// SPDX-License-Identifier: Apache-2.0
// What the host is: its addresses, its way out, its services, its clients.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/bans.h"
#include "core/prefix.h"
#include "host/netlink.h"
#include "host/network.h"
#include "host/receivers.h"
#include "host/routing.h"

namespace xdpctl
{

struct Service {
    uint8_t protocol = 0; // IPPROTO_TCP or IPPROTO_UDP
    Address address;      // all zero: every address of the family
    uint16_t port = 0;
    bool ipv6 = false;

    auto operator<=>(const Service&) const = default;
};

// "tcp 192.0.2.1:80", "udp [::]:53"
std::string to_string(const Service& service);

struct HostFacts {
    std::vector<Address> addresses;
    std::vector<Prefix> private_networks; // that it is part of
    std::vector<Address> gateways;
    std::vector<Address> resolvers;
    std::vector<Service> services;         // sorted, without duplicates
    std::map<uint16_t, uint32_t> backlogs; // TCP ports that others can reach: least backlog
    std::string services_problem;          // why they could not be read; else empty
    NetworkFacts network;
    RoutingTable routing; // empty, with rules, where it could not be read
    UnseenReceivers receivers;
    bool sees_handshakes = true; // the clients program is attached to a cgroup
};

Result<HostFacts> read_host_facts(const std::string& resolv_conf = "/etc/resolv.conf");

// nameserver lines of resolv.conf(5); others are passed over.
std::vector<Address> parse_resolvers(const std::string& text);

// The allow list and whatever of the host no ban may touch.
BanGuard make_guard(const HostFacts& facts, const std::vector<Prefix>& allow);

// Of what no list of others may touch: besides, the private networks that the host is
// part of, and who is connected by SSH.
Result<BanGuard> make_feed_guard(const HostFacts& facts, const std::vector<Prefix>& allow);

// TCP connections to the host's services, open or closing.
Result<std::vector<SocketInfo>> service_connections(const HostFacts& facts);

} // namespace xdpctl
