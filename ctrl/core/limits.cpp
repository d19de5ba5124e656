// SPDX-License-Identifier: Apache-2.0
#include "core/limits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr std::array<std::string_view, XDPCTL_LIMIT_CLASS_COUNT> class_names = {
#define XDPCTL_CLASS_NAME(id, name, text) name,
    XDPCTL_LIMIT_CLASSES(XDPCTL_CLASS_NAME)
#undef XDPCTL_CLASS_NAME
};

constexpr std::array<std::string_view, XDPCTL_LIMIT_LEVEL_COUNT> level_names = {
#define XDPCTL_LEVEL_NAME(id, name, ipv4, ipv6, text) name,
    XDPCTL_LIMIT_LEVELS(XDPCTL_LEVEL_NAME)
#undef XDPCTL_LEVEL_NAME
};

static_assert(XDPCTL_LIMIT_CLASS_COUNT <= XDPCTL_LIMIT_CLASS_SLOTS);

constexpr uint64_t mbit = 1'000'000;

// Below these rates nothing is limited. By level: source, prefix, network, service,
// destination. No usual tool and no honest network reaches them: a domestic line fills
// 200 Mbit/s; fping sends 100 packets/s, ping -f as many as are answered; a resolver
// behind a container's DNAT is asked 1,000 times a second by one forwarder; an exchange
// point has 1,000 neighbours that solicit. Peacetime raises all of them.
struct Floor {
    std::array<uint64_t, XDPCTL_LIMIT_LEVEL_COUNT> packets;
    std::array<uint64_t, XDPCTL_LIMIT_LEVEL_COUNT> megabits;
    uint64_t burst_ns;
};

constexpr std::array<Floor, XDPCTL_LIMIT_CLASS_COUNT> floors = {{
    {{10000, 20000, 40000, 100000, 200000}, {200, 400, 800, 2000, 4000}, ns_per_s / 4},
    {{2000, 2500, 3000, 4000, 8000}, {}, ns_per_s},    // udp_unknown
    {{1000, 2000, 5000, 10000, 20000}, {}, ns_per_s},  // icmp_echo
    {{500, 1000, 2000, 5000, 10000}, {}, ns_per_s},    // icmp_error
    {{1000, 5000, 10000, 20000, 20000}, {}, ns_per_s}, // icmp_control
    {{200, 500, 1000, 2000, 5000}, {}, ns_per_s},      // icmp_other
    {{1000, 1500, 2000, 3000, 4000}, {}, ns_per_s},    // orphan
    {{50000, 100000, 100000, 100000, 200000}, {1000, 2000, 2000, 2000, 4000}, ns_per_s / 4},
    {{200, 400, 1000, 1000, 2000}, {}, ns_per_s},                    // reflected
    {{500000, 500000, 1000000, 1000000, 2000000}, {}, ns_per_s / 4}, // tcp_unknown
    {{10000, 20000, 50000, 100000, 200000}, {}, ns_per_s},           // forwarded
}};

// Of the headroom, what one source, one prefix and so on may use: a single peer may
// be all the traffic of a host, and gets half as much again above that.
constexpr std::array<uint64_t, XDPCTL_LIMIT_LEVEL_COUNT> share_percent = {50, 75, 100, 100, 100};

Result<uint64_t> parse_number(std::string_view text, std::string_view whole)
{
    uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
        return failure("'{}' is not a rate such as 10000pps or 200Mbit", whole);
    }
    return value;
}

struct Unit {
    std::string_view suffix;
    uint64_t factor;
    uint64_t Rate::*field;
};
// Longest first: "Mbit" also ends in "bit".
constexpr std::array units = {Unit{"kpps", 1000, &Rate::packets_per_second},
                              Unit{"Mpps", 1000000, &Rate::packets_per_second},
                              Unit{"pps", 1, &Rate::packets_per_second},
                              Unit{"kbit", 1000, &Rate::bits_per_second},
                              Unit{"Mbit", mbit, &Rate::bits_per_second},
                              Unit{"Gbit", 1000 * mbit, &Rate::bits_per_second},
                              Unit{"bit", 1, &Rate::bits_per_second}};

constexpr uint64_t rate_most = 1'000'000'000'000; // 1 Tbit/s

std::vector<std::string_view> words_of(std::string_view text)
{
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const size_t end = std::min(text.find(' '), text.size());
        if (end > 0) {
            words.push_back(text.substr(0, end));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

Result<> read_rate_word(std::string_view word, Rate& rate)
{
    const auto* unit = std::find_if(units.begin(), units.end(),
                                    [word](const Unit& u) { return word.ends_with(u.suffix); });
    if (unit == units.end()) {
        return failure("'{}' is not a rate such as 10000pps or 200Mbit", word);
    }
    const auto number = parse_number(word.substr(0, word.size() - unit->suffix.size()), word);
    if (!number) {
        return number.error();
    }
    if (*number == 0 || *number > rate_most / unit->factor) {
        return failure("'{}': must be above 0 and at most 1000Gbit", word);
    }
    if (rate.*unit->field != 0) {
        return failure("'{}' says it twice", word);
    }
    rate.*unit->field = *number * unit->factor;
    return Done{};
}

// Rounded up, so that small changes of a peak change no limit.
uint64_t two_digits(uint64_t value)
{
    uint64_t unit = 1;
    while (value / unit >= 100) {
        unit *= 10;
    }
    return (value + unit - 1) / unit * unit;
}

uint64_t grown(uint64_t peak, uint32_t headroom, size_t level)
{
    return two_digits(peak * headroom * share_percent[level] / 100);
}

} // namespace

Result<Rate> parse_rate(std::string_view text)
{
    Rate rate;
    const auto words = words_of(text);
    if (words.empty()) {
        return failure("a rate is missing, such as 10000pps or 200Mbit");
    }
    if (words.size() == 1 && words[0] == "none") {
        return rate;
    }
    for (const std::string_view word : words) {
        if (auto done = read_rate_word(word, rate); !done) {
            return done.error();
        }
    }
    return rate;
}

std::string to_string(const Rate& rate)
{
    std::string text;
    if (rate.packets_per_second > 0) {
        text = fmt::format("{}pps", format_count(static_cast<double>(rate.packets_per_second)));
    }
    if (rate.bits_per_second > 0) {
        text += fmt::format("{}{}bit", text.empty() ? "" : " ",
                            format_count(static_cast<double>(rate.bits_per_second)));
    }
    return text.empty() ? "none" : text;
}

std::string_view to_string(RateOrigin origin)
{
    switch (origin) {
    case RateOrigin::floor:
        return "floor";
    case RateOrigin::measured:
        return "measured";
    default:
        return "configured";
    }
}

std::string_view limit_class_name(size_t limit_class)
{
    return class_names.at(limit_class);
}

std::string_view limit_level_name(size_t level)
{
    return level_names.at(level);
}

Result<> parse_limit(std::string_view text, size_t limit_class, LimitsConfig& config)
{
    const size_t space = text.find(' ');
    const std::string_view name = text.substr(0, space);
    const auto* found = std::find(level_names.begin(), level_names.end(), name);
    if (found == level_names.end()) {
        return failure("'{}' does not begin with {}", text, fmt::join(level_names, ", "));
    }
    auto rate = parse_rate(space == std::string_view::npos ? "" : text.substr(space + 1));
    if (!rate) {
        return rate.error();
    }
    const auto level = static_cast<size_t>(found - level_names.begin());
    if (!config.set.emplace(std::pair(limit_class, level), *rate).second) {
        return failure("'{}' is set twice", name);
    }
    return Done{};
}

Limits limits_of(const LimitsConfig& config, const Peaks& peaks)
{
    Limits limits{};
    for (size_t c = 0; c < limits.size(); c++) {
        for (size_t level = 0; level < limits[c].size(); level++) {
            Limit& limit = limits[c][level];
            if (!config.enabled) {
                limit = {{}, RateOrigin::configured};
                continue;
            }
            if (const auto set = config.set.find({c, level}); set != config.set.end()) {
                limit = {set->second, RateOrigin::configured};
                continue;
            }
            limit.rate = {floors[c].packets[level], floors[c].megabits[level] * mbit};
            const uint64_t packets = grown(peaks[c].packets_per_second, config.headroom, level);
            const uint64_t bits = limit.rate.bits_per_second == 0 // none, so none is learnt
                                      ? 0
                                      : grown(peaks[c].bits_per_second, config.headroom, level);
            if (packets > limit.rate.packets_per_second || bits > limit.rate.bits_per_second) {
                limit.origin = RateOrigin::measured;
            }
            limit.rate = {std::max(packets, limit.rate.packets_per_second),
                          std::max(bits, limit.rate.bits_per_second)};
        }
    }
    return limits;
}

xdpctl_limit compile_limit(const Rate& rate, size_t limit_class)
{
    xdpctl_limit limit{};
    limit.burst_ns = floors[limit_class].burst_ns;
    if (rate.packets_per_second > 0) {
        limit.packet_ns = std::max<uint64_t>(ns_per_s / rate.packets_per_second, 1);
    }
    if (rate.bits_per_second > 0) {
        limit.byte_cost = std::max<uint64_t>(
            ((8 * ns_per_s) << XDPCTL_BYTE_COST_SHIFT) / rate.bits_per_second, 1);
    }
    // At least a few packets at once, however low the rate.
    constexpr uint64_t burst_packets = 8;
    limit.burst_ns = std::max(limit.burst_ns, burst_packets * limit.packet_ns);
    return limit;
}

namespace
{

constexpr uint64_t window_ns = 10 * ns_per_s;
constexpr double growth_enforced = 0.1; // per hour
constexpr double growth_held = 1;       // while nothing is enforced, but would be held
constexpr double growth_free = 1e9;
constexpr uint64_t harmless_part = 8;
// A peak that does not come again is forgotten, to a third in so long.
constexpr double forget_s = 30 * 86400;
constexpr uint64_t fade_ns = 3600 * ns_per_s; // between two looks

} // namespace

// What a limit holds, or could hold, must not teach us quickly: it may be an attack.
void Baseline::raise(uint64_t& peak, uint64_t seen, uint64_t harmless, double growth_per_hour,
                     double seconds)
{
    const double most =
        static_cast<double>(std::max(peak, harmless)) * (1 + growth_per_hour * seconds / 3600);
    peak = std::max(peak, std::min(seen, static_cast<uint64_t>(most) + 1));
}

// Rounded up: small peaks, which change no limit, stay.
void Baseline::fade(uint64_t now_ns)
{
    if (faded_ns_ == 0) {
        faded_ns_ = now_ns;
    }
    if (now_ns < faded_ns_ + fade_ns) {
        return;
    }
    const double part = std::exp(-static_cast<double>(now_ns - faded_ns_) / 1e9 / forget_s);
    faded_ns_ = now_ns;
    for (Rate& peak : peaks_) {
        for (uint64_t* number : {&peak.packets_per_second, &peak.bits_per_second}) {
            *number = static_cast<uint64_t>(std::ceil(static_cast<double>(*number) * part));
        }
    }
}

void Baseline::observe(uint64_t now_ns, const Counts& offered, bool calm, bool learning)
{
    calm_ = calm_ && calm;
    if (last_ns_ != 0 && now_ns < last_ns_ + window_ns) {
        return;
    }
    fade(now_ns);
    if (last_ns_ != 0 && (calm_ || learning)) {
        const double seconds = static_cast<double>(now_ns - last_ns_) / 1e9;
        const double growth = !learning ? growth_enforced : calm_ ? growth_free : growth_held;
        for (size_t c = 0; c < peaks_.size(); c++) {
            const auto rate = [seconds](uint64_t now, uint64_t before) {
                return now < before
                           ? 0
                           : static_cast<uint64_t>(static_cast<double>(now - before) / seconds);
            };
            // A peak below this changes no limit.
            const uint64_t packets = floors[c].packets[XDPCTL_LEVEL_SERVICE] / harmless_part;
            const uint64_t bits = floors[c].megabits[XDPCTL_LEVEL_SERVICE] * mbit / harmless_part;
            raise(peaks_[c].packets_per_second, rate(offered[c].packets, last_[c].packets), packets,
                  growth, seconds);
            raise(peaks_[c].bits_per_second, rate(offered[c].bytes, last_[c].bytes) * 8, bits,
                  growth, seconds);
        }
    }
    last_ = offered;
    last_ns_ = now_ns;
    calm_ = true;
}

} // namespace xdpctl
