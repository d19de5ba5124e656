// SPDX-License-Identifier: Apache-2.0
#include "replay/expectation.h"

#include <charconv>
#include <cmath>

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

bool take_suffix(std::string_view& text, std::string_view suffix)
{
    if (!text.ends_with(suffix)) {
        return false;
    }
    text = strip(text.substr(0, text.size() - suffix.size()));
    return true;
}

bool is_share(std::string_view metric)
{
    return metric == "drop" || metric == "pass" || metric == "held";
}

// Why the bound is none; empty where it is one.
std::string parse_bound(std::string_view text, Expectation& expectation)
{
    expectation.percent = take_suffix(text, "%");
    const bool packets =
        !expectation.percent && (take_suffix(text, "packets") || take_suffix(text, "packet"));
    double& bound = expectation.bound;
    const auto [last, problem] =
        std::from_chars(text.data(), text.data() + text.size(), bound, std::chars_format::fixed);
    if (problem != std::errc() || last != text.data() + text.size() || !std::isfinite(bound) ||
        bound < 0) {
        return "the bound is not a number";
    }
    if (expectation.percent && bound > 100) {
        return "a share cannot exceed 100%";
    }
    if (!expectation.percent && !packets && is_share(expectation.metric)) {
        return fmt::format("{} of what? '{}%' is a share of the judged packets, '{} packets' a "
                           "number of them",
                           text, text, text);
    }
    if (!expectation.percent && bound != std::floor(bound)) {
        return "packets are whole";
    }
    return "";
}

// It would tell nothing: no replay can make it true.
bool is_impossible(const Expectation& expectation)
{
    const double most = expectation.percent ? 100 : INFINITY;
    return (expectation.relation == ">" && expectation.bound >= most) ||
           (expectation.relation == "<" && expectation.bound == 0);
}

} // namespace

Result<Expectation> parse_expectation(std::string_view text)
{
    const auto malformed = [text](std::string_view why) {
        return failure(ErrorKind::usage,
                       "'{}': {}; an expectation is like 'drop>=98%' or 'tcp_null>=10 packets'",
                       text, why);
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
    if (!is_share(expectation.metric) && !find_reason(expectation.metric)) {
        return malformed("neither drop, pass, held nor the name of a reason");
    }
    const std::string& relation = expectation.relation;
    if (relation != ">=" && relation != "<=" && relation != ">" && relation != "<" &&
        relation != "==") {
        return malformed("the relation must be one of >= <= > < ==");
    }
    if (const std::string why = parse_bound(strip(text.substr(end)), expectation); !why.empty()) {
        return malformed(why);
    }
    if (is_impossible(expectation)) {
        return malformed("it can never hold");
    }
    return expectation;
}

bool Expectation::holds(uint64_t count, uint64_t judged) const
{
    if (judged == 0) {
        return false;
    }
    double value = static_cast<double>(count);
    if (percent) {
        value = value * 100 / static_cast<double>(judged);
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
