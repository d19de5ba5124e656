// SPDX-License-Identifier: Apache-2.0
// Captures through the very same BPF object, policy and logic as on the host.
#pragma once

#include <functional>
#include <memory>

#include "core/config.h"
#include "dataplane/bpf_dataplane.h"
#include "replay/capture.h"
#include "replay/clock.h"
#include "replay/evidence.h"
#include "replay/offload.h"
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
    // Nothing but the services has a socket, although the capture does not show it.
    bool closed = false;

    bool states_absence() const { return closed || !services.empty(); }
};

// The first passes: whom to protect and what it serves, and which stamps to believe.
struct Survey {
    Orientation orientation;
    ClockPlan clock;
    Evidence evidence;
    std::set<SocketKey> listeners;
    std::set<SocketKey> assumed; // of those, what the capture itself does not show
    std::set<SocketKey> older_connections;
};
Result<Survey> survey(const CaptureFile& file, const Stated& stated);

// What a report says before the first packet.
ReplayReport begin_report(const CaptureFile& file, const Survey& survey, const Stated& stated);
// And what the reader of a file says at its end.
void finish_report(ReplayReport& report, const Capture& capture);

// Judges a frame that goes to the protected side, in the pieces that a buffer takes, and
// counts what had to be done for that.
template <typename Judge> Result<> judge_frame(const CapturedFrame& frame, size_t bytes_min,
                                               size_t bytes_max, ReplayReport& report, Judge judge)
{
    if (frame.impossible_length) {
        report.too_large++;
        return Done{};
    }
    if (frame.bytes.size() < bytes_min) {
        report.too_short++;
        return Done{};
    }
    if (frame.headers_cut) {
        report.headers_cut++;
        return Done{};
    }
    report.completed += frame.completed ? 1 : 0;
    report.lengths_completed += frame.length_completed ? 1 : 0;
    if (frame.bytes.size() <= bytes_max) {
        return judge(frame.bytes);
    }
    const WireFrames wire = fit_buffer(frame.bytes, bytes_max);
    report.by_headers += wire.segmented ? 0 : 1;
    report.segmented += wire.segmented ? 1 : 0;
    report.segments += wire.segmented ? wire.frames.size() : 0;
    for (const Bytes& piece : wire.frames) {
        if (auto done = judge(piece); !done) {
            return done;
        }
    }
    return Done{};
}

// What the configuration says of countries and AS numbers.
Result<> add_geo(const Config& config, PolicySpec& spec, Dataplane& plane);

// A data path of its own, loaded for replay and not attached.
class Replayer
{
  public:
    // Keeps the calling thread on one CPU from now on.
    static Result<std::unique_ptr<Replayer>> create(const Config& config);
    // With an object in the kernel that was loaded with load_options() and that nobody uses.
    static Result<std::unique_ptr<Replayer>> create(const Config& config,
                                                    std::shared_ptr<BpfObject> object);
    static LoadOptions load_options(const Config& config);

    // Files run one after the other on one clock and in one state. "-" is standard input.
    Result<ReplayReport> run(const std::string& path, const Stated& stated,
                             const Progress& progress);

  private:
    explicit Replayer(const Config& config) : config_(config) {}

    Result<> prepare(const Survey& survey);
    Result<> open_sockets(const Survey& survey, SessionTracker& sessions);
    Result<> replay(const CaptureFile& file, const Survey& survey, SessionTracker& sessions,
                    const Progress& progress, ReplayReport& report);
    Result<> take(const CapturedFrame& frame, const Survey& survey, SessionTracker& sessions,
                  ReplayReport& report);
    Result<> judge(const Bytes& frame, const FrameInfo* info, const Survey& survey,
                   ReplayReport& report);

    Config config_;
    std::shared_ptr<BpfObject> object_;
    std::unique_ptr<BpfDataplane> plane_;
    CaptureClock clock_;
};

} // namespace xdpctl
