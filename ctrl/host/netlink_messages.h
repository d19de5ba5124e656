// SPDX-License-Identifier: Apache-2.0
// What messages of netlink say, without the socket that they come from. A message is read as far
// as it reaches; what is too short for its kind is left out.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "host/netlink.h"

struct nlmsghdr;

namespace xdpctl
{

// One piece of the answer to a netlink dump.
struct DumpPiece {
    bool done = false;        // nothing follows
    bool interrupted = false; // the kernel's table changed meanwhile: entries may be missing
    int error = 0;            // errno
};
// Calls back for every entry of it.
DumpPiece scan_dump(std::span<const uint8_t> piece,
                    const std::function<void(const nlmsghdr&)>& on_message);

// Each adds what one message says.
void read_own_address(const nlmsghdr& message, std::vector<OwnAddress>& found);
void read_link(const nlmsghdr& message, std::vector<LinkInfo>& found);
void read_route(const nlmsghdr& message, RoutingFacts& facts);
void read_next_hop(const nlmsghdr& message, RoutingFacts& facts);
void read_socket(const nlmsghdr& message, uint8_t protocol, std::vector<SocketInfo>& found);
void read_question(const nlmsghdr& message, std::vector<Question>& found);

} // namespace xdpctl
