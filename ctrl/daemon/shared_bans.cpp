// SPDX-License-Identifier: Apache-2.0
#include "daemon/shared_bans.h"

#include <algorithm>

namespace xdpctl
{
namespace
{

void erase_over(std::vector<HandBan>& shared, const Prefix& prefix, uint64_t now_ns)
{
    std::erase_if(shared, [&prefix, now_ns](const HandBan& ban) {
        return ban.prefix == prefix && ban.deadline_ns <= now_ns;
    });
}

// The one that lasts longest. One jail alone needs no place here.
std::optional<HandBan> settle(std::vector<HandBan>& shared, const Prefix& prefix)
{
    std::optional<HandBan> longest;
    size_t jails = 0;
    for (const HandBan& ban : shared) {
        if (ban.prefix == prefix) {
            jails++;
            longest = longest && longest->deadline_ns >= ban.deadline_ns ? longest : ban;
        }
    }
    if (jails == 1) {
        forget_shared(shared, prefix);
    }
    return longest;
}

} // namespace

HandBan share_ban(std::vector<HandBan>& shared, const HandBan& known, const HandBan& fresh,
                  uint64_t now_ns)
{
    const Prefix& prefix = fresh.prefix;
    erase_over(shared, prefix, now_ns);
    const bool is_shared = std::any_of(shared.begin(), shared.end(),
                                       [&prefix](const HandBan& b) { return b.prefix == prefix; });
    if (!is_shared) {
        shared.push_back(known);
    }
    std::erase_if(shared, [&fresh](const HandBan& ban) {
        return ban.prefix == fresh.prefix && ban.reason == fresh.reason;
    });
    shared.push_back(fresh);
    return settle(shared, prefix).value_or(fresh);
}

bool holds_ban(const std::vector<HandBan>& shared, const HandBan& known, std::string_view reason)
{
    const bool is_one_of_several =
        std::any_of(shared.begin(), shared.end(), [&](const HandBan& ban) {
            return ban.prefix == known.prefix && ban.reason == reason;
        });
    return is_one_of_several || known.reason.empty() || known.reason == reason;
}

std::optional<HandBan> release_ban(std::vector<HandBan>& shared, const Prefix& prefix,
                                   std::string_view reason, uint64_t now_ns)
{
    erase_over(shared, prefix, now_ns);
    std::erase_if(shared,
                  [&](const HandBan& ban) { return ban.prefix == prefix && ban.reason == reason; });
    return settle(shared, prefix);
}

void forget_shared(std::vector<HandBan>& shared, const Prefix& prefix)
{
    std::erase_if(shared, [&prefix](const HandBan& ban) { return ban.prefix == prefix; });
}

} // namespace xdpctl
