// SPDX-License-Identifier: Apache-2.0
#include "core/bans.h"

#include <algorithm>

namespace xdpctl
{

std::string_view ban_origin_name(uint32_t origin)
{
    return origin < ban_origin_names.size() ? ban_origin_names[origin] : "unknown";
}

std::optional<xdpctl_ban_origin> find_ban_origin(std::string_view name)
{
    const auto* found = std::find(ban_origin_names.begin(), ban_origin_names.end(), name);
    return found == ban_origin_names.end()
               ? std::nullopt
               : std::optional(static_cast<xdpctl_ban_origin>(found - ban_origin_names.begin()));
}

Authority authority_of(uint32_t origin, bool forced)
{
    return forced                          ? Authority::operator_force
           : origin == XDPCTL_BAN_OPERATOR ? Authority::operator_hand
                                           : Authority::automatic;
}

Authority authority_of(const xdpctl_ban& ban)
{
    return authority_of(ban.origin, (ban.flags & XDPCTL_BAN_FORCED) != 0);
}

std::string BanReasons::clean(std::string_view text)
{
    std::string cleaned(text.substr(0, text_most));
    std::replace_if(
        cleaned.begin(), cleaned.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return cleaned;
}

uint32_t BanReasons::number_of(std::string_view text,
                               const std::function<std::set<uint32_t>()>& in_use)
{
    const std::string wanted = clean(text);
    if (wanted.empty()) {
        return 0;
    }
    const auto known = std::find(texts_.begin(), texts_.end(), wanted);
    if (known != texts_.end()) {
        return static_cast<uint32_t>(known - texts_.begin()) + 1;
    }
    if (texts_.size() < texts_most) {
        texts_.push_back(wanted);
        return static_cast<uint32_t>(texts_.size());
    }
    const std::set<uint32_t> used = in_use();
    for (uint32_t number = 1; number <= texts_.size(); number++) {
        if (!used.contains(number)) {
            texts_[number - 1] = wanted;
            return number;
        }
    }
    return 0;
}

uint32_t BanReasons::find(std::string_view text) const
{
    const auto known = std::find(texts_.begin(), texts_.end(), text);
    return known == texts_.end() ? 0 : static_cast<uint32_t>(known - texts_.begin()) + 1;
}

std::string BanReasons::text_of(uint32_t number) const
{
    return number > 0 && number <= texts_.size() ? texts_[number - 1] : "";
}

namespace
{

Prefix neighbourhood_of(const Address& source)
{
    return network_of(source, source.is_ipv4() ? 96 + 24 : 64);
}

} // namespace

void CrowdedNetworks::watch(const Address& source)
{
    networks_.try_emplace(neighbourhood_of(source));
}

void CrowdedNetworks::add(const Address& source, uint64_t deadline_ns)
{
    if (const auto found = networks_.find(neighbourhood_of(source)); found != networks_.end()) {
        found->second.push_back(deadline_ns);
    }
}

std::vector<CrowdedNetworks::Network> CrowdedNetworks::above(uint32_t percent) const
{
    std::vector<Network> crowded;
    for (const auto& [prefix, deadlines] : networks_) {
        const size_t all = prefix.is_ipv4() ? 256 : 64;
        const size_t enough = std::max<size_t>((all * percent + 99) / 100, 1);
        if (deadlines.size() >= enough) {
            std::vector<uint64_t> latest = deadlines;
            const auto last = latest.begin() + static_cast<std::ptrdiff_t>(enough - 1);
            std::nth_element(latest.begin(), last, latest.end(), std::greater<>());
            crowded.push_back({prefix, deadlines.size(), *last});
        }
    }
    return crowded;
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
                                  const ProtectedSet& protected_set, const HeuristicsConfig& config,
                                  uint64_t now_ns)
{
    std::vector<BanOrder> orders;
    for (const Offender& offender : offenders) {
        if (protected_set.refuses({offender.source, 128}, Authority::automatic)) {
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
