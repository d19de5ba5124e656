// SPDX-License-Identifier: Apache-2.0
// The controller's part for services that are for some countries or AS numbers only.
#include <algorithm>

#include "base/log.h"
#include "daemon/controller.h"
#include "host/ssh.h"

namespace xdpctl
{

// What is set by hand comes before what is configured.
GeoConfig Controller::geo_wanted(const Config& config, const HandState& hand)
{
    GeoConfig wanted = config.geo;
    for (const auto& [port, rule] : hand.geo) {
        wanted.services[port] = rule;
    }
    std::erase_if(wanted.services, [](const auto& entry) { return entry.second == GeoRule{}; });
    return wanted;
}

// A database that is missing must not keep the rest from its work.
void Controller::suspend_geo_unless_readable()
{
    geo_.adopt(hand_.geo_bits); // what an adopted data path still reads
    const GeoConfig wanted = geo_wanted(config_, hand_);
    const auto plan = geo_.plan_leniently(wanted);
    const auto done = plan ? set_geo_networks(*plan) : Result<>(plan.error());
    if (!done) {
        geo_.suspend(wanted, done.error().message);
    }
}

// Before the rules that ask for them.
Result<> Controller::set_geo_networks(const GeoSets::Plan& plan)
{
    if (plan.data == geo_.in_force().data) {
        return Done{};
    }
    const ListContent content = content_of(*plan.data);
    return plane_.set_lists({&content, 1});
}

// After the rules that ask for less.
void Controller::keep_geo(GeoSets::Plan plan)
{
    geo_.keep(std::move(plan));
    GeoSets::Plan less = geo_.shrunk();
    if (auto done = set_geo_networks(less); !done) {
        log::error("{}", done.error().message);
        return; // they are more than is asked for, which does no harm
    }
    geo_.keep(std::move(less));
}

// Who is logged in here must be able to log in again. Nothing where he is; a warning, not
// an error, where nobody can tell him from those who try passwords.
std::optional<Controller::Lockout> Controller::geo_lockout(const GeoSets::Plan& plan,
                                                           std::vector<Prefix> allow) const
{
    const auto rules = plan.rules();
    if (rules.empty()) {
        return std::nullopt;
    }
    const auto connections = ssh_connections();
    if (!connections) {
        log::error("{}", connections.error().message);
        return std::nullopt;
    }
    std::set<Address> logged_in;
    for (const Protected& entry : protected_->entries()) {
        if (entry.as == Protection::SSH_PEER) {
            logged_in.insert(entry.prefix.address);
        }
    }
    allow.insert(allow.end(), hand_.allow.begin(), hand_.allow.end());
    allow.insert(allow.end(), hand_.trusted.begin(), hand_.trusted.end());
    std::set<std::string> shut_out;
    for (const SocketInfo& socket : *connections) {
        if (!logged_in.empty() && !logged_in.contains(socket.peer)) {
            continue;
        }
        const auto rule = rules.find(socket.local_port);
        const auto covers = [&socket](const Prefix& prefix) {
            return prefix.contains(socket.peer);
        };
        if (rule != rules.end() && !std::any_of(allow.begin(), allow.end(), covers) &&
            !is_private(socket.peer) &&
            !admits(rule->second, codes_at(plan.data->networks, socket.peer))) {
            shut_out.insert(fmt::format("{} (port {})", to_string(socket.peer), socket.local_port));
        }
    }
    if (shut_out.empty()) {
        return std::nullopt;
    }
    return Lockout{fmt::format("SSH would be closed for who is {} now: {}; `xdpctl allow add` "
                               "your own address first",
                               logged_in.empty() ? "connected (logged in or not)" : "logged in",
                               fmt::join(shut_out, ", ")),
                   !logged_in.empty()};
}

Result<> Controller::check_geo_lockout(const GeoConfig& wanted, const std::vector<Prefix>& allow,
                                       std::vector<std::string>& warnings)
{
    const auto plan = geo_.plan(wanted);
    if (!plan) {
        return plan.error();
    }
    const auto lockout = geo_lockout(*plan, allow);
    if (lockout && lockout->certain) {
        return failure(ErrorKind::refused, "{}", lockout->text);
    }
    if (lockout) {
        warnings.push_back(lockout->text);
    }
    return Done{};
}

Result<> Controller::set_geo(uint16_t port, const std::optional<GeoRule>& rule, bool force)
{
    HandState hand = hand_;
    if (rule) {
        hand.geo[port] = *rule;
    } else {
        hand.geo.erase(port);
    }
    const auto plan = geo_.plan(geo_wanted(config_, hand));
    if (!plan) {
        return plan.error();
    }
    if (const auto lockout = geo_lockout(*plan, spared_by(config_)); lockout && !force) {
        return failure(ErrorKind::refused, "{}, or say --force", lockout->text);
    }
    if (auto done = change(config_, std::move(hand)); !done) {
        return done;
    }
    note("geo", fmt::format("port {}: {} by the operator", port,
                            rule ? to_string(*rule) : "as configured"));
    return Done{};
}

// A new database is read as soon as it is there.
void Controller::follow_geo()
{
    if (geo_in_work_ || !geo_.is_stale()) {
        return;
    }
    geo_in_work_ = true;
    const std::string stamp = geo_.stamp_now();
    start_job([before = geo_](const Stop&) { return before.read_again(); },
              [this, before = geo_, stamp](Result<GeoSets::Plan>&& plan) {
                  geo_in_work_ = false;
                  take_geo(before, std::move(plan), stamp);
              });
}

void Controller::take_geo(const GeoSets& before, Result<GeoSets::Plan>&& plan,
                          const std::string& stamp)
{
    if (!plan) {
        geo_.failed(plan.error().message, stamp);
        return;
    }
    if (!(plan->wanted == geo_wanted(config_, hand_)) ||
        geo_.in_force().bits != before.in_force().bits) {
        return; // other rules meanwhile; asked again
    }
    const size_t networks = plan->data->networks.size();
    const bool was_suspended = geo_.is_suspended();
    if (const auto lockout = geo_lockout(*plan, spared_by(config_))) {
        const std::string text = "the databases are other ones: " + lockout->text;
        if (lockout->certain) {
            geo_.failed(text, stamp);
            return; // what was read before stays
        }
        note("geo", text);
    }
    if (auto done = set_geo_networks(*plan); !done) {
        geo_.failed(done.error().message, stamp);
        return;
    }
    geo_.keep(std::move(*plan));
    if (was_suspended) {
        commit_again();
    }
    note("geo", fmt::format("databases read again: {} networks", networks));
}

GeoStatus Controller::geo(const std::vector<ListStatus>& lists) const
{
    GeoStatus status;
    for (const auto& [port, rule] : geo_wanted(config_, hand_).services) {
        status.services.push_back({port, rule, hand_.geo.contains(port)});
    }
    for (const auto& [port, rule] : hand_.geo) {
        if (rule == GeoRule{}) {
            status.services.push_back({port, rule, true});
        }
    }
    status.databases = geo_.in_force().data->files;
    status.networks = geo_.in_force().data->networks.size();
    status.suspended = geo_.is_suspended();
    status.problem = geo_.problem();
    for (const ListStatus& list : lists) {
        if (list.name == list_name(XDPCTL_LIST_GEO)) {
            status.refused = list.met;
        }
    }
    return status;
}

} // namespace xdpctl
