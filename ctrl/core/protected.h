// SPDX-License-Identifier: Apache-2.0
// What may not be blocked, and where that is known from. Every ban, list and rule asks here.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

/*
 * X(ID, name, text): why it is protected, the strongest first.
 */
#define XDPCTL_PROTECTIONS(X)                                                                      \
    X(ALLOWED, "allowed", "on the allow list")                                                     \
    X(TRUSTED, "trusted", "on the trusted list")                                                   \
    X(OWN_ADDRESS, "own_address", "an address of this host")                                       \
    X(GATEWAY, "gateway", "a gateway of this host")                                                \
    X(RESOLVER, "resolver", "a resolver of this host")                                             \
    X(TIME_SERVER, "time_server", "a time server of this host")                                    \
    X(DHCP_SERVER, "dhcp_server", "a DHCP server of this host")                                    \
    X(METADATA, "metadata", "a metadata service of the cloud")                                     \
    X(SSH_PEER, "ssh_peer", "where a user is logged in from by SSH")                               \
    X(PRIVATE_NETWORK, "private_network", "a private network of this host")

enum class Protection : uint8_t {
#define XDPCTL_PROTECTION_ENUM(id, name, text) id,
    XDPCTL_PROTECTIONS(XDPCTL_PROTECTION_ENUM)
#undef XDPCTL_PROTECTION_ENUM
};
std::string_view name_of(Protection protection);
std::string_view text_of(Protection protection);

struct Protected {
    Prefix prefix;
    Protection as = Protection::OWN_ADDRESS;
    std::string source;    // "/etc/resolv.conf", "route, table main"
    bool observed = false; // only seen in use, stated nowhere

    auto operator<=>(const Protected&) const = default;
};

// By a list of the operator, which comes before every block in the data path.
bool is_spared(const Protected& entry);

// Who wants to block. What is stated of the host holds against everybody; what is only
// seen, private networks and logins hold against whom the operator did not order to.
enum class Authority {
    automatic,      // fail2ban, CrowdSec, lists of others, generated rules
    operator_hand,  // a command of the operator
    operator_force, // the same with --force
    configuration,  // lists.block of the configuration file
};

class ProtectedSet
{
  public:
    ProtectedSet() = default;
    explicit ProtectedSet(std::vector<Protected> entries);

    // Why blocking this prefix would do harm: "it contains 192.0.2.1, a gateway of this
    // host (route, table main)".
    std::optional<std::string> refuses(const Prefix& prefix, Authority who) const;
    // The parts of the prefix that may be blocked; nothing of it may: none. The allow list
    // is not taken out: it comes before every block in the data path.
    std::vector<Prefix> blockable(const Prefix& prefix, Authority who) const;

    // Sorted, without duplicates; one address may be there for several reasons.
    const std::vector<Protected>& entries() const { return entries_; }

    bool operator==(const ProtectedSet& other) const { return entries_ == other.entries_; }

  private:
    // How much it takes to block it.
    enum Strength { allowed, never, session, in_use, strengths };
    static Strength strength_of(const Protected& entry);
    static bool holds(Strength strength, Authority who);

    struct Index {
        std::map<Prefix, size_t> at; // the first entry of this prefix
        std::bitset<129> lengths;    // that are there
    };
    const Protected* around(const Index& index, const Prefix& prefix) const;
    const Protected* within(const Index& index, const Prefix& prefix) const;

    std::vector<Protected> entries_;
    std::array<std::array<Index, 2>, strengths> indexes_; // by strength; IPv4, then IPv6
};

// Addresses under which clouds offer what a host cannot do without.
const std::vector<Protected>& metadata_services();

// What is protected, as one set: these, and what is so everywhere.
ProtectedSet protect(std::vector<Protected> entries);

// What of `now` is not in `before`; the source may differ.
std::vector<Protected> added_protection(const ProtectedSet& before, const ProtectedSet& now);

} // namespace xdpctl
