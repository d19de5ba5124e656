// SPDX-License-Identifier: Apache-2.0
#include "host/netlink.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/fd.h"
#include "host/netlink_messages.h"

namespace xdpctl
{
namespace
{

// The kernel tells when its table changed during a dump. Another look may be lucky; on a
// router whose routes never rest none is.
enum class IfChanged {
    refuse, // rather no answer than one with gaps
    merge,  // what several looks saw together
};
constexpr int looks_most = 5;

template <typename Body> struct DumpRequest {
    nlmsghdr header;
    Body body;
};

template <typename Body>
Result<DumpPiece> dump_once(int protocol, uint16_t type, const Body& body,
                            const std::function<void(const nlmsghdr&)>& on_message)
{
    const Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (!fd.valid()) {
        return system_failure(errno, "opening a netlink socket");
    }
    DumpRequest<Body> request{};
    request.header.nlmsg_len = sizeof(request);
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body = body;
    if (send(fd.get(), &request, sizeof(request), 0) < 0) {
        return system_failure(errno, "asking netlink");
    }
    alignas(nlmsghdr) uint8_t buffer[65536]; // the kernel sends at most half of it at once
    DumpPiece all;
    while (!all.done) {
        const ssize_t got = recv(fd.get(), buffer, sizeof(buffer), MSG_TRUNC);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || got > static_cast<ssize_t>(sizeof(buffer))) {
            return system_failure(got < 0 ? errno : EMSGSIZE, "reading netlink");
        }
        const DumpPiece piece = scan_dump({buffer, static_cast<size_t>(got)}, on_message);
        all.done = piece.done;
        all.interrupted |= piece.interrupted;
        if (piece.error != 0) {
            return system_failure(piece.error, "netlink answered");
        }
    }
    return all;
}

// Asks for one dump and hands every message of the answer to `read`, with what was found.
template <typename Found, typename Body, typename Read>
Result<Found> dump(int protocol, uint16_t type, const Body& body, IfChanged if_changed, Read read)
{
    Found found{};
    for (int look = 0; look < looks_most; look++) {
        if (if_changed == IfChanged::refuse) {
            found = {};
        }
        auto once =
            dump_once(protocol, type, body, [&](const nlmsghdr& message) { read(message, found); });
        if (!once) {
            return once.error();
        }
        if (!once->interrupted) {
            return found;
        }
    }
    return if_changed == IfChanged::merge
               ? Result<Found>(std::move(found))
               : failure("the kernel's table changed during each of {} looks", looks_most);
}

using Sockets = std::vector<SocketInfo>;

Result<> dump_sockets(uint8_t family, uint8_t protocol, uint32_t states, Sockets& found)
{
    inet_diag_req_v2 request{};
    request.sdiag_family = family;
    request.sdiag_protocol = protocol;
    request.idiag_states = states;
    auto sockets = dump<Sockets>(
        NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request, IfChanged::merge,
        [protocol](const nlmsghdr& message, Sockets& all) { read_socket(message, protocol, all); });
    if (!sockets) {
        return sockets.error();
    }
    found.insert(found.end(), sockets->begin(), sockets->end());
    return Done{};
}

// A program that the kernel runs on each socket (inet_diag_bc_run): takes those whose peer
// has one of asked_ports. Offsets are bytes, from the step at hand.
struct QuestionFilter {
    inet_diag_req_v2 request{};
    nlattr attribute{};
    // For each port a comparison, which takes two steps, and a jump to the end.
    inet_diag_bc_op steps[asked_ports.size() * 3 - 1]{};
};

QuestionFilter question_filter(uint8_t family, uint8_t protocol, uint32_t states)
{
    constexpr auto step = static_cast<uint8_t>(sizeof(inet_diag_bc_op));
    QuestionFilter filter;
    filter.request.sdiag_family = family;
    filter.request.sdiag_protocol = protocol;
    filter.request.idiag_states = states;
    filter.attribute.nla_type = INET_DIAG_REQ_BYTECODE;
    filter.attribute.nla_len = sizeof(filter.attribute) + sizeof(filter.steps);
    constexpr size_t count = asked_ports.size() * 3 - 1;
    for (size_t i = 0; i < asked_ports.size(); i++) {
        inet_diag_bc_op* ops = filter.steps + i * 3;
        const bool last = i + 1 == asked_ports.size();
        // Equal: the next step. Else the next port, or past the end, which refuses.
        ops[0] = {INET_DIAG_BC_D_EQ, 2 * step, 3 * step};
        ops[1].no = asked_ports[i];
        if (!last) {
            ops[2] = {INET_DIAG_BC_JMP, step, static_cast<uint16_t>((count - i * 3 - 2) * step)};
        }
    }
    return filter;
}

} // namespace

Result<std::vector<OwnAddress>> own_addresses()
{
    return dump<std::vector<OwnAddress>>(NETLINK_ROUTE, RTM_GETADDR, ifaddrmsg{}, IfChanged::refuse,
                                         read_own_address);
}

Result<std::vector<LinkInfo>> links_here()
{
    return dump<std::vector<LinkInfo>>(NETLINK_ROUTE, RTM_GETLINK, ifinfomsg{}, IfChanged::refuse,
                                       read_link);
}

Result<RoutingFacts> read_routes()
{
    auto facts =
        dump<RoutingFacts>(NETLINK_ROUTE, RTM_GETROUTE, rtmsg{}, IfChanged::merge, read_route);
    if (!facts) {
        return facts;
    }
    auto hops =
        dump<RoutingFacts>(NETLINK_ROUTE, RTM_GETNEXTHOP, nhmsg{}, IfChanged::merge, read_next_hop);
    if (hops) { // a kernel may be without them
        facts->hops.merge(hops->hops);
    }
    return facts;
}

Result<std::vector<Address>> gateways()
{
    const auto facts = read_routes();
    if (!facts) {
        return facts.error();
    }
    std::set<Address> routers;
    for (const RoutingFacts::Hop& hop : facts->hops) {
        routers.insert(hop.router);
    }
    return std::vector<Address>(routers.begin(), routers.end());
}

Result<std::vector<SocketInfo>> listening_sockets()
{
    std::vector<SocketInfo> found;
    for (const uint8_t family : {AF_INET, AF_INET6}) {
        // An unconnected UDP socket is in TCP_CLOSE.
        for (const auto& [protocol, state] :
             {std::pair{IPPROTO_TCP, TCP_LISTEN}, std::pair{IPPROTO_UDP, TCP_CLOSE}}) {
            auto done = dump_sockets(family, static_cast<uint8_t>(protocol), 1U << state, found);
            if (!done) {
                return done.error();
            }
        }
    }
    return found;
}

Result<std::vector<SocketInfo>> connected_tcp()
{
    constexpr uint32_t connected_states =
        1U << TCP_ESTABLISHED | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 | 1U << TCP_TIME_WAIT |
        1U << TCP_CLOSE_WAIT | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING;
    std::vector<SocketInfo> found;
    for (const uint8_t family : {AF_INET, AF_INET6}) {
        auto done = dump_sockets(family, IPPROTO_TCP, connected_states, found);
        if (!done) {
            return done.error();
        }
    }
    return found;
}

Result<std::vector<Question>> questions(uint8_t protocol)
{
    // What is only begun is asked for as well: it is the answer that may be blocked.
    const uint32_t states = 1U << TCP_ESTABLISHED | 1U << TCP_SYN_SENT;
    std::vector<Question> all;
    for (const uint8_t family : {AF_INET, AF_INET6}) {
        auto found = dump<std::vector<Question>>(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY,
                                                 question_filter(family, protocol, states),
                                                 IfChanged::merge, read_question);
        if (!found) {
            return found.error();
        }
        all.insert(all.end(), found->begin(), found->end());
    }
    return all;
}

} // namespace xdpctl
