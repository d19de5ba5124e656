// SPDX-License-Identifier: Apache-2.0
#include "host/ssh.h"

#include <glob.h>
#include <signal.h>
#include <systemd/sd-login.h>
#include <utmp.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/file.h"

namespace xdpctl
{
namespace
{

constexpr uint16_t default_port = 22;
constexpr std::string_view blanks = " \t\r\f\v";

// The next argument: a word, or what is between quotes. Empty at the end or at a comment.
std::string next_argument(std::string_view& line)
{
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    if (line.empty() || line.front() == '#') {
        line = {};
        return "";
    }
    const bool quoted = line.front() == '"';
    line.remove_prefix(quoted ? 1 : 0);
    const size_t end = std::min(quoted ? line.find('"') : line.find_first_of(blanks), line.size());
    std::string argument(line.substr(0, end));
    line.remove_prefix(std::min(end + (quoted ? 1 : 0), line.size()));
    return argument;
}

// "Port 22", "Port=22", "Port = 22".
std::string next_keyword(std::string_view& line)
{
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const size_t end = std::min(line.find_first_of(" \t\r\f\v=\""), line.size());
    std::string keyword(line.substr(0, end));
    std::transform(keyword.begin(), keyword.end(), keyword.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    line.remove_prefix(end);
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    line.remove_prefix(line.starts_with('=') ? 1 : 0);
    return keyword;
}

std::optional<uint16_t> port_of(std::string_view text)
{
    uint16_t port = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (problem == std::errc() && end == text.data() + text.size() && port > 0) {
        return port;
    }
    return text == "ssh" ? std::optional(default_port) : std::nullopt;
}

// The port of HOST:PORT, [ADDRESS]:PORT; none where there is only a host.
std::optional<std::string_view> port_part(std::string_view text)
{
    const size_t colon = text.rfind(':');
    const bool names_port = colon != std::string_view::npos && colon > 0 &&
                            (text.find(':') == colon || text[colon - 1] == ']');
    return names_port ? std::optional(text.substr(colon + 1)) : std::nullopt;
}

template <typename Visit> void for_each_line(std::string_view text, Visit visit)
{
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

} // namespace

void SshdFile::merge(const SshdFile& other)
{
    ports.insert(other.ports.begin(), other.ports.end());
    address_ports.insert(other.address_ports.begin(), other.address_ports.end());
    has_address |= other.has_address;
    has_bare_address |= other.has_bare_address;
}

// A ListenAddress without a port listens on every Port; without any ListenAddress all do.
std::set<uint16_t> SshdFile::listens_on() const
{
    std::set<uint16_t> all = address_ports;
    if (!has_address || has_bare_address || all.empty()) {
        all.insert(ports.begin(), ports.end());
        if (ports.empty()) {
            all.insert(default_port);
        }
    }
    return all;
}

SshdFile parse_sshd_config(std::string_view text)
{
    SshdFile file;
    bool in_match = false; // where only some keywords may stand, none of these
    for_each_line(text, [&](std::string_view line) {
        const std::string key = next_keyword(line);
        if (key == "match") {
            in_match = true;
        } else if (key == "include") {
            for (std::string path = next_argument(line); !path.empty();
                 path = next_argument(line)) {
                file.includes.push_back(std::move(path));
            }
        } else if (key == "port" && !in_match) {
            if (const auto port = port_of(next_argument(line))) {
                file.ports.insert(*port);
            }
        } else if (key == "listenaddress" && !in_match) {
            const std::string address = next_argument(line);
            const auto named = port_part(address);
            const auto port = named ? port_of(*named) : std::nullopt;
            if (port) {
                file.address_ports.insert(*port);
            }
            file.has_address = file.has_address || !address.empty();
            file.has_bare_address = file.has_bare_address || (!address.empty() && !named);
        }
    });
    return file;
}

std::set<uint16_t> parse_listen_streams(std::string_view text)
{
    std::set<uint16_t> ports;
    for_each_line(text, [&ports](std::string_view line) {
        if (next_keyword(line) != "listenstream") {
            return;
        }
        const std::string where = next_argument(line);
        if (const auto port = port_of(port_part(where).value_or(where))) {
            ports.insert(*port);
        }
    });
    return ports;
}

namespace
{

// struct utmp of glibc, as it is in the file.
struct UtmpLayout {
    size_t size;
    size_t address; // four words
};
constexpr UtmpLayout short_times{384, 348};
constexpr UtmpLayout long_times{400, 360};
constexpr size_t pid_offset = 4;
constexpr size_t user_offset = 44;
constexpr size_t host_offset = 76;
constexpr size_t host_size = 256;
static_assert(sizeof(utmp) == short_times.size || sizeof(utmp) == long_times.size);

bool is_session(std::string_view entry)
{
    int16_t type = 0;
    std::memcpy(&type, entry.data(), sizeof(type));
    const auto first = static_cast<unsigned char>(entry[user_offset]);
    return type == USER_PROCESS && first > ' ' && first != 0x7f;
}

size_t sessions_in(std::string_view file, const UtmpLayout& layout)
{
    size_t count = 0;
    for (; file.size() >= layout.size; file.remove_prefix(layout.size)) {
        count += is_session(file.substr(0, layout.size)) ? 1 : 0;
    }
    return count;
}

// By what makes more sense of the file; in doubt, that of this machine.
const UtmpLayout& layout_of(std::string_view file)
{
    const bool native_is_short = sizeof(utmp) == short_times.size;
    const UtmpLayout& native = native_is_short ? short_times : long_times;
    const UtmpLayout& other = native_is_short ? long_times : short_times;
    const size_t as_native = sessions_in(file, native);
    const size_t as_other = sessions_in(file, other);
    const bool fits_other = file.size() % other.size == 0 && file.size() % native.size != 0;
    return as_other > as_native || (as_other == as_native && fits_other) ? other : native;
}

std::optional<Address> origin_of(std::string_view entry, const UtmpLayout& layout)
{
    std::array<uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), entry.data() + layout.address, sizeof(bytes));
    const bool ipv4 = std::all_of(bytes.begin() + 4, bytes.end(), [](uint8_t b) { return b == 0; });
    const Address address =
        ipv4 ? Address::from_ipv4(bytes.data()) : Address::from_ipv6(bytes.data());
    if (address != all_ipv4().address) {
        return address;
    }
    std::string_view host = entry.substr(host_offset, host_size);
    host = host.substr(0, host.find_first_of(std::string_view("\0 %", 3)));
    const auto named = parse_address(host);
    return named ? std::optional(*named) : std::nullopt;
}

} // namespace

std::vector<Login> parse_utmp(std::string_view file)
{
    std::vector<Login> logins;
    const UtmpLayout& layout = layout_of(file);
    for (; file.size() >= layout.size; file.remove_prefix(layout.size)) {
        const std::string_view entry = file.substr(0, layout.size);
        const auto from = is_session(entry) ? origin_of(entry, layout) : std::nullopt;
        if (from) {
            Login& login = logins.emplace_back(Login{*from});
            std::memcpy(&login.pid, entry.data() + pid_offset, sizeof(login.pid));
        }
    }
    return logins;
}

namespace
{

// Who was cut off left his entry behind.
bool is_alive(const Login& login)
{
    return login.pid > 0 && (kill(login.pid, 0) == 0 || errno == EPERM);
}

void add_logind_sessions(std::vector<Protected>& logins)
{
    char** sessions = nullptr;
    const int count = sd_get_sessions(&sessions);
    for (int i = 0; i < count; i++) {
        char* host = nullptr;
        char* state = nullptr;
        const bool over =
            sd_session_get_state(sessions[i], &state) >= 0 && std::strcmp(state, "closing") == 0;
        if (!over && sd_session_get_remote_host(sessions[i], &host) >= 0) {
            const std::string_view name(host);
            if (auto address = parse_address(name.substr(0, name.find('%')))) {
                logins.push_back({{*address, 128},
                                  Protection::SSH_PEER,
                                  fmt::format("logind, session {}", sessions[i])});
            }
        }
        std::free(state);
        std::free(host);
        std::free(sessions[i]);
    }
    std::free(sessions);
}

} // namespace

// Debian 13 has no utmp any more, containers have no logind: both are asked.
std::vector<Protected> ssh_logins()
{
    std::vector<Protected> logins;
    if (const auto file = read_file(_PATH_UTMP)) {
        for (const Login& login : parse_utmp(*file)) {
            if (is_alive(login)) {
                logins.push_back({{login.from, 128}, Protection::SSH_PEER, _PATH_UTMP});
            }
        }
    }
    add_logind_sessions(logins);
    return logins;
}

namespace
{

std::vector<std::string> matching(const std::string& pattern)
{
    std::vector<std::string> paths;
    glob_t matches{};
    if (glob(pattern.c_str(), GLOB_NOCHECK, nullptr, &matches) == 0) {
        paths.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
    }
    globfree(&matches);
    return paths;
}

void read_sshd_config(const std::string& pattern, int depth, SshdFile& all)
{
    constexpr int depth_most = 16; // of sshd itself
    for (const std::string& path : matching(pattern)) {
        const auto text = read_file(path, 1UL << 20);
        if (!text) {
            continue;
        }
        const SshdFile file = parse_sshd_config(*text);
        all.merge(file);
        for (const std::string& include : file.includes) {
            if (depth < depth_most) {
                read_sshd_config(include.starts_with('/') ? include : "/etc/ssh/" + include,
                                 depth + 1, all);
            }
        }
    }
}

std::set<uint16_t> ssh_ports()
{
    SshdFile config;
    read_sshd_config("/etc/ssh/sshd_config", 0, config);
    std::set<uint16_t> ports = config.listens_on();
    for (const char* pattern :
         {"/etc/systemd/system/ssh.socket", "/etc/systemd/system/ssh.socket.d/*",
          "/run/systemd/generator/ssh.socket.d/*"}) {
        for (const std::string& path : matching(pattern)) {
            if (const auto text = read_file(path, 1UL << 20)) {
                ports.merge(parse_listen_streams(*text));
            }
        }
    }
    return ports;
}

} // namespace

Result<std::vector<SocketInfo>> ssh_connections()
{
    auto sockets = connected_tcp();
    if (!sockets) {
        return sockets.error().in("who is connected by SSH");
    }
    const std::set<uint16_t> ports = ssh_ports();
    std::erase_if(*sockets, [&ports](const SocketInfo& socket) {
        return !socket.established || !ports.contains(socket.local_port);
    });
    return sockets;
}

} // namespace xdpctl
