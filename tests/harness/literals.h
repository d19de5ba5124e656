// SPDX-License-Identifier: Apache-2.0
// Addresses and prefixes as literals: 192.0.2.1 is "192.0.2.1"_ip.
#pragma once

#include <stdexcept>

#include "core/prefix.h"

namespace xdpctl::testing
{

inline Address operator""_ip(const char* text, size_t size)
{
    auto parsed = parse_address({text, size});
    if (!parsed) {
        throw std::invalid_argument(parsed.error().message);
    }
    return *parsed;
}

inline Prefix operator""_net(const char* text, size_t size)
{
    auto parsed = parse_prefix({text, size});
    if (!parsed) {
        throw std::invalid_argument(parsed.error().message);
    }
    return *parsed;
}

} // namespace xdpctl::testing
