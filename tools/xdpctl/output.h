// SPDX-License-Identifier: Apache-2.0
// Tables for people, JSON for scripts.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace xdpctl::cli
{

enum class Color { none, red, green, yellow, bold, dim };

// Colour only on a terminal, and never under NO_COLOR (no-color.org).
std::string paint(Color color, const std::string& text);

// Columns are as wide as their widest cell; a header that begins with '>' is
// for numbers and goes to the right.
class Table
{
  public:
    explicit Table(std::vector<std::string> headers);
    void add(std::vector<std::string> cells, Color color = Color::none);
    bool empty() const { return rows_.empty(); }
    void print() const;

  private:
    struct Row {
        std::vector<std::string> cells;
        Color color;
    };
    std::vector<std::string> headers_;
    std::vector<bool> right_;
    std::vector<Row> rows_;
};

void print_json(const nlohmann::json& value);

// "1.23k/s"; "0/s".
std::string rate(double per_second);
// "1.2Gbit/s"
std::string bit_rate(double per_second);

// A line that rewrites itself on a terminal's stderr; silent elsewhere.
class ProgressLine
{
  public:
    explicit ProgressLine(std::string what);
    ~ProgressLine();
    void show(double share);

  private:
    std::string what_;
    bool active_;
    int shown_ = -1;
};

} // namespace xdpctl::cli
