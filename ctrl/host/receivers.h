// SPDX-License-Identifier: Apache-2.0
// What on this host takes packets that neither the socket table nor connection tracking
// tells of: IPVS, stateless NAT, transparent proxies, TC programs. Where there is such, that
// a packet has no socket says nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct nlmsghdr;

namespace xdpctl
{

struct UnseenReceivers {
    std::vector<std::string>
        found;                    // each in a few words: "nftables rewrites addresses (table slb)"
    std::set<uint16_t> tcp_ports; // of those whose ports are known: IPVS
    std::set<uint16_t> udp_ports;
    bool translates = false; // DNAT or redirection with connection tracking
    uint32_t mss_most = 0;   // the least MSS that a netfilter rule sets, bytes; 0: none does

    bool operator==(const UnseenReceivers&) const = default;
};

class UnseenReceiversReader
{
  public:
    // What can be read; what cannot is left out (no such subsystem, no permission). Rules of
    // nftables, which may be many, are read again only after they changed.
    UnseenReceivers read(std::span<const uint32_t> ifindexes);

  private:
    std::optional<uint32_t> generation_; // of the ruleset that was read
    UnseenReceivers ruleset_;
};

// Pure parts of it.
void read_rule(const nlmsghdr& message, UnseenReceivers& out); // of nftables
void read_filter(const nlmsghdr& message, const std::string& interface, UnseenReceivers& out);
void parse_ipvs(std::string_view proc_net_ip_vs, UnseenReceivers& out);

} // namespace xdpctl
