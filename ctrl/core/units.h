// SPDX-License-Identifier: Apache-2.0
// Durations as people write them: "250ms", "90s", "10m", "1h", "7d".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace xdpctl
{

inline constexpr uint64_t ns_per_ms = 1'000'000;
inline constexpr uint64_t ns_per_s = 1'000'000'000;

// Nanoseconds; a number without a unit is an error.
Result<uint64_t> parse_duration(std::string_view text);

// The largest two units: "1h30m", "2m5s", "250ms", "0s".
std::string format_duration(uint64_t ns);

// "950", "12.3k", "4.56M", "7.89G".
std::string format_count(double value);

} // namespace xdpctl
