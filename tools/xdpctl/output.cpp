// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "api/codec.h"
#include "core/units.h"

namespace xdpctl::cli
{
namespace
{

bool use_color()
{
    static const bool yes = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    return yes;
}

const char* code(Color color)
{
    switch (color) {
    case Color::red:
        return "31";
    case Color::green:
        return "32";
    case Color::yellow:
        return "33";
    case Color::bold:
        return "1";
    case Color::dim:
        return "2";
    case Color::none:
        break;
    }
    return "0";
}

} // namespace

std::string paint(Color color, const std::string& text)
{
    if (color == Color::none || !use_color()) {
        return text;
    }
    return fmt::format("\033[{}m{}\033[0m", code(color), text);
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers))
{
    for (std::string& header : headers_) {
        right_.push_back(header.starts_with('>'));
        if (right_.back()) {
            header.erase(0, 1);
        }
    }
}

void Table::add(std::vector<std::string> cells, Color color)
{
    cells.resize(headers_.size());
    rows_.push_back({std::move(cells), color});
}

void Table::print() const
{
    std::vector<size_t> widths;
    for (size_t i = 0; i < headers_.size(); i++) {
        size_t width = headers_[i].size();
        for (const Row& row : rows_) {
            width = std::max(width, row.cells[i].size());
        }
        widths.push_back(width);
    }
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string text;
        for (size_t i = 0; i < cells.size(); i++) {
            text += i > 0 ? "  " : "";
            text += right_[i] ? fmt::format("{:>{}}", cells[i], widths[i])
                              : fmt::format("{:<{}}", cells[i], widths[i]);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        return text;
    };
    fmt::print("{}\n", paint(Color::bold, line(headers_)));
    for (const Row& row : rows_) {
        fmt::print("{}\n", paint(row.color, line(row.cells)));
    }
}

void print_json(const nlohmann::json& value)
{
    fmt::print("{}\n", to_text(value, 2));
}

std::string rate(double per_second)
{
    return format_count(per_second) + "/s";
}

std::string bit_rate(double per_second)
{
    return format_count(per_second) + "bit/s";
}

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)), active_(isatty(STDERR_FILENO) == 1)
{
}

ProgressLine::~ProgressLine()
{
    if (active_ && shown_ >= 0) {
        fmt::print(stderr, "\r\033[K");
    }
}

void ProgressLine::show(double share)
{
    const int percent = static_cast<int>(share * 100);
    if (active_ && percent != shown_) {
        shown_ = percent;
        fmt::print(stderr, "\r{} {:3}%", what_, percent);
        std::fflush(stderr);
    }
}

} // namespace xdpctl::cli
