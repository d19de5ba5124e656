// SPDX-License-Identifier: Apache-2.0
// Sample, detect, decide, apply: the loop that the daemon runs on its clock and
// replay on the capture's.
#pragma once

#include <vector>

#include "core/bans.h"
#include "core/config.h"
#include "core/detector.h"
#include "dataplane/dataplane.h"

namespace xdpctl
{

class Heuristics
{
  public:
    explicit Heuristics(const HeuristicsConfig& config);

    // Bans the offenders among the clients; returns the bans that were made.
    // Where nothing is enforced, an offence is not held against them later.
    Result<std::vector<BanOrder>> tick(Dataplane& plane, const std::vector<ClientSample>& clients,
                                       const ProtectedSet& protected_set, bool enforcing);

  private:
    HeuristicsConfig config_;
    RateDetector detector_;
};

inline constexpr uint64_t tick_ns = 250 * ns_per_ms;

} // namespace xdpctl
