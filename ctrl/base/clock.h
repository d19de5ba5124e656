// SPDX-License-Identifier: Apache-2.0
// The wall's clock and the steady one. Logic that can be tested gets its time as a parameter.
#pragma once

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

// To measure what something took.
inline uint64_t steady_ns()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

} // namespace xdpctl
