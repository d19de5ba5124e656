// SPDX-License-Identifier: Apache-2.0
// Who is logged in by SSH, so that nothing shuts him out.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/prefix.h"
#include "host/netlink.h"

namespace xdpctl
{

// The ports that sshd(8) listens on by its configuration.
std::set<uint16_t> parse_ssh_ports(const std::string& sshd_config);

// Where those who are logged in come from, by utmp(5); what is no address is left out.
std::set<Address> parse_logins(std::string_view utmp);

struct SshPeers {
    std::vector<SocketInfo> connections; // open ones to sshd
    // Only those of people who are logged in. False where neither logind nor utmp tells of
    // anybody: then whoever tries passwords is among them.
    bool logged_in = false;
};
Result<SshPeers> ssh_peers();

} // namespace xdpctl
