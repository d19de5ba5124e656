// SPDX-License-Identifier: Apache-2.0
#include "core/services.h"

#include <algorithm>

namespace xdpctl
{

size_t ServiceSlots::find(uint16_t port) const
{
    return static_cast<size_t>(std::find(ports_.begin() + 1, ports_.end(), port) - ports_.begin());
}

size_t ServiceSlots::find_room(const std::set<uint16_t>& present) const
{
    const size_t unused = find(0);
    if (unused < ports_.size()) {
        return unused;
    }
    const auto* gone = std::find_if(ports_.begin() + 1, ports_.end(),
                                    [&present](uint16_t port) { return !present.contains(port); });
    return static_cast<size_t>(gone - ports_.begin());
}

ServiceSlots::Changes ServiceSlots::follow(const std::set<uint16_t>& present)
{
    Changes changes;
    for (const uint16_t port : present) {
        if (find(port) < ports_.size()) {
            continue;
        }
        const size_t slot = find_room(present);
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
