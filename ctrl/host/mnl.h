// SPDX-License-Identifier: Apache-2.0
// Questions to netlink through libmnl.
#pragma once

#include <algorithm>
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

// The fixed part of a message, or null where it is too short.
template <typename T> const T* fixed_part(const nlmsghdr& message)
{
    return mnl_nlmsg_get_payload_len(&message) >= sizeof(T)
               ? static_cast<const T*>(mnl_nlmsg_get_payload(&message))
               : nullptr;
}

// The number that an attribute holds; bytes that it lacks are 0.
inline uint32_t word_of(const nlattr* attribute)
{
    uint32_t word = 0;
    std::memcpy(&word, mnl_attr_get_payload(attribute),
                std::min<size_t>(sizeof(word), mnl_attr_get_payload_len(attribute)));
    return word;
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
