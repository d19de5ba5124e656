// SPDX-License-Identifier: Apache-2.0
// Addresses and prefixes of both families in one 128-bit form: IPv4 is mapped
// into ::ffff:0:0/96 (RFC 4291 2.5.5.2), as in the data path.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <xdpctl/abi/policy.h>

#include "base/result.h"

namespace xdpctl
{

struct Address {
    std::array<uint8_t, 16> bytes{}; // network byte order

    auto operator<=>(const Address&) const = default;
    bool is_ipv4() const;
    bool is_loopback() const;

    static Address from_ipv4(const uint8_t bytes[4]);
    static Address from_ipv6(const uint8_t bytes[16]);
    static Address from_abi(const xdpctl_addr& addr);
    xdpctl_addr to_abi() const;
};

// Another one in each process: nobody can choose addresses that meet in one place.
struct AddressHash {
    size_t operator()(const Address& address) const;
};

// A network: no bit beyond `length` is set.
struct Prefix {
    Address address;
    uint8_t length = 128; // 0..128; an IPv4 /n is 96 + n

    auto operator<=>(const Prefix&) const = default;
    bool is_ipv4() const { return length >= 96 && address.is_ipv4(); }
    bool is_host() const { return length == 128; }
    // Of one family: ::/0 does not contain IPv4.
    bool contains(const Address& other) const;
    bool contains(const Prefix& other) const;
};

const Prefix& all_ipv4(); // 0.0.0.0/0

// Dotted quad or RFC 4291 text. A mapped address (::ffff:a.b.c.d) is the IPv4 one. Zone ids,
// ports, brackets and leading zeros are errors that say so.
Result<Address> parse_address(std::string_view text);
// ADDRESS, ADDRESS/LENGTH or IPV4/NETMASK. Host bits beyond the length are an error that
// names the network which was probably meant.
Result<Prefix> parse_prefix(std::string_view text);

// The network that a list means, with host bits cleared; and whether there were any.
Result<std::pair<Prefix, bool>> parse_network(std::string_view text);
// Addresses of one family, both ends included.
struct AddressRange {
    Address first;
    Address last;
    bool host_bits = false; // it was written as a network with bits beyond its length

    bool operator==(const AddressRange&) const = default;
};
// A network as parse_network takes it, or FIRST-LAST, with or without blanks around the dash.
Result<AddressRange> parse_range(std::string_view text);
// The fewest prefixes that cover the range and nothing else, in order.
std::vector<Prefix> prefixes_of(const AddressRange& range);
// Does it hold more addresses than a prefix of this length (0..128)?
bool is_wider_than(const AddressRange& range, uint8_t length);
// 0..32 of 255.255.255.0 and the like; none where the bits are not contiguous.
std::optional<uint8_t> netmask_length(const Address& mask);
// The network of this length, 0..128, that the address is in.
Prefix network_of(const Address& address, uint8_t length);
// Not routed between sites: RFC 1918, 6598, 3927, 4193, 4291 (link-local).
const std::vector<Prefix>& private_networks();
bool is_private(const Address& address);
bool is_private(const Prefix& prefix); // all of it

std::string to_string(const Address& address);
// A host is written without a length.
std::string to_string(const Prefix& prefix);

} // namespace xdpctl
