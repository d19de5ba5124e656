// SPDX-License-Identifier: Apache-2.0
// The controller's part for what may not be blocked: what follows when it changes.
#include <algorithm>

#include "base/log.h"
#include "daemon/controller.h"

namespace xdpctl
{
namespace
{

constexpr size_t named_most = 8; // of one change, in the event log

} // namespace

// What is blocked by configuration and by hand, without the parts that are protected now.
void Controller::add_blocks(const Config& config, const HandState& hand, PolicySpec& spec) const
{
    spec.block.clear();
    spec.bans.clear();
    for (const Prefix& prefix : config.block) {
        for (const Prefix& part : protected_->blockable(prefix, Authority::configuration)) {
            spec.block.push_back({part, XDPCTL_NO_DEADLINE});
        }
    }
    for (const HandBan& ban : hand.prefix_bans) {
        for (const Prefix& part :
             protected_->blockable(ban.prefix, authority_of(ban.origin, ban.forced))) {
            spec.bans.push_back({part, ban.deadline_ns});
        }
    }
}

// The set as the host, the configuration and the operator say now.
void Controller::refresh_protected()
{
    std::vector<Protected> by_host = host_.dependencies;
    const std::vector<Protected> asked = asked_.servers();
    by_host.insert(by_host.end(), asked.begin(), asked.end());
    const auto add = [&by_host](const std::vector<AllowInfo>& list, Protection as,
                                const char* key) {
        for (const AllowInfo& info : list) {
            by_host.push_back({info.prefix, as, info.from_config ? key : "by hand"});
        }
    };
    add(spared(Spared::allowed), Protection::ALLOWED, "lists.allow");
    add(spared(Spared::trusted), Protection::TRUSTED, "lists.trusted");
    if (by_host == protected_by_host_ && !protected_->entries().empty()) {
        return;
    }
    protected_by_host_ = by_host;
    const auto before = std::exchange(
        protected_, std::make_shared<const ProtectedSet>(protect(std::move(by_host))));
    if (started_ && !(*before == *protected_)) {
        protection_changed(*before);
    }
}

void Controller::protection_changed(const ProtectedSet& before)
{
    note_protection(before, *protected_);
    std::vector<Protected> added = added_protection(before, *protected_);
    // An allow comes before every block in the data path.
    std::erase_if(added, is_spared);
    if (!added.empty()) {
        lift_protected_bans(added);
        spare_from_feeds();
    }
    note_spared_parts(before);
    PolicySpec spec;
    add_blocks(config_, hand_, spec);
    spec.block.insert(spec.block.end(), spec.bans.begin(), spec.bans.end());
    if (spec.block != committed_blocks_) {
        if (auto done = change(config_, hand_); !done) {
            log::error("{}", done.error().message);
        }
    }
}

void Controller::note_protection(const ProtectedSet& before, const ProtectedSet& now)
{
    const auto tell = [this](std::vector<Protected> entries, const char* what) {
        std::erase_if(entries, is_spared);
        for (size_t i = 0; i < entries.size() && i < named_most; i++) {
            note("protected", fmt::format("{} {}: {} ({})", to_string(entries[i].prefix), what,
                                          text_of(entries[i].as), entries[i].source));
        }
        if (entries.size() > named_most) {
            note("protected", fmt::format("{} more {}; `xdpctl status -v` lists them",
                                          entries.size() - named_most, what));
        }
    };
    tell(added_protection(before, now), "is protected now");
    tell(added_protection(now, before), "is not protected any more");
}

// Of hosts that became what no ban of this kind may touch.
void Controller::lift_protected_bans(const std::vector<Protected>& added)
{
    const uint64_t now = plane_.now_ns();
    std::vector<Address> hosts;
    std::vector<Protected> networks;
    for (const Protected& entry : added) {
        if (is_spared(entry)) {
            continue;
        }
        if (entry.prefix.is_host()) {
            hosts.push_back(entry.prefix.address);
        } else {
            networks.push_back(entry);
        }
    }
    BanTable met = plane_.find_bans(hosts);
    if (!networks.empty()) {
        const ProtectedSet within(std::move(networks));
        plane_.visit_bans([&](const Address& source, const xdpctl_ban& ban) {
            if (within.refuses({source, 128}, Authority::automatic)) {
                met.emplace(source, ban);
            }
        });
    }
    std::vector<BanEntry> over;
    for (const auto& [source, ban] : met) {
        const auto why = now < ban.deadline_ns
                             ? protected_->refuses({source, 128}, authority_of(ban))
                             : std::nullopt;
        if (!why) {
            continue;
        }
        over.push_back({source, ban});
        over.back().ban.deadline_ns = now; // its offences stay known
        if (over.size() <= named_most) {
            note("unban", fmt::format("{}: {}", to_string(source), *why));
        }
    }
    if (over.empty()) {
        return;
    }
    if (over.size() > named_most) {
        note("unban", fmt::format("{} more that are protected now", over.size() - named_most));
    }
    if (auto done = plane_.ban(over); !done) {
        log::error("lifting bans of what is protected: {}", done.error().message);
    }
    bans_changed_ = true;
    next_sweep_ns_ = 0;
}

// Blocked networks that hold what is protected: where that changes, it is told.
void Controller::note_spared_parts(const ProtectedSet& before)
{
    const auto tell = [&](const Prefix& prefix, Authority who, const std::string& what) {
        const auto why = protected_->refuses(prefix, who);
        const auto old = before.refuses(prefix, who);
        if (why && !old) {
            note("ban", fmt::format("{} {} is not in force where it would do harm: {}", what,
                                    to_string(prefix), *why));
        } else if (old && !why) {
            note("ban", fmt::format("{} {} is in force as a whole again", what, to_string(prefix)));
        }
    };
    for (const Prefix& prefix : config_.block) {
        tell(prefix, Authority::configuration, "lists.block:");
    }
    for (const HandBan& ban : hand_.prefix_bans) {
        tell(ban.prefix, authority_of(ban.origin, ban.forced), "the ban of");
    }
}

std::vector<std::string> Controller::protection_warnings() const
{
    std::vector<std::string> warnings;
    size_t more = 0;
    for (const Prefix& prefix : config_.block) {
        const auto why = protected_->refuses(prefix, Authority::configuration);
        if (why && warnings.empty()) {
            warnings.push_back(fmt::format("lists.block: {} is not in force where it would do "
                                           "harm: {}",
                                           to_string(prefix), *why));
        } else if (why) {
            more++;
        }
    }
    if (more > 0) {
        warnings.back() += fmt::format("; and {} more", more);
    }
    if (!host_.problems.empty()) {
        warnings.push_back("what this host depends on is not all known: " + host_.problems.front());
    }
    return warnings;
}

void Controller::tell_limit(const std::string& limit, const std::string& problem)
{
    if (problem.empty()) {
        limits_hit_.erase(limit);
    } else {
        limits_hit_[limit] = problem;
    }
}

} // namespace xdpctl
