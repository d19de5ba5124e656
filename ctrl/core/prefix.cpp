// SPDX-License-Identifier: Apache-2.0
#include "core/prefix.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <random>
#include <vector>

#include <xdpctl/abi/ban_table.h>

namespace xdpctl
{
namespace
{

constexpr std::array<uint8_t, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

using Bits = unsigned __int128;

Bits bits_of(const Address& address)
{
    Bits bits = 0;
    for (const uint8_t byte : address.bytes) {
        bits = bits << 8 | byte;
    }
    return bits;
}

Address address_of(Bits bits)
{
    Address address;
    for (size_t i = address.bytes.size(); i-- > 0; bits >>= 8) {
        address.bytes[i] = static_cast<uint8_t>(bits & 0xff);
    }
    return address;
}

bool has_leading_zero(std::string_view text)
{
    const auto is_digit = [&text](size_t i) {
        return i < text.size() && text[i] >= '0' && text[i] <= '9';
    };
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '0' && !(i > 0 && is_digit(i - 1)) && is_digit(i + 1)) {
            return true;
        }
    }
    return false;
}

// The usual spellings that are almost an address. None of them is guessed at: a part of
// them would be another address.
std::string_view why_no_address(std::string_view text)
{
    const size_t colons = static_cast<size_t>(std::count(text.begin(), text.end(), ':'));
    const bool has_dots = text.find('.') != std::string_view::npos;
    if (text.find('%') != std::string_view::npos && colons > 0) {
        return " (a zone id names an interface of one host)";
    }
    if (text.starts_with('[')) {
        return " (write it without brackets and port)";
    }
    if (has_dots && colons == 1) {
        return " (a port cannot be given: the whole host is meant)";
    }
    if (has_dots && colons == 0 && text.find_first_not_of("0123456789.") == text.npos &&
        has_leading_zero(text)) {
        return " (leading zeros: some programs read them as octal)";
    }
    return "";
}

Address masked(Address address, uint8_t length)
{
    for (size_t i = 0; i < address.bytes.size(); i++) {
        const int keep = std::clamp(static_cast<int>(length) - static_cast<int>(i) * 8, 0, 8);
        address.bytes[i] &= static_cast<uint8_t>(0xff00 >> keep);
    }
    return address;
}

} // namespace

bool Address::is_ipv4() const
{
    return std::equal(mapped.begin(), mapped.end(), bytes.begin());
}

bool Address::is_loopback() const
{
    return is_ipv4() ? bytes[12] == 127
                     : *this == Address{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
}

Address Address::from_ipv4(const uint8_t bytes[4])
{
    Address address;
    std::copy(mapped.begin(), mapped.end(), address.bytes.begin());
    std::copy_n(bytes, 4, address.bytes.begin() + 12);
    return address;
}

Address Address::from_ipv6(const uint8_t bytes[16])
{
    Address address;
    std::copy_n(bytes, 16, address.bytes.begin());
    return address;
}

Address Address::from_abi(const xdpctl_addr& addr)
{
    return {std::bit_cast<std::array<uint8_t, 16>>(addr)};
}

xdpctl_addr Address::to_abi() const
{
    return std::bit_cast<xdpctl_addr>(bytes);
}

const Prefix& all_ipv4()
{
    static const Prefix prefix{Address::from_ipv4(std::array<uint8_t, 4>{}.data()), 96};
    return prefix;
}

size_t AddressHash::operator()(const Address& address) const
{
    static const uint64_t seed = [] {
        std::random_device random;
        return static_cast<uint64_t>(random()) << 32 | random();
    }();
    const xdpctl_addr words = address.to_abi();
    return xdpctl_ban_hash(&words, seed);
}

bool Prefix::contains(const Address& other) const
{
    return is_ipv4() == other.is_ipv4() && masked(other, length) == address;
}

bool Prefix::contains(const Prefix& other) const
{
    return other.length >= length && is_ipv4() == other.is_ipv4() &&
           masked(other.address, length) == address;
}

Result<Address> parse_address(std::string_view text)
{
    const std::string copy(text.substr(0, text.find('\0'))); // inet_pton stops there, too
    std::array<uint8_t, 16> bytes{};
    if (copy.size() < text.size()) {
        return failure(ErrorKind::usage, "'{}' is followed by a byte 0", copy);
    }
    if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) {
        return Address::from_ipv4(bytes.data());
    }
    if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) {
        return Address::from_ipv6(bytes.data());
    }
    return failure(ErrorKind::usage, "'{}' is neither an IPv4 nor an IPv6 address{}", text,
                   why_no_address(text));
}

std::optional<uint8_t> netmask_length(const Address& mask)
{
    if (!mask.is_ipv4()) {
        return std::nullopt;
    }
    const auto bits = static_cast<uint32_t>(bits_of(mask));
    const auto length = static_cast<uint8_t>(std::countl_one(bits));
    return length + std::countr_zero(bits) == 32 || bits == 0 ? std::optional(length)
                                                              : std::nullopt;
}

std::vector<Prefix> prefixes_of(const AddressRange& range)
{
    std::vector<Prefix> prefixes;
    const int shortest = range.first.is_ipv4() ? 96 : 0;
    const Bits end = bits_of(range.last);
    for (Bits at = bits_of(range.first);;) {
        int length = 128;
        Bits host_bits = 0; // of the widest prefix that begins at `at` and ends in the range
        while (length > shortest) {
            const Bits wider = host_bits << 1 | 1;
            if ((at & wider) != 0 || wider > end - at) {
                break;
            }
            host_bits = wider;
            length--;
        }
        const Prefix prefix{address_of(at), static_cast<uint8_t>(length)};
        if (prefix.is_ipv4() == range.first.is_ipv4()) { // else ::ffff:0:0/96 inside IPv6
            prefixes.push_back(prefix);
        }
        if (end - at == host_bits) {
            return prefixes;
        }
        at += host_bits + 1;
    }
}

bool is_wider_than(const AddressRange& range, uint8_t length)
{
    const Bits beyond_first = bits_of(range.last) - bits_of(range.first);
    return length < 128 ? beyond_first >> (127 - length) >= 2 : beyond_first > 0;
}

Result<AddressRange> parse_range(std::string_view text)
{
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        const auto network = parse_network(text);
        if (!network) {
            return network.error();
        }
        const Prefix& prefix = network->first;
        const Bits host_bits =
            prefix.length == 0 ? ~Bits{0} : (Bits{1} << (128 - prefix.length)) - 1;
        return AddressRange{prefix.address, address_of(bits_of(prefix.address) | host_bits),
                            network->second};
    }
    const auto trimmed = [](std::string_view end) {
        const size_t from = std::min(end.find_first_not_of(" \t"), end.size());
        return end.substr(from, end.find_last_not_of(" \t") + 1 - from);
    };
    const auto first = parse_address(trimmed(text.substr(0, dash)));
    const auto last = parse_address(trimmed(text.substr(dash + 1)));
    if (!first || !last) {
        return !first ? first.error() : last.error();
    }
    if (first->is_ipv4() != last->is_ipv4()) {
        return failure(ErrorKind::usage, "'{}': its ends are of different families", text);
    }
    return *last < *first ? Result<AddressRange>(
                                failure(ErrorKind::usage, "'{}': it ends before it begins", text))
                          : AddressRange{*first, *last, false};
}

Prefix network_of(const Address& address, uint8_t length)
{
    return {masked(address, length), length};
}

Result<std::pair<Prefix, bool>> parse_network(std::string_view text)
{
    using Network = std::pair<Prefix, bool>;
    const size_t slash = text.find('/');
    auto address = parse_address(text.substr(0, slash));
    if (!address) {
        return address.error();
    }
    if (slash == std::string_view::npos) {
        return Network{{*address, 128}, false};
    }
    const bool ipv4 = address->is_ipv4() && text.find(':') == std::string_view::npos;
    const std::string_view digits = text.substr(slash + 1);
    if (ipv4 && digits.find('.') != std::string_view::npos) {
        const auto mask = parse_address(digits);
        const auto bits = mask ? netmask_length(*mask) : std::nullopt;
        if (!bits) {
            return failure(ErrorKind::usage, "'{}': '{}' is not a netmask", text, digits);
        }
        const Prefix network = network_of(*address, static_cast<uint8_t>(96 + *bits));
        return Network{network, network.address != *address};
    }
    unsigned length = 0;
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (problem != std::errc() || end != digits.data() + digits.size() ||
        length > (ipv4 ? 32U : 128U) || has_leading_zero(digits)) {
        return failure(ErrorKind::usage, "'{}': the length must be 0 to {}", text, ipv4 ? 32 : 128);
    }
    if (!ipv4 && address->is_ipv4() && length < 96) { // ::ffff:192.0.2.0/24
        return failure(ErrorKind::usage,
                       "'{}': the length of a mapped IPv4 address must be 96 to 128", text);
    }
    const Prefix network = network_of(*address, static_cast<uint8_t>(ipv4 ? 96 + length : length));
    return Network{network, network.address != *address};
}

Result<Prefix> parse_prefix(std::string_view text)
{
    auto network = parse_network(text);
    if (!network) {
        return network.error();
    }
    if (network->second) {
        return failure(ErrorKind::usage, "'{}' has bits set beyond its length; the network is {}",
                       text, to_string(network->first));
    }
    return network->first;
}

const std::vector<Prefix>& private_networks()
{
    static const std::vector<Prefix> networks = [] {
        std::vector<Prefix> all;
        for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                 "169.254.0.0/16", "fc00::/7", "fe80::/10"}) {
            all.push_back(*parse_prefix(text));
        }
        return all;
    }();
    return networks;
}

bool is_private(const Prefix& prefix)
{
    return std::any_of(private_networks().begin(), private_networks().end(),
                       [&prefix](const Prefix& network) { return network.contains(prefix); });
}

bool is_private(const Address& address)
{
    return is_private(Prefix{address, 128});
}

std::string to_string(const Address& address)
{
    char text[INET6_ADDRSTRLEN] = {};
    if (address.is_ipv4()) {
        inet_ntop(AF_INET, address.bytes.data() + 12, text, sizeof(text));
    } else {
        inet_ntop(AF_INET6, address.bytes.data(), text, sizeof(text));
    }
    return text;
}

std::string to_string(const Prefix& prefix)
{
    if (prefix.is_host()) {
        return to_string(prefix.address);
    }
    if (prefix.is_ipv4()) {
        return fmt::format("{}/{}", to_string(prefix.address), prefix.length - 96);
    }
    return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

} // namespace xdpctl
