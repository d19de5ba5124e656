// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace xdpctl::log
{
namespace
{

std::atomic<Level> threshold = Level::info;

const char* word(Level level)
{
    switch (level) {
    case Level::error:
        return "error: ";
    case Level::warning:
        return "warning: ";
    case Level::debug:
        return "debug: ";
    case Level::info:
        break;
    }
    return "";
}

} // namespace

void set_level(Level level)
{
    threshold = level;
}

void write(Level level, std::string_view line)
{
    static const bool journald = std::getenv("JOURNAL_STREAM") != nullptr;
    if (level > threshold.load()) {
        return;
    }
    const std::string prefix =
        journald ? fmt::format("<{}>", static_cast<int>(level)) : std::string(word(level));
    fmt::print(stderr, "{}{}\n", prefix, line);
}

} // namespace xdpctl::log
