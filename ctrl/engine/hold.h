// SPDX-License-Identifier: Apache-2.0
// How long the deciding thread was busy at once: so long a request may wait. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace xdpctl
{

class HoldMeter
{
  public:
    void note(uint64_t held_ns, uint64_t now_ns)
    {
        turn_to(now_ns);
        now_longest_ns_ = std::max(now_longest_ns_, held_ns);
    }
    // The longest of the last one to two minutes.
    uint64_t longest_ns(uint64_t now_ns)
    {
        turn_to(now_ns);
        return std::max(now_longest_ns_, before_longest_ns_);
    }

  private:
    static constexpr uint64_t minute_ns = 60'000'000'000;

    void turn_to(uint64_t now_ns)
    {
        const uint64_t minute = now_ns / minute_ns;
        if (minute != minute_) {
            before_longest_ns_ = minute == minute_ + 1 ? now_longest_ns_ : 0;
            now_longest_ns_ = 0;
            minute_ = minute;
        }
    }

    uint64_t minute_ = 0;
    uint64_t now_longest_ns_ = 0;
    uint64_t before_longest_ns_ = 0;
};

} // namespace xdpctl
