// SPDX-License-Identifier: Apache-2.0
// xdpctl.toml: what the operator configures. Every key has a default; the
// struct is the documentation of each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <xdpctl/abi/maps.h>

#include "core/geo.h"
#include "core/limits.h"
#include "core/prefix.h"
#include "core/units.h"

namespace xdpctl
{

enum class AttachMode { automatic, native, generic };
enum class OnStop { keep, detach };

struct GuardConfig {
    xdpctl_guard_mode mode = XDPCTL_GUARD_AUTO;  // of every service that is not listed
    std::map<uint16_t, xdpctl_guard_mode> modes; // by port
    std::set<uint16_t> lockdown;                 // ports
    uint32_t admit_per_second = 50;              // new clients of a service in lockdown
    uint64_t known_after_ns = 600 * ns_per_s;    // since its first connection a client is trusted
    uint32_t syn_prefix_per_second = 500;        // of a /24 or /64, where cookies cannot be used
    uint32_t syn_service_per_second = 20000;     // of all together, likewise
    bool sysctls = true;                         // set what the guard needs, put back at detach
    uint32_t mss = 0; // the most that a cookie's SYN-ACK advertises, bytes; 0: as the routes say

    bool operator==(const GuardConfig&) const = default;
};

// Where the sockets of the host's addresses are: here, or where no lookup finds them.
enum class SocketPlace { automatic, here, elsewhere };

// Packets that nothing here asked for: how many of each kind the kernel still answers.
struct StraysConfig {
    uint32_t per_second = 64;       // of the whole host; 0: none
    uint32_t prefix_per_second = 8; // of a /24 or /64; 0: no limit of its own

    bool operator==(const StraysConfig&) const = default;
};

// Changes to the list of <xdpctl/abi/reflectors.h>.
struct ReflectorsConfig {
    std::set<uint16_t> add;
    std::set<uint16_t> remove;

    bool operator==(const ReflectorsConfig&) const = default;
};

// Of lists of others. What is wider is a mistake or an attack. Spamhaus DROP had a /10, and
// registries give an IPv6 provider a /29 to /32. Lists of addresses that nobody has (FireHOL
// level 1, full bogons) hold 224.0.0.0/3 and /8s: for those the operator sets `widest`.
constexpr uint32_t usual_widest_ipv4 = 10;
constexpr uint32_t usual_widest_ipv6 = 29;
// Percent of the public addresses that such a list may cover. Spamhaus DROP covered 0.6 % of
// IPv4. Of 2000::/3 some 200,000 /32s are announced: 0.002 % is a twentieth of them, as 5 % is a
// twentieth of IPv4.
constexpr double usual_share_ipv4 = 5;
constexpr double usual_share_ipv6 = 0.002;

// A block list of others. Sizes are entries; what is wider than `widest` is not taken.
struct FeedConfig {
    std::string name; // a label of metrics: a-z, 0-9, _ and -
    std::string url;  // http, https, or a file's absolute path
    uint64_t refresh_ns = 3600 * ns_per_s;
    uint32_t min_entries = 1;
    uint32_t max_entries = 4'000'000;
    uint32_t widest_ipv4 = usual_widest_ipv4;
    uint32_t widest_ipv6 = usual_widest_ipv6;
    double max_share_ipv4 = usual_share_ipv4; // percent of the public addresses, see coverage.h
    double max_share_ipv6 = usual_share_ipv6;
    // Percent of its entries, and of the addresses that it covers, that may come or go at once; not
    // of files.
    uint32_t max_change = 50;
    uint32_t max_faulty_lines = 0; // that are passed over; else they refuse the whole list

    bool is_file() const { return url.starts_with('/'); }
    bool is_plain_http() const { return url.starts_with("http://"); }
    // Of its text, packed and unpacked: no known list has longer lines on average.
    size_t bytes_most() const
    {
        constexpr size_t beside = 1UL << 20; // comments
        constexpr size_t per_entry = 256;
        constexpr size_t most = 256UL << 20;
        return std::min(most, beside + per_entry * max_entries);
    }
    bool operator==(const FeedConfig&) const = default;
};

// A CrowdSec local API whose decisions become bans.
struct CrowdSecConfig {
    std::string url;                                   // of the API; empty: none is asked
    std::string key_file = "/etc/xdpctl/crowdsec.key"; // `cscli bouncers add xdpctl`
    uint64_t interval_ns = 10 * ns_per_s;

    bool operator==(const CrowdSecConfig&) const = default;
};

struct MapsConfig {
    uint32_t bans = 0; // 0: the default of <xdpctl/abi/maps.h>
    uint32_t clients = 0;
    uint32_t known_clients = 0;
    uint32_t events_bytes = XDPCTL_EVENTS_BYTES; // a power of two, at least 4096

    bool operator==(const MapsConfig&) const = default;
};

struct Config {
    xdpctl_mode mode = XDPCTL_MODE_MONITOR;
    std::vector<std::string> interfaces;
    AttachMode attach = AttachMode::automatic;
    OnStop on_stop = OnStop::keep;
    std::vector<Prefix> allow;
    std::vector<Prefix> trusted;
    std::vector<Prefix> block;
    uint64_t observed_reasons = 0; // bit r: reason r is counted, not enforced
    uint32_t samples_per_second = 200;
    GuardConfig guard;
    LimitsConfig limits;
    ReflectorsConfig reflectors;
    std::map<uint8_t, xdpctl_protocol_action> protocols; // others: limit
    uint32_t tunnels = 0;            // bit: enum xdpctl_tunnel, whose inside is judged
    std::set<uint16_t> udp_services; // ports without a socket that are served all the same
    std::set<uint16_t> tcp_services; // likewise
    SocketPlace sockets = SocketPlace::automatic;
    StraysConfig strays;
    std::vector<FeedConfig> feeds;
    GeoConfig geo;
    CrowdSecConfig crowdsec;
    MapsConfig maps;
    std::string metrics_listen = "127.0.0.1:9417"; // "": no exporter
    std::string socket_path = "/run/xdpctl/xdpctl.sock";
    std::string socket_group = "xdpctl";
    std::string state_directory = "/var/lib/xdpctl";
    std::string pin_directory = "/sys/fs/bpf/xdpctl";
    std::string cgroup;            // "": the cgroup v2 mount that is found
    std::set<std::string> retired; // keys or sections of earlier versions, which do nothing now

    bool operator==(const Config&) const = default;
};

// Errors say "NAME:LINE: key: cause". `name` is what to call the text, which may be anybody's: its
// size and depth are bounded, see toml_bounds.h.
Result<Config> parse_config(std::string_view toml, std::string_view name);

// One line per key whose value differs: "key: old -> new".
std::vector<std::string> diff_configs(const Config& before, const Config& after);

// Keys among the differences that only a new load of the data path can change.
std::vector<std::string> needs_reload(const Config& running, const Config& wanted);

// Keys whose files, directories, sockets, groups, URLs or addresses to listen at differ: what lets
// the daemon read, ask or give away something else of the host.
std::vector<std::string> host_keys_changed(const Config& running, const Config& wanted);

// The line of a key in a text that parse_config() took; of its section where the key is not
// in it; 0 where neither is. A row of an array of tables is "feeds[0].url".
uint32_t config_line(std::string_view toml, const std::string& key);

// HOST:PORT, [IPV6]:PORT or PORT; several with commas.
struct ListenAddress {
    std::string host; // empty: every address
    std::string port;
};
Result<std::vector<ListenAddress>> parse_listen(std::string_view text);

// Whom the configuration spares from countries: the allowed and the trusted.
std::vector<Prefix> spared_by(const Config& config);

// Why hardly anybody would be judged any more if this were allowed or trusted; none where
// the prefix is narrow enough for an operator to mean it.
std::optional<std::string> too_wide_to_allow(const Prefix& prefix);
// Likewise for a ban or a block list of the configuration.
std::optional<std::string> too_wide_to_block(const Prefix& prefix);
// Why the prefix is better trusted than allowed: strangers may forge addresses in it. None for
// a few hosts, and for private networks.
std::optional<std::string> better_trusted(const Prefix& prefix);

// Why a key of `Config::retired` does nothing any more.
std::string_view why_retired(std::string_view key);

// Every key, as "section.key".
std::vector<std::string> config_keys();

// UDP source ports whose answers nobody may send unasked.
std::set<uint16_t> reflectors_of(const ReflectorsConfig& config);
// Empty where the port is none of the list.
std::string_view reflector_name(uint16_t port);

std::string_view to_string(xdpctl_mode mode);
Result<xdpctl_mode> parse_mode(std::string_view text);
std::string_view to_string(xdpctl_guard_mode mode);
Result<xdpctl_guard_mode> parse_guard_mode(std::string_view text);

} // namespace xdpctl
