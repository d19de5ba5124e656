// SPDX-License-Identifier: Apache-2.0
// Log lines on stderr, each with a syslog level in front when journald reads
// them (sd-daemon(3)), else with a word.
#pragma once

#include <string_view>

#include <fmt/format.h>

namespace xdpctl::log
{

enum class Level { error = 3, warning = 4, info = 6, debug = 7 };

void set_level(Level level);
void write(Level level, std::string_view line);

template <typename... Args> void error(fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::error, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args> void warning(fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::warning, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args> void info(fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::info, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args> void debug(fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::debug, fmt::format(text, std::forward<Args>(args)...));
}

} // namespace xdpctl::log
