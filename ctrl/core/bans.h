// SPDX-License-Identifier: Apache-2.0
// Who may be banned, and for how long.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <xdpctl/abi/maps.h>

#include "core/config.h"
#include "core/detector.h"
#include "core/prefix.h"

namespace xdpctl
{

// Addresses that no ban may touch, by what they are.
class BanGuard
{
  public:
    // Nothing inside it and nothing around it may be banned.
    void protect(const Prefix& prefix, std::string what);
    // Nothing inside it may be banned; a wider ban does no harm, since allow
    // beats block in the data path.
    void protect_allowed(const Prefix& prefix);

    // Why a ban of this prefix would hurt us: "it contains 192.0.2.1, the gateway".
    std::optional<std::string> refuses(const Prefix& prefix) const;

  private:
    struct Protected {
        Prefix prefix;
        std::string what;
        bool from_wider;
    };
    std::vector<Protected> protected_;
};

struct BanOrder {
    Address source;
    xdpctl_ban ban;
    double packets_per_second = 0; // the evidence
};

using BanTable = std::unordered_map<Address, xdpctl_ban, AddressHash>;

// Offences that are still remembered: one is forgiven for every `decay_ns`
// that passed since the ban ended.
uint32_t strikes_left(const xdpctl_ban& ban, uint64_t now_ns, uint64_t decay_ns);

// True once the ban is over and nothing of it is remembered.
bool is_forgotten(const xdpctl_ban& ban, uint64_t now_ns, uint64_t decay_ns);

// base * 2^strikes, at most `max`.
uint64_t escalated_ttl(uint32_t strikes, uint64_t base_ns, uint64_t max_ns);

// Bans for the offenders that the guard lets go and that are not banned now.
std::vector<BanOrder> decide_bans(const std::vector<Offender>& offenders, const BanTable& bans,
                                  const BanGuard& guard, const HeuristicsConfig& config,
                                  uint64_t now_ns);

} // namespace xdpctl
