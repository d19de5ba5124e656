// SPDX-License-Identifier: Apache-2.0
// "drop>=98%", "pass>=99.9%", "tcp_null>=10": what a CI job demands.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace xdpctl
{

struct Expectation {
    std::string text;
    std::string metric;   // "drop", "pass" or the name of a reason
    std::string relation; // >= <= > < ==
    double bound = 0;
    bool percent = false; // of the judged packets

    // `count` of `judged` packets; with nothing judged a percentage is 0.
    bool holds(uint64_t count, uint64_t judged) const;
};

Result<Expectation> parse_expectation(std::string_view text);

} // namespace xdpctl
