// SPDX-License-Identifier: Apache-2.0
#include "daemon/ban_file.h"

#include <array>
#include <charconv>
#include <iterator>

#include "base/clock.h"
#include "base/hash.h"
#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr std::string_view head = "xdpctl bans 2 "; // and when it was written
constexpr size_t fields = 6;
constexpr std::string_view forced = "+forced"; // behind the origin

uint64_t unix_of(uint64_t deadline_ns, const Clocks& clocks)
{
    if (deadline_ns < clocks.now_ns) {
        return clocks.unix_s - std::min(clocks.unix_s, (clocks.now_ns - deadline_ns) / ns_per_s);
    }
    return clocks.unix_s + (deadline_ns - clocks.now_ns) / ns_per_s;
}

template <typename Number> bool read_number(std::string_view word, Number& out)
{
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), out);
    return problem == std::errc() && end == word.data() + word.size() && !word.empty();
}

std::optional<std::array<std::string_view, fields>> split(std::string_view line)
{
    std::array<std::string_view, fields> words;
    for (size_t i = 0; i < fields; i++) {
        const size_t space = i + 1 < fields ? line.find(' ') : line.size();
        if (space == std::string_view::npos) {
            return std::nullopt;
        }
        words[i] = line.substr(0, space);
        line.remove_prefix(std::min(space + 1, line.size()));
    }
    return words;
}

Result<SavedBan> decode_line(std::string_view line, const Clocks& clocks)
{
    const auto words = split(line);
    if (!words) {
        return failure("not ADDRESS UNTIL ORIGIN STRIKES HITS REASON");
    }
    const auto& [address, until, origin, strikes, hits, reason] = *words;
    auto source = parse_address(address);
    if (!source) {
        return source.error();
    }
    BanEntry entry{*source, {}};
    uint64_t unix_s = 0;
    const bool forever = until == "-";
    const bool is_forced = origin.ends_with(forced);
    const auto known_origin =
        find_ban_origin(origin.substr(0, origin.size() - (is_forced ? forced.size() : 0)));
    if ((!forever && !read_number(until, unix_s)) || !known_origin ||
        !read_number(strikes, entry.ban.strikes) || !read_number(hits, entry.ban.hits)) {
        return failure("a field is not understood");
    }
    entry.ban.origin = *known_origin;
    entry.ban.flags = is_forced ? XDPCTL_BAN_FORCED : 0;
    entry.ban.deadline_ns = forever ? XDPCTL_NO_DEADLINE : deadline_of(unix_s, clocks);
    entry.ban.added_ns = clocks.now_ns;
    return SavedBan{entry, BanReasons::clean(reason)};
}

} // namespace

uint64_t deadline_of(uint64_t unix_s, const Clocks& clocks)
{
    if (unix_s <= clocks.unix_s) {
        const uint64_t over_ns = (clocks.unix_s - unix_s) * ns_per_s;
        return over_ns < clocks.now_ns ? clocks.now_ns - over_ns : 1;
    }
    constexpr uint64_t century_s = 100ULL * 365 * 86400;
    return clocks.now_ns + std::min(unix_s - clocks.unix_s, century_s) * ns_per_s;
}

std::string encode_bans(const std::vector<BanEntry>& bans, const BanReasons& reasons,
                        const Clocks& clocks)
{
    std::string text = fmt::format("{}{}\n", head, clocks.unix_s);
    text.reserve(bans.size() * 48 + 64);
    for (const BanEntry& entry : bans) {
        const bool forever = entry.ban.deadline_ns == XDPCTL_NO_DEADLINE;
        fmt::format_to(std::back_inserter(text), "{} {} {}{} {} {} {}\n", to_string(entry.source),
                       forever ? "-" : std::to_string(unix_of(entry.ban.deadline_ns, clocks)),
                       ban_origin_name(entry.ban.origin),
                       (entry.ban.flags & XDPCTL_BAN_FORCED) != 0 ? forced : "", entry.ban.strikes,
                       entry.ban.hits, reasons.text_of(entry.ban.reason));
    }
    fmt::format_to(std::back_inserter(text), "end {} {:016x}\n", bans.size(), hash_bytes(text));
    return text;
}

Result<std::vector<SavedBan>> decode_bans(std::string_view text, const Clocks& clocks)
{
    if (!text.starts_with(head)) {
        return failure("not a file of bans of version 2");
    }
    const std::string_view whole = text;
    std::vector<SavedBan> bans;
    text.remove_prefix(head.size());
    const size_t first = text.find('\n');
    Clocks then = clocks;
    if (first == std::string_view::npos || !read_number(text.substr(0, first), then.unix_s)) {
        return failure("line 1: not the time when it was written");
    }
    then.unix_s = time_or_saved(clocks.unix_s, then.unix_s);
    text.remove_prefix(first + 1);
    for (size_t number = 2; !text.empty(); number++) {
        const size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        if (line.starts_with("end ")) {
            const std::string_view body = whole.substr(0, whole.size() - text.size());
            const std::string wanted = fmt::format("end {} {:016x}", bans.size(), hash_bytes(body));
            return line == wanted && text.size() == line.size() + 1
                       ? Result<std::vector<SavedBan>>(std::move(bans))
                       : failure("line {}: it is damaged: its bans are not those that were written",
                                 number);
        }
        auto entry = decode_line(line, then);
        if (!entry) {
            return entry.error().in(fmt::format("line {}", number));
        }
        bans.push_back(*entry);
        text.remove_prefix(std::min(end, text.size() - 1) + 1);
    }
    return failure("it is cut short");
}

} // namespace xdpctl
