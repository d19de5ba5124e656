// SPDX-License-Identifier: Apache-2.0
#include "replay/clock.h"

namespace xdpctl
{

uint64_t CaptureClock::advance(uint64_t captured_ns)
{
    constexpr uint64_t step_ns = ns_per_s / fallback_packets_per_second;
    const bool usable = captured_ns != 0;
    if (!has_last_) {
        has_last_ = true;
        adjusted_ += usable ? 0 : 1;
    } else if (usable && captured_ns >= last_captured_ns_) {
        now_ns_ += captured_ns - last_captured_ns_;
    } else {
        now_ns_ += step_ns;
        adjusted_++;
    }
    last_captured_ns_ = captured_ns;
    return now_ns_;
}

} // namespace xdpctl
