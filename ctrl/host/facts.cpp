// SPDX-License-Identifier: Apache-2.0
#include "host/facts.h"

#include <netinet/in.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "base/file.h"
#include "core/frame.h"
#include "host/netlink.h"
#include "host/ssh.h"

namespace xdpctl
{

namespace
{

// ip_local_port_range of ip(7); an empty range where it cannot be read.
std::pair<uint16_t, uint16_t> ephemeral_ports()
{
    std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
    uint16_t low = 1;
    uint16_t high = 0;
    file >> low >> high;
    return file ? std::pair(low, high) : std::pair<uint16_t, uint16_t>(1, 0);
}

} // namespace

namespace
{

std::map<uint16_t, uint32_t> backlogs_of(const std::vector<SocketInfo>& sockets)
{
    std::map<uint16_t, uint32_t> backlogs;
    for (const SocketInfo& socket : sockets) {
        if (socket.protocol != IPPROTO_TCP || socket.local.is_loopback()) {
            continue;
        }
        const auto [known, fresh] = backlogs.emplace(socket.local_port, socket.backlog);
        known->second = std::min(known->second, socket.backlog);
    }
    return backlogs;
}

} // namespace

std::string to_string(const Service& service)
{
    const bool any = service.address == Address{};
    const std::string address =
        any ? (service.ipv6 ? "::" : "0.0.0.0") : to_string(service.address);
    const bool brackets = service.ipv6 && (any || !service.address.is_ipv4());
    return fmt::format("{} {}{}{}:{}", protocol_name(service.protocol), brackets ? "[" : "",
                       address, brackets ? "]" : "", service.port);
}

std::vector<Address> parse_resolvers(const std::string& text)
{
    std::vector<Address> found;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string keyword;
        std::string address;
        words >> keyword >> address;
        if (keyword != "nameserver") {
            continue;
        }
        address = address.substr(0, address.find('%')); // without the zone
        if (const auto parsed = parse_address(address)) {
            found.push_back(*parsed);
        }
    }
    return found;
}

Result<HostFacts> read_host_facts(const std::string& resolv_conf)
{
    HostFacts facts;
    auto addresses = own_addresses();
    if (!addresses) {
        return addresses.error().in("own addresses");
    }
    auto routers = gateways();
    if (!routers) {
        return routers.error().in("gateways");
    }
    auto sockets = listening_sockets();
    if (!sockets) { // a kernel without sock_diag: the rest still guards
        facts.services_problem = sockets.error().in("listening sockets").message;
        sockets = std::vector<SocketInfo>{};
    }
    auto network = read_network_facts();
    if (!network) {
        return network.error();
    }
    facts.network = std::move(*network);
    if (auto routing = read_routing_table()) {
        facts.routing = std::move(*routing);
    } else {
        facts.routing.has_rules = true; // so that nothing is concluded from it
    }
    for (const OwnAddress& own : *addresses) {
        facts.addresses.push_back(own.address);
        if (is_private(own.address)) {
            facts.private_networks.push_back(own.network);
        }
    }
    const std::set<Address> distinct(routers->begin(), routers->end()); // one per route
    facts.gateways.assign(distinct.begin(), distinct.end());
    if (const auto text = read_file(resolv_conf)) {
        facts.resolvers = parse_resolvers(*text);
    }
    std::set<Service> services;
    const auto [low, high] = ephemeral_ports();
    for (const SocketInfo& socket : *sockets) {
        // A UDP socket there is somebody who asks, not a service.
        if (socket.protocol == IPPROTO_UDP && socket.local_port >= low &&
            socket.local_port <= high) {
            continue;
        }
        // 0.0.0.0 comes as a mapped address; "any" is one thing here.
        const bool any = socket.local == all_ipv4().address;
        services.insert(
            {socket.protocol, any ? Address{} : socket.local, socket.local_port, socket.ipv6});
    }
    facts.backlogs = backlogs_of(*sockets);
    facts.services.assign(services.begin(), services.end());
    return facts;
}

BanGuard make_guard(const HostFacts& facts, const std::vector<Prefix>& allow)
{
    BanGuard guard;
    for (const Prefix& prefix : allow) {
        guard.protect_allowed(prefix);
    }
    for (const Address& address : facts.addresses) {
        guard.protect({address, 128}, "an address of this host");
    }
    for (const Address& address : facts.gateways) {
        guard.protect({address, 128}, "a gateway of this host");
    }
    for (const Address& address : facts.resolvers) {
        guard.protect({address, 128}, "a resolver of this host");
    }
    return guard;
}

// A list of others is less to be trusted than the operator.
Result<BanGuard> make_feed_guard(const HostFacts& facts, const std::vector<Prefix>& allow)
{
    BanGuard guard = make_guard(facts, allow);
    for (const Prefix& network : facts.private_networks) {
        guard.protect(network, "a private network of this host");
    }
    const auto peers = ssh_peers();
    if (!peers) {
        return peers.error();
    }
    for (const SocketInfo& socket : peers->connections) {
        guard.protect({socket.peer, 128}, "connected by SSH now");
    }
    return guard;
}

Result<std::vector<SocketInfo>> service_connections(const HostFacts& facts)
{
    auto sockets = connected_tcp();
    if (!sockets) {
        return sockets.error().in("connected sockets");
    }
    std::set<uint16_t> ports;
    for (const Service& service : facts.services) {
        ports.insert(service.port);
    }
    std::erase_if(*sockets, [&ports](const SocketInfo& socket) {
        return !ports.contains(socket.local_port);
    });
    return sockets;
}

} // namespace xdpctl
