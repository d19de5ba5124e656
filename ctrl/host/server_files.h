// SPDX-License-Identifier: Apache-2.0
// Which servers this host asks, as files of other programs say. Pure: a text in, addresses
// out. Names are not resolved; what is no address is passed over, so that one odd line costs
// one line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

// What one file says.
struct ServerFile {
    std::vector<Address> servers;
    std::vector<std::string> includes;     // more of the same kind: files or globs, as written
    std::vector<std::string> resolv_confs; // other files, in the format of resolv.conf(5)
};

// An address as such files write it: with a port (192.0.2.1:53, [2001:db8::1]:853, @853,
// #5353), a zone (%eth0), a name for TLS (#dns.example).
std::optional<Address> parse_server(std::string_view word);

// resolv.conf(5): nameserver lines.
std::vector<Address> parse_resolvers(std::string_view text);

// KEY=SERVER SERVER ... of systemd's configuration (resolved.conf(5), timesyncd.conf(5)) and
// of the files in /run/systemd that keep its state.
std::vector<Address> parse_assigned(std::string_view text,
                                    const std::vector<std::string_view>& keys);

// dnsmasq(8): server, rev-server; conf-file, conf-dir, servers-file; resolv-file.
ServerFile parse_dnsmasq(std::string_view text);
// unbound.conf(5): forward-addr, stub-addr; include.
ServerFile parse_unbound(std::string_view text);
// named.conf(5): forwarders; include.
ServerFile parse_named(std::string_view text);
// chrony.conf(5), ntp.conf(5), ntpd.conf(5) of OpenNTPD: server, peer, pool; include,
// includefile, confdir, sourcedir.
ServerFile parse_time_servers(std::string_view text);

// What the command line of such a program says: servers, and the files that it reads in place
// of the usual ones. `name` is the program's: dnsmasq, unbound, named, chronyd, ntpd.
ServerFile parse_server_command(std::string_view name, const std::vector<std::string>& arguments);

// What a DHCP server told.
struct Lease {
    std::vector<Address> dhcp_servers;
    std::vector<Address> routers;
    std::vector<Address> resolvers;
    std::vector<Address> time_servers;
};
// A file of /run/systemd/netif/leases.
Lease parse_networkd_lease(std::string_view text);
// dhclient.leases(5): of all leases that are not over.
Lease parse_dhclient_leases(std::string_view text, uint64_t now_unix_s);

} // namespace xdpctl
