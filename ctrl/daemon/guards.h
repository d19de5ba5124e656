// SPDX-License-Identifier: Apache-2.0
// The SYN guards as the daemon sees them: which service has which, and what
// happened to them since the last look.
#pragma once

#include <string>
#include <vector>

#include "core/policy.h"
#include "core/services.h"
#include "daemon/kernel_settings.h"
#include "daemon/state.h"
#include "dataplane/dataplane.h"
#include "host/facts.h"
#include "telemetry/snapshot.h"

namespace xdpctl
{

class Guards
{
  public:
    // Slots as an earlier daemon gave them.
    void adopt(const std::vector<GuardReading>& readings);

    // Gives every listener that others can reach a slot; returns the slots that
    // must be reset and the ports that found none.
    ServiceSlots::Changes follow(const HostFacts& host, const Config& config,
                                 const HandState& hand);

    HostSpec spec(const Config& config, const HandState& hand, const HostFacts& host) const;

    // What changed since the last look, in words for the event log.
    std::vector<std::string> watch(const std::vector<GuardReading>& readings, uint64_t now_ns);

  private:
    ServiceSlots slots_;
    // A guard at the last look, and as it was when the present attack was first seen.
    struct Watched {
        GuardStatus now;
        GuardStatus at_begin;
    };
    std::vector<Watched> last_;
};

// Of what the data path tells.
GuardStatus guard_status(const GuardReading& reading, uint64_t now_ns);

// What the kernel must do for the guards: {} while none is needed. `syncookies` is
// what net.ipv4.tcp_syncookies was before.
Sysctls sysctls_for(const std::vector<GuardStatus>& guards, const std::string& syncookies);

} // namespace xdpctl
