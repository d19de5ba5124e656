// SPDX-License-Identifier: Apache-2.0
#include "core/bans.h"

#include <algorithm>

namespace xdpctl
{

void BanGuard::protect(const Prefix& prefix, std::string what)
{
    protected_.push_back({prefix, std::move(what), true});
}

void BanGuard::protect_allowed(const Prefix& prefix)
{
    protected_.push_back({prefix, "on the allow list", false});
}

std::optional<std::string> BanGuard::refuses(const Prefix& prefix) const
{
    for (const Protected& mine : protected_) {
        if (mine.prefix.contains(prefix)) {
            return fmt::format("it is {}{}", mine.prefix == prefix ? "" : "inside ",
                               mine.prefix == prefix
                                   ? mine.what
                                   : fmt::format("{}, {}", to_string(mine.prefix), mine.what));
        }
        if (mine.from_wider && prefix.contains(mine.prefix)) {
            return fmt::format("it contains {}, {}", to_string(mine.prefix), mine.what);
        }
    }
    return std::nullopt;
}

uint32_t strikes_left(const xdpctl_ban& ban, uint64_t now_ns, uint64_t decay_ns)
{
    if (now_ns <= ban.deadline_ns) {
        return ban.strikes;
    }
    const uint64_t forgiven = (now_ns - ban.deadline_ns) / decay_ns;
    return forgiven >= ban.strikes ? 0 : ban.strikes - static_cast<uint32_t>(forgiven);
}

bool is_forgotten(const xdpctl_ban& ban, uint64_t now_ns, uint64_t decay_ns)
{
    return now_ns > ban.deadline_ns && strikes_left(ban, now_ns, decay_ns) == 0;
}

uint64_t escalated_ttl(uint32_t strikes, uint64_t base_ns, uint64_t max_ns)
{
    uint64_t ttl = base_ns;
    for (uint32_t i = 0; i < strikes && ttl < max_ns; i++) {
        ttl *= 2;
    }
    return std::min(ttl, max_ns);
}

std::vector<BanOrder> decide_bans(const std::vector<Offender>& offenders, const BanTable& bans,
                                  const BanGuard& guard, const HeuristicsConfig& config,
                                  uint64_t now_ns)
{
    std::vector<BanOrder> orders;
    for (const Offender& offender : offenders) {
        if (guard.refuses(Prefix{offender.source, 128})) {
            continue;
        }
        uint32_t strikes = 0;
        if (const auto known = bans.find(offender.source); known != bans.end()) {
            if (now_ns < known->second.deadline_ns) {
                continue;
            }
            strikes = strikes_left(known->second, now_ns, config.strike_decay_ns);
        }
        const uint64_t ttl = escalated_ttl(strikes, config.ban_ttl_ns, config.ban_ttl_max_ns);
        orders.push_back({offender.source,
                          {.deadline_ns = now_ns + ttl,
                           .added_ns = now_ns,
                           .hits = 0,
                           .origin = XDPCTL_BAN_HEURISTIC,
                           .strikes = strikes + 1},
                          offender.packets_per_second});
    }
    return orders;
}

} // namespace xdpctl
