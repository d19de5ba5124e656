// SPDX-License-Identifier: Apache-2.0
// Answers of netlink. Each message lies where it ends at a page that cannot be read, and every
// reader reads it, whatever its type.
#include <linux/netlink.h>
#include <netinet/in.h>

#include <cstdlib>
#include <vector>

#include "fuzz/guarded.h"
#include "host/netlink_messages.h"
#include "host/receivers.h"
#include "host/routing.h"

namespace
{

using namespace xdpctl;

void read_message(const nlmsghdr& message)
{
    std::vector<OwnAddress> addresses;
    std::vector<LinkInfo> links;
    RoutingFacts facts;
    std::vector<SocketInfo> sockets;
    std::vector<Question> asked;
    read_own_address(message, addresses);
    read_link(message, links);
    read_route(message, facts);
    read_next_hop(message, facts);
    read_socket(message, IPPROTO_TCP, sockets);
    read_question(message, asked);

    RoutingTable table;
    add_route(message, table.routes);
    add_neighbour(message, table.neighbours);
    (void)is_usual_rule(message);
    for (const UnicastRoute& route : table.routes) {
        if (route.prefix.length > 128) {
            std::abort();
        }
    }
    // Not read_rule(): where an attribute is not as libnftnl expects it, it ends the process
    // (abi_breakage() in its utils.c).
    UnseenReceivers receivers;
    read_filter(message, "eth0", receivers);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static testing::Guarded piece(1 << 20);
    static testing::Guarded single(1 << 20);
    if (size > 1 << 20) {
        return 0;
    }
    (void)scan_dump(piece.put({data, size}, alignof(nlmsghdr)), [](const nlmsghdr& message) {
        const auto copy = single.put(
            {reinterpret_cast<const uint8_t*>(&message), message.nlmsg_len}, alignof(nlmsghdr));
        read_message(*reinterpret_cast<const nlmsghdr*>(copy.data()));
    });
    return 0;
}
