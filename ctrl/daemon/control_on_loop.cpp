// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_on_loop.h"

#include <chrono>

#include "geo/database.h"

namespace xdpctl
{
namespace
{

constexpr std::chrono::seconds disk_patience(10); // of an answer, for a disk that hangs

} // namespace

Result<std::vector<BanInfo>> ControlOnLoop::bans()
{
    return inbox_.ask([this] { return controller_.bans(); });
}

Result<BanResult> ControlOnLoop::ban(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin)
{
    return change([&](Controller& c) { return c.ban(wishes, origin); });
}

Result<size_t> ControlOnLoop::lift(const BanFilter& filter)
{
    return change([&](Controller& c) { return c.lift(filter); });
}

// Disks are slow, and some hang.
std::string ControlOnLoop::not_saved()
{
    const auto [room, saved] = inbox_.ask(
        [this] { return std::make_pair(controller_.ask_room(), controller_.state_saved()); });
    const auto until = std::chrono::steady_clock::now() + disk_patience;
    if (room.wait_until(until) != std::future_status::ready ||
        saved.wait_until(until) != std::future_status::ready) {
        return "the disk does not answer: it is not saved yet";
    }
    return change([&room = room](Controller& c) { return c.not_saved(room.get()); });
}

Result<size_t> ControlOnLoop::allow(Spared which, const std::vector<Prefix>& prefixes, bool force)
{
    return change([&](Controller& c) { return c.allow(which, prefixes, force); });
}

Result<size_t> ControlOnLoop::disallow(Spared which, const std::vector<Prefix>& prefixes)
{
    return change([&](Controller& c) { return c.disallow(which, prefixes); });
}

Result<> ControlOnLoop::set_mode(xdpctl_mode mode)
{
    return change([&](Controller& c) { return c.set_mode(mode); });
}

Result<> ControlOnLoop::set_guard(uint16_t port, std::optional<xdpctl_guard_mode> mode)
{
    return change([&](Controller& c) { return c.set_guard(port, mode); });
}

Result<> ControlOnLoop::set_lockdown(uint16_t port, std::optional<bool> on)
{
    return change([&](Controller& c) { return c.set_lockdown(port, on); });
}

Result<Attachment> ControlOnLoop::attach(const std::string& interface)
{
    return change([&](Controller& c) { return c.attach(interface); });
}

Result<bool> ControlOnLoop::detach(const std::string& interface)
{
    return change([&](Controller& c) { return c.detach(interface); });
}

Result<PanicEnd> ControlOnLoop::end_panic()
{
    return change([](Controller& c) { return c.end_panic(); });
}

Result<Control::Checked> ControlOnLoop::check(const std::string& toml, const std::string& name,
                                              Caller caller)
{
    return inbox_.ask([&] { return controller_.check(toml, name, caller); });
}

Result<std::vector<std::string>> ControlOnLoop::diff(const std::string& toml,
                                                     const std::string& name, Caller caller)
{
    return inbox_.ask([&] { return controller_.diff(toml, name, caller); });
}

Result<Control::Applied> ControlOnLoop::apply(const std::string& toml, const std::string& name,
                                              Caller caller)
{
    return change([&](Controller& c) { return c.apply(toml, name, caller); });
}

Result<Control::Applied> ControlOnLoop::reload()
{
    return change([](Controller& c) { return c.reload(); });
}

Result<> ControlOnLoop::refresh_feed(const std::string& name, bool force)
{
    return change([&](Controller& c) { return c.refresh_feed(name, force); });
}

Result<> ControlOnLoop::set_geo(uint16_t port, const std::optional<GeoRule>& rule, bool force)
{
    return change([&](Controller& c) { return c.set_geo(port, rule, force); });
}

// The databases are read on this thread: that takes its time.
Result<Explanation> ControlOnLoop::explain(const Bytes& frame)
{
    const auto info = read_frame(frame);
    std::vector<std::string> databases;
    auto explanation = inbox_.ask([&] {
        databases = controller_.config().geo.databases;
        return controller_.explain(frame);
    });
    if (explanation && info) {
        if (auto codes = read_codes_at(databases, info->src)) {
            explanation->source_codes = std::move(*codes);
        }
    }
    return explanation;
}

} // namespace xdpctl
