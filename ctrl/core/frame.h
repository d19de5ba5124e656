// SPDX-License-Identifier: Apache-2.0
// Ethernet frames as people name them: built for `explain`, tests and the
// bench, and read just far enough to tell the direction of a captured packet.
// The judgement itself is the data path's alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

using Bytes = std::vector<uint8_t>;

inline constexpr uint8_t tcp_fin = 0x01;
inline constexpr uint8_t tcp_syn = 0x02;
inline constexpr uint8_t tcp_rst = 0x04;
inline constexpr uint8_t tcp_psh = 0x08;
inline constexpr uint8_t tcp_ack = 0x10;
inline constexpr uint8_t tcp_urg = 0x20;

// "S", "SA", "FPU", "." for none; letters as tcpdump writes them, A for ACK.
Result<uint8_t> parse_tcp_flags(std::string_view letters);
std::string format_tcp_flags(uint8_t flags);

// "tcp", "udp", "icmp", "icmpv6", else the number.
std::string protocol_name(uint8_t protocol);

// Lengths and checksums are right unless said otherwise; the family is that of
// the addresses. Headers follow in the order of the calls' names on the wire.
class FrameBuilder
{
  public:
    FrameBuilder(const Address& src, const Address& dst) : src_(src), dst_(dst) {}

    FrameBuilder& vlan(uint16_t id);
    FrameBuilder& ether_type(uint16_t type);                  // instead of the family's own
    FrameBuilder& ipv4_options(size_t words);                 // 0..10, filled with no-ops
    FrameBuilder& extension(uint8_t type, size_t body_bytes); // IPv6; 6 + 8 n bytes
    // Bytes, a multiple of 8; in IPv6 a Fragment header is added.
    FrameBuilder& fragment(uint16_t offset, bool more, uint32_t id = 1);
    FrameBuilder& tcp(uint16_t sport, uint16_t dport, uint8_t flags);
    FrameBuilder& sequence(uint32_t number, uint32_t acknowledged); // of TCP; 1 and 1 else
    FrameBuilder& tcp_options(Bytes options);                       // a multiple of 4 bytes
    FrameBuilder& udp(uint16_t sport, uint16_t dport);
    FrameBuilder& icmp(uint8_t type, uint8_t code); // ICMPv6 over IPv6
    FrameBuilder& protocol(uint8_t number);         // a bare payload of it
    FrameBuilder& payload(size_t bytes);
    FrameBuilder& hop_limit(uint8_t hops); // TTL of IPv4; 64 else

    Bytes build() const;
    size_t network_offset() const;   // of the IP header
    size_t transport_offset() const; // of TCP, UDP, ICMP

  private:
    struct Extension {
        uint8_t type;
        Bytes bytes;
    };

    Bytes transport() const;
    uint8_t first_header() const;
    void append_ipv4(Bytes& out, const Bytes& l4) const;
    void append_ipv6(Bytes& out, const Bytes& l4) const;

    Address src_;
    Address dst_;
    std::vector<uint16_t> vlans_;
    std::optional<uint16_t> ether_type_;
    size_t option_words_ = 0;
    std::vector<Extension> extensions_;
    bool fragment_ = false;
    uint16_t fragment_offset_ = 0;
    bool more_fragments_ = false;
    uint32_t id_ = 0;
    uint8_t protocol_ = 59; // no next header
    uint16_t sport_ = 0;
    uint16_t dport_ = 0;
    uint8_t flags_ = 0;
    std::optional<std::pair<uint32_t, uint32_t>> sequence_;
    Bytes tcp_options_;
    uint8_t type_ = 0;
    uint8_t code_ = 0;
    size_t payload_ = 0;
    uint8_t hop_limit_ = 64;
};

// RFC 1071, over `bytes` and a sum carried in: 0 over what holds a right one.
uint16_t internet_checksum(std::span<const uint8_t> bytes, uint32_t sum = 0);

struct FrameInfo {
    Address src;
    Address dst;
    uint8_t protocol = 0;
    uint8_t tcp_flags = 0;
    bool has_ports = false;
    uint16_t sport = 0; // host byte order
    uint16_t dport = 0;
};

// Nothing where the frame is not IP or ends before the IP header does.
std::optional<FrameInfo> read_frame(std::span<const uint8_t> frame);

} // namespace xdpctl
