// SPDX-License-Identifier: Apache-2.0
#include "core/config.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include <toml++/toml.h>

#include <xdpctl/abi/reflectors.h>

#include "core/feed.h"
#include "core/reasons.h"
#include "core/toml_bounds.h"

namespace xdpctl
{
namespace
{

template <typename T> struct Word {
    std::string_view name;
    T value;
};

constexpr std::array mode_words = {Word<xdpctl_mode>{"monitor", XDPCTL_MODE_MONITOR},
                                   Word<xdpctl_mode>{"enforce", XDPCTL_MODE_ENFORCE}};
constexpr std::array attach_words = {Word<AttachMode>{"auto", AttachMode::automatic},
                                     Word<AttachMode>{"native", AttachMode::native},
                                     Word<AttachMode>{"generic", AttachMode::generic}};
constexpr std::array on_stop_words = {Word<OnStop>{"keep", OnStop::keep},
                                      Word<OnStop>{"detach", OnStop::detach}};

constexpr std::array socket_words = {Word<SocketPlace>{"auto", SocketPlace::automatic},
                                     Word<SocketPlace>{"here", SocketPlace::here},
                                     Word<SocketPlace>{"elsewhere", SocketPlace::elsewhere}};

constexpr std::array guard_words = {
#define XDPCTL_GUARD_WORD(id, name, text) Word<xdpctl_guard_mode>{name, XDPCTL_GUARD_##id},
    XDPCTL_GUARD_MODES(XDPCTL_GUARD_WORD)
#undef XDPCTL_GUARD_WORD
};

// How one kind of value is read from TOML and written for `diff`.
Result<> read(const toml::node& node, bool& out)
{
    const auto value = node.value_exact<bool>();
    if (!value) {
        return failure("must be true or false");
    }
    out = *value;
    return Done{};
}

Result<> read(const toml::node& node, std::string& out)
{
    const auto value = node.value_exact<std::string>();
    if (!value) {
        return failure("must be a string");
    }
    out = *value;
    return Done{};
}

template <typename Integer>
requires std::is_unsigned_v<Integer> Result<> read(const toml::node& node, Integer& out)
{
    const auto value = node.value_exact<int64_t>();
    if (!value || *value < 0 ||
        static_cast<uint64_t>(*value) > std::numeric_limits<Integer>::max()) {
        return failure("must be a whole number from 0 to {}", std::numeric_limits<Integer>::max());
    }
    out = static_cast<Integer>(*value);
    return Done{};
}

// Percent.
Result<> read_share(const toml::node& node, double& out)
{
    const auto value = node.value<double>(); // also a whole number
    if (!value || node.is_boolean() || !(*value >= 0 && *value <= 100)) {
        return failure("must be a number from 0 to 100");
    }
    out = *value;
    return Done{};
}

template <typename T, size_t N>
Result<> read_word(const toml::node& node, const std::array<Word<T>, N>& words, T& out)
{
    std::string choices;
    for (const auto& word : words) {
        if (node.value_exact<std::string>() == word.name) {
            out = word.value;
            return Done{};
        }
        choices += fmt::format("{}\"{}\"", choices.empty() ? "" : " or ", word.name);
    }
    return failure("must be {}", choices);
}

template <typename T, size_t N>
std::string_view word_of(const std::array<Word<T>, N>& words, T value)
{
    for (const auto& word : words) {
        if (word.value == value) {
            return word.name;
        }
    }
    return "?";
}

Result<> read_duration(const toml::node& node, uint64_t& out)
{
    const auto text = node.value_exact<std::string>();
    if (!text) {
        return failure("must be a duration such as \"10m\"");
    }
    const auto value = parse_duration(*text);
    if (!value) {
        return value.error();
    }
    if (*value == 0) {
        return failure("must be longer than 0");
    }
    out = *value;
    return Done{};
}

Result<> read_ports(const toml::node& node, std::set<uint16_t>& out)
{
    const toml::array* array = node.as_array();
    if (array == nullptr) {
        return failure("must be an array of ports");
    }
    out.clear();
    for (const toml::node& element : *array) {
        const auto port = element.value_exact<int64_t>();
        if (!port || *port < 1 || *port >= XDPCTL_PORTS) {
            return failure("line {}: must hold ports from 1 to {}", element.source().begin.line,
                           XDPCTL_PORTS - 1);
        }
        out.insert(static_cast<uint16_t>(*port));
    }
    return Done{};
}

// Each element goes through `add`, whose error gets the element's own line.
template <typename Add> Result<> read_strings(const toml::node& node, Add add)
{
    const toml::array* array = node.as_array();
    if (array == nullptr) {
        return failure("must be an array of strings");
    }
    for (const toml::node& element : *array) {
        const auto text = element.value_exact<std::string>();
        const Result<> added = text ? add(*text) : Result<>(failure("must hold strings only"));
        if (!added) {
            return failure("line {}: {}", element.source().begin.line, added.error().message);
        }
    }
    return Done{};
}

Result<> read_prefixes(const toml::node& node, std::vector<Prefix>& out)
{
    out.clear();
    return read_strings(node, [&out](const std::string& text) -> Result<> {
        auto prefix = parse_prefix(text);
        if (!prefix) {
            return prefix.error();
        }
        out.push_back(*prefix);
        return Done{};
    });
}

Result<> read_reason_mask(const toml::node& node, uint64_t& out)
{
    out = 0;
    return read_strings(node, [&out](const std::string& text) -> Result<> {
        const auto reason = find_reason(text);
        if (!reason || reason->verdict == XDPCTL_VERDICT_PASS) {
            return failure("'{}' is not a reason to drop (see xdpctl explain --reasons)", text);
        }
        out |= 1ULL << reason->id;
        return Done{};
    });
}

Result<> read_interfaces(const toml::node& node, std::vector<std::string>& out)
{
    out.clear();
    return read_strings(node, [&out](const std::string& text) -> Result<> {
        if (text.empty() || text.size() > 15 || text.find('/') != std::string::npos) {
            return failure("'{}' is not an interface name", text);
        }
        if (std::find(out.begin(), out.end(), text) != out.end()) {
            return failure("'{}' is named twice", text);
        }
        if (out.size() + 1 >= XDPCTL_DEVICE_SLOTS) {
            return failure("more than {} interfaces", XDPCTL_DEVICE_SLOTS - 1);
        }
        out.push_back(text);
        return Done{};
    });
}

std::string show_prefixes(const std::vector<Prefix>& prefixes)
{
    std::string text;
    for (const Prefix& prefix : prefixes) {
        text += (text.empty() ? "" : ", ") + to_string(prefix);
    }
    return "[" + text + "]";
}

std::string show_reasons(uint64_t mask)
{
    std::string text;
    for (const ReasonInfo& reason : reasons) {
        if (mask >> reason.id & 1) {
            text += fmt::format("{}{}", text.empty() ? "" : ", ", reason.name);
        }
    }
    return "[" + text + "]";
}

// The files, directories, sockets, groups, URLs and addresses to listen at that the value of a key
// names, in full. Only root may change them; see host_keys_changed().
using Names = std::vector<std::string>;
using HostNames = Names (*)(const Config&);
constexpr HostNames no_names = nullptr;

// The one table of keys: what of the host each names (a new key has to say it), how it is read,
// shown, and whether the running data path can take it.
struct Key {
    std::string_view name;
    HostNames names;
    std::function<Result<>(const toml::node&, Config&)> read;
    std::function<std::string(const Config&)> show;
    bool fixed_while_loaded = false;
};

template <typename T>
Key plain(std::string_view name, HostNames names, T Config::*field, bool fixed = false)
{
    return {name, names, [field](const toml::node& n, Config& c) { return read(n, c.*field); },
            [field](const Config& c) { return fmt::format("{}", c.*field); }, fixed};
}

template <typename S, typename T> Key nested(std::string_view name, HostNames names,
                                             S Config::*group, T S::*field, bool fixed = false)
{
    return {name, names, [=](const toml::node& n, Config& c) { return read(n, c.*group.*field); },
            [=](const Config& c) { return fmt::format("{}", c.*group.*field); }, fixed};
}

template <typename T, size_t N> Key choice(std::string_view name,
                                           const std::array<Word<T>, N>& words, T Config::*field,
                                           bool fixed = false)
{
    return {
        name, no_names,
        [&words, field](const toml::node& n, Config& c) { return read_word(n, words, c.*field); },
        [&words, field](const Config& c) { return std::string(word_of(words, c.*field)); }, fixed};
}

Key prefixes(std::string_view name, std::vector<Prefix> Config::*field)
{
    return {name, no_names,
            [field](const toml::node& n, Config& c) { return read_prefixes(n, c.*field); },
            [field](const Config& c) { return show_prefixes(c.*field); }};
}

Key ports(std::string_view name, std::set<uint16_t> Config::*field)
{
    return {name, no_names,
            [field](const toml::node& n, Config& c) { return read_ports(n, c.*field); },
            [field](const Config& c) { return fmt::format("[{}]", fmt::join(c.*field, ", ")); }};
}

Result<> read_limits(const toml::node& node, size_t limit_class, LimitsConfig& config)
{
    return read_strings(node, [limit_class, &config](const std::string& text) {
        return parse_limit(text, limit_class, config);
    });
}

std::string show_limits(const LimitsConfig& config, size_t limit_class)
{
    std::string text;
    for (const auto& [which, rate] : config.set) {
        if (which.first == limit_class) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", limit_level_name(which.second),
                                to_string(rate));
        }
    }
    return "[" + text + "]";
}

// "limits.udp = ["source 5000pps"]", one for each class.
Key class_limits(size_t limit_class, std::string_view name)
{
    return {name, no_names,
            [limit_class](const toml::node& n, Config& c) {
                return read_limits(n, limit_class, c.limits);
            },
            [limit_class](const Config& c) { return show_limits(c.limits, limit_class); }};
}

// Names of protocols(5), or numbers; those with rules of their own are refused.
Result<uint8_t> parse_protocol(const std::string& text)
{
    unsigned number = 256;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data(), end, number).ptr != end || text.empty()) {
        constexpr std::array known = {Word<unsigned>{"igmp", 2},   Word<unsigned>{"ipip", 4},
                                      Word<unsigned>{"ipv6", 41},  Word<unsigned>{"gre", 47},
                                      Word<unsigned>{"esp", 50},   Word<unsigned>{"ah", 51},
                                      Word<unsigned>{"ospf", 89},  Word<unsigned>{"pim", 103},
                                      Word<unsigned>{"vrrp", 112}, Word<unsigned>{"l2tp", 115},
                                      Word<unsigned>{"sctp", 132}, Word<unsigned>{"udplite", 136}};
        const auto* word = std::find_if(known.begin(), known.end(),
                                        [&text](const auto& w) { return w.name == text; });
        number = word == known.end() ? 256 : word->value;
    }
    if (number > 255) {
        return failure("'{}' is neither a number up to 255 nor a protocol that is known by name: "
                       "igmp, ipip, ipv6, gre, esp, ah, ospf, pim, vrrp, l2tp, sctp, udplite",
                       text);
    }
    if (number == 1 || number == 6 || number == 17 || number == 58) {
        return failure("'{}' has rules of its own", text);
    }
    return static_cast<uint8_t>(number);
}

Result<> read_protocols(const toml::node& node, xdpctl_protocol_action action, Config& config)
{
    return read_strings(node, [action, &config](const std::string& text) -> Result<> {
        const auto protocol = parse_protocol(text);
        if (!protocol) {
            return protocol.error();
        }
        if (!config.protocols.emplace(*protocol, action).second) {
            return failure("protocol {} has two actions", *protocol);
        }
        return Done{};
    });
}

// "protocols.drop = ["igmp"]", one for each action.
Key protocols(std::string_view name, xdpctl_protocol_action action)
{
    return {name, no_names,
            [action](const toml::node& n, Config& c) { return read_protocols(n, action, c); },
            [action](const Config& c) {
                std::vector<unsigned> numbers;
                for (const auto& [protocol, configured] : c.protocols) {
                    if (configured == action) {
                        numbers.push_back(protocol);
                    }
                }
                return fmt::format("[{}]", fmt::join(numbers, ", "));
            }};
}

constexpr std::array tunnel_words = {
#define XDPCTL_TUNNEL_WORD(id, name, text) Word<xdpctl_tunnel>{name, XDPCTL_TUNNEL_##id},
    XDPCTL_TUNNELS(XDPCTL_TUNNEL_WORD)
#undef XDPCTL_TUNNEL_WORD
};

Result<> read_tunnels(const toml::node& node, uint32_t& mask)
{
    const toml::array* array = node.as_array();
    if (array == nullptr) {
        return failure("must be an array of names");
    }
    mask = 0;
    for (const toml::node& element : *array) {
        xdpctl_tunnel tunnel{};
        if (auto done = read_word(element, tunnel_words, tunnel); !done) {
            return done.error().in(fmt::format("line {}", element.source().begin.line));
        }
        mask |= 1U << tunnel;
    }
    return Done{};
}

std::string show_tunnels(uint32_t mask)
{
    std::vector<std::string_view> names;
    for (const auto& word : tunnel_words) {
        if ((mask >> word.value & 1) != 0) {
            names.push_back(word.name);
        }
    }
    return fmt::format("[{}]", fmt::join(names, ", "));
}

Result<> read_listen(const toml::node& node, std::string& out)
{
    const auto text = node.value_exact<std::string>();
    if (!text) {
        return failure("must be a string");
    }
    if (!text->empty()) {
        if (auto addresses = parse_listen(*text); !addresses) {
            return addresses.error();
        }
    }
    out = *text;
    return Done{};
}

Result<> read_feed_name(const toml::node& node, std::string& out)
{
    const auto name = node.value_exact<std::string>();
    constexpr size_t name_most = 32;
    if (!name || name->empty() || name->size() > name_most ||
        name->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != std::string::npos) {
        return failure("must be 1 to {} of a-z, 0-9, _ and -", name_most);
    }
#define XDPCTL_LIST_WORD(id, word, text) name == word ||
    if (XDPCTL_LISTS(XDPCTL_LIST_WORD) false) {
        return failure("'{}' is the name of a list that is always there", *name);
    }
#undef XDPCTL_LIST_WORD
    out = *name;
    return Done{};
}

Result<> read_feed_url(const toml::node& node, std::string& out)
{
    const auto url = node.value_exact<std::string>();
    if (!url ||
        !(url->starts_with("https://") || url->starts_with("http://") || url->starts_with("/"))) {
        return failure("must be an https or http URL, or the absolute path of a file");
    }
    out = *url;
    return Done{};
}

// A key of one row of an array of tables.
template <typename Row> struct RowKey {
    std::string_view name;
    std::function<Result<>(const toml::node&, Row&)> read;
};

template <typename Row> Result<Row>
read_row(const toml::node& node, const std::vector<RowKey<Row>>& keys, std::string_view section)
{
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        return failure("must be tables: [[{}]]", section);
    }
    Row row;
    for (const auto& [word, value] : *table) {
        const size_t line = value.source().begin.line;
        const auto key = std::find_if(keys.begin(), keys.end(), [&word = word](const auto& k) {
            return k.name == word.str();
        });
        if (key == keys.end()) {
            return failure("line {}: {}: unknown key", line, word.str());
        }
        if (auto done = key->read(value, row); !done) {
            return failure("line {}: {}: {}", line, word.str(), done.error().message);
        }
    }
    return row;
}

// Each row goes through `take`, whose error gets the row's line.
template <typename Row, typename Take> Result<> read_rows(const toml::node& node,
                                                          const std::vector<RowKey<Row>>& keys,
                                                          std::string_view section, Take take)
{
    const toml::array* array = node.as_array();
    if (array == nullptr) {
        return failure("must be tables: [[{}]]", section);
    }
    for (const toml::node& element : *array) {
        auto row = read_row(element, keys, section);
        if (!row) {
            return row.error();
        }
        if (auto done = take(std::move(*row)); !done) {
            return failure("line {}: {}", element.source().begin.line, done.error().message);
        }
    }
    return Done{};
}

const std::vector<RowKey<FeedConfig>>& feed_keys()
{
    const auto number = [](uint32_t FeedConfig::*field) {
        return [field](const toml::node& n, FeedConfig& f) { return read(n, f.*field); };
    };
    const auto share = [](double FeedConfig::*field) {
        return [field](const toml::node& n, FeedConfig& f) { return read_share(n, f.*field); };
    };
    static const std::vector<RowKey<FeedConfig>> table = {
        {"name", [](const toml::node& n, FeedConfig& f) { return read_feed_name(n, f.name); }},
        {"url", [](const toml::node& n, FeedConfig& f) { return read_feed_url(n, f.url); }},
        {"refresh",
         [](const toml::node& n, FeedConfig& f) { return read_duration(n, f.refresh_ns); }},
        {"min_entries", number(&FeedConfig::min_entries)},
        {"max_entries", number(&FeedConfig::max_entries)},
        {"widest_ipv4", number(&FeedConfig::widest_ipv4)},
        {"widest_ipv6", number(&FeedConfig::widest_ipv6)},
        {"max_share_ipv4", share(&FeedConfig::max_share_ipv4)},
        {"max_share_ipv6", share(&FeedConfig::max_share_ipv6)},
        {"max_change", number(&FeedConfig::max_change)},
        {"max_faulty_lines", number(&FeedConfig::max_faulty_lines)},
    };
    return table;
}

Result<> read_feeds(const toml::node& node, std::vector<FeedConfig>& out)
{
    out.clear();
    return read_rows(node, feed_keys(), "feeds", [&out](FeedConfig feed) -> Result<> {
        if (feed.name.empty() || feed.url.empty()) {
            return failure("a feed needs a name and a url");
        }
        if (feed.refresh_ns < 60 * ns_per_s) {
            return failure("refresh: must be at least 1m");
        }
        const auto same = [&feed](const FeedConfig& other) { return other.name == feed.name; };
        if (std::any_of(out.begin(), out.end(), same)) {
            return failure("the name {} is taken", feed.name);
        }
        constexpr size_t feeds_most = XDPCTL_LIST_SLOTS / 2;
        if (out.size() == feeds_most) {
            return failure("more than {} feeds", feeds_most);
        }
        out.push_back(std::move(feed));
        return Done{};
    });
}

std::string show_feeds(const std::vector<FeedConfig>& feeds)
{
    std::string text;
    for (const FeedConfig& f : feeds) {
        text += fmt::format("{}{} ({}, {}, {} to {} entries, widest /{} and /{}, share {} % and {} "
                            "%, change {} %, {} "
                            "faulty lines)",
                            text.empty() ? "" : ", ", f.name, shown_url(f.url),
                            format_duration(f.refresh_ns), f.min_entries, f.max_entries,
                            f.widest_ipv4, f.widest_ipv6, f.max_share_ipv4, f.max_share_ipv6,
                            f.max_change, f.max_faulty_lines);
    }
    return "[" + text + "]";
}

Result<> read_api_url(const toml::node& node, std::string& out)
{
    const auto url = node.value_exact<std::string>();
    if (!url || !(url->empty() || url->starts_with("https://") || url->starts_with("http://"))) {
        return failure("must be an https or http URL, or \"\" for none");
    }
    out = *url;
    return Done{};
}

Result<> read_paths(const toml::node& node, std::vector<std::string>& out)
{
    out.clear();
    return read_strings(node, [&out](const std::string& text) -> Result<> {
        if (!text.starts_with("/")) {
            return failure("'{}' must be an absolute path", text);
        }
        out.push_back(text);
        return Done{};
    });
}

// One of [[geo.services]]: ports that share a rule.
struct GeoRow {
    std::set<uint16_t> ports;
    GeoRule rule;
};

const std::vector<RowKey<GeoRow>>& geo_keys()
{
    const auto codes = [](std::set<std::string> GeoRule::*field) {
        return [field](const toml::node& node, GeoRow& row) {
            return read_strings(node, [&](const std::string& text) -> Result<> {
                auto code = parse_geo_code(text);
                if (!code) {
                    return code.error();
                }
                (row.rule.*field).insert(*code);
                return Done{};
            });
        };
    };
    static const std::vector<RowKey<GeoRow>> table = {
        {"ports", [](const toml::node& n, GeoRow& row) { return read_ports(n, row.ports); }},
        {"only", codes(&GeoRule::only)},
        {"closed", codes(&GeoRule::closed)},
    };
    return table;
}

Result<> read_geo_services(const toml::node& node, GeoRules& out)
{
    out.clear();
    return read_rows(node, geo_keys(), "geo.services", [&out](const GeoRow& row) -> Result<> {
        if (row.ports.empty() || row.rule == GeoRule{}) {
            return failure("needs ports, and countries or AS numbers in `only` or `closed`");
        }
        for (const uint16_t port : row.ports) {
            if (!out.emplace(port, row.rule).second) {
                return failure("port {} has two rules", port);
            }
        }
        return check_geo_rules(out);
    });
}

std::string show_geo_services(const GeoRules& rules)
{
    std::string text;
    for (const auto& [port, rule] : rules) {
        text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", port, to_string(rule));
    }
    return "[" + text + "]";
}

Key reflectors(std::string_view name, std::set<uint16_t> ReflectorsConfig::*field)
{
    return {name, no_names,
            [field](const toml::node& n, Config& c) { return read_ports(n, c.reflectors.*field); },
            [field](const Config& c) {
                return fmt::format("[{}]", fmt::join(c.reflectors.*field, ", "));
            }};
}

// The ports that the configuration gives this mode.
std::set<uint16_t> ports_of(const Config& config, xdpctl_guard_mode mode)
{
    std::set<uint16_t> ports;
    for (const auto& [port, configured] : config.guard.modes) {
        if (configured == mode) {
            ports.insert(port);
        }
    }
    return ports;
}

Result<> read_guard_ports(const toml::node& node, xdpctl_guard_mode mode, Config& config)
{
    std::set<uint16_t> ports;
    if (auto done = read_ports(node, ports); !done) {
        return done;
    }
    for (const uint16_t port : ports) {
        const auto [known, fresh] = config.guard.modes.emplace(port, mode);
        if (!fresh) {
            return failure("port {} is also in guard.{}", port, to_string(known->second));
        }
    }
    return Done{};
}

// "guard.off = [22]", one for each mode.
Key guard_ports(std::string_view name, xdpctl_guard_mode mode)
{
    return {name, no_names,
            [mode](const toml::node& n, Config& c) { return read_guard_ports(n, mode, c); },
            [mode](const Config& c) {
                return fmt::format("[{}]", fmt::join(ports_of(c, mode), ", "));
            }};
}

// The limits of a feed are no names: a member of the group may change them.
Names feed_names(const Config& config)
{
    Names names;
    for (const FeedConfig& feed : config.feeds) {
        names.push_back(feed.name + " " + feed.url);
    }
    std::sort(names.begin(), names.end());
    return names;
}

const std::vector<Key>& keys()
{
    using G = GuardConfig;
    using L = LimitsConfig;
    using M = MapsConfig;
    static const std::vector<Key> table = {
        choice("mode", mode_words, &Config::mode),
        {"interfaces", no_names,
         [](const toml::node& n, Config& c) { return read_interfaces(n, c.interfaces); },
         [](const Config& c) { return fmt::format("[{}]", fmt::join(c.interfaces, ", ")); }},
        choice("attach", attach_words, &Config::attach, true),
        choice("on_stop", on_stop_words, &Config::on_stop),
        prefixes("lists.allow", &Config::allow),
        prefixes("lists.trusted", &Config::trusted),
        prefixes("lists.block", &Config::block),
        {"reasons.monitor", no_names,
         [](const toml::node& n, Config& c) { return read_reason_mask(n, c.observed_reasons); },
         [](const Config& c) { return show_reasons(c.observed_reasons); }},
        plain("events.samples_per_second", no_names, &Config::samples_per_second),
        {"guard.mode", no_names,
         [](const toml::node& n, Config& c) { return read_word(n, guard_words, c.guard.mode); },
         [](const Config& c) { return std::string(to_string(c.guard.mode)); }},
#define XDPCTL_GUARD_PORTS(id, name, text) guard_ports("guard." name, XDPCTL_GUARD_##id),
        XDPCTL_GUARD_MODES(XDPCTL_GUARD_PORTS)
#undef XDPCTL_GUARD_PORTS
            {"guard.lockdown", no_names,
             [](const toml::node& n, Config& c) { return read_ports(n, c.guard.lockdown); },
             [](const Config& c) {
                 return fmt::format("[{}]", fmt::join(c.guard.lockdown, ", "));
             }},
        nested("guard.admit_per_second", no_names, &Config::guard, &G::admit_per_second),
        {"guard.known_after", no_names,
         [](const toml::node& n, Config& c) { return read_duration(n, c.guard.known_after_ns); },
         [](const Config& c) { return format_duration(c.guard.known_after_ns); }},
        nested("guard.syn_prefix_per_second", no_names, &Config::guard, &G::syn_prefix_per_second),
        nested("guard.syn_service_per_second", no_names, &Config::guard,
               &G::syn_service_per_second),
        nested("guard.sysctls", no_names, &Config::guard, &G::sysctls),
        nested("guard.mss", no_names, &Config::guard, &G::mss),
        nested("limits.enabled", no_names, &Config::limits, &L::enabled),
        nested("limits.headroom", no_names, &Config::limits, &L::headroom),
#define XDPCTL_LIMIT_KEY(id, name, text) class_limits(XDPCTL_LIMIT_##id, "limits." name),
        XDPCTL_LIMIT_CLASSES(XDPCTL_LIMIT_KEY)
#undef XDPCTL_LIMIT_KEY
            reflectors("reflectors.add", &ReflectorsConfig::add),
        reflectors("reflectors.remove", &ReflectorsConfig::remove),
#define XDPCTL_PROTOCOL_KEY(id, name, text) protocols("protocols." name, XDPCTL_PROTOCOL_##id),
        XDPCTL_PROTOCOL_ACTIONS(XDPCTL_PROTOCOL_KEY)
#undef XDPCTL_PROTOCOL_KEY
            Key{"protocols.inside", no_names,
                [](const toml::node& n, Config& c) { return read_tunnels(n, c.tunnels); },
                [](const Config& c) { return show_tunnels(c.tunnels); }},
        ports("tcp.services", &Config::tcp_services),
        ports("udp.services", &Config::udp_services),
        choice("sockets", socket_words, &Config::sockets),
        nested("strays.per_second", no_names, &Config::strays, &StraysConfig::per_second),
        nested("strays.prefix_per_second", no_names, &Config::strays,
               &StraysConfig::prefix_per_second),
        {"feeds", feed_names, [](const toml::node& n, Config& c) { return read_feeds(n, c.feeds); },
         [](const Config& c) { return show_feeds(c.feeds); }},
        {"crowdsec.url", [](const Config& c) { return Names{c.crowdsec.url}; },
         [](const toml::node& n, Config& c) { return read_api_url(n, c.crowdsec.url); },
         [](const Config& c) { return shown_url(c.crowdsec.url); }},
        nested(
            "crowdsec.key_file", [](const Config& c) { return Names{c.crowdsec.key_file}; },
            &Config::crowdsec, &CrowdSecConfig::key_file),
        {"crowdsec.interval", no_names,
         [](const toml::node& n, Config& c) { return read_duration(n, c.crowdsec.interval_ns); },
         [](const Config& c) { return format_duration(c.crowdsec.interval_ns); }},
        {"geo.databases", [](const Config& c) { return c.geo.databases; },
         [](const toml::node& n, Config& c) { return read_paths(n, c.geo.databases); },
         [](const Config& c) { return fmt::format("[{}]", fmt::join(c.geo.databases, ", ")); }},
        {"geo.services", no_names,
         [](const toml::node& n, Config& c) { return read_geo_services(n, c.geo.services); },
         [](const Config& c) { return show_geo_services(c.geo.services); }},
        nested("maps.bans", no_names, &Config::maps, &M::bans, true),
        nested("maps.clients", no_names, &Config::maps, &M::clients, true),
        nested("maps.known_clients", no_names, &Config::maps, &M::known_clients, true),
        nested("maps.events_bytes", no_names, &Config::maps, &M::events_bytes, true),
        {"metrics.listen", [](const Config& c) { return Names{c.metrics_listen}; },
         [](const toml::node& n, Config& c) { return read_listen(n, c.metrics_listen); },
         [](const Config& c) { return c.metrics_listen; }, true},
        plain(
            "api.socket", [](const Config& c) { return Names{c.socket_path}; },
            &Config::socket_path, true),
        plain(
            "api.group", [](const Config& c) { return Names{c.socket_group}; },
            &Config::socket_group, true),
        plain(
            "paths.state", [](const Config& c) { return Names{c.state_directory}; },
            &Config::state_directory, true),
        plain(
            "paths.pins", [](const Config& c) { return Names{c.pin_directory}; },
            &Config::pin_directory, true),
        plain(
            "paths.cgroup", [](const Config& c) { return Names{c.cgroup}; }, &Config::cgroup, true),
    };
    return table;
}

Error at(std::string_view name, const toml::node& node, std::string_view key, std::string_view why)
{
    return failure(ErrorKind::invalid_config, "{}:{}: {}: {}", name, node.source().begin.line, key,
                   why);
}

bool is_section(std::string_view path)
{
    return std::any_of(keys().begin(), keys().end(), [path](const Key& key) {
        return key.name.size() > path.size() && key.name.starts_with(path) &&
               key.name[path.size()] == '.';
    });
}

struct RetiredKey {
    std::string_view name; // of a key, or of a whole section
    std::string_view why;
};
constexpr std::array<RetiredKey, 1> retired_keys = {
    {{"heuristics", "nobody is banned for a rate any more, which is no sign of an attack"}}};

const RetiredKey* find_retired(std::string_view path)
{
    const auto* found = std::find_if(retired_keys.begin(), retired_keys.end(),
                                     [path](const RetiredKey& key) { return key.name == path; });
    return found == retired_keys.end() ? nullptr : found;
}

Result<> read_table(const toml::table& table, const std::string& section, std::string_view name,
                    Config& config)
{
    for (const auto& [word, node] : table) {
        const std::string path = section + std::string(word.str());
        if (find_retired(path) != nullptr) {
            config.retired.insert(path);
            continue;
        }
        if (const toml::table* inner = node.as_table(); inner && is_section(path)) {
            auto done = read_table(*inner, path + ".", name, config);
            if (!done) {
                return done;
            }
            continue;
        }
        const auto key = std::find_if(keys().begin(), keys().end(),
                                      [&path](const Key& k) { return k.name == path; });
        if (key == keys().end()) {
            return at(name, node, path, "unknown key");
        }
        if (const auto done = key->read(node, config); !done) {
            return at(name, node, path, done.error().message);
        }
    }
    return Done{};
}

// What no single key can tell. The line is that of the key at fault.
Result<> check_whole(const toml::table& table, std::string_view name, const Config& config)
{
    const auto fault = [&](std::string_view path, std::string_view why) -> Error {
        const auto view = table.at_path(path);
        return view ? at(name, *view.node(), path, why)
                    : failure(ErrorKind::invalid_config, "{}: {}: {}", name, path, why);
    };
    constexpr uint32_t entries_max = 1U << 22; // half a gigabyte of bans
    if (config.maps.bans > entries_max) {
        return fault("maps.bans", fmt::format("must be at most {}", entries_max));
    }
    if (config.maps.clients > entries_max) {
        return fault("maps.clients", fmt::format("must be at most {}", entries_max));
    }
    if (config.maps.known_clients > entries_max) {
        return fault("maps.known_clients", fmt::format("must be at most {}", entries_max));
    }
    if (config.guard.admit_per_second == 0) {
        return fault("guard.admit_per_second", "must be above 0");
    }
    constexpr uint32_t mss_least = 88; // net/ipv4/tcp_output.c, TCP_MIN_SND_MSS is 48
    if (config.guard.mss != 0 && (config.guard.mss < mss_least || config.guard.mss > UINT16_MAX)) {
        return fault("guard.mss", fmt::format("must be 0, or from {} to 65535", mss_least));
    }
    constexpr uint32_t headroom_most = 1000;
    if (config.limits.headroom == 0 || config.limits.headroom > headroom_most) {
        return fault("limits.headroom", fmt::format("must be from 1 to {}", headroom_most));
    }
    if (config.crowdsec.interval_ns < ns_per_s) {
        return fault("crowdsec.interval", "must be at least 1s");
    }
    constexpr size_t socket_path_most = 107; // sockaddr_un::sun_path with its end
    if (config.socket_path.empty() || config.socket_path.size() > socket_path_most) {
        return fault("api.socket", fmt::format("must have 1 to {} bytes", socket_path_most));
    }
    if (!config.pin_directory.starts_with("/sys/fs/bpf/")) {
        return fault("paths.pins", "must be below /sys/fs/bpf");
    }
    if (!config.geo.services.empty() && config.geo.databases.empty()) {
        return fault("geo.services", "needs geo.databases");
    }
    if (config.maps.events_bytes < 4096 || !std::has_single_bit(config.maps.events_bytes)) {
        return fault("maps.events_bytes", "must be a power of two, at least 4096");
    }
    return Done{};
}

} // namespace

namespace
{

Result<toml::table> parse_toml(std::string_view text, std::string_view name)
{
    if (auto done = check_toml_bounds(text); !done) {
        return failure(ErrorKind::invalid_config, "{}:{}", name, done.error().message);
    }
    try { // the library's way to say that it is not TOML
        return toml::parse(text, name);
    } catch (const toml::parse_error& problem) {
        return failure(ErrorKind::invalid_config, "{}:{}: {}", name, problem.source().begin.line,
                       problem.description());
    }
}

} // namespace

Result<Config> parse_config(std::string_view text, std::string_view name)
{
    const auto table = parse_toml(text, name);
    if (!table) {
        return table.error();
    }
    Config config;
    if (auto done = read_table(*table, "", name, config); !done) {
        return done.error();
    }
    if (auto done = check_whole(*table, name, config); !done) {
        return done.error();
    }
    return config;
}

std::string_view why_retired(std::string_view key)
{
    const RetiredKey* found = find_retired(key);
    return found == nullptr ? "" : found->why;
}

std::vector<std::string> diff_configs(const Config& before, const Config& after)
{
    std::vector<std::string> lines;
    for (const Key& key : keys()) {
        const std::string was = key.show(before);
        const std::string is = key.show(after);
        if (was != is) {
            lines.push_back(fmt::format("{}: {} -> {}", key.name, was, is));
        }
    }
    return lines;
}

std::vector<std::string> needs_reload(const Config& running, const Config& wanted)
{
    std::vector<std::string> names;
    for (const Key& key : keys()) {
        if (key.fixed_while_loaded && key.show(running) != key.show(wanted)) {
            names.emplace_back(key.name);
        }
    }
    return names;
}

std::vector<std::string> host_keys_changed(const Config& running, const Config& wanted)
{
    std::vector<std::string> names;
    for (const Key& key : keys()) {
        if (key.names != no_names && key.names(running) != key.names(wanted)) {
            names.emplace_back(key.name);
        }
    }
    return names;
}

uint32_t config_line(std::string_view text, const std::string& key)
{
    const auto table = parse_toml(text, "");
    if (!table) {
        return 0;
    }
    for (std::string path = key;;) {
        if (const auto view = table->at_path(path)) {
            return view.node()->source().begin.line;
        }
        const size_t end = path.find_last_of(".[");
        if (end == std::string::npos || end == 0) {
            return 0;
        }
        path.resize(end);
    }
}

namespace
{

Result<ListenAddress> parse_one_listen(std::string_view text)
{
    const size_t colon = text.rfind(':');
    ListenAddress one;
    one.port = colon == std::string_view::npos ? text : text.substr(colon + 1);
    if (colon != std::string_view::npos) {
        one.host = text.substr(0, colon);
        const bool bracketed = one.host.starts_with('[') && one.host.ends_with(']');
        if (one.host.empty() || (!bracketed && one.host.find(':') != std::string::npos)) {
            return failure("'{}' must be ADDRESS:PORT or [IPV6 ADDRESS]:PORT", text);
        }
        one.host = bracketed ? one.host.substr(1, one.host.size() - 2) : one.host;
    }
    uint32_t port = 0;
    const char* end = one.port.data() + one.port.size();
    const auto read = std::from_chars(one.port.data(), end, port);
    if (read.ec != std::errc() || read.ptr != end || port < 1 || port >= XDPCTL_PORTS) {
        return failure("'{}': the port must be a number from 1 to {}", text, XDPCTL_PORTS - 1);
    }
    return one;
}

} // namespace

Result<std::vector<ListenAddress>> parse_listen(std::string_view text)
{
    std::vector<ListenAddress> all;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        auto one = parse_one_listen(text.substr(begin, end - begin));
        if (!one) {
            return one.error();
        }
        all.push_back(std::move(*one));
        begin = end + 1;
    }
    return all;
}

std::vector<Prefix> spared_by(const Config& config)
{
    std::vector<Prefix> all = config.allow;
    all.insert(all.end(), config.trusted.begin(), config.trusted.end());
    return all;
}

namespace
{

// The length that the prefix should have at least; none where it has it.
std::optional<uint32_t> least_length(const Prefix& prefix)
{
    // As wide as the widest private network, and as what a registry gives to a provider.
    constexpr uint32_t widest_ipv4 = 8;
    constexpr uint32_t widest_ipv6 = 32;
    constexpr uint32_t widest_private_ipv6 = 7;
    const bool ipv4 = prefix.is_ipv4();
    const uint32_t length = ipv4 ? prefix.length - 96U : prefix.length;
    const uint32_t widest = ipv4                         ? widest_ipv4
                            : is_private(prefix.address) ? widest_private_ipv6
                                                         : widest_ipv6;
    return length < widest ? std::optional(widest) : std::nullopt;
}

std::optional<std::string> too_wide(const Prefix& prefix, std::string_view consequence)
{
    const auto widest = least_length(prefix);
    return widest ? std::optional(fmt::format("{} is wider than /{}: {}", to_string(prefix),
                                              *widest, consequence))
                  : std::nullopt;
}

} // namespace

std::optional<std::string> too_wide_to_allow(const Prefix& prefix)
{
    return too_wide(prefix, "lists would block hardly anybody any more, also with a forged source "
                            "address");
}

std::optional<std::string> too_wide_to_block(const Prefix& prefix)
{
    return too_wide(prefix, "it would block whole countries, and most likely your clients");
}

std::optional<std::string> better_trusted(const Prefix& prefix)
{
    constexpr uint32_t few_ipv4 = 28; // 16 hosts
    constexpr uint32_t few_ipv6 = 64; // what one owner has
    const bool few = prefix.is_ipv4() ? prefix.length - 96U >= few_ipv4 : prefix.length >= few_ipv6;
    if (few || is_private(prefix.address)) {
        return std::nullopt;
    }
    return fmt::format("{} is a public network: strangers can forge its addresses and pass every "
                       "check; on the list `trusted` it is never blocked, but guards and limits "
                       "hold",
                       to_string(prefix));
}

std::vector<std::string> config_keys()
{
    std::vector<std::string> names;
    for (const Key& key : keys()) {
        names.emplace_back(key.name);
    }
    return names;
}

namespace
{

constexpr std::array known_reflectors = {
#define XDPCTL_REFLECTOR_WORD(port, name, source) Word<uint16_t>{name, port},
    XDPCTL_REFLECTORS(XDPCTL_REFLECTOR_WORD)
#undef XDPCTL_REFLECTOR_WORD
};

} // namespace

std::set<uint16_t> reflectors_of(const ReflectorsConfig& config)
{
    std::set<uint16_t> ports = config.add;
    for (const auto& known : known_reflectors) {
        ports.insert(known.value);
    }
    for (const uint16_t port : config.remove) {
        ports.erase(port);
    }
    return ports;
}

std::string_view reflector_name(uint16_t port)
{
    const auto* found = std::find_if(known_reflectors.begin(), known_reflectors.end(),
                                     [port](const auto& known) { return known.value == port; });
    return found == known_reflectors.end() ? std::string_view{} : found->name;
}

std::string_view to_string(xdpctl_mode mode)
{
    return word_of(mode_words, mode);
}

std::string_view to_string(xdpctl_guard_mode mode)
{
    return word_of(guard_words, mode);
}

Result<xdpctl_guard_mode> parse_guard_mode(std::string_view text)
{
    for (const auto& word : guard_words) {
        if (word.name == text) {
            return word.value;
        }
    }
    return failure(ErrorKind::usage, "'{}' is not a guard mode: off, armed, on or auto", text);
}

Result<xdpctl_mode> parse_mode(std::string_view text)
{
    for (const auto& word : mode_words) {
        if (word.name == text) {
            return word.value;
        }
    }
    return failure(ErrorKind::usage, "'{}' is not a mode: monitor or enforce", text);
}

} // namespace xdpctl
