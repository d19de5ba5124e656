// SPDX-License-Identifier: Apache-2.0
// Who is logged in by SSH, so that nothing shuts him out.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/protected.h"
#include "host/netlink.h"

namespace xdpctl
{

// What one file of sshd_config(5) says of where sshd listens.
struct SshdFile {
    std::set<uint16_t> ports;          // of Port
    std::set<uint16_t> address_ports;  // of ListenAddress
    bool has_address = false;          // a ListenAddress is there,
    bool has_bare_address = false;     // and one without a port
    std::vector<std::string> includes; // files or globs, as written
    void merge(const SshdFile& other);
    std::set<uint16_t> listens_on() const;
};
SshdFile parse_sshd_config(std::string_view text);
// ListenStream= of systemd.socket(5): where systemd listens for sshd.
std::set<uint16_t> parse_listen_streams(std::string_view text);

// A session of utmp(5) whose begin had an address.
struct Login {
    Address from;
    int32_t pid = 0; // of the process that began it
    auto operator<=>(const Login&) const = default;
};
// Entries of 64-bit systems with times of 32 bits (x86) and of 64 (ARM, RISC-V).
std::vector<Login> parse_utmp(std::string_view utmp);

// Where those who are logged in now come from, by logind and utmp. A connection to sshd is
// not enough: whoever tries passwords has one.
std::vector<Protected> ssh_logins();

// Open ones to sshd; whoever tries passwords is among them.
Result<std::vector<SocketInfo>> ssh_connections();

} // namespace xdpctl
