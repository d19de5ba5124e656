// SPDX-License-Identifier: Apache-2.0
// Bans of one prefix by several jails of fail2ban. The tables hold one ban for each prefix:
// the one that lasts longest. What the other jails asked for is kept here, so that a jail
// lifts its own ban only. Pure; a jail is the reason of its ban.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "daemon/state.h"

namespace xdpctl
{

// `known` is in force, `fresh` is asked for; returns what is to be in force of both and of what
// other jails asked for.
HandBan share_ban(std::vector<HandBan>& shared, const HandBan& known, const HandBan& fresh,
                  uint64_t now_ns);

// Did this jail ban the prefix, of which `known` is in force? A ban without a reason may be
// anybody's.
bool holds_ban(const std::vector<HandBan>& shared, const HandBan& known, std::string_view reason);

// The jail lifts its ban; returns what is to be in force instead, none: nothing.
std::optional<HandBan> release_ban(std::vector<HandBan>& shared, const Prefix& prefix,
                                   std::string_view reason, uint64_t now_ns);

void forget_shared(std::vector<HandBan>& shared, const Prefix& prefix);

} // namespace xdpctl
