// SPDX-License-Identifier: Apache-2.0
#include "core/feed.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace xdpctl
{
namespace
{

constexpr size_t shown_most = 60;  // bytes of a faulty line
constexpr size_t why_most = 160;   // and of what is wrong with it
constexpr size_t line_most = 4096; // no prefix is longer, and JSON takes memory
constexpr size_t entries_most = 20'000'000;

// Text of strangers, for logs and terminals.
std::string printable(std::string_view text, size_t most)
{
    std::string out(text.substr(0, most));
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

std::string_view trimmed(std::string_view text)
{
    const size_t first = text.find_first_not_of(" \t\r\v\f");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r\v\f") - first + 1);
}

std::string_view first_word(std::string_view text)
{
    return text.substr(0, text.find_first_of(" \t,"));
}

// Of a line of JSON: its "cidr" or "ip"; empty where it says something else (a header).
Result<std::string> word_of_json(std::string_view line)
{
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object()) {
        return failure("not a JSON object");
    }
    for (const char* member : {"cidr", "ip", "prefix"}) {
        if (row.contains(member)) {
            return row[member].is_string() ? Result<std::string>(row[member].get<std::string>())
                                           : failure("{} is no string", member);
        }
    }
    return std::string();
}

// The word that shall be a prefix; empty where the line names none.
Result<std::string> word_of(std::string_view line)
{
    if (line.starts_with('{')) {
        return word_of_json(line);
    }
    line = trimmed(line.substr(0, line.find_first_of("#;")));
    if (line.starts_with("create ") || line == "COMMIT") {
        return std::string(); // of ipset save
    }
    if (line.starts_with("add ")) {
        line = trimmed(line.substr(4));
        line = trimmed(line.substr(first_word(line).size()));
    }
    return std::string(first_word(line));
}

} // namespace

std::string shown_url(const std::string& url)
{
    const size_t scheme = url.find("://");
    if (scheme == std::string::npos) {
        return url; // a path
    }
    const size_t host = scheme + 3;
    const std::string before = url.substr(0, url.find('?')); // keys stand behind it, too
    const size_t end = std::min(before.find('/', host), before.size());
    const size_t at = before.substr(0, end).rfind('@');
    return (at == std::string::npos || at < host
                ? before
                : before.substr(0, host) + "...@" + before.substr(at + 1)) +
           (before.size() < url.size() ? "?..." : "");
}

FeedText parse_feed(std::string_view text)
{
    if (text.starts_with("\xef\xbb\xbf")) { // some editors' mark of UTF-8
        text.remove_prefix(3);
    }
    FeedText feed;
    size_t number = 0;
    const auto fault = [&](std::string_view line, std::string_view why) {
        if (feed.faults++ == 0) {
            feed.first_fault = {number, printable(line, shown_most), printable(why, why_most)};
        }
    };
    while (!text.empty()) {
        number++;
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.size() > line_most) {
            fault(line, "a line of more than 4096 bytes");
            continue;
        }
        if (feed.prefixes.size() == entries_most) {
            fault(line, "more than 20 million entries");
            break;
        }
        auto word = word_of(line);
        if (!word) {
            fault(line, word.error().message);
            continue;
        }
        if (word->empty()) {
            continue;
        }
        auto prefix = parse_network(*word);
        if (!prefix) {
            fault(line, prefix.error().message);
            continue;
        }
        feed.entries++;
        feed.host_bits += prefix->second ? 1 : 0;
        feed.prefixes.push_back(prefix->first);
    }
    std::sort(feed.prefixes.begin(), feed.prefixes.end());
    feed.prefixes.erase(std::unique(feed.prefixes.begin(), feed.prefixes.end()),
                        feed.prefixes.end());
    return feed;
}

Result<FeedTaken> take_feed(FeedText text, const FeedConfig& config,
                            const ProtectedSet& protected_set)
{
    if (text.faults > text.entries) {
        return failure("it is no list: line {}: '{}': {}", text.first_fault.line,
                       text.first_fault.text, text.first_fault.why);
    }
    if (text.prefixes.size() < config.min_entries) {
        return failure("it has {} entries, at least {} are expected", text.prefixes.size(),
                       config.min_entries);
    }
    if (text.prefixes.size() > config.max_entries) {
        return failure("it has {} entries, at most {} are expected", text.prefixes.size(),
                       config.max_entries);
    }
    FeedTaken taken;
    const auto refuse = [&taken](const Prefix& prefix, std::string why) {
        if (taken.too_wide + taken.protected_here == 1) {
            taken.first_refused = {0, to_string(prefix), std::move(why)};
        }
    };
    for (const Prefix& prefix : text.prefixes) {
        const bool ipv4 = prefix.is_ipv4();
        const uint32_t length = prefix.length - (ipv4 ? 96U : 0U);
        const uint32_t widest = ipv4 ? config.widest_ipv4 : config.widest_ipv6;
        if (length < widest) {
            taken.too_wide++;
            refuse(prefix, fmt::format("wider than /{}", widest));
        } else if (auto why = protected_set.refuses(prefix, Authority::automatic)) {
            taken.protected_here++;
            refuse(prefix, *why);
        } else {
            taken.prefixes.push_back(prefix);
        }
    }
    return taken;
}

Result<> accept_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after,
                       uint32_t percent_most)
{
    if (before.empty()) {
        return Done{};
    }
    size_t kept = 0;
    for (auto a = before.begin(), b = after.begin(); a != before.end() && b != after.end();) {
        if (*a == *b) {
            kept++;
            a++;
            b++;
        } else {
            *a < *b ? a++ : b++;
        }
    }
    const size_t changed = std::max(before.size() - kept, after.size() - kept);
    if (changed * 100 > before.size() * percent_most) {
        return failure(ErrorKind::refused,
                       "{} entries go and {} come, of {}: more than {} % at once; "
                       "`xdpctl feed refresh --force` takes it",
                       before.size() - kept, after.size() - kept, before.size(), percent_most);
    }
    return Done{};
}

} // namespace xdpctl
