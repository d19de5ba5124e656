// SPDX-License-Identifier: Apache-2.0
#include "core/units.h"

#include <array>
#include <charconv>

namespace xdpctl
{
namespace
{

struct Unit {
    std::string_view name;
    uint64_t ns;
};

constexpr std::array units = {Unit{"d", 86400 * ns_per_s}, Unit{"h", 3600 * ns_per_s},
                              Unit{"m", 60 * ns_per_s}, Unit{"s", ns_per_s}, Unit{"ms", ns_per_ms}};

} // namespace

Result<uint64_t> parse_duration(std::string_view text)
{
    uint64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, text.data() + text.size() - end);
    for (const Unit& known : units) {
        if (problem == std::errc() && unit == known.name && number <= UINT64_MAX / 2 / known.ns) {
            return number * known.ns;
        }
    }
    return failure(ErrorKind::usage, "'{}' is not a duration such as 250ms, 90s, 10m, 1h or 7d",
                   text);
}

std::string format_duration(uint64_t ns)
{
    std::string text;
    int parts = 0;
    for (const Unit& unit : units) {
        const uint64_t count = ns / unit.ns;
        if (count > 0 && parts < 2) {
            text += fmt::format("{}{}", count, unit.name);
            parts++;
        } else if (parts > 0) {
            break;
        }
        ns %= unit.ns;
    }
    return text.empty() ? "0s" : text;
}

std::string format_count(double value)
{
    constexpr std::array<std::string_view, 5> suffixes = {"", "k", "M", "G", "T"};
    size_t i = 0;
    while (value >= 1000 && i + 1 < suffixes.size()) {
        value /= 1000;
        i++;
    }
    if (i == 0) {
        return fmt::format("{:.0f}", value);
    }
    return fmt::format("{:.{}f}{}", value, value < 10 ? 2 : value < 100 ? 1 : 0, suffixes[i]);
}

} // namespace xdpctl
