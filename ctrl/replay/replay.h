// SPDX-License-Identifier: Apache-2.0
// Captures through the very same BPF object, policy and logic as on the host.
#pragma once

#include <functional>
#include <memory>

#include "core/config.h"
#include "daemon/heuristics.h"
#include "dataplane/bpf_dataplane.h"
#include "replay/capture.h"
#include "replay/clock.h"
#include "replay/orientation.h"
#include "replay/report.h"

namespace xdpctl
{

// Called now and then with the share of the file that is done, 0 to 1.
using Progress = std::function<void(double)>;

// What the user states of the protected side.
struct Stated {
    std::vector<Prefix> protect; // empty: inferred
    std::vector<ServicePort> services;
};

// The first pass: whom to protect and what it serves.
struct Survey {
    Orientation orientation;
    std::set<SocketKey> listeners;
    std::set<SocketKey> assumed; // of those, what the capture itself does not show
    std::set<SocketKey> older_connections;
};
Result<Survey> survey(const std::string& path, const Stated& stated);

// What the configuration says of countries and AS numbers.
Result<> add_geo(const Config& config, PolicySpec& spec, Dataplane& plane);

// A data path of its own, loaded for replay: not attached, not pinned.
class Replayer
{
  public:
    // Keeps the calling thread on one CPU from now on.
    static Result<std::unique_ptr<Replayer>> create(const Config& config);

    // Files run one after the other on one clock and in one state, so that a ban
    // earned in the first meets the second.
    Result<ReplayReport> run(const std::string& path, const Stated& stated,
                             const Progress& progress);

  private:
    explicit Replayer(const Config& config)
        : config_(config), heuristics_(config.heuristics), protected_()
    {
    }

    Result<> prepare(const Survey& survey);
    Result<> judge(const CapturedFrame& frame, ReplayReport& report);
    Result<> tick_until(uint64_t now_ns, ReplayReport& report);

    Config config_;
    std::unique_ptr<BpfObject> object_;
    std::unique_ptr<BpfDataplane> plane_;
    Heuristics heuristics_;
    ProtectedSet protected_;
    CaptureClock clock_;
    uint64_t next_tick_ns_ = CaptureClock::start_ns;
};

} // namespace xdpctl
