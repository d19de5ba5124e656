// SPDX-License-Identifier: Apache-2.0
#include "replay/expectation.h"

#include <charconv>

#include "core/reasons.h"

namespace xdpctl
{
namespace
{

std::string_view strip(std::string_view text)
{
    while (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    while (text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    return text;
}

} // namespace

Result<Expectation> parse_expectation(std::string_view text)
{
    const auto malformed = [text](std::string_view why) {
        return failure(ErrorKind::usage, "'{}': {}; an expectation is like 'drop>=98%'", text, why);
    };
    const size_t begin = text.find_first_of("<>=");
    const size_t end = text.find_first_not_of("<>=", begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) {
        return malformed("no relation and number");
    }
    Expectation expectation;
    expectation.text = std::string(strip(text));
    expectation.metric = std::string(strip(text.substr(0, begin)));
    expectation.relation = std::string(text.substr(begin, end - begin));
    std::string_view number = strip(text.substr(end));
    if (number.ends_with('%')) {
        expectation.percent = true;
        number = strip(number.substr(0, number.size() - 1));
    }
    const auto [last, problem] =
        std::from_chars(number.data(), number.data() + number.size(), expectation.bound);
    if (problem != std::errc() || last != number.data() + number.size() || expectation.bound < 0) {
        return malformed("the bound is not a number");
    }
    const std::string& metric = expectation.metric;
    if (metric != "drop" && metric != "pass" && metric != "held" && !find_reason(metric)) {
        return malformed("neither drop, pass, held nor the name of a reason");
    }
    const std::string& relation = expectation.relation;
    if (relation != ">=" && relation != "<=" && relation != ">" && relation != "<" &&
        relation != "==") {
        return malformed("the relation must be one of >= <= > < ==");
    }
    return expectation;
}

bool Expectation::holds(uint64_t count, uint64_t judged) const
{
    double value = static_cast<double>(count);
    if (percent) {
        value = judged == 0 ? 0 : value * 100 / static_cast<double>(judged);
    }
    if (relation == ">=") {
        return value >= bound;
    }
    if (relation == "<=") {
        return value <= bound;
    }
    if (relation == ">") {
        return value > bound;
    }
    return relation == "<" ? value < bound : value == bound;
}

} // namespace xdpctl
