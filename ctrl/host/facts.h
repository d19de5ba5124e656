// SPDX-License-Identifier: Apache-2.0
// What the host is: its addresses, its way out, its services, its clients.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/asked.h"
#include "core/prefix.h"
#include "core/protected.h"
#include "host/dependencies.h"
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
    std::vector<Address> addresses; // sorted, without duplicates
    // What of the host, and of what it depends on, may not be blocked; with `addresses`.
    std::vector<Protected> dependencies;
    std::vector<Question> questions;       // that its sockets ask now
    std::vector<Service> services;         // sorted, without duplicates
    std::map<uint16_t, uint32_t> backlogs; // TCP ports that others can reach: least backlog
    std::map<uint16_t, uint32_t> accounts; // of the same: the least uid that listens
    std::set<uint16_t> served_ports;       // local ports of services, loopback as well
    std::set<uint16_t> open_udp_ports;     // of UDP sockets without a peer, whoever has them
    std::string services_problem;          // why they could not be read; else empty
    std::vector<std::string> problems;     // files that could not be read, and why
    NetworkFacts network;
    RoutingTable routing; // empty, with rules, where it could not be read
    UnseenReceivers receivers;
    bool sees_handshakes = true; // the clients program is attached to a cgroup
};

// Reads what the host is. What takes long to read is read less often: it may take a
// fiftieth of the time.
class HostReader
{
  public:
    Result<HostFacts> read();

  private:
    template <typename T> struct Paced {
        T value{};
        uint64_t next_ns = 0; // of the steady clock
        template <typename Read> Result<> refresh(uint64_t least_ns, Read read);
    };
    Paced<RoutingFacts> routes_;
    Paced<RoutingTable> routing_;
    Paced<Dependencies> dependencies_;
    Paced<Dependencies> running_;
    Paced<std::vector<Question>> tcp_questions_;
};

// Once.
Result<HostFacts> read_host_facts();

// TCP connections to the host's services, open or closing.
Result<std::vector<SocketInfo>> service_connections(const HostFacts& facts);

} // namespace xdpctl
