// SPDX-License-Identifier: Apache-2.0
#include "core/feed.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include <nlohmann/json.hpp>

#include "core/coverage.h"
#include "core/feed_columns.h"
#include "core/json.h"
#include "core/quote.h"

namespace xdpctl
{
namespace
{

constexpr size_t why_most = 160;   // bytes of what is wrong with a line
constexpr size_t line_most = 4096; // no prefix is longer, and JSON takes memory
constexpr size_t entries_most = 20'000'000;
constexpr size_t json_bytes_most = 16UL << 20; // of an array
constexpr size_t row_values_most = 1000;       // of an element of an array
// So many entries may always come or go; fewer go than come, since a list that is emptied
// protects nobody.
constexpr size_t come_free = 1000;
constexpr size_t go_free = 100;
// Likewise of addresses: this part of what the list may cover.
constexpr double share_free = 1.0 / 50;

// By family, as in Coverage.
constexpr std::array family_names = {"IPv4", "IPv6"};
constexpr std::array share_keys = {"max_share_ipv4", "max_share_ipv6"};
Coverage share_most(const FeedConfig& config)
{
    return {config.max_share_ipv4, config.max_share_ipv6};
}

std::string_view trimmed(std::string_view text)
{
    const size_t first = text.find_first_not_of(" \t\r\v\f");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r\v\f") - first + 1);
}

using nlohmann::json;

std::vector<std::string_view> words_of(std::string_view text)
{
    std::vector<std::string_view> words;
    while (!(text = trimmed(text)).empty()) {
        const size_t end = std::min(text.find_first_of(" \t"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

bool is_comment(std::string_view line)
{
    return line.starts_with('#') || line.starts_with(';');
}

std::string_view without_comment(std::string_view line)
{
    for (size_t i = 0; i < line.size(); i++) {
        const bool apart = i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t';
        if (line[i] == '#' || (line[i] == ';' && apart)) {
            return trimmed(line.substr(0, i));
        }
    }
    return line;
}

// START END LENGTH ..., where the three say the same network.
std::optional<AddressRange> dshield_range(const std::vector<std::string_view>& words)
{
    if (words.size() < 3) {
        return std::nullopt;
    }
    const auto network = parse_range(fmt::format("{}/{}", words[0], words[2]));
    const auto last = parse_address(words[1]);
    return network && last && !network->host_bits && network->last == *last
               ? std::optional(*network)
               : std::nullopt;
}

// What stands behind an address may change its meaning: none of it is passed over.
Error why_no_entry(const std::vector<std::string_view>& words)
{
    const auto first = parse_range(words[0]);
    if (!first || words.size() == 1) {
        return first ? failure("it is not understood") : first.error();
    }
    const auto is_address = [](std::string_view word) { return parse_range(word).ok(); };
    if (is_address(words[1])) {
        return failure("two addresses on one line; a range is written FIRST-LAST");
    }
    if (first->first.is_loopback() || words[0] == "0.0.0.0" || words[0] == "::") {
        return failure("this is a file of host names, not of addresses to block");
    }
    return failure("what follows the address is not understood: '{}'", words[1]);
}

Result<AddressRange> range_of_words(std::string_view body)
{
    const auto words = words_of(body);
    if (words.size() == 1) {
        return parse_range(words[0]);
    }
    if (const size_t dash = body.find('-'); // "FIRST - LAST"
        dash != std::string_view::npos && words_of(body.substr(0, dash)).size() == 1 &&
        words_of(body.substr(dash + 1)).size() == 1) {
        return parse_range(body);
    }
    if (words.size() == 2 && words[1].find('.') != std::string_view::npos) { // "ADDRESS NETMASK"
        constexpr uint8_t shortest = 8; // what is less could be an address, too
        const auto mask = parse_address(words[1]);
        const auto length = mask ? netmask_length(*mask) : std::nullopt;
        const auto network = parse_range(fmt::format("{}/{}", words[0], words[1]));
        if (length && *length >= shortest && network && !network->host_bits) {
            return *network;
        }
    }
    if (const auto range = dshield_range(words)) {
        return *range;
    }
    return why_no_entry(words);
}

// Of `ipset save`.
class IpsetReader
{
  public:
    struct Entry {
        AddressRange range;
        bool exception = false;
    };
    // nothing: the line names no entry. ErrorKind::refused: the whole is not to be taken.
    Result<std::optional<Entry>> read(const std::vector<std::string_view>& words)
    {
        if (words[0] == "COMMIT" && words.size() == 1) {
            return std::optional<Entry>();
        }
        if (words.size() < 3) {
            return failure("'{}' needs a set and what it holds", words[0]);
        }
        const size_t at = is_exist(words[1]) && words.size() > 3 ? 2 : 1;
        if (auto done = take_name(words[at]); !done) {
            return done.error();
        }
        if (words[0] == "create") {
            const auto done = create(words, at + 1);
            return done ? Result<std::optional<Entry>>(std::optional<Entry>()) : done.error();
        }
        auto entry = add(words, at + 1);
        return entry ? Result<std::optional<Entry>>(*entry) : entry.error();
    }
    static bool is_for(std::string_view word)
    {
        return word == "create" || word == "add" || word == "COMMIT";
    }

  private:
    static bool is_exist(std::string_view word) { return word == "-exist" || word == "-!"; }

    Result<> take_name(std::string_view name)
    {
        if (!name_.empty() && name_ != name) {
            return failure(ErrorKind::refused,
                           "it holds more than one set: '{}' and '{}'; save the one that is meant",
                           short_quote(name_), short_quote(name));
        }
        name_ = name;
        return Done{};
    }

    Result<> create(const std::vector<std::string_view>& words, size_t at)
    {
        const std::string_view type = words[at];
        if (type != "hash:ip" && type != "hash:net" && type != "bitmap:ip") {
            return failure(ErrorKind::refused,
                           "a set of type '{}' does not name sources alone; hash:ip, hash:net and "
                           "bitmap:ip do",
                           short_quote(type));
        }
        for (size_t i = at + 1; i + 1 < words.size(); i++) {
            if (words[i] == "bitmask") {
                return failure(ErrorKind::refused, "a set with a bitmask is not understood");
            }
            if (words[i] == "netmask") {
                const std::string_view length = words[i + 1];
                const auto [end, problem] =
                    std::from_chars(length.data(), length.data() + length.size(), netmask_);
                if (problem != std::errc() || end != length.data() + length.size() ||
                    netmask_ == 0 || netmask_ > 128) {
                    return failure(ErrorKind::refused, "its netmask is not understood");
                }
            }
        }
        return Done{};
    }

    Result<Entry> add(const std::vector<std::string_view>& words, size_t at) const
    {
        const std::string_view element = words[at];
        if (element.find(',') != std::string_view::npos) {
            return failure(ErrorKind::refused,
                           "'{}' is more than an address: blocking the whole host is not meant",
                           short_quote(element));
        }
        bool exception = false;
        for (size_t i = at + 1; i < words.size(); i++) {
            if (words[i] == "nomatch") {
                exception = true;
            } else if (words[i] == "comment") {
                break; // quoted, and the last that ipset writes
            } else if (has_value(words[i]) && i + 1 < words.size()) {
                i++;
            } else if (!is_exist(words[i])) {
                return failure("'{}' is not understood", words[i]);
            }
        }
        auto range = parse_range(element);
        if (range && netmask_ != 0 && range->first == range->last) { // stands for its network
            range = parse_range(fmt::format("{}/{}", to_string(range->first), netmask_));
        }
        return range ? Result<Entry>(Entry{*range, exception}) : range.error();
    }

    static bool has_value(std::string_view option)
    {
        return option == "timeout" || option == "packets" || option == "bytes" ||
               option == "skbmark" || option == "skbprio" || option == "skbqueue";
    }

    std::string name_;
    uint8_t netmask_ = 0; // of each entry; 0: none
};

void sort_unique(std::vector<Prefix>& prefixes)
{
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
}

// Prefixes in the order of their coming, in bounded memory.
class BoundedPrefixes
{
  public:
    explicit BoundedPrefixes(size_t most) : most_(most), full_(most) {}

    // False where there are more than `most`, without duplicates.
    bool add(const std::vector<Prefix>& prefixes)
    {
        all_.insert(all_.end(), prefixes.begin(), prefixes.end());
        if (all_.size() > full_) {
            sort_unique(all_);
            full_ = std::max(most_, all_.size() * 2);
        }
        return full_ <= most_ * 2;
    }
    bool empty() const { return all_.empty(); }
    // Sorted, without duplicates.
    std::vector<Prefix> take()
    {
        sort_unique(all_);
        return std::move(all_);
    }

  private:
    size_t most_;
    size_t full_; // so many are looked at for duplicates
    std::vector<Prefix> all_;
};

// `prefix` without what `exceptions` (sorted, each inside it) hold; ends behind `most`.
void carve(const Prefix& prefix, std::span<const Prefix> exceptions, size_t most,
           std::vector<Prefix>& out)
{
    if (exceptions.empty()) {
        out.push_back(prefix);
        return;
    }
    if (exceptions.front() == prefix || out.size() > most) {
        return; // what is left after it is inside it
    }
    const Prefix left{prefix.address, static_cast<uint8_t>(prefix.length + 1)};
    Prefix right = left;
    right.address.bytes[prefix.length / 8] |= static_cast<uint8_t>(0x80U >> (prefix.length % 8));
    const auto middle = std::partition_point(
        exceptions.begin(), exceptions.end(),
        [&right](const Prefix& exception) { return exception.address < right.address; });
    carve(left, {exceptions.begin(), middle}, most, out);
    carve(right, {middle, exceptions.end()}, most, out);
}

// As ipset matches: of an address the longest entry that covers it decides, so an exception
// is taken out of the networks around it only. Both sorted; more than `most` where there are.
std::vector<Prefix> without_exceptions(const std::vector<Prefix>& prefixes,
                                       const std::vector<Prefix>& exceptions, size_t most)
{
    std::vector<Prefix> out;
    for (const Prefix& prefix : prefixes) {
        const auto from = std::lower_bound(exceptions.begin(), exceptions.end(), prefix);
        const auto to = std::find_if_not(from, exceptions.end(),
                                         [&prefix](const Prefix& e) { return prefix.contains(e); });
        carve(prefix, {from, to}, most * 2, out); // some of them may be the same
    }
    sort_unique(out);
    return out;
}

class FeedReader
{
  public:
    explicit FeedReader(const FeedConfig& config)
        : config_(config), most_(std::min<size_t>(config.max_entries, entries_most)),
          prefixes_(most_), exceptions_(most_)
    {
    }

    Result<FeedText> read(std::string_view text)
    {
        if (text.starts_with("\xef\xbb\xbf")) { // some editors' mark of UTF-8
            text.remove_prefix(3);
        }
        const std::string_view begin =
            text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
        if (begin.starts_with('<')) {
            return failure("it is no list but a page of HTML or XML: '{}'",
                           short_quote(begin.substr(0, begin.find('\n'))));
        }
        if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
            return failure("it is UTF-16; UTF-8 or ASCII is understood");
        }
        auto done = is_json_document(begin) ? read_array(begin) : read_lines(text);
        return done ? finish() : done.error();
    }

  private:
    static bool is_json_document(std::string_view text)
    {
        const size_t second = text.find_first_not_of(" \t\r\n", 1);
        const char next = second < text.size() ? text[second] : ' ';
        return (text.starts_with('[') && (next == '{' || next == '"' || next == ']')) ||
               (text.starts_with('{') && !json::accept(text.substr(0, text.find('\n'))));
    }

    Result<> read_lines(std::string_view text)
    {
        while (!text.empty()) {
            number_++;
            const size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = trimmed(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
            if (line.size() > line_most) {
                fault(line, "a line of more than 4096 bytes");
                continue;
            }
            auto done = read_line(line);
            if (!done && done.error().kind == ErrorKind::refused) {
                return failure("line {}: {}", number_, done.error().message);
            }
            if (!done) {
                fault(line, done.error().message);
            }
        }
        return Done{};
    }

    Result<> read_line(std::string_view line)
    {
        if (line.empty()) {
            return Done{};
        }
        if (is_comment(line)) {
            comment_ = trimmed(line.substr(std::min(line.find_first_not_of("#; \t"), line.size())));
            return Done{};
        }
        if (line.starts_with('{')) {
            const auto row = parse_json_bounded(line);
            return row ? read_object(*row) : Result<>(failure("not a JSON object"));
        }
        if (columns_) {
            return read_row(line);
        }
        if (line.find_first_of(" \t,;#") == std::string_view::npos) { // as most lines are
            if (const auto range = parse_range(line)) {
                return take(range);
            }
        }
        const auto words = words_of(line);
        if (IpsetReader::is_for(words[0])) {
            auto entry = ipset_.read(words);
            return entry && *entry ? take((*entry)->range, (*entry)->exception)
                   : entry         ? Result<>(Done{})
                                   : entry.error();
        }
        if (words.size() > 1 &&
            (words[0] == "ExitNode" || words[0] == "Published" || words[0] == "LastStatus")) {
            return Done{}; // of Tor's exit-addresses
        }
        if (words.size() == 4 && words[0] == "ExitAddress") {
            return take(parse_range(words[1]));
        }
        const std::string_view body = without_comment(line);
        const auto range = range_of_words(body);
        return range || feed_.entries > 0 ? take(range) : read_header(line, range.error());
    }

    // The first line that is no comment and no entry may name the columns of what follows;
    // or it is the first of a table whose columns the comment above it names.
    Result<> read_header(std::string_view line, const Error& why)
    {
        if (feed_.faults > 0) {
            return why;
        }
        const char found = delimiter_of(line);
        delimiter_ = found == 0 ? ',' : found;
        const auto cells = split_cells(line, delimiter_);
        if (!cells) {
            return cells.error();
        }
        const bool has_address = std::any_of(
            cells->begin(), cells->end(), [](const auto& cell) { return parse_range(cell).ok(); });
        const auto names = has_address ? split_cells(comment_, delimiter_) : cells;
        auto columns = names && names->size() >= cells->size()
                           ? find_columns(*names)
                           : failure("no header says which column names the addresses");
        if (!columns) {
            const bool is_table = found != 0 && !(found == '\t' && has_address);
            return is_table ? failure(ErrorKind::refused, "'{}': this is a table, and {}",
                                      short_quote(line), told(columns.error().message, line))
                            : why;
        }
        columns_ = *columns;
        return has_address ? read_row(line) : Done{};
    }

    Result<> read_row(std::string_view line)
    {
        const auto cells = split_cells(line, delimiter_);
        if (!cells) {
            return cells.error();
        }
        return take(range_of_row(*columns_, [&cells](size_t i) {
            return i < cells->size() ? Result<std::string>((*cells)[i])
                                     : failure("the row is shorter than the header");
        }));
    }

    // A line of JSON, or an element of an array.
    Result<> read_object(const json& row)
    {
        if (!row.is_object()) {
            return failure("not a JSON object");
        }
        if (row.contains("type") && row["type"] == "metadata") { // of Spamhaus DROP
            return Done{};
        }
        std::vector<std::string> names;
        for (const auto& [name, value] : row.items()) {
            names.push_back(name);
        }
        const auto columns = find_columns(names);
        if (!columns) {
            return columns.error();
        }
        return take(range_of_row(*columns, [&](size_t i) {
            const json& value = row[names[i]];
            return value.is_string() ? Result<std::string>(value.get<std::string>())
                   : value.is_number_unsigned()
                       ? std::to_string(value.get<uint64_t>())
                       : Result<std::string>(failure("'{}' is not a string", names[i]));
        }));
    }

    // Row by row: all of it would take many times its size in memory.
    Result<> read_array(std::string_view text)
    {
        if (text.size() > json_bytes_most) {
            return failure("it is JSON of more than {} bytes; JSON lines may be longer",
                           json_bytes_most);
        }
        const Error no_array =
            failure("it is JSON, but neither an array nor an object on each line: '{}'",
                    short_quote(text.substr(0, text.find('\n'))));
        using Event = json::parse_event_t;
        Result<> done = Done{};
        size_t values = 0;
        const auto keep = [&](int depth, Event event, json& value) {
            if (done && depth == 0 && event == Event::object_start) {
                done = no_array;
            } else if (done && depth > 1 && ++values > row_values_most) {
                done = failure("element {}: more than {} values", number_ + 1, row_values_most);
            }
            const bool is_row =
                depth == 1 && event != Event::object_start && event != Event::array_start;
            if (done && is_row) {
                values = 0;
                done = read_element(value);
            }
            return done && !is_row;
        };
        const json rest = json::parse(text, keep, false);
        return done && rest.is_discarded() ? Result<>(no_array) : done;
    }

    // An error where nothing more is to be read.
    Result<> read_element(const json& row)
    {
        number_++;
        auto done = row.is_string() ? take(parse_range(row.get<std::string>())) : read_object(row);
        if (!done && done.error().kind == ErrorKind::refused) {
            return done;
        }
        if (!done) {
            fault(row.dump(-1, ' ', false, json::error_handler_t::replace), done.error().message);
        }
        return Done{};
    }

    Result<> take(const Result<AddressRange>& range, bool exception = false)
    {
        if (!range) {
            return range.error();
        }
        feed_.entries++;
        feed_.host_bits += range->host_bits ? 1 : 0;
        const bool ipv4 = range->first.is_ipv4() && range->last.is_ipv4();
        const auto widest = static_cast<uint8_t>(
            std::min(ipv4 ? 96 + config_.widest_ipv4 : config_.widest_ipv6, 128U));
        if (!exception && is_wider_than(*range, widest)) {
            if (feed_.too_wide++ == 0) {
                feed_.first_too_wide = {
                    number_, fmt::format("{}-{}", to_string(range->first), to_string(range->last)),
                    fmt::format("wider than /{}",
                                ipv4 ? config_.widest_ipv4 : config_.widest_ipv6)};
            }
            return Done{};
        }
        const bool fits = (exception ? exceptions_ : prefixes_).add(prefixes_of(*range));
        return fits ? Result<>(Done{}) : too_many();
    }

    // A cause that quotes the line, or the comment above it, which may name columns.
    std::string told(std::string_view why, std::string_view line) const
    {
        return with_short_quotes(with_short_quotes(why, line), comment_);
    }

    void fault(std::string_view line, std::string_view why)
    {
        if (feed_.faults++ == 0) {
            const bool is_long = line.size() > line_most;
            feed_.first_fault = {number_, short_quote(line),
                                 is_long ? "a line of more than 4096 bytes"
                                         : told(why, line).substr(0, why_most)};
        }
    }

    Error too_many() const
    {
        return failure(ErrorKind::refused, "it has at least {} entries, at most {} are expected",
                       most_ + 1, most_);
    }

    Result<FeedText> finish()
    {
        feed_.prefixes = prefixes_.take();
        if (!exceptions_.empty()) {
            feed_.prefixes = without_exceptions(feed_.prefixes, exceptions_.take(), most_);
        }
        return feed_.prefixes.size() > most_ ? Result<FeedText>(too_many()) : std::move(feed_);
    }

    const FeedConfig& config_;
    FeedText feed_;
    IpsetReader ipset_;
    size_t most_; // entries
    BoundedPrefixes prefixes_;
    BoundedPrefixes exceptions_;
    std::string comment_; // the last one
    std::optional<FeedColumns> columns_;
    char delimiter_ = 0;
    size_t number_ = 0; // of the line, or of the element of an array
};

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

Result<FeedText> parse_feed(std::string_view text, const FeedConfig& config)
{
    return FeedReader(config).read(text);
}

Result<FeedTaken> take_feed(FeedText text, const FeedConfig& config,
                            const ProtectedSet& protected_set)
{
    if (text.faults > config.max_faulty_lines) {
        return failure("line {}: '{}': {}{}; the list is not taken", text.first_fault.line,
                       text.first_fault.text, text.first_fault.why,
                       text.faults > 1
                           ? fmt::format(" (and {} more are not understood)", text.faults - 1)
                           : "");
    }
    // Who empties his own file means it.
    const bool may_be_empty = config.is_file() && config.min_entries <= 1;
    if (text.prefixes.size() + text.too_wide < config.min_entries && !may_be_empty) {
        return failure("it has {} entries, at least {} are expected", text.prefixes.size(),
                       config.min_entries);
    }
    FeedTaken taken;
    taken.too_wide = text.too_wide;
    taken.first_refused = text.first_too_wide;
    for (const Prefix& prefix : text.prefixes) {
        const auto why = protected_set.refuses(prefix, Authority::automatic);
        if (!why) {
            taken.prefixes.push_back(prefix);
        } else if (taken.too_wide + taken.protected_here++ == 0) {
            taken.first_refused = {0, to_string(prefix), *why};
        }
    }
    return taken;
}

Result<> accept_share(const std::vector<Prefix>& prefixes, const FeedConfig& config)
{
    const Coverage share = coverage_of(prefixes);
    const Coverage most = share_most(config);
    for (size_t family = 0; family < share.size(); family++) {
        if (share[family] > most[family]) {
            return failure(ErrorKind::refused,
                           "it covers {:.3g} % of the public {} addresses, at most {} % are "
                           "expected: raise {}, or `xdpctl feed refresh {} --force` "
                           "takes it once",
                           share[family], family_names[family], most[family], share_keys[family],
                           config.name);
        }
    }
    return Done{};
}

namespace
{

// The same of the addresses that are covered.
Result<> accept_coverage_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after,
                                const FeedConfig& config)
{
    const CoverageChange change = coverage_change(before, after);
    const Coverage most = share_most(config);
    for (size_t family = 0; family < most.size(); family++) {
        const double share =
            std::max(change.before[family] * config.max_change / 100, most[family] * share_free);
        if (change.go[family] > share || change.come[family] > share) {
            return failure(ErrorKind::refused,
                           "{:.3g} % of the public {} addresses go and {:.3g} % come, of {:.3g} %: "
                           "more than {} % at once; `xdpctl feed refresh {} --force` takes it",
                           change.go[family], family_names[family], change.come[family],
                           change.before[family], config.max_change, config.name);
        }
    }
    return Done{};
}

} // namespace

Result<> accept_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after,
                       const FeedConfig& config)
{
    if (before.empty() || config.is_file()) { // a file is what the operator says
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
    const size_t go = before.size() - kept;
    const size_t come = after.size() - kept;
    const size_t share = before.size() * config.max_change / 100;
    if (go > std::max(go_free, share) || come > std::max(come_free, share)) {
        return failure(ErrorKind::refused,
                       "{} entries go and {} come, of {}: more than {} % at once; "
                       "`xdpctl feed refresh {} --force` takes it",
                       go, come, before.size(), config.max_change, config.name);
    }
    return accept_coverage_change(before, after, config);
}

} // namespace xdpctl
