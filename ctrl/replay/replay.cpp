// SPDX-License-Identifier: Apache-2.0
#include "replay/replay.h"

#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>

#include "daemon/geo_sets.h"
#include "daemon/guards.h"
#include "host/facts.h"
#include "replay/capture.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t progress_every = 4096;
// A capture does not tell the backlog of its listeners; small ones are usual.
constexpr uint32_t replay_backlog = 128;

// Counters and sampling are per CPU: moving about would make runs differ.
Result<> stay_on_one_cpu()
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(std::max(sched_getcpu(), 0)), &cpus);
    return sched_setaffinity(0, sizeof(cpus), &cpus) == 0
               ? Result<>(Done{})
               : system_failure(errno, "staying on one CPU");
}

template <typename Visit> Result<> for_each_frame(const CaptureFile& file, Visit visit)
{
    auto capture = Capture::open(file);
    if (!capture) {
        return capture.error();
    }
    while (true) {
        auto frame = capture->next();
        if (!frame) {
            return frame.error();
        }
        // At the end the reader is asked why it came.
        if (auto done = visit(*frame ? &**frame : nullptr, *capture); !done || !*frame) {
            return done;
        }
    }
}

// A frame that a card has put together from segments counts as several; as many as
// ServiceFinder wants to see of a connection are enough.
size_t segments_in(const Bytes& frame)
{
    constexpr size_t segment_bytes = 1514;
    return std::clamp<size_t>(frame.size() / segment_bytes, 1, 4);
}

// Of one address, or of none where a group hears it.
bool is_served(const Survey& survey, const FrameInfo& info)
{
    return survey.listeners.contains({info.protocol, info.dst, info.dport, {}, 0});
}

} // namespace

Result<Survey> survey(const CaptureFile& file, const Stated& stated)
{
    Survey found;
    found.orientation = {stated.protect, false};
    OrientationGuess guess;
    StampSurvey stamps;
    auto done = for_each_frame(file, [&](const CapturedFrame* frame, const Capture&) {
        if (frame != nullptr) {
            stamps.see(frame->time_ns);
            const auto info =
                stated.protect.empty() ? read_frame(frame->bytes) : std::optional<FrameInfo>();
            if (info) {
                guess.see(*info);
            }
        }
        return Result<>(Done{});
    });
    if (!done) {
        return done.error();
    }
    found.clock = stamps.plan();
    if (stated.protect.empty()) {
        found.orientation = guess.result();
    }
    ServiceFinder services(stated.services);
    done = for_each_frame(file, [&](const CapturedFrame* frame, const Capture&) {
        const auto info = frame != nullptr ? read_frame(frame->bytes) : std::nullopt;
        if (info && found.orientation.is_outgoing(*info)) {
            services.from_protected(*info);
            found.evidence.from_protected(*info);
        } else if (info && found.orientation.is_incoming(*info)) {
            for (size_t i = 0; i < segments_in(frame->bytes); i++) {
                services.to_protected(*info);
            }
        }
        return Result<>(Done{});
    });
    if (!done) {
        return done.error();
    }
    found.listeners = services.listeners();
    // Of addresses that are known to be protected: else the answers of others, which
    // count as coming in, would be without a connection.
    if (stated.services.empty()) {
        found.assumed = services.assumed();
        std::erase_if(found.assumed, [&found](const SocketKey& listener) {
            return !found.orientation.is_protected(listener.local);
        });
        found.listeners.insert(found.assumed.begin(), found.assumed.end());
    }
    found.older_connections = services.older_connections();
    return found;
}

ReplayReport begin_report(const CaptureFile& file, const Survey& survey, const Stated& stated)
{
    ReplayReport report;
    report.file = file.name();
    report.protects = survey.orientation.describe();
    report.side_unknown = survey.orientation.protect.empty();
    report.one_way = !report.side_unknown && survey.evidence.is_one_way();
    report.absence_stated = stated.states_absence();
    for (const SocketKey& listener : survey.listeners) {
        report.services.insert(to_string(ServicePort{listener.protocol, listener.local_port}));
    }
    for (const SocketKey& listener : survey.assumed) {
        report.assumed.insert(to_string(ServicePort{listener.protocol, listener.local_port}));
    }
    return report;
}

void finish_report(ReplayReport& report, const Capture& capture)
{
    report.cut = capture.cut();
    report.other_links = capture.left_out();
}

LoadOptions Replayer::load_options(const Config& config)
{
    LoadOptions load;
    load.maps = config.maps;
    load.replay = true;
    return load;
}

Result<std::unique_ptr<Replayer>> Replayer::create(const Config& config)
{
    auto object = BpfObject::open(load_options(config));
    if (!object) {
        return object.error();
    }
    if (auto done = (*object)->load(); !done) {
        return done.error();
    }
    return create(config, std::move(*object));
}

Result<std::unique_ptr<Replayer>> Replayer::create(const Config& config,
                                                   std::shared_ptr<BpfObject> object)
{
    if (auto done = stay_on_one_cpu(); !done) {
        return done.error();
    }
    std::unique_ptr<Replayer> replayer(new Replayer(config));
    replayer->object_ = std::move(object);
    auto plane = BpfDataplane::create(*replayer->object_, true);
    if (!plane) {
        return plane.error();
    }
    replayer->plane_ = std::move(*plane);
    replayer->plane_->set_clock(CaptureClock::start_ns);
    return replayer;
}

Result<> add_geo(const Config& config, PolicySpec& spec, Dataplane& plane)
{
    const auto plan = GeoSets().plan(config.geo);
    if (!plan) {
        return plan.error();
    }
    spec.geo = plan->rules();
    const ListContent content = content_of(*plan->data);
    return plane.set_lists({&content, 1});
}

Result<> Replayer::prepare(const Survey& survey)
{
    PolicySpec spec = policy_of(config_);
    spec.mode = XDPCTL_MODE_ENFORCE; // what would be lost is the question
    HostFacts host;
    for (const SocketKey& listener : survey.listeners) {
        if (listener.protocol == IPPROTO_TCP) {
            host.backlogs.emplace(listener.local_port, replay_backlog);
        }
    }
    Guards guards;
    guards.follow(host, config_, {});
    spec.host = guards.spec(config_, {}, host);
    spec.host.limits = limits_of(config_.limits, {});
    for (const SocketKey& listener : survey.listeners) {
        if (listener.protocol == IPPROTO_UDP) {
            spec.host.udp_services.emplace(!listener.local.is_ipv4(), listener.local_port);
        }
    }
    for (const Prefix& prefix : survey.orientation.protect) {
        if (prefix.is_host()) {
            host.addresses.push_back(prefix.address);
        }
    }
    for (const SocketKey& listener : survey.listeners) {
        host.addresses.push_back(listener.local);
    }
    if (auto done = plane_->set_own_addresses(host.addresses); !done) {
        return done;
    }
    if (auto done = add_geo(config_, spec, *plane_); !done) {
        return done;
    }
    auto committed = plane_->commit(compile_policy(spec, 1));
    return committed ? Result<>(Done{}) : committed.error();
}

Result<> Replayer::judge(const Bytes& frame, const FrameInfo* info, const Survey& survey,
                         ReplayReport& report)
{
    auto verdict = plane_->run(frame);
    if (!verdict) {
        return verdict.error();
    }
    const auto reason = static_cast<xdpctl_reason>(verdict->judgement.reason);
    report.judged++;
    report.packets[reason]++;
    report.answered += verdict->action == XDP_TX ? 1 : 0;
    if (verdict->action != XDP_DROP) {
        return Done{};
    }
    report.dropped++;
    report.drops[reason]++;
    report.dropped_in_session += verdict->judgement.session == XDPCTL_SESSION_ESTABLISHED ? 1 : 0;
    if (!report.absence_stated && info != nullptr && rests_on_absence(reason) &&
        !survey.evidence.shows_answers(info->dst, info->protocol) &&
        !(reason == XDPCTL_REFLECTION && is_served(survey, *info))) {
        report.unproven[reason]++;
    }
    return Done{};
}

// One frame of the capture: what the protected side sends tells, what goes to it is judged.
Result<> Replayer::take(const CapturedFrame& frame, const Survey& survey, SessionTracker& sessions,
                        ReplayReport& report)
{
    const auto info = read_frame(frame.bytes);
    if (info && survey.orientation.is_outgoing(*info)) {
        report.outgoing++;
        return sessions.from_protected(*info);
    }
    if (info && !survey.orientation.is_incoming(*info)) {
        report.elsewhere++;
        return Done{};
    }
    const FrameInfo* read = info ? &*info : nullptr;
    auto judged =
        judge_frame(frame, test_run_frame_min, test_run_frame_max, report,
                    [&](const Bytes& bytes) { return judge(bytes, read, survey, report); });
    if (!judged) {
        return judged;
    }
    return info ? sessions.to_protected(*info) : Result<>(Done{});
}

Result<> Replayer::open_sockets(const Survey& survey, SessionTracker& sessions)
{
    for (const SocketKey& listener : survey.listeners) {
        if (auto done = sessions.listen(listener); !done) {
            return done;
        }
    }
    for (const SocketKey& connection : survey.older_connections) {
        if (auto done = sessions.resume(connection); !done) {
            return done;
        }
    }
    return Done{};
}

Result<> Replayer::replay(const CaptureFile& file, const Survey& survey, SessionTracker& sessions,
                          const Progress& progress, ReplayReport& report)
{
    clock_.begin_file(survey.clock);
    const uint64_t begin_ns = clock_.now_ns();
    auto done = for_each_frame(file, [&](const CapturedFrame* frame, const Capture& capture) {
        if (frame == nullptr) {
            finish_report(report, capture);
            return Result<>(Done{});
        }
        if (++report.frames % progress_every == 0 && progress) {
            progress(static_cast<double>(capture.read_bytes()) /
                     static_cast<double>(capture.file_bytes()));
        }
        plane_->set_clock(clock_.advance(frame->time_ns));
        return take(*frame, survey, sessions, report);
    });
    report.seconds = static_cast<double>(clock_.now_ns() - begin_ns) / 1e9;
    report.clock = clock_.adjusted();
    return done;
}

Result<ReplayReport> Replayer::run(const std::string& path, const Stated& stated,
                                   const Progress& progress)
{
    auto file = CaptureFile::open(path);
    if (!file) {
        return file.error();
    }
    auto surveyed = survey(*file, stated);
    if (!surveyed) {
        return surveyed.error();
    }
    if (auto done = prepare(*surveyed); !done) {
        return done.error().in(path);
    }
    SessionTracker sessions(*plane_);
    if (auto done = open_sockets(*surveyed, sessions); !done) {
        return done.error().in(path);
    }
    ReplayReport report = begin_report(*file, *surveyed, stated);
    auto done = replay(*file, *surveyed, sessions, progress, report);
    return done ? Result(std::move(report)) : done.error();
}

} // namespace xdpctl
