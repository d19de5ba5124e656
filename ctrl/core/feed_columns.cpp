// SPDX-License-Identifier: Apache-2.0
#include "core/feed_columns.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace xdpctl
{
namespace
{

enum class Role { none, address, first, last, length, action };

struct RoleName {
    std::string_view name; // letters and digits only
    Role role;
};

constexpr std::array role_names = {
    RoleName{"address", Role::address},
    RoleName{"addr", Role::address},
    RoleName{"ip", Role::address},
    RoleName{"ips", Role::address},
    RoleName{"ipaddr", Role::address},
    RoleName{"ipaddress", Role::address},
    RoleName{"ipv4", Role::address},
    RoleName{"ipv6", Role::address},
    RoleName{"ipv4address", Role::address},
    RoleName{"ipv6address", Role::address},
    RoleName{"cidr", Role::address},
    RoleName{"ipcidr", Role::address},
    RoleName{"network", Role::address},
    RoleName{"net", Role::address},
    RoleName{"subnet", Role::address},
    RoleName{"netblock", Role::address},
    RoleName{"prefix", Role::address},
    RoleName{"ipprefix", Role::address},
    RoleName{"ipv4prefix", Role::address},
    RoleName{"ipv6prefix", Role::address},
    RoleName{"range", Role::address},
    RoleName{"iprange", Role::address},
    RoleName{"srcip", Role::address},
    RoleName{"sourceip", Role::address},
    RoleName{"srcaddr", Role::address},
    RoleName{"sourceaddress", Role::address},
    RoleName{"dstip", Role::address},
    RoleName{"destip", Role::address},
    RoleName{"dstaddr", Role::address},
    RoleName{"destinationip", Role::address},
    RoleName{"destinationaddress", Role::address},
    RoleName{"start", Role::first},
    RoleName{"startip", Role::first},
    RoleName{"startaddress", Role::first},
    RoleName{"startipaddress", Role::first},
    RoleName{"ipstart", Role::first},
    RoleName{"rangestart", Role::first},
    RoleName{"begin", Role::first},
    RoleName{"beginip", Role::first},
    RoleName{"ipbegin", Role::first},
    RoleName{"from", Role::first},
    RoleName{"ipfrom", Role::first},
    RoleName{"first", Role::first},
    RoleName{"firstip", Role::first},
    RoleName{"firstaddress", Role::first},
    RoleName{"end", Role::last},
    RoleName{"endip", Role::last},
    RoleName{"endaddress", Role::last},
    RoleName{"endipaddress", Role::last},
    RoleName{"ipend", Role::last},
    RoleName{"rangeend", Role::last},
    RoleName{"to", Role::last},
    RoleName{"ipto", Role::last},
    RoleName{"last", Role::last},
    RoleName{"lastip", Role::last},
    RoleName{"lastaddress", Role::last},
    RoleName{"netmask", Role::length},
    RoleName{"mask", Role::length},
    RoleName{"subnetmask", Role::length},
    RoleName{"masklength", Role::length},
    RoleName{"prefixlength", Role::length},
    RoleName{"prefixlen", Role::length},
    RoleName{"bits", Role::length},
    RoleName{"action", Role::action},
    RoleName{"verdict", Role::action},
    RoleName{"policy", Role::action},
    RoleName{"decision", Role::action},
    RoleName{"disposition", Role::action},
    RoleName{"permission", Role::action},
    RoleName{"access", Role::action},
};

Role role_of(std::string_view name)
{
    std::string plain;
    for (const char c : name) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            plain += c;
        } else if (c >= 'A' && c <= 'Z') {
            plain += static_cast<char>(c - 'A' + 'a');
        }
    }
    const auto* found = std::find_if(role_names.begin(), role_names.end(),
                                     [&plain](const RoleName& r) { return r.name == plain; });
    return found == role_names.end() ? Role::none : found->role;
}

std::string quoted(const std::vector<std::string>& names)
{
    constexpr size_t shown_most = 6;
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), shown_most); i++) {
        text += fmt::format("{}'{}'", i == 0 ? "" : ", ", names[i]);
    }
    return text + (names.size() > shown_most ? ", ..." : "");
}

// Of "24" or "255.255.255.0".
std::optional<uint8_t> length_of(std::string_view text)
{
    if (text.find('.') != std::string_view::npos) {
        const auto mask = parse_address(text);
        return mask ? netmask_length(*mask) : std::nullopt;
    }
    uint8_t length = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), length);
    return problem == std::errc() && end == text.data() + text.size() ? std::optional(length)
                                                                      : std::nullopt;
}

// The row says twice how wide it is: both must say the same.
Result<AddressRange> confirmed(const AddressRange& range, std::string_view length)
{
    const auto bits = length_of(length);
    const auto same =
        bits ? parse_range(fmt::format("{}/{}", to_string(range.first), *bits))
             : Result<AddressRange>(failure("'{}' is neither a netmask nor a length", length));
    if (!same) {
        return same.error();
    }
    return same->first == range.first && same->last == range.last
               ? Result<AddressRange>(range)
               : failure("{} to {} is not a network of length {}", to_string(range.first),
                         to_string(range.last), length);
}

} // namespace

Result<FeedColumns> find_columns(const std::vector<std::string>& names)
{
    FeedColumns columns;
    std::vector<std::string> candidates;
    for (size_t i = 0; i < names.size(); i++) {
        const Role role = role_of(names[i]);
        if (role == Role::action) {
            return failure("its '{}' may say that an entry is not to be blocked", names[i]);
        }
        std::optional<size_t>* place = role == Role::address  ? &columns.address
                                       : role == Role::first  ? &columns.first
                                       : role == Role::last   ? &columns.last
                                       : role == Role::length ? &columns.length
                                                              : nullptr;
        if (place == nullptr) {
            continue;
        }
        if (role != Role::length) {
            candidates.push_back(names[i]);
        }
        if (*place) {
            return failure("both '{}' and '{}' may be what is meant", names[**place], names[i]);
        }
        *place = i;
    }
    if (columns.first.has_value() != columns.last.has_value() ||
        columns.address.has_value() == columns.first.has_value()) {
        return candidates.empty()
                   ? failure("none of {} is known to name addresses", quoted(names))
                   : failure("it is not clear which of {} names the addresses", quoted(candidates));
    }
    return columns;
}

Result<AddressRange> range_of_row(const FeedColumns& columns,
                                  const std::function<Result<std::string>(size_t)>& cell)
{
    const auto length = columns.length ? cell(*columns.length) : Result<std::string>(std::string());
    if (!length) {
        return length.error();
    }
    if (columns.first) {
        const auto first = cell(*columns.first);
        const auto last = cell(*columns.last);
        if (!first || !last) {
            return !first ? first.error() : last.error();
        }
        auto range = parse_range(*first + "-" + *last);
        return range && columns.length ? confirmed(*range, *length) : range;
    }
    const auto address = cell(*columns.address);
    if (!address) {
        return address.error();
    }
    if (!columns.length) {
        return parse_range(*address);
    }
    if (address->find_first_of("/-") != std::string::npos) {
        const auto range = parse_range(*address);
        return range ? confirmed(*range, *length) : range;
    }
    return parse_range(*address + "/" + *length);
}

Result<std::vector<std::string>> split_cells(std::string_view line, char delimiter)
{
    std::vector<std::string> cells;
    const auto trimmed = [](std::string_view text) {
        const size_t from = std::min(text.find_first_not_of(" \t"), text.size());
        return std::string(text.substr(from, text.find_last_not_of(" \t") + 1 - from));
    };
    for (;;) {
        const size_t from = std::min(line.find_first_not_of(" "), line.size());
        if (delimiter != '\t' && line.substr(from).starts_with('"')) {
            std::string text;
            line.remove_prefix(from + 1);
            for (;;) {
                const size_t quote = line.find('"');
                if (quote == std::string_view::npos) {
                    return failure("a quoted cell does not end");
                }
                text += line.substr(0, quote);
                line.remove_prefix(quote + 1);
                if (!line.starts_with('"')) {
                    break;
                }
                text += '"';
                line.remove_prefix(1);
            }
            cells.push_back(trimmed(text));
            line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
            if (!line.empty() && line.front() != delimiter) {
                return failure("text follows a quoted cell");
            }
        } else {
            cells.push_back(trimmed(line.substr(0, line.find(delimiter))));
            line.remove_prefix(std::min(line.find(delimiter), line.size()));
        }
        if (line.empty()) {
            return cells;
        }
        line.remove_prefix(1);
    }
}

char delimiter_of(std::string_view line)
{
    char best = 0;
    std::ptrdiff_t most = 0;
    for (const char c : {',', ';', '\t', '|'}) {
        const std::ptrdiff_t count = std::count(line.begin(), line.end(), c);
        if (count > most) {
            best = c;
            most = count;
        }
    }
    return best;
}

} // namespace xdpctl
