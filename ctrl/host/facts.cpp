// SPDX-License-Identifier: Apache-2.0
#include "host/facts.h"

#include <netinet/in.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/clock.h"
#include "core/frame.h"
#include "core/units.h"
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

std::string to_string(const Service& service)
{
    const bool any = service.address == Address{};
    const std::string address =
        any ? (service.ipv6 ? "::" : "0.0.0.0") : to_string(service.address);
    const bool brackets = service.ipv6 && (any || !service.address.is_ipv4());
    return fmt::format("{} {}{}{}:{}", protocol_name(service.protocol), brackets ? "[" : "",
                       address, brackets ? "]" : "", service.port);
}

template <typename T> template <typename Read>
Result<> HostReader::Paced<T>::refresh(uint64_t least_ns, Read read)
{
    const uint64_t begin = steady_ns();
    if (begin < next_ns) {
        return Done{};
    }
    auto fresh = read();
    const uint64_t end = steady_ns();
    next_ns = end + std::max(least_ns, (end - begin) * 50);
    if (!fresh) {
        next_ns = 0;
        return fresh.error();
    }
    value = std::move(*fresh);
    return Done{};
}

namespace
{

std::string interface_of(const NetworkFacts& network, uint32_t ifindex)
{
    const auto found = std::find_if(network.links.begin(), network.links.end(),
                                    [ifindex](const LinkFacts& l) { return l.ifindex == ifindex; });
    return found != network.links.end() ? found->name : fmt::format("interface {}", ifindex);
}

void add_addresses(const std::vector<OwnAddress>& addresses, HostFacts& facts)
{
    for (const OwnAddress& own : addresses) {
        const std::string on = interface_of(facts.network, own.ifindex);
        facts.addresses.push_back(own.address);
        facts.dependencies.push_back({{own.address, 128}, Protection::OWN_ADDRESS, on});
        if (is_private(own.network)) {
            facts.dependencies.push_back({own.network, Protection::PRIVATE_NETWORK, on});
        }
        if (own.peer) {
            facts.dependencies.push_back(
                {{*own.peer, 128}, Protection::GATEWAY, "other end of " + on});
        }
    }
    std::sort(facts.addresses.begin(), facts.addresses.end());
    facts.addresses.erase(std::unique(facts.addresses.begin(), facts.addresses.end()),
                          facts.addresses.end());
}

void add_routes(const RoutingFacts& routes, HostFacts& facts)
{
    for (const RoutingFacts::Hop& hop : routes.hops) {
        facts.dependencies.push_back({{hop.router, 128}, Protection::GATEWAY, hop.source});
    }
    for (const Prefix& network : routes.private_networks) {
        facts.dependencies.push_back({network, Protection::PRIVATE_NETWORK, "route"});
    }
    for (const Prefix& local : routes.local) {
        const bool known =
            local.is_host() &&
            std::binary_search(facts.addresses.begin(), facts.addresses.end(), local.address);
        if (!known) {
            facts.dependencies.push_back({local, Protection::OWN_ADDRESS, "local route"});
        }
    }
}

void add_listeners(const std::vector<SocketInfo>& sockets, HostFacts& facts)
{
    std::set<Service> services;
    const auto [low, high] = ephemeral_ports();
    for (const SocketInfo& socket : sockets) {
        if (socket.protocol == IPPROTO_UDP) {
            facts.open_udp_ports.insert(socket.local_port);
        }
        // A UDP socket there is somebody who asks, not a service.
        if (socket.protocol == IPPROTO_UDP && socket.local_port >= low &&
            socket.local_port <= high) {
            continue;
        }
        facts.served_ports.insert(socket.local_port);
        // 0.0.0.0 comes as a mapped address; "any" is one thing here.
        const bool any = socket.local == all_ipv4().address;
        services.insert(
            {socket.protocol, any ? Address{} : socket.local, socket.local_port, socket.ipv6});
        if (socket.protocol == IPPROTO_TCP && !socket.local.is_loopback()) {
            const auto [backlog, first] = facts.backlogs.emplace(socket.local_port, socket.backlog);
            backlog->second = std::min(backlog->second, socket.backlog);
            const auto [account, fresh] = facts.accounts.emplace(socket.local_port, socket.uid);
            account->second = std::min(account->second, socket.uid);
        }
    }
    facts.services.assign(services.begin(), services.end());
}

} // namespace

Result<HostFacts> HostReader::read()
{
    constexpr uint64_t second = ns_per_s;
    HostFacts facts;
    const auto addresses = own_addresses();
    if (!addresses) {
        return addresses.error().in("own addresses");
    }
    if (auto done = routes_.refresh(second / 2, read_routes); !done) {
        return done.error().in("routes");
    }
    auto network = read_network_facts(routes_.value.metrics);
    if (!network) {
        return network.error();
    }
    facts.network = std::move(*network);
    const auto read = routing_.refresh(second / 2, read_routing_table);
    facts.routing = routing_.value;
    facts.routing.has_rules |= !read; // so that nothing is concluded from it
    auto sockets = listening_sockets();
    if (!sockets) { // a kernel without sock_diag: the rest still guards
        facts.services_problem = sockets.error().in("listening sockets").message;
        sockets = std::vector<SocketInfo>{};
    }
    add_listeners(*sockets, facts);
    add_addresses(*addresses, facts);
    add_routes(routes_.value, facts);
    (void)dependencies_.refresh(
        second / 2, [] { return Result<Dependencies>(read_dependencies("", unix_s())); });
    (void)running_.refresh(3 * second,
                           [] { return Result<Dependencies>(read_running_servers("")); });
    for (const Dependencies* stated : {&dependencies_.value, &running_.value}) {
        facts.problems.insert(facts.problems.end(), stated->problems.begin(),
                              stated->problems.end());
        facts.dependencies.insert(facts.dependencies.end(), stated->entries.begin(),
                                  stated->entries.end());
    }
    for (Protected& login : ssh_logins()) {
        facts.dependencies.push_back(std::move(login));
    }
    // Best effort, as without sock_diag.
    (void)tcp_questions_.refresh(10 * second, [] { return questions(IPPROTO_TCP); });
    facts.questions = tcp_questions_.value;
    if (auto udp = questions(IPPROTO_UDP)) {
        facts.questions.insert(facts.questions.end(), udp->begin(), udp->end());
    }
    std::sort(facts.dependencies.begin(), facts.dependencies.end());
    return facts;
}

Result<HostFacts> read_host_facts()
{
    return HostReader().read();
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
