// SPDX-License-Identifier: Apache-2.0
// Which slot of the data path holds the state of which service.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include <xdpctl/abi/policy.h>

namespace xdpctl
{

// Who gets a slot where there are not enough for all, the first first. So that a local
// user who listens on many ports takes no slot from what the system serves.
enum class ServiceRank { configured, below_1024, system_account, other };

// A port keeps its slot while there are enough, also when its listener goes away
// and comes back; only then are those that are gone given to others, then those of a
// lower rank.
class ServiceSlots
{
  public:
    struct Changes {
        std::vector<uint8_t> reset;     // slots that begin anew
        std::vector<uint16_t> homeless; // ports for which there is no slot
    };

    // What an earlier daemon left in the data path.
    void adopt(uint8_t slot, uint16_t port) { ports_[slot] = port; }

    // The ports that have a listener now.
    Changes follow(const std::map<uint16_t, ServiceRank>& present);

    // By slot; 0: free. Slot 0 is never given.
    const std::array<uint16_t, XDPCTL_SERVICES>& ports() const { return ports_; }

  private:
    size_t find(uint16_t port) const; // XDPCTL_SERVICES where it has none
    size_t find_room(const std::map<uint16_t, ServiceRank>& present, ServiceRank rank) const;

    std::array<uint16_t, XDPCTL_SERVICES> ports_{};
};

} // namespace xdpctl
