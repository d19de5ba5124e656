// SPDX-License-Identifier: Apache-2.0
#include "core/services.h"

#include <algorithm>

namespace xdpctl
{

size_t ServiceSlots::find(uint16_t port) const
{
    return static_cast<size_t>(std::find(ports_.begin() + 1, ports_.end(), port) - ports_.begin());
}

size_t ServiceSlots::find_room(const std::map<uint16_t, ServiceRank>& present,
                               ServiceRank rank) const
{
    const size_t unused = find(0);
    if (unused < ports_.size()) {
        return unused;
    }
    size_t lowest = ports_.size();
    for (size_t slot = 1; slot < ports_.size(); slot++) {
        const auto service = present.find(ports_[slot]);
        if (service == present.end()) {
            return slot; // it is gone
        }
        const bool lower = lowest == ports_.size() || service->second > present.at(ports_[lowest]);
        if (service->second > rank && lower) {
            lowest = slot;
        }
    }
    return lowest;
}

ServiceSlots::Changes ServiceSlots::follow(const std::map<uint16_t, ServiceRank>& present)
{
    Changes changes;
    std::vector<std::pair<ServiceRank, uint16_t>> in_order; // then by port
    for (const auto& [port, rank] : present) {
        in_order.emplace_back(rank, port);
    }
    std::sort(in_order.begin(), in_order.end());
    for (const auto& [rank, port] : in_order) {
        if (find(port) < ports_.size()) {
            continue;
        }
        const size_t slot = find_room(present, rank);
        if (slot == ports_.size()) {
            changes.homeless.push_back(port);
            continue;
        }
        ports_[slot] = port;
        changes.reset.push_back(static_cast<uint8_t>(slot));
    }
    return changes;
}

} // namespace xdpctl
