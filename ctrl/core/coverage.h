// SPDX-License-Identifier: Apache-2.0
// How much of the public addresses prefixes cover.
#pragma once

#include <array>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

// Percent of the public addresses of IPv4 and of IPv6. Private, loopback and multicast addresses
// are not public, nor is what begins with 0; of IPv6 2000::/3 is.
using Coverage = std::array<double, 2>;

// Of sorted prefixes; addresses in several of them count once.
Coverage coverage_of(const std::vector<Prefix>& sorted);

struct CoverageChange {
    Coverage before{};
    Coverage go{};   // covered before only
    Coverage come{}; // covered after only
};

// Both sorted.
CoverageChange coverage_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after);

} // namespace xdpctl
