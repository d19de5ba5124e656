// SPDX-License-Identifier: Apache-2.0
// One netlink dump through libmnl.
#pragma once

#include <cstring>
#include <functional>
#include <span>

#include <libmnl/libmnl.h>

#include "base/result.h"

namespace xdpctl
{

// Calls back for each message of the answer, once all of it is there. The body is what follows
// the netlink header of the request. Where the kernel's table changes meanwhile (NLM_F_DUMP_INTR
// of <linux/netlink.h>) it is read again, and an error in the end.
Result<> mnl_dump_bytes(int protocol, uint16_t type, std::span<const uint8_t> body,
                        const std::function<void(const nlmsghdr&)>& visit);

template <typename Body> Result<> mnl_dump(int protocol, uint16_t type, const Body& body,
                                           const std::function<void(const nlmsghdr&)>& visit)
{
    return mnl_dump_bytes(protocol, type, {reinterpret_cast<const uint8_t*>(&body), sizeof(body)},
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
