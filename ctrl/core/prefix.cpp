// SPDX-License-Identifier: Apache-2.0
#include "core/prefix.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <vector>

namespace xdpctl
{
namespace
{

constexpr std::array<uint8_t, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

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
    const auto words = std::bit_cast<std::array<uint64_t, 2>>(address.bytes);
    return (words[0] ^ std::rotl(words[1], 31)) * 0x9e3779b97f4a7c15ULL;
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
    const std::string copy(text);
    std::array<uint8_t, 16> bytes{};
    if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) {
        return Address::from_ipv4(bytes.data());
    }
    if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) {
        return Address::from_ipv6(bytes.data());
    }
    return failure(ErrorKind::usage, "'{}' is neither an IPv4 nor an IPv6 address", text);
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
    unsigned length = 0;
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (problem != std::errc() || end != digits.data() + digits.size() ||
        length > (ipv4 ? 32U : 128U)) {
        return failure(ErrorKind::usage, "'{}': the length must be 0 to {}", text, ipv4 ? 32 : 128);
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

bool is_private(const Prefix& prefix)
{
    static const std::vector<Prefix> networks = [] {
        std::vector<Prefix> all;
        for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                 "169.254.0.0/16", "fc00::/7", "fe80::/10"}) {
            all.push_back(*parse_prefix(text));
        }
        return all;
    }();
    return std::any_of(networks.begin(), networks.end(),
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
