// SPDX-License-Identifier: Apache-2.0
// Questions to netlink through libmnl.
#pragma once

#include <cstring>
#include <functional>
#include <span>

#include <libmnl/libmnl.h>

#include "base/result.h"

namespace xdpctl
{

struct NetlinkQuestion {
    int protocol = 0; // NETLINK_ROUTE, ...
    uint16_t type = 0;
    uint16_t flags = 0;            // NLM_F_DUMP, or NLM_F_ACK for one answer and its end
    std::span<const uint8_t> body; // what follows the netlink header
};

// Calls back for each message of the answer, once all of it is there. Where the kernel's table
// changes meanwhile (NLM_F_DUMP_INTR of <linux/netlink.h>) it is read again, and an error in the
// end.
Result<> ask_netlink(const NetlinkQuestion& question,
                     const std::function<void(const nlmsghdr&)>& visit);

template <typename Body> Result<> mnl_dump(int protocol, uint16_t type, const Body& body,
                                           const std::function<void(const nlmsghdr&)>& visit)
{
    return ask_netlink(
        {protocol, type, NLM_F_DUMP, {reinterpret_cast<const uint8_t*>(&body), sizeof(body)}},
        visit);
}

// Of a question with one answer.
template <typename Body> Result<> mnl_get(int protocol, uint16_t type, const Body& body,
                                          const std::function<void(const nlmsghdr&)>& visit)
{
    return ask_netlink(
        {protocol, type, NLM_F_ACK, {reinterpret_cast<const uint8_t*>(&body), sizeof(body)}},
        visit);
}

// The attributes behind the fixed part of a message, of so many bytes.
template <typename Visit>
void for_each_attribute(const nlmsghdr& message, size_t fixed_bytes, Visit visit)
{
    const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(&message));
    const auto* at =
        static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, fixed_bytes));
    while (mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at)))) {
        visit(at);
        at = mnl_attr_next(at);
    }
}

// Those that lie in so many bytes.
template <typename Visit> void for_each_attribute(const void* attributes, size_t bytes, Visit visit)
{
    const auto* at = static_cast<const nlattr*>(attributes);
    const char* end = static_cast<const char*>(attributes) + bytes;
    while (mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at)))) {
        visit(at);
        at = mnl_attr_next(at);
    }
}

} // namespace xdpctl
