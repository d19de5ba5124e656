// SPDX-License-Identifier: Apache-2.0
#include "daemon/guards.h"

#include <algorithm>

#include "core/units.h"

namespace xdpctl
{
namespace
{

// What the configuration and the operator's hand say together.
ServiceSpec service_spec(uint8_t slot, uint16_t port, const Config& config, const HandState& hand)
{
    ServiceSpec spec{.slot = slot, .port = port, .guard = config.guard.mode};
    if (const auto found = config.guard.modes.find(port); found != config.guard.modes.end()) {
        spec.guard = found->second;
    }
    if (const auto found = hand.guards.find(port); found != hand.guards.end()) {
        spec.guard = found->second;
    }
    spec.lockdown = config.guard.lockdown.contains(port);
    if (const auto found = hand.lockdown.find(port); found != hand.lockdown.end()) {
        spec.lockdown = found->second;
    }
    return spec;
}

std::string counted_since(const GuardStatus& begin, const GuardStatus& now)
{
    return fmt::format(
        "{} cookies sent, {} clients proven, {} SYNs limited, {} packets without a connection",
        format_count(static_cast<double>(now.cookies - begin.cookies)),
        format_count(static_cast<double>(now.accepted - begin.accepted)),
        format_count(static_cast<double>(now.limited - begin.limited)),
        format_count(static_cast<double>(now.rejected - begin.rejected)));
}

std::string name_of(const GuardStatus& guard)
{
    return guard.port == 0 ? "ports without a listener" : fmt::format("tcp/{}", guard.port);
}

std::string began(const GuardStatus& guard)
{
    if (!guard.enforced) {
        return "monitored only: nothing is done about it";
    }
    switch (guard.state) {
    case GuardState::answering:
        return "SYNs are answered with cookies";
    case GuardState::limiting:
        return "SYNs are limited by source prefix and service, known clients first";
    default:
        return "the guard is only armed: nothing is done about it";
    }
}

void tell_change(const GuardStatus& before, const GuardStatus& begin, const GuardStatus& now,
                 std::vector<std::string>& said)
{
    const std::string name = name_of(now);
    if (now.attacked && !before.attacked) {
        said.push_back(fmt::format("{}: SYN flood: {}", name, began(now)));
    } else if (!now.attacked && before.attacked) {
        said.push_back(fmt::format("{}: SYN flood over: {}", name, counted_since(begin, now)));
    }
    if (now.overloaded && !before.overloaded) {
        said.push_back(fmt::format("{}: overloaded, not attacked: its accept queue is full, so the "
                                   "service does not accept connections fast enough",
                                   name));
    } else if (!now.overloaded && before.overloaded) {
        said.push_back(fmt::format("{}: not overloaded any more", name));
    }
    if (now.misrouted > 0 && before.misrouted == 0) {
        said.push_back(fmt::format("{}: some SYNs get no cookie: the route to their sources leaves "
                                   "by another interface; they are limited instead",
                                   name));
    }
    if (now.cookies_off_ns && !before.cookies_off_ns) {
        said.push_back(fmt::format("{}: COOKIES OFF for {}: {}; SYNs are limited instead", name,
                                   format_duration(*now.cookies_off_ns), to_string(now.doubt)));
    } else if (!now.cookies_off_ns && before.cookies_off_ns) {
        said.push_back(fmt::format("{}: cookies are tried again", name));
    }
}

} // namespace

void Guards::adopt(const std::vector<GuardReading>& readings)
{
    for (const GuardReading& reading : readings) {
        if (reading.slot > 0) {
            slots_.adopt(reading.slot, reading.service.port);
        }
    }
}

namespace
{

ServiceRank rank_of(uint16_t port, const HostFacts& host, const Config& config,
                    const HandState& hand)
{
    if (config.guard.modes.contains(port) || config.guard.lockdown.contains(port) ||
        config.geo.services.contains(port) || hand.guards.contains(port) ||
        hand.lockdown.contains(port) || hand.geo.contains(port)) {
        return ServiceRank::configured;
    }
    constexpr uint16_t first_unprivileged = 1024; // net.ipv4.ip_unprivileged_port_start
    if (port < first_unprivileged) {
        return ServiceRank::below_1024;
    }
    const auto account = host.accounts.find(port);
    return account != host.accounts.end() && is_system_account(account->second)
               ? ServiceRank::system_account
               : ServiceRank::other;
}

} // namespace

ServiceSlots::Changes Guards::follow(const HostFacts& host, const Config& config,
                                     const HandState& hand)
{
    std::map<uint16_t, ServiceRank> ports;
    for (const auto& [port, backlog] : host.backlogs) {
        ports.emplace(port, rank_of(port, host, config, hand));
    }
    return slots_.follow(ports);
}

HostSpec Guards::spec(const Config& config, const HandState& hand, const HostFacts& host) const
{
    HostSpec spec;
    for (size_t slot = 1; slot < slots_.ports().size(); slot++) {
        const uint16_t port = slots_.ports()[slot];
        if (port == 0) {
            continue;
        }
        ServiceSpec service = service_spec(static_cast<uint8_t>(slot), port, config, hand);
        const auto backlog = host.backlogs.find(port);
        service.present = backlog != host.backlogs.end();
        service.capacity = service.present ? backlog->second : 0;
        spec.services.push_back(service);
    }
    spec.flags = (host.network.conntrack ? XDPCTL_HOST_CONNTRACK : 0U) |
                 (host.sees_handshakes ? 0U : XDPCTL_HOST_BLIND);
    spec.rmem_max = host.network.rmem_max;
    return spec;
}

namespace
{

// The data path lets them fade at the next SYN (bpf/guard_state.h): a 16th a second.
uint64_t pending_now(const xdpctl_guard& state, uint64_t now_ns)
{
    const auto pending = static_cast<uint64_t>(std::max<int64_t>(state.pending, 0));
    const uint64_t seconds = (now_ns - std::min(now_ns, uint64_t{state.decayed_ns})) / ns_per_s;
    return seconds >= 16 ? 0 : pending - pending * seconds / 16;
}

} // namespace

GuardStatus guard_status(const GuardReading& reading, uint64_t now_ns)
{
    const xdpctl_guard& state = reading.state;
    GuardStatus status;
    status.port = reading.service.port;
    status.mode = static_cast<xdpctl_guard_mode>(reading.service.guard);
    status.lockdown = reading.service.lockdown != 0;
    status.attacked = now_ns < state.attack_until_ns;
    if (status.attacked) {
        status.attacked_for_ns = now_ns - std::min(now_ns, uint64_t{state.attack_since_ns});
    }
    if (now_ns < state.cookies_off_until_ns) {
        status.cookies_off_ns = state.cookies_off_until_ns - now_ns;
        status.doubt = static_cast<xdpctl_cookie_doubt>(state.doubt);
    }
    status.overloaded = now_ns < state.overloaded_until_ns;
    status.enforced = reading.enforced;
    const bool may_act = reading.enforced;
    const bool active = may_act && (reading.slot == 0 || status.mode == XDPCTL_GUARD_ON ||
                                    (status.mode == XDPCTL_GUARD_AUTO && status.attacked));
    const bool limits = reading.slot == 0 || status.cookies_off_ns;
    status.state = status.mode == XDPCTL_GUARD_OFF && reading.slot > 0 ? GuardState::off
                   : active && limits && (status.attacked || reading.slot > 0)
                       ? GuardState::limiting
                   : active && !limits ? GuardState::answering
                   : status.attacked   ? GuardState::attacked
                   : status.overloaded ? GuardState::overloaded
                                       : GuardState::watching;
    status.capacity = reading.service.capacity;
    status.pending = pending_now(state, now_ns);
    status.attacks = state.attacks;
    status.syns = reading.counters.syns;
    status.cookies = reading.counters.cookies;
    status.accepted = reading.counters.accepted;
    status.rejected = reading.counters.rejected;
    status.limited = reading.counters.limited;
    status.misrouted = reading.counters.misrouted;
    status.established = reading.counters.established;
    return status;
}

std::vector<std::string> Guards::watch(const std::vector<GuardReading>& readings, uint64_t now_ns)
{
    std::vector<std::string> said;
    std::vector<Watched> watched;
    for (const GuardReading& reading : readings) {
        const GuardStatus now = guard_status(reading, now_ns);
        const auto last = std::find_if(last_.begin(), last_.end(),
                                       [&now](const Watched& w) { return w.now.port == now.port; });
        const Watched before = last != last_.end() ? *last : Watched{};
        tell_change(before.now, before.at_begin, now, said);
        const bool goes_on = before.now.attacked && now.attacked;
        watched.push_back({now, goes_on ? before.at_begin : now});
    }
    last_ = std::move(watched);
    return said;
}

Sysctls sysctls_for(const std::vector<GuardStatus>& guards, const std::string& syncookies)
{
    bool needed = false;
    bool answering = false;
    for (const GuardStatus& guard : guards) {
        needed |= guard.port != 0 && (guard.state != GuardState::off || guard.lockdown);
        answering |= guard.state == GuardState::answering || guard.lockdown;
    }
    if (!needed) {
        return {};
    }
    // 2 lets the data path make a cookie for every SYN; with 1 only while the
    // listener's own queue is full.
    Sysctls wanted = {{"net.ipv4.tcp_timestamps", "2"}};
    if (answering) {
        wanted["net.ipv4.tcp_syncookies"] = "2";
    } else if (syncookies == "0") {
        wanted["net.ipv4.tcp_syncookies"] = "1";
    }
    return wanted;
}

} // namespace xdpctl
