// SPDX-License-Identifier: Apache-2.0
#include "core/detector.h"

#include <algorithm>

namespace xdpctl
{

std::vector<Offender> RateDetector::observe(const std::vector<ClientSample>& clients,
                                            uint64_t now_ns)
{
    std::vector<Offender> offenders;
    for (const ClientSample& client : clients) {
        auto [entry, is_new] =
            windows_.try_emplace(client.source, Window{now_ns, client.session_packets, now_ns});
        Window& window = entry->second;
        window.seen_ns = now_ns;
        if (is_new || client.session_packets < window.session_packets) {
            window = {now_ns, client.session_packets, now_ns};
            continue;
        }
        const uint64_t sent = client.session_packets - window.session_packets;
        const uint64_t elapsed_ns = now_ns - window.start_ns;
        // Judge as soon as the whole window's allowance is used up; a late look
        // allows for the longer time.
        const double allowance = static_cast<double>(packets_per_second_) *
                                 static_cast<double>(std::max(elapsed_ns, window_ns_)) / 1e9;
        const bool exceeded = static_cast<double>(sent) > allowance;
        if (exceeded) {
            offenders.push_back(
                {client.source, static_cast<double>(sent) * 1e9 /
                                    static_cast<double>(std::max<uint64_t>(elapsed_ns, 1))});
        }
        if (exceeded || elapsed_ns >= window_ns_) {
            window = {now_ns, client.session_packets, now_ns};
        }
    }
    forget_absent(now_ns);
    return offenders;
}

void RateDetector::forget_absent(uint64_t now_ns)
{
    std::erase_if(windows_,
                  [&](const auto& entry) { return now_ns - entry.second.seen_ns > window_ns_; });
}

} // namespace xdpctl
