// SPDX-License-Identifier: Apache-2.0
// The controller's part for services that are for some countries or AS numbers only.
#include "base/log.h"
#include "daemon/controller.h"

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
    const GeoConfig wanted = geo_wanted(config_, hand_);
    if (auto plan = geo_.plan(wanted); !plan) {
        note("geo", plan.error().message + "; no rule of geo is in force");
        geo_.suspend(wanted, plan.error().message);
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

// Who is logged in here must be able to log in again.
Result<> Controller::check_geo_lockout(const GeoConfig& wanted, std::vector<Prefix> allow)
{
    if (wanted.services == geo_.in_force().wanted.services) {
        return Done{};
    }
    const auto plan = geo_.plan(wanted);
    const auto connections = ssh_connections();
    if (!plan || !connections) {
        return !plan ? plan.error() : connections.error();
    }
    allow.insert(allow.end(), hand_.allow.begin(), hand_.allow.end());
    const auto rules = plan->rules();
    for (const SocketInfo& socket : *connections) {
        const auto rule = rules.find(socket.local_port);
        const bool allowed =
            std::any_of(allow.begin(), allow.end(),
                        [&socket](const Prefix& prefix) { return prefix.contains(socket.peer); });
        if (rule != rules.end() && !allowed &&
            !admits(rule->second, codes_at(plan->data->networks, socket.peer))) {
            return failure(ErrorKind::refused,
                           "port {} would be closed for {}, connected by SSH now: `xdpctl allow "
                           "add {}` first",
                           socket.local_port, to_string(socket.peer), to_string(socket.peer));
        }
    }
    return Done{};
}

Result<> Controller::set_geo(uint16_t port, const std::optional<GeoRule>& rule)
{
    const std::lock_guard lock(mutex_);
    HandState hand = hand_;
    if (rule) {
        hand.geo[port] = *rule;
    } else {
        hand.geo.erase(port);
    }
    if (auto safe = check_geo_lockout(geo_wanted(config_, hand), config_.allow); !safe) {
        return safe;
    }
    if (auto done = change(config_, std::move(hand)); !done) {
        return done;
    }
    note("geo", fmt::format("port {}: {} by the operator", port,
                            rule ? to_string(*rule) : "as configured"));
    return Done{};
}

// Reading a database takes its time: not under the lock.
void Controller::follow_geo()
{
    std::unique_lock lock(mutex_);
    if (geo_in_work_ || !geo_.is_stale()) {
        return;
    }
    geo_in_work_ = true;
    const GeoSets before = geo_;
    lock.unlock();
    const std::string stamp = before.stamp_now();
    auto plan = before.read_again();
    lock.lock();
    geo_in_work_ = false;
    const GeoConfig wanted = geo_wanted(config_, hand_);
    if (!plan) {
        geo_.failed(plan.error().message, stamp);
        note("geo", plan.error().message + (geo_.is_suspended() ? "; no rule of geo is in force"
                                                                : "; what was read before stays"));
        return;
    }
    if (!(plan->wanted == wanted) || geo_.in_force().bits != before.in_force().bits) {
        return; // other rules meanwhile; asked again
    }
    const size_t networks = plan->data->networks.size();
    const bool was_suspended = geo_.is_suspended();
    if (auto done = set_geo_networks(*plan); !done) {
        log::error("{}", done.error().message);
        return;
    }
    geo_.keep(std::move(*plan));
    if (was_suspended) {
        if (auto done = change(config_, hand_); !done) {
            log::error("{}", done.error().message);
        }
    }
    note("geo", fmt::format("databases read again: {} networks", networks));
}

GeoStatus Controller::geo()
{
    const std::lock_guard lock(mutex_);
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
    for (const ListStatus& list : list_statuses()) {
        if (list.name == list_name(XDPCTL_LIST_GEO)) {
            status.refused = list.met;
        }
    }
    return status;
}

} // namespace xdpctl
