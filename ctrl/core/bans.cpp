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

uint32_t strikes_left(const xdpctl_ban& ban, uint64_t now_ns)
{
    if (now_ns <= ban.deadline_ns) {
        return ban.strikes;
    }
    const uint64_t forgiven = (now_ns - ban.deadline_ns) / strike_decay_ns;
    return forgiven >= ban.strikes ? 0 : ban.strikes - static_cast<uint32_t>(forgiven);
}

bool is_forgotten(const xdpctl_ban& ban, uint64_t now_ns)
{
    return now_ns > ban.deadline_ns && strikes_left(ban, now_ns) == 0;
}

} // namespace xdpctl
