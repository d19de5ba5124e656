// SPDX-License-Identifier: Apache-2.0
#include "replay/orientation.h"

#include <netinet/in.h>

#include <algorithm>

namespace xdpctl
{
namespace
{

bool is_syn(const FrameInfo& frame, uint8_t wanted)
{
    return frame.protocol == IPPROTO_TCP &&
           (frame.tcp_flags & (tcp_syn | tcp_ack | tcp_rst | tcp_fin)) == wanted;
}

// Multicast and broadcast.
bool is_group(const Address& address)
{
    if (address.is_ipv4()) {
        const bool broadcast = std::all_of(address.bytes.begin() + 12, address.bytes.end(),
                                           [](uint8_t byte) { return byte == 0xff; });
        return broadcast || address.bytes[12] >> 4 == 0xe;
    }
    return address.bytes[0] == 0xff;
}

} // namespace

bool Orientation::is_protected(const Address& address) const
{
    return std::any_of(protect.begin(), protect.end(),
                       [&address](const Prefix& prefix) { return prefix.contains(address); });
}

bool Orientation::is_outgoing(const FrameInfo& frame) const
{
    return is_protected(frame.src) && !is_protected(frame.dst);
}

bool Orientation::is_incoming(const FrameInfo& frame) const
{
    const bool has_family =
        std::any_of(protect.begin(), protect.end(), [&frame](const Prefix& prefix) {
            return prefix.is_ipv4() == frame.dst.is_ipv4();
        });
    return is_protected(frame.dst) || is_group(frame.dst) || (inferred && !has_family);
}

std::string Orientation::describe() const
{
    if (protect.empty()) {
        return "every address (no single one stands out)";
    }
    std::string text;
    for (const Prefix& prefix : protect) {
        text += (text.empty() ? "" : ", ") + to_string(prefix);
    }
    return text + (inferred ? " (inferred)" : "");
}

void OrientationGuess::see(const FrameInfo& frame)
{
    if (is_group(frame.dst)) {
        return; // nobody's address
    }
    const bool ipv4 = frame.dst.is_ipv4();
    auto& scores = ipv4 ? ipv4_ : ipv6_;
    (ipv4 ? ipv4_total_ : ipv6_total_)++;
    Score& to = scores[frame.dst];
    to.received++;
    Score& from = scores[frame.src];
    if (is_syn(frame, tcp_syn)) {
        to.served++;
    } else if (is_syn(frame, tcp_syn | tcp_ack)) {
        from.served++;
    } else if (frame.protocol == IPPROTO_UDP && frame.has_ports && frame.dport < frame.sport) {
        to.served++;
    }
}

void OrientationGuess::vote(const std::map<Address, Score>& scores, uint64_t total,
                            Orientation& out)
{
    const auto most = std::max_element(scores.begin(), scores.end(), [](auto& a, auto& b) {
        return a.second.received < b.second.received;
    });
    if (most == scores.end() || total == 0) {
        return;
    }
    // Two ends of one conversation receive about alike: take the one that serves.
    auto best = most;
    for (auto it = scores.begin(); it != scores.end(); ++it) {
        if (it->second.received * 3 >= most->second.received &&
            it->second.served > best->second.served) {
            best = it;
        }
    }
    if (best->second.received * 4 >= total) {
        out.protect.push_back({best->first, 128});
    }
}

Orientation OrientationGuess::result() const
{
    Orientation out;
    out.inferred = true;
    vote(ipv4_, ipv4_total_, out);
    vote(ipv6_, ipv6_total_, out);
    return out;
}

} // namespace xdpctl
