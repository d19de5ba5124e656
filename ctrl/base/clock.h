// SPDX-License-Identifier: Apache-2.0
// The wall's clock and the steady one. Logic that can be tested gets its time as a parameter.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace xdpctl
{

// Since 1970.
inline uint64_t unix_ms()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

inline uint64_t unix_s()
{
    return unix_ms() / 1000;
}

// The time that deadlines are to be compared with. A clock that nobody set since the boot
// begins at 1970 or at the date of some package, and would make deadlines longer: then what was
// saved last is nearer. One that is set is right, also where it was ahead once.
inline uint64_t time_or_saved(uint64_t now_unix_s, uint64_t saved_unix_s)
{
    constexpr uint64_t year_2026 = 1767225600; // no file of this program is older
    return now_unix_s >= year_2026 ? now_unix_s : std::max(now_unix_s, saved_unix_s);
}

// To measure what something took.
inline uint64_t steady_ns()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

} // namespace xdpctl
