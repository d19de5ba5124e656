// SPDX-License-Identifier: Apache-2.0
#include "daemon/heuristics.h"

namespace xdpctl
{

Heuristics::Heuristics(const HeuristicsConfig& config)
    : config_(config), detector_(config.client_packets_per_second, config.window_ns)
{
}

Result<std::vector<BanOrder>> Heuristics::tick(Dataplane& plane,
                                               const std::vector<ClientSample>& clients,
                                               const ProtectedSet& protected_set, bool enforcing)
{
    if (!config_.enabled) {
        return std::vector<BanOrder>{};
    }
    const uint64_t now = plane.now_ns();
    const std::vector<Offender> offenders = detector_.observe(clients, now);
    if (offenders.empty()) {
        return std::vector<BanOrder>{};
    }
    std::vector<Address> sources;
    for (const Offender& offender : offenders) {
        sources.push_back(offender.source);
    }
    std::vector<BanOrder> orders =
        decide_bans(offenders, plane.find_bans(sources), protected_set, config_, now);
    std::vector<BanEntry> entries;
    for (BanOrder& order : orders) {
        if (!enforcing) {
            order.ban.strikes = 0;
            order.ban.deadline_ns = now + config_.ban_ttl_ns;
        }
        entries.push_back({order.source, order.ban});
    }
    if (auto done = plane.ban(entries); !done) {
        return done.error();
    }
    return orders;
}

} // namespace xdpctl
