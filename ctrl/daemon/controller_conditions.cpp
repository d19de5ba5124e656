// SPDX-License-Identifier: Apache-2.0
// The controller's part for lasting states that the operator must know of: what holds is
// derived from the controller's state at every tick, in one place.
#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "core/panic.h"
#include "daemon/controller.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t job_patience_ns = 30 * ns_per_s;
constexpr uint64_t save_interval_ns = 10 * ns_per_s;
// Percent of the connection tracking table: above the first it is as good as full, below
// the second it has room again.
constexpr uint64_t conntrack_full = 90;
constexpr uint64_t conntrack_room = 80;

} // namespace

void Controller::set_condition(Condition id, const std::string& text, const std::string& identity)
{
    if (auto event = conditions_.set(id, text, identity, unix_ms())) {
        note(condition_info(id).kind, std::move(*event),
             text.empty() ? log::Level::info : log::Level::warning);
    }
}

// A job writes it; what changes meanwhile is written after it.
void Controller::save_state()
{
    state_changed_ = true;
    if (state_in_work_) {
        return;
    }
    if (state_saved_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
        state_promise_ = {};
        state_saved_ = state_promise_.get_future().share();
    }
    state_changed_ = false;
    state_in_work_ = true;
    state_begin_ns_ = plane_.now_ns();
    jobs_.start([file = state_file_, hand = hand_](const Stop&) { return file.save(hand); },
                [this](const Result<>& saved) {
                    state_in_work_ = false;
                    state_saved(saved);
                    if (state_changed_) {
                        save_state();
                    } else {
                        state_promise_.set_value();
                    }
                });
}

// What is in force stays in force; but a restart would forget it.
void Controller::state_saved(const Result<>& saved)
{
    state_problem_ = saved ? "" : "what is set by hand is not saved: " + saved.error().message;
    next_save_ns_ = plane_.now_ns() + save_interval_ns;
}

void Controller::commit_again()
{
    const auto done = change(config_, hand_);
    policy_problem_ =
        done ? ""
             : "the data path has an older policy than what is wanted: " + done.error().message;
}

std::vector<std::string> Controller::missing_interfaces() const
{
    std::vector<std::string> missing;
    for (const std::string& name : wanted_) {
        if (attachment_of(name) == nullptr) {
            missing.push_back(name);
        }
    }
    return missing;
}

std::string Controller::missing_text() const
{
    std::vector<std::string> told;
    for (const std::string& name : missing_interfaces()) {
        const auto why = attach_problems_.find(name);
        told.push_back(why == attach_problems_.end() ? name
                                                     : fmt::format("{} ({})", name, why->second));
    }
    return told.empty() ? "" : fmt::format("nothing is filtered on {}", fmt::join(told, ", "));
}

std::string Controller::conntrack_text() const
{
    const uint64_t entries = host_.network.conntrack_entries;
    const uint64_t most = host_.network.conntrack_max_entries;
    const uint64_t limit =
        conditions_.holds(Condition::conntrack_full) ? conntrack_room : conntrack_full;
    if (most == 0 || entries * 100 < most * limit) {
        return "";
    }
    return fmt::format("the connection tracking table is full to {}% ({} of {}): netfilter drops "
                       "what begins a new connection; raise net.netfilter.nf_conntrack_max",
                       entries * 100 / most, entries, most);
}

std::string Controller::feed_copies_text() const
{
    std::vector<std::string> told;
    for (const auto& [name, why] : unsaved_feeds_) {
        if (feeds_.find(name) != nullptr) {
            told.push_back(fmt::format("the copy of the feed {} is not saved: {}", name, why));
        }
    }
    return fmt::format("{}", fmt::join(told, "; "));
}

std::string Controller::allow_text()
{
    std::vector<std::string> wide;
    for (const AllowInfo& info : spared(Spared::trusted)) {
        if (auto why = too_wide_to_allow(info.prefix)) {
            wide.push_back(std::move(*why));
        }
    }
    for (const AllowInfo& info : spared(Spared::allowed)) {
        auto why = too_wide_to_allow(info.prefix);
        why = why ? std::move(why) : better_trusted(info.prefix);
        if (why) {
            wide.push_back(std::move(*why));
        }
    }
    return fmt::format("{}", fmt::join(wide, "; "));
}

// Jobs of which nothing is heard.
void Controller::watch_jobs()
{
    const auto hangs = [now = plane_.now_ns()](bool in_work, uint64_t begin_ns) {
        return in_work && now - begin_ns > job_patience_ns;
    };
    if (hangs(host_in_work_, host_begin_ns_)) {
        host_problem_ = "the host cannot be read: it does not answer";
    }
    if (hangs(bans_in_work_, bans_begin_ns_)) {
        bans_problem_ = "bans are not saved: the disk does not answer";
    }
    if (hangs(state_in_work_, state_begin_ns_)) {
        state_problem_ = "what is set by hand is not saved: the disk does not answer";
    }
}

void Controller::follow_conditions()
{
    watch_jobs();
    if (!state_problem_.empty() && plane_.now_ns() >= next_save_ns_) {
        save_state();
    }
    set_condition(Condition::panic, plane_.bypass() ? std::string(panic_text) : "");
    if (!plane_.bypass()) { // which takes the program off all of them: that is told as panic
        set_condition(Condition::interface_not_attached, missing_text(),
                      fmt::format("{}", fmt::join(missing_interfaces(), " ")));
    }
    set_condition(Condition::policy_not_committed, policy_problem_);
    set_condition(Condition::data_path_unreadable,
                  plane_problem_.empty() ? "" : "the data path cannot be read: " + plane_problem_);
    const std::string conntrack = conntrack_text();
    set_condition(Condition::conntrack_full, conntrack, conntrack.empty() ? "" : "full");
    set_condition(Condition::state_not_saved, state_problem_);
    set_condition(Condition::bans_not_saved, bans_problem_);
    set_condition(Condition::feed_not_saved, feed_copies_text());
    set_condition(Condition::host_unknown, host_problem_);
    set_condition(
        Condition::services_unknown,
        host_.services_problem.empty() ? "" : "services are not known: " + host_.services_problem);
    set_condition(Condition::metrics_unavailable, metrics_problem_);
    set_condition(Condition::geo_problem,
                  geo_.problem().empty()
                      ? ""
                      : geo_.problem() +
                            (geo_.is_suspended() ? "; no rule of geo is in force" : ""));
    std::string limits;
    for (const auto& [limit, problem] : limits_hit_) {
        limits += limit + ",";
    }
    set_condition(Condition::limit_reached, limits_text(), limits);
    set_condition(Condition::protection, fmt::format("{}", fmt::join(protection_warnings(), "; ")));
    set_condition(Condition::sockets_unseen, unseen_text());
    const std::string at_risk = at_risk_.text(plane_.now_ns());
    set_condition(Condition::known_clients_at_risk, at_risk, at_risk.empty() ? "" : "some");
    set_condition(Condition::no_cookies,
                  answerless_.empty()
                      ? ""
                      : fmt::format("no cookies are sent on {}: SYNs are limited there instead; "
                                    "`xdpctl events -k guard` says why",
                                    fmt::join(answerless_, ", ")));
    set_condition(Condition::sysctl_not_set, kernel_.problem());
    set_condition(Condition::allow_too_wide, allow_text());
    for (const auto& [id, text] : setup_.conditions) {
        set_condition(id, text);
    }
}

std::string Controller::limits_text() const
{
    std::vector<std::string> told;
    for (const auto& [limit, problem] : limits_hit_) {
        told.push_back(problem);
    }
    return fmt::format("{}", fmt::join(told, "; "));
}

// Each in a few words.
std::vector<std::string> Controller::unseen_receivers() const
{
    std::vector<std::string> found = host_.receivers.found;
    for (const LinkFacts& link : host_.network.links) {
        if (link.is_stacked && attachment_of(link.name) != nullptr) {
            found.push_back("sockets may be bound to an interface above " + link.name);
        }
    }
    return found;
}

bool Controller::sockets_unseen(const Config& config) const
{
    return config.sockets == SocketPlace::elsewhere ||
           (config.sockets == SocketPlace::automatic && !unseen_receivers().empty());
}

// Nothing where the operator has said what follows.
std::string Controller::unseen_text() const
{
    const std::vector<std::string> found = unseen_receivers();
    if (config_.sockets != SocketPlace::automatic || found.empty()) {
        return "";
    }
    return fmt::format("{}: what has no socket here may be meant for that, so TCP and UDP without "
                       "a socket are limited, not dropped. Where it takes nothing from this host's "
                       "addresses, set sockets = \"here\"",
                       fmt::join(found, "; "));
}

void Controller::set_metrics_problem(std::string why)
{
    metrics_problem_ = std::move(why);
    follow_conditions();
    publish_report();
}

} // namespace xdpctl
