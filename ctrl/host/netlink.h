// SPDX-License-Identifier: Apache-2.0
// Netlink dumps of this network namespace (rtnetlink(7), sock_diag(7)).
#pragma once

#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

Result<std::vector<Address>> own_addresses();
Result<std::vector<Address>> gateways();

struct SocketInfo {
    uint8_t protocol = 0;
    Address local; // all zero: any address of the family
    uint16_t local_port = 0;
    Address peer;
    uint16_t peer_port = 0;
    bool ipv6 = false;
};

// TCP in LISTEN and UDP without a peer.
Result<std::vector<SocketInfo>> listening_sockets();
Result<std::vector<SocketInfo>> established_tcp();

} // namespace xdpctl
