// SPDX-License-Identifier: Apache-2.0
// Counts to a Snapshot: sums, rates, the busiest clients.
#pragma once

#include <map>
#include <unordered_map>

#include "telemetry/snapshot.h"

namespace xdpctl
{

// What one tick read from the data path.
struct Reading {
    uint64_t time_ns = 0;
    std::vector<DeviceCounters> devices;
    std::vector<ClientSample> clients;
    BanCounts bans;
    std::vector<GuardStatus> guards;
    std::vector<MapUsage> maps;
};

// Pure. Rates are taken over about a second, so that one busy tick is not a trend.
class Sampler
{
  public:
    Snapshot take(const Reading& reading, const std::map<uint32_t, std::string>& device_names);

  private:
    struct Mark {
        uint64_t time_ns = 0;
        Snapshot snapshot;
    };

    void add_rates(Snapshot& snapshot);
    void add_clients(Snapshot& snapshot, const std::vector<ClientSample>& clients);

    std::vector<Mark> marks_; // oldest first, about a second back
    std::unordered_map<Address, std::pair<uint64_t, uint64_t>, AddressHash> seen_; // time, packets
    std::unordered_map<Address, double, AddressHash> client_rates_;
};

} // namespace xdpctl
