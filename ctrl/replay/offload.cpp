// SPDX-License-Identifier: Apache-2.0
#include "replay/offload.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>

namespace xdpctl
{
namespace
{

constexpr size_t ipv4_bytes = 20;
constexpr size_t ipv6_bytes = 40;
constexpr size_t ip_length_max = 65535;
constexpr size_t mtu = 1500;
constexpr size_t segment_payload_min = 256; // whatever the headers take
constexpr uint8_t option_jumbo = 0xc2;      // RFC 2675

uint16_t get16(std::span<const uint8_t> bytes, size_t at)
{
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void put16(Bytes& bytes, size_t at, size_t value)
{
    bytes[at] = static_cast<uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<uint8_t>(value);
}

void put32(Bytes& bytes, size_t at, uint32_t value)
{
    put16(bytes, at, value >> 16);
    put16(bytes, at + 2, value & 0xffff);
}

// Where the headers of an IP packet are in its frame.
struct Layout {
    bool ipv4 = false;
    size_t network = 0;
    size_t transport = 0; // equal to `payload` where it is neither TCP nor UDP
    size_t payload = 0;
    size_t ip_length = 0; // as the header has it, without the IPv6 header itself
    uint8_t protocol = 0;
    bool fragment = false;
    size_t jumbo = 0; // offset of a first Hop-by-Hop header of the jumbo option alone
};

// Where the packet ends in the frame: by its IP length, unless that is 0 or the most that
// the field holds for a packet of more than 64 KiB.
size_t end_of(const Layout& at, size_t frame_bytes)
{
    const bool saturated = at.ip_length == ip_length_max && frame_bytes > ip_length_max;
    if (at.ip_length == 0 || saturated) {
        return frame_bytes;
    }
    return at.network + (at.ipv4 ? 0 : ipv6_bytes) + at.ip_length;
}

struct EtherType {
    uint16_t value;
    size_t network; // offset of what follows
};

// Behind the VLAN tags; nothing where the frame ends before.
std::optional<EtherType> ether_type(std::span<const uint8_t> frame)
{
    for (size_t at = 12; at + 2 <= frame.size(); at += 4) {
        const uint16_t type = get16(frame, at);
        if (type != ETH_P_8021Q && type != ETH_P_8021AD) {
            return EtherType{type, at + 2};
        }
    }
    return std::nullopt;
}

bool read_ipv4(std::span<const uint8_t> frame, Layout& at)
{
    if (frame.size() < at.network + ipv4_bytes || frame[at.network] >> 4 != 4) {
        return false;
    }
    const size_t header = (frame[at.network] & 0xf) * 4U;
    at.ip_length = get16(frame, at.network + 2);
    at.fragment = (get16(frame, at.network + 6) & 0x3fff) != 0;
    at.protocol = frame[at.network + 9];
    at.transport = at.network + header;
    return header >= ipv4_bytes && at.transport <= frame.size();
}

// That is stepped over; a fragment header is where reading ends.
bool is_extension(uint8_t protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
           protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH;
}

bool read_ipv6(std::span<const uint8_t> frame, Layout& at)
{
    if (frame.size() < at.network + ipv6_bytes || frame[at.network] >> 4 != 6) {
        return false;
    }
    at.ip_length = get16(frame, at.network + 4);
    at.protocol = frame[at.network + 6];
    at.transport = at.network + ipv6_bytes;
    for (int i = 0; i < 8 && at.transport + 8 <= frame.size(); i++) {
        const bool hop_by_hop = at.protocol == IPPROTO_HOPOPTS;
        if (!is_extension(at.protocol)) {
            break;
        }
        const size_t units = frame[at.transport + 1];
        const size_t bytes = at.protocol == IPPROTO_AH ? (units + 2) * 4 : (units + 1) * 8;
        if (hop_by_hop && i == 0 && bytes == 8 && frame[at.transport + 2] == option_jumbo) {
            at.jumbo = at.transport;
        }
        at.protocol = frame[at.transport];
        at.transport += bytes;
    }
    at.fragment = at.protocol == IPPROTO_FRAGMENT;
    return at.transport <= frame.size();
}

// Nothing where the frame is not IP or ends inside the headers.
std::optional<Layout> read_layout(std::span<const uint8_t> frame)
{
    Layout at;
    const auto type = ether_type(frame);
    if (!type || (type->value != ETH_P_IP && type->value != ETH_P_IPV6)) {
        return std::nullopt;
    }
    at.ipv4 = type->value == ETH_P_IP;
    at.network = type->network;
    if (!(at.ipv4 ? read_ipv4(frame, at) : read_ipv6(frame, at))) {
        return std::nullopt;
    }
    at.payload = at.transport;
    if (at.fragment) {
        return at;
    }
    if (at.protocol == IPPROTO_TCP && at.transport + 20 <= frame.size()) {
        at.payload += (frame[at.transport + 12] >> 4) * 4U;
    } else if (at.protocol == IPPROTO_UDP && at.transport + 8 <= frame.size()) {
        at.payload += 8;
    }
    return at;
}

// Has a transport header, all of it, and data behind it.
bool has_data(const Layout& at, size_t frame_bytes)
{
    const size_t least = at.protocol == IPPROTO_TCP ? 20 : 8;
    return !at.fragment && at.payload >= at.transport + least &&
           at.payload < std::min(end_of(at, frame_bytes), frame_bytes);
}

void set_ip_length(Bytes& frame, const Layout& at, size_t end)
{
    const size_t begin = at.ipv4 ? at.network : at.network + ipv6_bytes;
    put16(frame, at.ipv4 ? at.network + 2 : at.network + 4, std::min(end - begin, ip_length_max));
    if (at.ipv4) {
        put16(frame, at.network + 10, 0);
        const auto header =
            std::span(frame).subspan(at.network, std::min(at.transport, frame.size()) - at.network);
        put16(frame, at.network + 10, internet_checksum(header));
    }
}

// BIG TCP's option is for one packet of more than 64 KiB: segments go without it.
void remove_jumbo(Bytes& headers, Layout& at)
{
    if (at.jumbo == 0) {
        return;
    }
    headers[at.network + 6] = headers[at.jumbo];
    headers.erase(headers.begin() + static_cast<ptrdiff_t>(at.jumbo),
                  headers.begin() + static_cast<ptrdiff_t>(at.jumbo + 8));
    at.transport -= 8;
    at.payload -= 8;
    at.jumbo = 0;
}

// `number` segments with data are before this one. Checksums of TCP and UDP stay as they
// are: captures of such senders hold none, and the data path reads none.
Bytes make_segment(const Bytes& headers, const Layout& at, std::span<const uint8_t> data,
                   size_t sent, bool is_last)
{
    Bytes segment = headers;
    segment.insert(segment.end(), data.begin(), data.end());
    set_ip_length(segment, at, segment.size());
    if (at.protocol == IPPROTO_UDP) {
        put16(segment, at.transport + 4, segment.size() - at.transport);
        return segment;
    }
    const uint32_t sequence = static_cast<uint32_t>(get16(segment, at.transport + 4)) << 16 |
                              get16(segment, at.transport + 6);
    put32(segment, at.transport + 4, sequence + static_cast<uint32_t>(sent));
    if (!is_last) {
        segment[at.transport + 13] &= static_cast<uint8_t>(~(tcp_fin | tcp_psh));
    }
    return segment;
}

WireFrames segments_of(const Bytes& frame, Layout at)
{
    const auto payload = std::span(frame).first(end_of(at, frame.size())).subspan(at.payload);
    Bytes headers(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(at.payload));
    remove_jumbo(headers, at);
    const size_t overhead = at.payload - at.network;
    const size_t step = overhead + segment_payload_min < mtu ? mtu - overhead : segment_payload_min;
    WireFrames wire;
    wire.segmented = true;
    for (size_t sent = 0; sent < payload.size(); sent += step) {
        const auto data = payload.subspan(sent, std::min(step, payload.size() - sent));
        wire.frames.push_back(
            make_segment(headers, at, data, sent, sent + data.size() == payload.size()));
    }
    return wire;
}

bool is_icmp_error(const Layout& at, std::span<const uint8_t> frame)
{
    const uint8_t type = frame[at.transport];
    return at.ipv4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

// From the transport header on.
size_t header_bytes_needed(const Layout& at, std::span<const uint8_t> frame)
{
    constexpr size_t icmp = 8;
    constexpr size_t quoted_ports = 8; // RFC 792: that much at least follows the IP header
    switch (at.protocol) {
    case IPPROTO_TCP:
        return 20;
    case IPPROTO_UDP:
        return 8;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        if (at.transport < frame.size() && is_icmp_error(at, frame)) {
            return icmp + (at.ipv4 ? ipv4_bytes : ipv6_bytes) + quoted_ports;
        }
        return icmp;
    default:
        return is_extension(at.protocol) ? 8 : 0; // reading ended inside the chain
    }
}

bool lengths_agree(const Bytes& frame, const Layout& at)
{
    const size_t end = end_of(at, frame.size());
    return end <= frame.size() &&
           (at.protocol != IPPROTO_UDP || get16(frame, at.transport + 4) == end - at.transport);
}

} // namespace

bool complete_ip_length(Bytes& frame)
{
    const auto at = read_layout(frame);
    if (!at || at->ip_length != 0 || !has_data(*at, frame.size())) {
        return false;
    }
    if (at->protocol == IPPROTO_TCP) {
        const uint8_t flags = frame[at->transport + 13];
        if (!(flags & tcp_ack) || flags & (tcp_syn | tcp_rst)) {
            return false;
        }
    } else if (at->protocol != IPPROTO_UDP) {
        return false;
    } else if (get16(frame, at->transport + 4) == 0) {
        put16(frame, at->transport + 4, std::min(frame.size() - at->transport, ip_length_max));
    }
    set_ip_length(frame, *at, frame.size());
    return true;
}

bool has_headers(std::span<const uint8_t> captured)
{
    const auto type = ether_type(captured);
    if (!type || (type->value != ETH_P_IP && type->value != ETH_P_IPV6)) {
        return type.has_value(); // of other protocols nothing is judged
    }
    const auto at = read_layout(captured);
    return at &&
           (at->fragment || at->transport + header_bytes_needed(*at, captured) <= captured.size());
}

WireFrames fit_buffer(const Bytes& frame, size_t frame_max)
{
    const auto at = read_layout(frame);
    const bool divisible = at && (at->protocol == IPPROTO_TCP || at->protocol == IPPROTO_UDP) &&
                           has_data(*at, frame.size()) && lengths_agree(frame, *at) &&
                           at->payload + segment_payload_min <= frame_max;
    if (divisible) {
        return segments_of(frame, *at);
    }
    Bytes begin(frame.begin(),
                frame.begin() + static_cast<ptrdiff_t>(std::min(frame.size(), frame_max)));
    if (at && at->transport < begin.size() && end_of(*at, frame.size()) <= frame.size() &&
        end_of(*at, frame.size()) > begin.size()) {
        set_ip_length(begin, *at, begin.size());
        if (at->protocol == IPPROTO_UDP && !at->fragment && at->transport + 8 <= begin.size()) {
            const size_t room = begin.size() - at->transport;
            put16(begin, at->transport + 4,
                  std::min<size_t>(get16(begin, at->transport + 4), room));
        }
    }
    return {{std::move(begin)}, false};
}

} // namespace xdpctl
