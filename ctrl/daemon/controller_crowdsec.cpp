// SPDX-License-Identifier: Apache-2.0
// The controller's part for decisions of CrowdSec: they become bans.
#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/controller.h"

namespace xdpctl
{

void Controller::configure_bouncer()
{
    if (bouncer_.configure(config_.crowdsec, plane_.now_ns())) {
        const size_t lifted = lift_but({});
        note("crowdsec",
             fmt::format("another one, or none, is configured: {} bans lifted", lifted));
    }
}

std::optional<BouncerJob> Controller::due_decisions()
{
    const std::lock_guard lock(mutex_);
    return bouncer_.due(plane_.now_ns());
}

void Controller::decisions_failed(const BouncerJob& job, const Error& error)
{
    const std::lock_guard lock(mutex_);
    const auto before = bouncer_.status(unix_s());
    if (bouncer_.failed(job, error.message, plane_.now_ns()) && before &&
        before->problem != error.message) {
        note("crowdsec", error.message + "; bans stay until they end");
    }
}

// Lifts the bans of CrowdSec that are not among these.
size_t Controller::lift_but(const std::set<Prefix>& kept)
{
    std::vector<Prefix> over;
    plane_.visit_bans([&](const Address& source, const xdpctl_ban& ban) {
        const Prefix prefix{source, 128};
        if (ban.origin == XDPCTL_BAN_CROWDSEC && plane_.now_ns() < ban.deadline_ns &&
            !kept.contains(prefix)) {
            over.push_back(prefix);
        }
    });
    for (const HandBan& ban : hand_.prefix_bans) {
        if (ban.origin == XDPCTL_BAN_CROWDSEC && !kept.contains(ban.prefix)) {
            over.push_back(ban.prefix);
        }
    }
    return lift_own(over);
}

// Of these the bans that are CrowdSec's; how many they were.
size_t Controller::lift_own(const std::vector<Prefix>& prefixes)
{
    std::vector<Address> hosts;
    std::set<Prefix> networks;
    for (const Prefix& prefix : prefixes) {
        if (prefix.is_host()) {
            hosts.push_back(prefix.address);
        } else {
            networks.insert(prefix);
        }
    }
    const BanTable known = plane_.find_bans(hosts);
    std::erase_if(hosts, [&](const Address& host) {
        const auto ban = known.find(host);
        return ban == known.end() || ban->second.origin != XDPCTL_BAN_CROWDSEC;
    });
    const auto lifted = plane_.unban(hosts);
    if (!lifted) {
        log::error("{}", lifted.error().message);
    }
    HandState hand = hand_;
    const size_t count = std::erase_if(hand.prefix_bans, [&networks](const HandBan& ban) {
        return ban.origin == XDPCTL_BAN_CROWDSEC && networks.contains(ban.prefix);
    });
    if (count > 0) {
        if (auto done = change(config_, std::move(hand)); !done) {
            log::error("{}", done.error().message);
        }
    }
    bans_changed_ = bans_changed_ || !hosts.empty();
    next_sweep_ns_ = 0;
    return count + (lifted ? *lifted : 0);
}

void Controller::decisions_fetched(const BouncerJob& job, const Decisions& decisions)
{
    std::unique_lock lock(mutex_);
    if (!bouncer_.is_of(job)) {
        return; // configured away meanwhile
    }
    const auto guard = feed_guard();
    if (!guard) {
        lock.unlock();
        decisions_failed(job, guard.error());
        return;
    }
    std::vector<BanWish> wishes;
    size_t refused = 0;
    std::string first_refused;
    for (const Decision& decision : decisions.fresh) {
        if (const auto why = guard->refuses(decision.prefix)) {
            refused++;
            first_refused = first_refused.empty()
                                ? fmt::format("{}: {}", to_string(decision.prefix), *why)
                                : first_refused;
        } else {
            wishes.push_back({decision.prefix, decision.ttl_ns, decision.reason});
        }
    }
    size_t lifted = 0;
    if (job.all) {
        std::set<Prefix> kept;
        for (const BanWish& wish : wishes) {
            kept.insert(wish.prefix);
        }
        lifted = lift_but(kept);
    } else {
        lifted = lift_own(decisions.gone);
    }
    const auto banned = ban_locked(wishes, XDPCTL_BAN_CROWDSEC);
    if (!banned) {
        lock.unlock();
        decisions_failed(job, banned.error().in(fmt::format("{} decisions", wishes.size())));
        return;
    }
    bouncer_.taken(job, decisions, refused, plane_.now_ns(), unix_s());
    if (!wishes.empty() || lifted > 0 || refused > 0) {
        note("crowdsec",
             fmt::format(
                 "{} {}, {} lifted{}", wishes.size(), job.all ? "bans in force" : "banned", lifted,
                 refused > 0 ? fmt::format("; {} refused, the first is {}", refused, first_refused)
                             : ""));
    }
}

std::optional<CrowdSecStatus> Controller::crowdsec_status() const
{
    auto status = bouncer_.status(unix_s());
    if (status) {
        const auto& active = ban_counts_.active[XDPCTL_BAN_CROWDSEC];
        status->decisions = active[0] + active[1];
    }
    return status;
}

} // namespace xdpctl
