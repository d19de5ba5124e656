// SPDX-License-Identifier: Apache-2.0
#include "replay/evidence.h"

#include <netinet/in.h>

namespace xdpctl
{
namespace
{

constexpr uint8_t sent_tcp = 1;
constexpr uint8_t sent_udp = 2;
constexpr uint8_t sent_icmp = 4;
constexpr uint8_t sent_other = 8;

uint8_t class_of(uint8_t protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        return sent_tcp;
    case IPPROTO_UDP:
        return sent_udp;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return sent_icmp;
    default:
        return sent_other;
    }
}

} // namespace

bool rests_on_absence(xdpctl_reason reason)
{
    switch (reason) {
    case XDPCTL_UDP_NO_SOCKET:
    case XDPCTL_REFLECTION:
    case XDPCTL_NO_SESSION:
    case XDPCTL_COOKIE_REJECTED: // an ACK of a handshake that only the other direction shows
    case XDPCTL_ICMP_UNSOLICITED:
        return true;
    default:
        return false;
    }
}

void Evidence::from_protected(const FrameInfo& frame)
{
    sent_[frame.src] |= class_of(frame.protocol);
}

// UDP to a closed port is answered by ICMP; an ICMP error may be about any protocol.
bool Evidence::shows_answers(const Address& local, uint8_t protocol) const
{
    const auto found = sent_.find(local);
    if (found == sent_.end()) {
        return false;
    }
    const uint8_t wanted = class_of(protocol);
    const bool is_icmp = wanted == sent_icmp;
    return is_icmp || found->second & wanted || (wanted == sent_udp && found->second & sent_icmp);
}

} // namespace xdpctl
