// SPDX-License-Identifier: Apache-2.0
#include "telemetry/event_log.h"

#include <arpa/inet.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "core/frame.h"
#include "core/reasons.h"

namespace xdpctl
{
namespace
{

std::string endpoint(const xdpctl_addr& addr, __be16 port, bool with_port)
{
    const Address address = Address::from_abi(addr);
    if (!with_port) {
        return to_string(address);
    }
    return address.is_ipv4() ? fmt::format("{}:{}", to_string(address), ntohs(port))
                             : fmt::format("[{}]:{}", to_string(address), ntohs(port));
}

} // namespace

std::string describe_packet(const xdpctl_event& event)
{
    if (event.judgement.family == XDPCTL_NON_IP) {
        return fmt::format("frame of {} bytes", event.frame_bytes);
    }
    const bool ports = event.judgement.session != XDPCTL_SESSION_UNKNOWN;
    const std::string flags =
        ports && event.protocol == 6 ? fmt::format(" [{}]", format_tcp_flags(event.tcp_flags)) : "";
    return fmt::format("{} {} > {}{} {} bytes", protocol_name(event.protocol),
                       endpoint(event.src, event.sport, ports),
                       endpoint(event.dst, event.dport, ports), flags, event.frame_bytes);
}

void EventLog::append(std::deque<LogEvent>& events, LogEvent event)
{
    event.sequence = next_++;
    events.push_back(std::move(event));
    if (events.size() > capacity_) {
        events.pop_front();
    }
}

void EventLog::add(uint64_t unix_ms, EventKind kind, std::string text)
{
    const std::lock_guard lock(mutex_);
    append(decisions_, {0, unix_ms, std::string(kind.name()), std::move(text), std::nullopt});
}

void EventLog::add(uint64_t unix_ms, const xdpctl_event& packet)
{
    std::string text = describe_packet(packet);
    const std::lock_guard lock(mutex_);
    append(packets_, {0, unix_ms, "packet", std::move(text), packet});
}

uint64_t EventLog::last_sequence() const
{
    const std::lock_guard lock(mutex_);
    return next_ - 1;
}

std::vector<LogEvent> EventLog::since(uint64_t sequence) const
{
    std::vector<LogEvent> found;
    std::unique_lock lock(mutex_);
    for (const auto* events : {&decisions_, &packets_}) {
        std::copy_if(events->begin(), events->end(), std::back_inserter(found),
                     [sequence](const LogEvent& event) { return event.sequence > sequence; });
    }
    lock.unlock();
    std::sort(found.begin(), found.end(),
              [](const LogEvent& a, const LogEvent& b) { return a.sequence < b.sequence; });
    return found;
}

std::vector<DroppedSource> EventLog::top_dropped(uint64_t from_ns, size_t most) const
{
    const std::lock_guard lock(mutex_);
    std::map<std::pair<Address, uint32_t>, uint64_t> counts;
    uint64_t total = 0;
    for (const LogEvent& event : packets_) {
        const bool drops =
            reason_info(event.packet->judgement.reason).verdict == XDPCTL_VERDICT_DROP;
        if (drops && event.packet->judgement.time_ns >= from_ns) {
            counts[{Address::from_abi(event.packet->src), event.packet->judgement.reason}]++;
            total++;
        }
    }
    std::vector<DroppedSource> top;
    for (const auto& [key, samples] : counts) {
        top.push_back({key.first, key.second,
                       static_cast<double>(samples) / static_cast<double>(total), samples});
    }
    std::stable_sort(top.begin(), top.end(), [](const DroppedSource& a, const DroppedSource& b) {
        return a.samples > b.samples;
    });
    top.resize(std::min(most, top.size()));
    return top;
}

} // namespace xdpctl
