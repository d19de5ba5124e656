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

void Controller::ask_crowdsec()
{
    const auto job = setup_.ask_crowdsec ? bouncer_.due(plane_.now_ns()) : std::nullopt;
    if (!job) {
        return;
    }
    start_job([ask = setup_.ask_crowdsec, job = *job](const Stop& stop) { return ask(job, stop); },
              [this, job = *job](const Result<Decisions>& decisions) {
                  if (decisions) {
                      decisions_fetched(job, *decisions);
                  } else {
                      decisions_failed(job, decisions.error());
                  }
              });
}

void Controller::decisions_failed(const BouncerJob& job, const Error& error)
{
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
    return lift_bans({over, std::nullopt, XDPCTL_BAN_CROWDSEC, std::nullopt});
}

// Takes out networks that would bring its bans beyond the share of the public addresses that
// lists of others may cover; says so. Hosts are too few to count.
std::string Controller::bound_share(std::vector<BanWish>& wishes) const
{
    std::vector<Prefix> in_force;
    for (const HandBan& ban : hand_.prefix_bans) {
        if (ban.origin == XDPCTL_BAN_CROWDSEC && plane_.now_ns() < ban.deadline_ns) {
            in_force.push_back(ban.prefix);
        }
    }
    std::vector<Prefix> wanted;
    for (const BanWish& wish : wishes) {
        if (!wish.prefix.is_host()) {
            wanted.push_back(wish.prefix);
        }
    }
    const std::set<Prefix> beyond = beyond_share(std::move(in_force), std::move(wanted));
    std::erase_if(wishes, [&beyond](const BanWish& wish) { return beyond.contains(wish.prefix); });
    return beyond.empty() ? ""
                          : fmt::format("{} networks are not banned, such as {}: its bans would "
                                        "cover more than {} % of the public addresses of IPv4, or "
                                        "{} % of those of IPv6",
                                        beyond.size(), to_string(*beyond.begin()), usual_share_ipv4,
                                        usual_share_ipv6);
}

// Takes out what does not fit beside the bans of others, for whom an eighth is kept; says
// so.
std::string Controller::fit_decisions(std::vector<BanWish>& wishes) const
{
    if (wishes.empty()) {
        return "";
    }
    size_t others = 0;
    plane_.visit_bans([&](const Address&, const xdpctl_ban& ban) {
        others += ban.origin != XDPCTL_BAN_CROWDSEC && plane_.now_ns() < ban.deadline_ns ? 1 : 0;
    });
    const size_t share = plane_.max_bans() / 8 * 7;
    constexpr size_t networks_most = 20000;
    size_t hosts_left = share - std::min(share, others);
    size_t networks_left = networks_most;
    const size_t left_out = std::erase_if(wishes, [&](const BanWish& wish) {
        size_t& left = wish.prefix.is_host() ? hosts_left : networks_left;
        if (left == 0) {
            return true;
        }
        left--;
        return false;
    });
    return left_out == 0 ? ""
                         : fmt::format("{} decisions do not fit: raise maps.bans (now {})",
                                       left_out, plane_.max_bans());
}

void Controller::decisions_fetched(const BouncerJob& job, const Decisions& decisions)
{
    if (!bouncer_.is_of(job)) {
        return; // configured away meanwhile
    }
    std::vector<BanWish> wishes;
    std::set<Prefix> kept; // also what is refused now: it may have been banned before
    size_t refused = 0;
    std::string first_refused;
    for (const Decision& decision : decisions.fresh) {
        kept.insert(decision.prefix);
        if (const auto why = protected_->refuses(decision.prefix, Authority::automatic)) {
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
        lifted = lift_but(kept);
    } else {
        lifted = lift_bans({decisions.gone, std::nullopt, XDPCTL_BAN_CROWDSEC, std::nullopt});
    }
    std::string left_out = bound_share(wishes);
    if (const std::string no_room = fit_decisions(wishes); !no_room.empty()) {
        left_out += (left_out.empty() ? "" : "; ") + no_room;
    }
    const auto banned = put_bans(wishes, XDPCTL_BAN_CROWDSEC);
    if (!banned) {
        decisions_failed(job, banned.error().in(fmt::format("{} decisions", wishes.size())));
        return;
    }
    large_work_done_ = large_work_done_ || job.all;
    bouncer_.taken(job, decisions, refused, plane_.now_ns(), unix_s());
    if (!left_out.empty()) {
        bouncer_.tell(left_out);
        note("crowdsec", left_out);
    }
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
