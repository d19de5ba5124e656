// SPDX-License-Identifier: Apache-2.0
// "drop>=98%", "pass>=99.9%", "tcp_null>=10 packets": what a CI job demands.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace xdpctl
{

struct Expectation {
    std::string text;
    std::string metric;   // "drop", "pass", "held" or the name of a reason
    std::string relation; // >= <= > < ==
    double bound = 0;
    bool percent = false; // of the judged packets; else packets

    // `count` of `judged` packets. Where nothing was judged nothing holds.
    bool holds(uint64_t count, uint64_t judged) const;
};

// The bound has a unit, % or packets; a bare number means packets where the metric is a
// reason, and is refused where it is drop, pass or held.
Result<Expectation> parse_expectation(std::string_view text);

} // namespace xdpctl
