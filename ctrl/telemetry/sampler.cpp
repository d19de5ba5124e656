// SPDX-License-Identifier: Apache-2.0
#include "telemetry/sampler.h"

#include <algorithm>

#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t rate_span_ns = ns_per_s;

void add(Traffic& total, const xdpctl_cell& cell)
{
    total.packets += cell.packets;
    total.bytes += cell.bytes;
}

// An interface that was made anew has a new index, and goes on under its name.
void add_device(Snapshot& snapshot, const DeviceCounters& counters, const std::string& name)
{
    const auto known =
        std::find_if(snapshot.devices.begin(), snapshot.devices.end(),
                     [&name](const DeviceSnapshot& device) { return device.name == name; });
    if (known == snapshot.devices.end()) {
        snapshot.devices.push_back({name, counters});
        return;
    }
    for (size_t f = 0; f < counters.cells.size(); f++) {
        for (size_t d = 0; d < counters.cells[f].size(); d++) {
            for (size_t r = 0; r < counters.cells[f][d].size(); r++) {
                known->counters.cells[f][d][r].packets += counters.cells[f][d][r].packets;
                known->counters.cells[f][d][r].bytes += counters.cells[f][d][r].bytes;
            }
        }
    }
}

void add_totals(Snapshot& snapshot, const DeviceCounters& device)
{
    for (const auto& family : device.cells) {
        for (size_t d = 0; d < family.size(); d++) {
            for (const ReasonInfo& reason : reasons) {
                const xdpctl_cell& cell = family[d][reason.id];
                add(snapshot.by_reason[d][reason.id], cell);
                add(snapshot.received, cell);
                const auto outcome = static_cast<size_t>(outcome_of(d, reason.verdict).id);
                add(snapshot.by_outcome[outcome], cell);
            }
        }
    }
}

void set_rate(Traffic& now, const Traffic& then, double seconds)
{
    if (now.packets < then.packets || now.bytes < then.bytes) {
        return; // the counters began anew
    }
    now.packets_per_second = static_cast<double>(now.packets - then.packets) / seconds;
    now.bits_per_second = static_cast<double>(now.bytes - then.bytes) * 8 / seconds;
}

} // namespace

std::string_view to_string(GuardState state)
{
    constexpr std::array<std::string_view, 6> names = {"off",       "watching", "attacked",
                                                       "answering", "limiting", "overloaded"};
    return names.at(static_cast<size_t>(state));
}

std::string_view to_string(xdpctl_cookie_doubt doubt)
{
    switch (doubt) {
    case XDPCTL_COOKIES_NOT_ESTABLISHED:
        return "accepted cookies do not become connections here (is the port taken away by DNAT?)";
    case XDPCTL_COOKIES_NOT_RETURNED:
        return "clients that were here before ask again and again: answers get lost on the way to "
               "them";
    default:
        return "";
    }
}

Snapshot Sampler::take(const Reading& reading, const std::map<uint32_t, std::string>& device_names)
{
    Snapshot snapshot;
    snapshot.time_ns = reading.time_ns;
    snapshot.bans = reading.bans;
    snapshot.maps = reading.maps;
    snapshot.guards = reading.guards;
    for (const DeviceCounters& device : reading.devices) {
        const auto name = device_names.find(device.ifindex);
        add_device(snapshot, device,
                   name != device_names.end() ? name->second
                   : device.ifindex == 0      ? "other"
                                              : fmt::format("ifindex{}", device.ifindex));
        snapshot.events_lost += device.events_lost;
        add_totals(snapshot, device);
    }
    add_rates(snapshot);
    add_clients(snapshot, reading.clients);
    return snapshot;
}

void Sampler::add_rates(Snapshot& snapshot)
{
    while (marks_.size() > 1 && snapshot.time_ns - marks_[1].time_ns >= rate_span_ns) {
        marks_.erase(marks_.begin());
    }
    if (!marks_.empty() && snapshot.time_ns > marks_.front().time_ns) {
        const Snapshot& then = marks_.front().snapshot;
        const double seconds = static_cast<double>(snapshot.time_ns - marks_.front().time_ns) / 1e9;
        for (size_t d = 0; d < snapshot.by_reason.size(); d++) {
            for (size_t r = 0; r < snapshot.by_reason[d].size(); r++) {
                set_rate(snapshot.by_reason[d][r], then.by_reason[d][r], seconds);
            }
        }
        set_rate(snapshot.received, then.received, seconds);
        for (size_t i = 0; i < outcomes.size(); i++) {
            set_rate(snapshot.by_outcome[i], then.by_outcome[i], seconds);
        }
    }
    marks_.push_back({snapshot.time_ns, snapshot});
}

// Sorted vectors: whoever chooses addresses cannot make this slow.
void Sampler::add_clients(Snapshot& snapshot, const std::vector<ClientSample>& clients)
{
    std::vector<Seen> now;
    now.reserve(clients.size());
    for (const ClientSample& client : clients) {
        now.push_back({client.source, snapshot.time_ns, client.packets, 0});
    }
    std::sort(now.begin(), now.end(),
              [](const Seen& a, const Seen& b) { return a.source < b.source; });
    auto before = seen_.begin();
    for (Seen& seen : now) {
        while (before != seen_.end() && before->source < seen.source) {
            before++;
        }
        if (before == seen_.end() || before->source != seen.source) {
            continue;
        }
        seen.packets_per_second = before->packets_per_second;
        const uint64_t elapsed = seen.time_ns - before->time_ns;
        if (elapsed < rate_span_ns) {
            seen.time_ns = before->time_ns;
            seen.packets = before->packets;
        } else if (seen.packets >= before->packets) {
            seen.packets_per_second = static_cast<double>(seen.packets - before->packets) * 1e9 /
                                      static_cast<double>(elapsed);
        }
    }
    const auto rate_of = [&now](const Address& source) {
        return std::lower_bound(now.begin(), now.end(), source,
                                [](const Seen& a, const Address& b) { return a.source < b; })
            ->packets_per_second;
    };
    for (const ClientSample& client : clients) {
        snapshot.clients.push_back(
            {client.source, rate_of(client.source), client.connections, client.packets});
    }
    seen_ = std::move(now);
    const size_t kept = std::min(top_clients, snapshot.clients.size());
    std::partial_sort(snapshot.clients.begin(),
                      snapshot.clients.begin() + static_cast<std::ptrdiff_t>(kept),
                      snapshot.clients.end(), [](const Talker& a, const Talker& b) {
                          return std::tuple(-a.packets_per_second, a.source) <
                                 std::tuple(-b.packets_per_second, b.source);
                      });
    snapshot.clients.resize(kept);
}

} // namespace xdpctl
