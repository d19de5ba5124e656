// SPDX-License-Identifier: Apache-2.0
// The capture's timestamps as a clock that never stands still or runs back.
#pragma once

#include <cstdint>

#include "core/units.h"

namespace xdpctl
{

// Where a timestamp is absent, equal to zero, or earlier than the one before,
// packets follow each other at `fallback_packets_per_second`.
class CaptureClock
{
  public:
    static constexpr uint64_t fallback_packets_per_second = 100'000;
    static constexpr uint64_t start_ns = ns_per_s; // 0 would mean "never" in the data path

    // Nanoseconds on the data path's clock for the next packet.
    uint64_t advance(uint64_t captured_ns);
    uint64_t now_ns() const { return now_ns_; }
    uint64_t adjusted() const { return adjusted_; } // packets that took the fallback

    // A second file continues where the first ended.
    void begin_file() { has_last_ = false; }

  private:
    uint64_t now_ns_ = start_ns;
    uint64_t last_captured_ns_ = 0;
    bool has_last_ = false;
    uint64_t adjusted_ = 0;
};

} // namespace xdpctl
