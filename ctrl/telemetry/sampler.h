// SPDX-License-Identifier: Apache-2.0
// Counts to a Snapshot: sums, rates, the busiest clients.
#pragma once

#include <map>
#include <vector>

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

    // A client at the last look that its rate was taken from.
    struct Seen {
        Address source;
        uint64_t time_ns = 0;
        uint64_t packets = 0;
        double packets_per_second = 0;
    };

    void add_rates(Snapshot& snapshot);
    void add_clients(Snapshot& snapshot, const std::vector<ClientSample>& clients);

    std::vector<Mark> marks_; // oldest first, about a second back
    std::vector<Seen> seen_;  // by source
};

} // namespace xdpctl
