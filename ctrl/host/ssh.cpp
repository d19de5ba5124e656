// SPDX-License-Identifier: Apache-2.0
#include "host/ssh.h"

#include <arpa/inet.h>
#include <systemd/sd-login.h>
#include <utmp.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/file.h"

namespace xdpctl
{
namespace
{

constexpr uint16_t default_port = 22;

std::string sshd_config()
{
    const auto main = read_file("/etc/ssh/sshd_config");
    std::string config = main ? *main : "";
    std::error_code problem;
    std::filesystem::directory_iterator part("/etc/ssh/sshd_config.d", problem);
    for (; !problem && part != std::filesystem::directory_iterator(); part.increment(problem)) {
        if (const auto text = read_file(part->path().string())) {
            config += "\n" + *text;
        }
    }
    return config;
}

// Debian 13 has no utmp any more, containers have no logind: both are asked.
std::set<Address> logins()
{
    std::set<Address> from;
    if (const auto utmp = read_file(_PATH_UTMP)) {
        from = parse_logins(*utmp);
    }
    char** sessions = nullptr;
    const int count = sd_get_sessions(&sessions);
    for (int i = 0; i < count; i++) {
        char* host = nullptr;
        if (sd_session_get_remote_host(sessions[i], &host) >= 0) {
            if (auto address = parse_address(host)) {
                from.insert(*address);
            }
        }
        std::free(host);
        std::free(sessions[i]);
    }
    std::free(sessions);
    return from;
}

} // namespace

std::set<uint16_t> parse_ssh_ports(const std::string& sshd_config)
{
    std::set<uint16_t> ports;        // of Port
    std::set<uint16_t> listen_ports; // of ListenAddress
    bool listens_on_ports = true;    // where an address names none, or there is no address
    bool has_address = false;
    const auto add = [](std::set<uint16_t>& to, const std::string& text) {
        uint16_t port = 0;
        const char* end = text.data() + text.size();
        if (std::from_chars(text.data(), end, port).ptr == end && port > 0) {
            to.insert(port);
        }
    };
    std::istringstream lines(sshd_config);
    for (std::string line; std::getline(lines, line);) {
        // "Port 22", "Port=22", "ListenAddress [2001:db8::1]:22"; see sshd_config(5).
        std::replace(line.begin(), line.end(), '=', ' ');
        std::istringstream words(line);
        std::string key;
        std::string value;
        words >> key >> value;
        std::transform(key.begin(), key.end(), key.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (key == "port") {
            add(ports, value);
        } else if (key == "listenaddress") {
            const size_t colon = value.rfind(':');
            const bool names_port = colon != std::string::npos && colon > 0 &&
                                    (value.find(':') == colon || value[colon - 1] == ']');
            listens_on_ports = (has_address && listens_on_ports) || !names_port;
            has_address = true;
            if (names_port) {
                add(listen_ports, value.substr(colon + 1));
            }
        }
    }
    if (ports.empty()) {
        ports.insert(default_port);
    }
    if (listens_on_ports || listen_ports.empty()) {
        listen_ports.merge(ports);
    }
    return listen_ports;
}

std::set<Address> parse_logins(std::string_view utmp_file)
{
    std::set<Address> from;
    for (; utmp_file.size() >= sizeof(utmp); utmp_file.remove_prefix(sizeof(utmp))) {
        utmp entry{};
        std::memcpy(&entry, utmp_file.data(), sizeof(entry));
        if (entry.ut_type != USER_PROCESS) {
            continue;
        }
        std::array<uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), entry.ut_addr_v6, sizeof(bytes));
        const bool ipv4 =
            std::all_of(bytes.begin() + 4, bytes.end(), [](uint8_t b) { return b == 0; });
        const Address address =
            ipv4 ? Address::from_ipv4(bytes.data()) : Address::from_ipv6(bytes.data());
        if (!(address == all_ipv4().address)) {
            from.insert(address);
        }
    }
    return from;
}

Result<SshPeers> ssh_peers()
{
    auto sockets = connected_tcp();
    if (!sockets) {
        return sockets.error().in("who is connected by SSH");
    }
    const std::set<uint16_t> ports = parse_ssh_ports(sshd_config());
    std::erase_if(*sockets, [&ports](const SocketInfo& socket) {
        return !socket.established || !ports.contains(socket.local_port);
    });
    const std::set<Address> from = logins();
    if (!from.empty()) {
        std::erase_if(*sockets,
                      [&from](const SocketInfo& socket) { return !from.contains(socket.peer); });
    }
    return SshPeers{std::move(*sockets), !from.empty()};
}

} // namespace xdpctl
