// SPDX-License-Identifier: Apache-2.0
#include "core/frame.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace xdpctl
{
namespace
{

constexpr uint16_t ether_ipv4 = 0x0800;
constexpr uint16_t ether_ipv6 = 0x86dd;
constexpr uint16_t ether_vlan = 0x8100;
constexpr uint16_t ether_qinq = 0x88a8;
constexpr size_t ether_bytes = 14;
constexpr size_t vlan_bytes = 4;

struct Flag {
    char letter;
    uint8_t bit;
};
constexpr std::array flag_letters = {Flag{'F', tcp_fin}, Flag{'S', tcp_syn}, Flag{'R', tcp_rst},
                                     Flag{'P', tcp_psh}, Flag{'A', tcp_ack}, Flag{'U', tcp_urg},
                                     Flag{'E', 0x40},    Flag{'W', 0x80}};

void put16(Bytes& out, uint32_t value)
{
    out.push_back(static_cast<uint8_t>(value >> 8));
    out.push_back(static_cast<uint8_t>(value));
}

void put32(Bytes& out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out, value);
}

void set16(Bytes& out, size_t at, uint32_t value)
{
    out[at] = static_cast<uint8_t>(value >> 8);
    out[at + 1] = static_cast<uint8_t>(value);
}

void put_address(Bytes& out, const Address& address)
{
    out.insert(out.end(), address.bytes.begin() + (address.is_ipv4() ? 12 : 0),
               address.bytes.end());
}

uint16_t get16(std::span<const uint8_t> bytes, size_t at)
{
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

} // namespace

uint16_t internet_checksum(std::span<const uint8_t> bytes, uint32_t sum)
{
    for (size_t i = 0; i < bytes.size(); i += 2) {
        sum += static_cast<uint32_t>(bytes[i] << 8);
        sum += i + 1 < bytes.size() ? bytes[i + 1] : 0;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(~sum);
}

Result<uint8_t> parse_tcp_flags(std::string_view letters)
{
    uint8_t flags = 0;
    for (const char letter : letters) {
        const auto* flag = std::find_if(flag_letters.begin(), flag_letters.end(),
                                        [letter](const Flag& f) { return f.letter == letter; });
        if (flag != flag_letters.end()) {
            flags |= flag->bit;
        } else if (letter != '.') {
            return failure(ErrorKind::usage,
                           "'{}' is not TCP flags: letters of FSRPAUEW, . for none", letters);
        }
    }
    return flags;
}

std::string format_tcp_flags(uint8_t flags)
{
    std::string text;
    for (const Flag& flag : flag_letters) {
        if (flags & flag.bit) {
            text += flag.letter;
        }
    }
    return text.empty() ? "." : text;
}

std::string protocol_name(uint8_t protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_ICMPV6:
        return "icmpv6";
    default:
        return std::to_string(protocol);
    }
}

FrameBuilder& FrameBuilder::vlan(uint16_t id)
{
    vlans_.push_back(id);
    return *this;
}

FrameBuilder& FrameBuilder::ether_type(uint16_t type)
{
    ether_type_ = type;
    return *this;
}

FrameBuilder& FrameBuilder::ipv4_options(size_t words)
{
    option_words_ = words;
    return *this;
}

FrameBuilder& FrameBuilder::extension(uint8_t type, size_t body_bytes)
{
    Bytes bytes(body_bytes + 2, 0);
    // RFC 8200: units of 8 beyond the first; RFC 4302: units of 4 minus 2.
    bytes[1] =
        static_cast<uint8_t>(type == IPPROTO_AH ? bytes.size() / 4 - 2 : bytes.size() / 8 - 1);
    extensions_.push_back({type, bytes});
    return *this;
}

FrameBuilder& FrameBuilder::fragment(uint16_t offset, bool more, uint32_t id)
{
    fragment_ = true;
    fragment_offset_ = offset;
    more_fragments_ = more;
    id_ = id;
    return *this;
}

FrameBuilder& FrameBuilder::tcp(uint16_t sport, uint16_t dport, uint8_t flags)
{
    protocol_ = IPPROTO_TCP;
    sport_ = sport;
    dport_ = dport;
    flags_ = flags;
    return *this;
}

FrameBuilder& FrameBuilder::sequence(uint32_t number, uint32_t acknowledged)
{
    sequence_ = {number, acknowledged};
    return *this;
}

FrameBuilder& FrameBuilder::tcp_options(Bytes options)
{
    tcp_options_ = std::move(options);
    return *this;
}

FrameBuilder& FrameBuilder::udp(uint16_t sport, uint16_t dport)
{
    protocol_ = IPPROTO_UDP;
    sport_ = sport;
    dport_ = dport;
    return *this;
}

FrameBuilder& FrameBuilder::icmp(uint8_t type, uint8_t code)
{
    protocol_ = static_cast<uint8_t>(src_.is_ipv4() ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    type_ = type;
    code_ = code;
    return *this;
}

FrameBuilder& FrameBuilder::protocol(uint8_t number)
{
    protocol_ = number;
    return *this;
}

FrameBuilder& FrameBuilder::payload(size_t bytes)
{
    payload_ = bytes;
    return *this;
}

Bytes FrameBuilder::transport() const
{
    Bytes out;
    size_t checksum_at = 0;
    // A later fragment carries no transport header.
    const bool has_header = !fragment_ || fragment_offset_ == 0;
    if (has_header && protocol_ == IPPROTO_TCP) {
        put16(out, sport_);
        put16(out, dport_);
        const auto [number, acknowledged] =
            sequence_.value_or(std::pair(1U, flags_ & tcp_ack ? 1U : 0U));
        const size_t words = 5 + tcp_options_.size() / 4;
        put32(out, number);
        put32(out, acknowledged);
        put16(out, static_cast<uint32_t>(words << 12) | flags_);
        put16(out, 64240); // window
        put32(out, 0);     // checksum, urgent
        out.insert(out.end(), tcp_options_.begin(), tcp_options_.end());
        checksum_at = 16;
    } else if (has_header && protocol_ == IPPROTO_UDP) {
        put16(out, sport_);
        put16(out, dport_);
        put16(out, static_cast<uint32_t>(8 + payload_));
        put16(out, 0);
        checksum_at = 6;
    } else if (has_header && (protocol_ == IPPROTO_ICMP || protocol_ == IPPROTO_ICMPV6)) {
        out = {type_, code_, 0, 0, 0, 1, 0, 1};
        checksum_at = 2;
    }
    out.resize(out.size() + payload_);
    if (checksum_at > 0) {
        Bytes pseudo;
        if (protocol_ != IPPROTO_ICMP) {
            put_address(pseudo, src_);
            put_address(pseudo, dst_);
            put32(pseudo, static_cast<uint32_t>(out.size()));
            put32(pseudo, protocol_);
        }
        const uint32_t carry = static_cast<uint16_t>(~internet_checksum(pseudo));
        set16(out, checksum_at, internet_checksum(out, carry));
    }
    return out;
}

uint8_t FrameBuilder::first_header() const
{
    if (!extensions_.empty()) {
        return extensions_.front().type;
    }
    return fragment_ ? uint8_t{IPPROTO_FRAGMENT} : protocol_;
}

void FrameBuilder::append_ipv4(Bytes& out, const Bytes& l4) const
{
    const size_t start = out.size();
    const size_t header = 20 + option_words_ * 4;
    out.push_back(static_cast<uint8_t>(0x40 | header / 4));
    out.push_back(0);
    put16(out, static_cast<uint32_t>(header + l4.size()));
    put16(out, id_);
    put16(out, fragment_offset_ / 8U | (more_fragments_ ? 0x2000U : 0U));
    out.push_back(hop_limit_);
    out.push_back(protocol_);
    put16(out, 0);
    put_address(out, src_);
    put_address(out, dst_);
    out.resize(start + header, 1); // no-operation
    set16(out, start + 10, internet_checksum(std::span(out).subspan(start)));
}

void FrameBuilder::append_ipv6(Bytes& out, const Bytes& l4) const
{
    std::vector<Extension> chain = extensions_;
    if (fragment_) {
        Bytes bytes = {0, 0};
        put16(bytes, fragment_offset_ | (more_fragments_ ? 1U : 0U));
        put32(bytes, id_);
        chain.push_back({IPPROTO_FRAGMENT, bytes});
    }
    size_t bytes = l4.size();
    for (const Extension& extension : chain) {
        bytes += extension.bytes.size();
    }
    put32(out, 0x60000000);
    put16(out, static_cast<uint32_t>(bytes));
    out.push_back(first_header());
    out.push_back(hop_limit_);
    put_address(out, src_);
    put_address(out, dst_);
    for (size_t i = 0; i < chain.size(); i++) {
        chain[i].bytes[0] = i + 1 < chain.size() ? chain[i + 1].type : protocol_;
        out.insert(out.end(), chain[i].bytes.begin(), chain[i].bytes.end());
    }
}

FrameBuilder& FrameBuilder::hop_limit(uint8_t hops)
{
    hop_limit_ = hops;
    return *this;
}

Bytes FrameBuilder::build() const
{
    Bytes out = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    for (size_t i = 0; i < vlans_.size(); i++) {
        put16(out, i + 1 < vlans_.size() ? ether_qinq : ether_vlan);
        put16(out, vlans_[i]);
    }
    put16(out, ether_type_.value_or(src_.is_ipv4() ? ether_ipv4 : ether_ipv6));
    const Bytes l4 = transport();
    src_.is_ipv4() ? append_ipv4(out, l4) : append_ipv6(out, l4);
    out.insert(out.end(), l4.begin(), l4.end());
    return out;
}

size_t FrameBuilder::network_offset() const
{
    return ether_bytes + vlans_.size() * vlan_bytes;
}

size_t FrameBuilder::transport_offset() const
{
    if (src_.is_ipv4()) {
        return network_offset() + 20 + option_words_ * 4;
    }
    size_t offset = network_offset() + 40 + (fragment_ ? 8 : 0);
    for (const Extension& extension : extensions_) {
        offset += extension.bytes.size();
    }
    return offset;
}

namespace
{

void read_transport(std::span<const uint8_t> l4, FrameInfo& info)
{
    if (info.protocol == IPPROTO_TCP && l4.size() >= 20) {
        info.tcp_flags = l4[13];
    } else if (info.protocol != IPPROTO_UDP || l4.size() < 8) {
        return;
    }
    info.has_ports = true;
    info.sport = get16(l4, 0);
    info.dport = get16(l4, 2);
}

std::optional<FrameInfo> read_ipv4(std::span<const uint8_t> ip)
{
    if (ip.size() < 20 || ip[0] >> 4 != 4) {
        return std::nullopt;
    }
    FrameInfo info;
    info.src = Address::from_ipv4(&ip[12]);
    info.dst = Address::from_ipv4(&ip[16]);
    info.protocol = ip[9];
    const size_t header = (ip[0] & 0xf) * 4U;
    const bool later_fragment = get16(ip, 6) & 0x1fff;
    if (!later_fragment && header >= 20 && header <= ip.size()) {
        read_transport(ip.subspan(header), info);
    }
    return info;
}

std::optional<FrameInfo> read_ipv6(std::span<const uint8_t> ip)
{
    if (ip.size() < 40 || ip[0] >> 4 != 6) {
        return std::nullopt;
    }
    FrameInfo info;
    info.src = Address::from_ipv6(&ip[8]);
    info.dst = Address::from_ipv6(&ip[24]);
    info.protocol = ip[6];
    auto rest = ip.subspan(40);
    for (int i = 0; i < 8 && rest.size() >= 8; i++) {
        size_t bytes = (rest[1] + 1U) * 8;
        if (info.protocol == IPPROTO_FRAGMENT) {
            bytes = 8;
            if (get16(rest, 2) & 0xfff8) {
                info.protocol = rest[0];
                return info;
            }
        } else if (info.protocol == IPPROTO_AH) {
            bytes = (rest[1] + 2U) * 4;
        } else if (info.protocol != IPPROTO_HOPOPTS && info.protocol != IPPROTO_ROUTING &&
                   info.protocol != IPPROTO_DSTOPTS) {
            break;
        }
        info.protocol = rest[0];
        rest = rest.subspan(std::min(bytes, rest.size()));
    }
    read_transport(rest, info);
    return info;
}

} // namespace

std::optional<FrameInfo> read_frame(std::span<const uint8_t> frame)
{
    size_t at = 12;
    while (frame.size() >= at + 2) {
        const uint16_t type = get16(frame, at);
        if (type == ether_vlan || type == ether_qinq) {
            at += vlan_bytes;
            continue;
        }
        const auto ip = frame.subspan(at + 2);
        return type == ether_ipv4   ? read_ipv4(ip)
               : type == ether_ipv6 ? read_ipv6(ip)
                                    : std::nullopt;
    }
    return std::nullopt;
}

} // namespace xdpctl
