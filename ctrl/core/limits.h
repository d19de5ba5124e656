// SPDX-License-Identifier: Apache-2.0
// Which rates are in force, and where each comes from: the configuration, the
// host's own peacetime, or a floor below which nobody is limited.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <xdpctl/abi/policy.h>

#include "base/result.h"

namespace xdpctl
{

struct Rate {
    uint64_t packets_per_second = 0; // 0: no limit
    uint64_t bits_per_second = 0;    // likewise

    bool operator==(const Rate&) const = default;
};

// "10000pps", "200Mbit", "10000pps 200Mbit", "none".
Result<Rate> parse_rate(std::string_view text);
std::string to_string(const Rate& rate);

enum class RateOrigin { floor, measured, configured };
std::string_view to_string(RateOrigin origin);

struct Limit {
    Rate rate;
    RateOrigin origin = RateOrigin::floor;

    bool operator==(const Limit&) const = default;
};

template <typename T> using ByLimit =
    std::array<std::array<T, XDPCTL_LIMIT_LEVEL_COUNT>, XDPCTL_LIMIT_CLASS_COUNT>;
using Limits = ByLimit<Limit>;

std::string_view limit_class_name(size_t limit_class);
std::string_view limit_level_name(size_t level);

struct LimitsConfig {
    bool enabled = true;
    uint32_t headroom = 4; // times the measured peacetime
    // [class][level] that the operator set.
    std::map<std::pair<size_t, size_t>, Rate> set;

    bool operator==(const LimitsConfig&) const = default;
};

// "source 100pps": the level and its rate, into the configuration of one class.
Result<> parse_limit(std::string_view text, size_t limit_class, LimitsConfig& config);

// The most that each class was seen to carry in peacetime.
using Peaks = std::array<Rate, XDPCTL_LIMIT_CLASS_COUNT>;

// What the operator set; else the peak with its headroom, but not below the floor.
Limits limits_of(const LimitsConfig& config, const Peaks& peaks);

xdpctl_limit compile_limit(const Rate& rate, size_t limit_class);

// Learns the peaks. Pure: counts go in with their time.
class Baseline
{
  public:
    struct Count {
        uint64_t packets = 0;
        uint64_t bytes = 0;
    };
    using Counts = std::array<Count, XDPCTL_LIMIT_CLASS_COUNT>;

    explicit Baseline(Peaks peaks = {}) : peaks_(peaks) {}

    // `offered`: absolute counts of what came to the limits. `calm`: nothing was held
    // by a limit since the last look. `learning`: nothing is enforced, so that no
    // limit can stand in the way of what is normal.
    void observe(uint64_t now_ns, const Counts& offered, bool calm, bool learning);

    const Peaks& peaks() const { return peaks_; }

  private:
    void fade(uint64_t now_ns);
    static void raise(uint64_t& peak, uint64_t seen, uint64_t harmless, double growth_per_hour,
                      double seconds);

    Peaks peaks_;
    Counts last_{};
    uint64_t last_ns_ = 0;
    uint64_t faded_ns_ = 0;
    bool calm_ = true;
};

} // namespace xdpctl
