// SPDX-License-Identifier: Apache-2.0
#include "core/crowdsec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <iterator>
#include <optional>

#include "core/bans.h"
#include "core/config.h"
#include "core/coverage.h"
#include "core/json.h"
#include "core/quote.h"
#include "core/units.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

std::string lower(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::string member(const json& row, const char* name)
{
    const auto found = row.find(name);
    return found != row.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string_view trimmed(std::string_view text)
{
    const size_t from = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    return text.substr(from, text.find_last_not_of(" \t\r\n") + 1 - from);
}

std::string word(const json& row, const char* name)
{
    const std::string text = member(row, name);
    return lower(std::string(trimmed(text)));
}

// A simulated decision is a rehearsal: nothing is to be done.
bool is_ban_of_addresses(const json& row)
{
    const std::string scope = word(row, "scope");
    return word(row, "type") == "ban" && (scope == "ip" || scope == "range") &&
           row.value("simulated", json()) != true;
}

// Host bits may be set.
Result<std::vector<Prefix>> prefixes_of_row(const json& row)
{
    const std::string value = member(row, "value");
    const auto range = parse_range(trimmed(value));
    if (!range) {
        return range.error();
    }
    const bool ipv4 = range->first.is_ipv4();
    const uint32_t widest = ipv4 ? usual_widest_ipv4 : usual_widest_ipv6;
    return is_wider_than(*range, static_cast<uint8_t>(ipv4 ? 96 + widest : widest))
               ? Result<std::vector<Prefix>>(failure("wider than /{}", widest))
               : prefixes_of(*range);
}

std::string member_or_type(const json& row)
{
    return row.is_object() ? member(row, "value") : row.type_name();
}

// null where there is nothing; take(row, prefixes) for each ban of addresses.
template <typename Take>
Result<> read_rows(const json& answer, const char* name, Decisions& out, Take take)
{
    const auto rows = answer.find(name);
    if (rows == answer.end() || !(rows->is_null() || rows->is_array())) {
        return failure("'{}' is neither a list nor null", name);
    }
    for (const json& row : *rows) {
        if (row.is_object() && !is_ban_of_addresses(row)) {
            out.passed_over++;
            continue;
        }
        const auto prefixes = row.is_object()
                                  ? prefixes_of_row(row)
                                  : Result<std::vector<Prefix>>(failure("not an object"));
        const auto taken = prefixes ? take(row, *prefixes) : Result<>(prefixes.error());
        if (!taken) {
            out.faults++;
            if (out.first_fault.empty()) {
                const std::string value = member_or_type(row);
                out.first_fault =
                    short_quote(value) + ": " + with_short_quotes(taken.error().message, value);
            }
        }
    }
    return Done{};
}

} // namespace

Result<std::optional<uint64_t>> parse_go_duration(std::string_view text)
{
    const std::string whole(text);
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    constexpr double longest_ns = 1e18; // three decades
    constexpr std::array<std::pair<std::string_view, double>, 7> units = {{{"ms", 1e6},
                                                                           {"us", 1e3},
                                                                           {"\xc2\xb5s", 1e3},
                                                                           {"ns", 1},
                                                                           {"h", 3600e9},
                                                                           {"m", 60e9},
                                                                           {"s", 1e9}}};
    double sum = 0;
    const bool empty = text.empty();
    while (!text.empty()) {
        double number = 0;
        const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number,
                                                    std::chars_format::fixed);
        text.remove_prefix(static_cast<size_t>(end - text.data()));
        const auto* unit = std::find_if(units.begin(), units.end(), [&text](const auto& u) {
            return text.starts_with(u.first);
        });
        if (problem != std::errc() || number < 0 || unit == units.end()) {
            return failure("'{}' is not a duration", short_quote(whole));
        }
        sum += number * unit->second;
        text.remove_prefix(unit->first.size());
    }
    if (empty || !(sum <= longest_ns)) {
        return failure("'{}' is not a duration", short_quote(whole));
    }
    return negative || sum < 1 ? std::optional<uint64_t>()
                               : std::optional(static_cast<uint64_t>(sum));
}

Result<Decisions> parse_decisions(std::string_view text)
{
    const auto parsed = parse_json_bounded(text);
    if (!parsed || !parsed->is_object()) {
        return failure("not an answer of CrowdSec's local API: {}",
                       parsed ? "it is no JSON object" : parsed.error().message);
    }
    const json& answer = *parsed;
    Decisions out;
    using Prefixes = std::vector<Prefix>;
    auto done = read_rows(answer, "new", out, [&out](const json& row, const Prefixes& prefixes) {
        const auto ttl = parse_go_duration(member(row, "duration"));
        if (!ttl) {
            return Result<>(ttl.error());
        }
        for (const Prefix& prefix : *ttl ? prefixes : Prefixes()) {
            out.fresh.push_back({prefix, **ttl, member(row, "scenario")});
        }
        return Result<>(Done{});
    });
    if (done) {
        done = read_rows(answer, "deleted", out, [&out](const json&, const Prefixes& prefixes) {
            out.gone.insert(out.gone.end(), prefixes.begin(), prefixes.end());
            return Result<>(Done{});
        });
    }
    return done ? Result<Decisions>(std::move(out)) : done.error();
}

std::set<Prefix> beyond_share(std::vector<Prefix> in_force, std::vector<Prefix> wanted)
{
    constexpr Coverage most = {usual_share_ipv4, usual_share_ipv6};
    const auto fits = [&most](const Coverage& c) { return c[0] <= most[0] && c[1] <= most[1]; };
    std::sort(in_force.begin(), in_force.end());
    std::sort(wanted.begin(), wanted.end());
    std::vector<Prefix> all;
    std::set_union(in_force.begin(), in_force.end(), wanted.begin(), wanted.end(),
                   std::back_inserter(all));
    if (fits(coverage_of(all))) {
        return {};
    }
    std::vector<Prefix> fresh;
    std::set_difference(wanted.begin(), wanted.end(), in_force.begin(), in_force.end(),
                        std::back_inserter(fresh));
    std::stable_sort(fresh.begin(), fresh.end(),
                     [](const Prefix& a, const Prefix& b) { return a.length > b.length; });
    std::set<Prefix> beyond;
    Coverage sum = coverage_of(in_force);
    for (const Prefix& prefix : fresh) { // here addresses in several of them count several times
        const size_t family = prefix.is_ipv4() ? 0 : 1;
        const double share = coverage_of({prefix})[family];
        if (sum[family] + share > most[family]) {
            beyond.insert(prefix);
        } else {
            sum[family] += share;
        }
    }
    return beyond;
}

} // namespace xdpctl
