// SPDX-License-Identifier: Apache-2.0
// Files of other programs that say whom the host depends on.
#include "host/receivers.h"
#include "host/server_files.h"
#include "host/ssh.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)xdpctl::parse_server(text);
    (void)xdpctl::parse_resolvers(text);
    (void)xdpctl::parse_assigned(text, {"DNS", "SERVERS"});
    (void)xdpctl::parse_dnsmasq(text);
    (void)xdpctl::parse_unbound(text);
    (void)xdpctl::parse_named(text);
    (void)xdpctl::parse_time_servers(text);
    for (const char* program : {"dnsmasq", "chronyd", "unbound"}) {
        (void)xdpctl::parse_server_command(program, {std::string(text), std::string(text)});
    }
    (void)xdpctl::parse_networkd_lease(text);
    (void)xdpctl::parse_dhclient_leases(text, 1'700'000'000);
    (void)xdpctl::parse_sshd_config(text).listens_on();
    (void)xdpctl::parse_listen_streams(text);
    (void)xdpctl::parse_utmp(text);
    xdpctl::UnseenReceivers receivers;
    xdpctl::parse_ipvs(text, receivers);
    return 0;
}
