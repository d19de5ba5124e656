// SPDX-License-Identifier: Apache-2.0
#include "host/server_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <ctime>

namespace xdpctl
{
namespace
{

using Words = std::vector<std::string_view>;

constexpr std::string_view blanks = " \t\r\f\v";

std::string lower(std::string_view text)
{
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

std::string_view trimmed(std::string_view text)
{
    const size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string_view unquoted(std::string_view text)
{
    const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                        text.front() == text.back();
    return quoted ? text.substr(1, text.size() - 2) : text;
}

// Calls back for each line, without its end and without the mark that some editors put first.
template <typename Visit> void for_each_line(std::string_view text, Visit visit)
{
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.starts_with(byte_order_mark)) {
        text.remove_prefix(byte_order_mark.size());
    }
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        visit(trimmed(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

// Words between any of these.
Words split(std::string_view text, std::string_view separators)
{
    Words words;
    while (true) {
        const size_t first = text.find_first_not_of(separators);
        if (first == std::string_view::npos) {
            return words;
        }
        text.remove_prefix(first);
        const size_t end = std::min(text.find_first_of(separators), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

void add_server(std::string_view word, std::vector<Address>& to)
{
    if (const auto server = parse_server(word)) {
        to.push_back(*server);
    }
}

// KEY=VALUE, with a ';' or '#' in front for a comment.
std::optional<std::pair<std::string_view, std::string_view>> assignment(std::string_view line)
{
    const size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || line.front() == ';' ||
        equals == std::string_view::npos) {
        return std::nullopt;
    }
    return std::pair(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
}

} // namespace

std::optional<Address> parse_server(std::string_view word)
{
    word = unquoted(word);
    if (word.starts_with('[')) {
        word = word.substr(1, word.find(']') - 1);
    }
    word = word.substr(0, word.find_first_of("#@%"));
    if (std::count(word.begin(), word.end(), ':') == 1) {
        word = word.substr(0, word.find(':')); // IPv4 with a port
    }
    if (word.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    const auto address = parse_address(word);
    return address ? std::optional(*address) : std::nullopt;
}

std::vector<Address> parse_resolvers(std::string_view text)
{
    std::vector<Address> found;
    for_each_line(text, [&found](std::string_view line) {
        const Words words = split(line, blanks);
        if (words.empty() || lower(words.front()) != "nameserver") {
            return;
        }
        // The C library takes the first word only; others take all.
        for (size_t i = 1; i < words.size() && !words[i].starts_with('#'); i++) {
            const size_t comment = words[i].find(';');
            add_server(words[i].substr(0, comment), found);
            if (comment != std::string_view::npos) {
                break;
            }
        }
    });
    return found;
}

std::vector<Address> parse_assigned(std::string_view text, const Words& keys)
{
    std::vector<Address> found;
    bool continued = false; // the line before ended in a backslash
    for_each_line(text, [&](std::string_view line) {
        const bool goes_on = line.ends_with('\\');
        std::string_view value = goes_on ? line.substr(0, line.size() - 1) : line;
        if (!continued) {
            const auto pair = assignment(value);
            if (!pair || std::find(keys.begin(), keys.end(), pair->first) == keys.end()) {
                return;
            }
            value = pair->second;
        }
        continued = goes_on;
        for (const std::string_view word : split(unquoted(value), " \t\r,;\"")) {
            add_server(word, found);
        }
    });
    return found;
}

ServerFile parse_dnsmasq(std::string_view text)
{
    ServerFile file;
    for_each_line(text, [&file](std::string_view line) {
        // A '#' after a blank begins a comment; one in a word is a port.
        const size_t comment = std::min(line.find(" #"), line.find("\t#"));
        const auto pair = assignment(trimmed(line.substr(0, comment)));
        if (!pair) {
            return;
        }
        const std::string_view key = pair->first;
        const std::string_view value = unquoted(pair->second);
        const std::string_view first = value.substr(0, value.find(','));
        if (key == "server") {
            // "/domain/domain/ADDRESS#PORT@SOURCE"
            const size_t slash = value.rfind('/');
            add_server(value.substr(slash == std::string_view::npos ? 0 : slash + 1), file.servers);
        } else if (key == "rev-server" && first.size() < value.size()) {
            add_server(value.substr(first.size() + 1), file.servers);
        } else if (key == "resolv-file") {
            file.resolv_confs.emplace_back(value);
        } else if (key == "conf-file" || key == "servers-file") {
            file.includes.emplace_back(value);
        } else if (key == "conf-dir") {
            file.includes.push_back(std::string(first) + "/*");
        }
    });
    return file;
}

ServerFile parse_unbound(std::string_view text)
{
    constexpr std::array<std::string_view, 6> sections = {
        "server", "forward-zone", "stub-zone", "auth-zone", "view", "remote-control"};
    ServerFile file;
    std::string key; // of the value that is expected
    for_each_line(text, [&](std::string_view line) {
        for (std::string_view word : split(line, blanks)) {
            if (word.starts_with('#')) {
                break;
            }
            if (std::find(sections.begin(), sections.end(), key) != sections.end()) {
                key.clear(); // has no value
            }
            if (key.empty()) {
                const size_t colon = word.find(':');
                if (colon == std::string_view::npos) {
                    continue;
                }
                key = lower(word.substr(0, colon));
                word.remove_prefix(colon + 1);
                if (word.empty()) {
                    continue;
                }
            }
            if (key == "forward-addr" || key == "stub-addr") {
                add_server(word, file.servers);
            } else if (key == "include" || key == "include-toplevel") {
                file.includes.emplace_back(unquoted(word));
            }
            key.clear();
        }
        key.clear();
    });
    return file;
}

namespace
{

// Without the comments of named.conf(5): // and # to the end of the line, and C's.
std::string without_comments(std::string_view text)
{
    std::string kept;
    bool quoted = false;
    for (size_t i = 0; i < text.size(); i++) {
        const std::string_view rest = text.substr(i);
        quoted = rest.front() == '"' ? !quoted : quoted;
        if (!quoted && (rest.starts_with("//") || rest.front() == '#')) {
            i += std::min(rest.find('\n'), rest.size()) - 1;
        } else if (!quoted && rest.starts_with("/*")) {
            const size_t end = rest.find("*/", 2);
            i += end == std::string_view::npos ? rest.size() : end + 1;
            kept += ' ';
        } else {
            kept += rest.front();
        }
    }
    return kept;
}

} // namespace

ServerFile parse_named(std::string_view text)
{
    ServerFile file;
    std::string spaced;
    for (const char c : without_comments(text)) {
        if (c == '{' || c == '}' || c == ';') {
            spaced += {' ', c, ' '};
        } else {
            spaced += c;
        }
    }
    enum { outside, begun, inside } forwarders = outside;
    bool first = false; // a word that begins an entry
    bool include = false;
    for (const std::string_view word : split(spaced, " \t\r\n\f\v")) {
        if (include) {
            file.includes.emplace_back(unquoted(word));
            include = false;
        } else if (forwarders == outside) {
            forwarders = word == "forwarders" ? begun : outside;
            include = word == "include";
        } else if (word == "{") {
            forwarders = inside;
            first = true;
        } else if (word == "}" || (word == ";" && forwarders == begun)) {
            forwarders = outside;
        } else if (forwarders == inside) {
            if (first) {
                add_server(word, file.servers); // then "port 853 tls NAME"
            }
            first = word == ";";
        }
    }
    return file;
}

ServerFile parse_time_servers(std::string_view text)
{
    ServerFile file;
    for_each_line(text, [&file](std::string_view line) {
        const Words words = split(line, blanks);
        if (words.size() < 2) {
            return;
        }
        const std::string key = lower(words.front());
        if (key == "server" || key == "peer" || key == "pool" || key == "servers") {
            // ntp.conf(5): "server -4 ADDRESS"
            const size_t at = words[1] == "-4" || words[1] == "-6" ? 2 : 1;
            if (at < words.size()) {
                add_server(words[at], file.servers);
            }
        } else if (key == "include" || key == "includefile") {
            file.includes.emplace_back(unquoted(words[1]));
        } else if (key == "confdir" || key == "sourcedir") {
            const std::string pattern = key == "confdir" ? "/*.conf" : "/*.sources";
            for (size_t i = 1; i < words.size(); i++) {
                file.includes.push_back(std::string(words[i]) + pattern);
            }
        }
    });
    return file;
}

namespace
{

// The options that matter: the letter, and the name by which the configuration file calls it.
struct CommandOption {
    char letter; // ' ': none
    std::string_view name;
};
constexpr std::array dnsmasq_options = {
    CommandOption{'S', "server"},       CommandOption{' ', "rev-server"},
    CommandOption{'C', "conf-file"},    CommandOption{'7', "conf-dir"},
    CommandOption{' ', "servers-file"}, CommandOption{'r', "resolv-file"}};

// "--server=X", "--server X", "-S X", "-SX" as "server=X".
std::string as_dnsmasq_file(const std::vector<std::string>& arguments)
{
    std::string text;
    for (size_t i = 0; i < arguments.size(); i++) {
        const std::string_view argument = arguments[i];
        const std::string next = i + 1 < arguments.size() ? arguments[i + 1] : "";
        for (const CommandOption& option : dnsmasq_options) {
            const std::string longer = fmt::format("--{}", option.name);
            const std::string shorter = fmt::format("-{}", option.letter);
            std::string value;
            if (argument == longer || argument == shorter) {
                value = next;
            } else if (argument.starts_with(longer + "=")) {
                value = argument.substr(longer.size() + 1);
            } else if (!argument.starts_with("--") && argument.starts_with(shorter)) {
                value = argument.substr(shorter.size());
            } else {
                continue;
            }
            text += fmt::format("{}={}\n", option.name, value);
        }
    }
    return text;
}

} // namespace

ServerFile parse_server_command(std::string_view name, const std::vector<std::string>& arguments)
{
    if (name == "dnsmasq") {
        return parse_dnsmasq(as_dnsmasq_file(arguments));
    }
    // Of the others one option names the file; chronyd also takes directives as arguments.
    const std::string_view option = name == "chronyd" ? "-f" : "-c";
    ServerFile file;
    for (size_t i = 0; i < arguments.size(); i++) {
        const std::string_view argument = arguments[i];
        if (argument == option && i + 1 < arguments.size()) {
            file.includes.push_back(arguments[i + 1]);
        } else if (argument.starts_with(option) && argument.size() > option.size()) {
            file.includes.emplace_back(argument.substr(option.size()));
        } else if (name == "chronyd" && !argument.starts_with('-')) {
            const ServerFile directive = parse_time_servers(argument);
            file.servers.insert(file.servers.end(), directive.servers.begin(),
                                directive.servers.end());
        }
    }
    return file;
}

Lease parse_networkd_lease(std::string_view text)
{
    return {parse_assigned(text, {"SERVER_ADDRESS"}), parse_assigned(text, {"ROUTER"}),
            parse_assigned(text, {"DNS"}), parse_assigned(text, {"NTP"})};
}

namespace
{

// "4 2024/02/01 12:00:00" in UTC, "epoch 1706788800", or "never".
bool is_over(const Words& expire, uint64_t now_unix_s)
{
    const auto number = [](std::string_view word) {
        long value = 0;
        const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
        return problem == std::errc() && end == word.data() + word.size() ? value : -1;
    };
    if (expire.size() == 2 && expire[0] == "epoch") {
        const long at = number(expire[1]);
        return at >= 0 && static_cast<uint64_t>(at) < now_unix_s;
    }
    if (expire.size() != 3) {
        return false; // "never", or not understood
    }
    const Words date = split(expire[1], "/");
    const Words time = split(expire[2], ":");
    if (date.size() != 3 || time.size() != 3) {
        return false;
    }
    std::tm parts{};
    parts.tm_year = static_cast<int>(std::clamp(number(date[0]), 1970L, 9999L)) - 1900;
    parts.tm_mon = static_cast<int>(std::clamp(number(date[1]), 1L, 12L)) - 1;
    parts.tm_mday = static_cast<int>(std::clamp(number(date[2]), 1L, 31L));
    parts.tm_hour = static_cast<int>(std::clamp(number(time[0]), 0L, 23L));
    parts.tm_min = static_cast<int>(std::clamp(number(time[1]), 0L, 59L));
    parts.tm_sec = static_cast<int>(std::clamp(number(time[2]), 0L, 60L));
    const time_t at = timegm(&parts);
    return at >= 0 && static_cast<uint64_t>(at) < now_unix_s;
}

void append(const std::vector<Address>& from, std::vector<Address>& to)
{
    to.insert(to.end(), from.begin(), from.end());
}

void read_lease_option(const Words& words, Lease& lease)
{
    if (words.size() < 3 || words[0] != "option") {
        return;
    }
    std::vector<Address>* to =
        words[1] == "dhcp-server-identifier" ? &lease.dhcp_servers
        : words[1] == "routers"              ? &lease.routers
        : words[1] == "domain-name-servers" || words[1] == "dhcp6.name-servers" ? &lease.resolvers
        : words[1] == "ntp-servers" || words[1] == "dhcp6.sntp-servers" ? &lease.time_servers
                                                                        : nullptr;
    for (size_t i = 2; to != nullptr && i < words.size(); i++) {
        add_server(words[i], *to);
    }
}

} // namespace

Lease parse_dhclient_leases(std::string_view text, uint64_t now_unix_s)
{
    Lease all;
    Lease lease;
    bool over = false;
    size_t depth = 0;
    // A statement ends at ';', a block at '}'.
    while (true) {
        const size_t end = text.find_first_of(";{}");
        if (end == std::string_view::npos) {
            return all; // a lease that is cut short is not known to hold
        }
        std::string_view statement = text.substr(0, end);
        const char mark = text[end];
        text.remove_prefix(end + 1);
        if (const size_t comment = statement.find('#'); comment != std::string_view::npos) {
            const size_t line_end = std::min(statement.find('\n', comment), statement.size());
            statement = statement.substr(line_end);
        }
        const Words words = split(statement, " \t\r\n,");
        if (mark == '{') {
            if (depth++ == 0) {
                lease = {};
                over = false;
            }
        } else if (mark == '}') {
            depth -= depth > 0 ? 1 : 0;
            if (depth == 0 && !over) {
                append(lease.dhcp_servers, all.dhcp_servers);
                append(lease.routers, all.routers);
                append(lease.resolvers, all.resolvers);
                append(lease.time_servers, all.time_servers);
            }
        } else if (!words.empty() && words[0] == "expire") {
            over = is_over(Words(words.begin() + 1, words.end()), now_unix_s);
        } else {
            read_lease_option(words, lease);
        }
    }
}

} // namespace xdpctl
