// SPDX-License-Identifier: Apache-2.0
#include "replay/replay.h"

#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>

#include "daemon/geo_sets.h"
#include "daemon/guards.h"
#include "daemon/heuristics.h"
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

template <typename Visit> Result<> for_each_frame(const std::string& path, Visit visit)
{
    auto capture = Capture::open(path);
    if (!capture) {
        return capture.error();
    }
    while (true) {
        auto frame = capture->next();
        if (!frame) {
            return frame.error();
        }
        if (!*frame) {
            return Done{};
        }
        if (auto done = visit(**frame, *capture); !done) {
            return done;
        }
    }
}

} // namespace

Result<Survey> survey(const std::string& path, const Stated& stated)
{
    Survey found;
    found.orientation = {stated.protect, false};
    if (stated.protect.empty()) {
        OrientationGuess guess;
        auto done = for_each_frame(path, [&](const CapturedFrame& frame, const Capture&) {
            if (const auto info = read_frame(frame.bytes)) {
                guess.see(*info);
            }
            return Result<>(Done{});
        });
        if (!done) {
            return done.error();
        }
        found.orientation = guess.result();
    }
    ServiceFinder services(stated.services);
    auto done = for_each_frame(path, [&](const CapturedFrame& frame, const Capture&) {
        if (const auto info = read_frame(frame.bytes)) {
            if (found.orientation.is_outgoing(*info)) {
                services.from_protected(*info);
            } else if (found.orientation.is_incoming(*info)) {
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

Result<std::unique_ptr<Replayer>> Replayer::create(const Config& config)
{
    if (auto done = stay_on_one_cpu(); !done) {
        return done.error();
    }
    std::unique_ptr<Replayer> replayer(new Replayer(config));
    LoadOptions load;
    load.maps = config.maps;
    load.replay = true;
    auto object = BpfObject::open(load);
    if (!object) {
        return object.error();
    }
    replayer->object_ = std::move(*object);
    if (auto done = replayer->object_->load(); !done) {
        return done.error();
    }
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
    std::vector<Protected> own;
    for (const Address& address : host.addresses) {
        own.push_back({{address, 128}, Protection::OWN_ADDRESS, "on the protected side"});
    }
    for (const Prefix& prefix : config_.allow) {
        own.push_back({prefix, Protection::ALLOWED, "lists.allow"});
    }
    protected_ = protect(std::move(own));
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

Result<> Replayer::tick_until(uint64_t now_ns, ReplayReport& report)
{
    // After a long silence one tick says the same as a thousand.
    if (now_ns > next_tick_ns_ + 8 * tick_ns) {
        next_tick_ns_ = now_ns - 4 * tick_ns;
    }
    while (next_tick_ns_ <= now_ns) {
        plane_->set_clock(next_tick_ns_);
        auto clients = plane_->clients();
        if (!clients) {
            return clients.error();
        }
        auto orders = heuristics_.tick(*plane_, *clients, protected_, true);
        if (!orders) {
            return orders.error();
        }
        report.bans.insert(report.bans.end(), orders->begin(), orders->end());
        next_tick_ns_ += tick_ns;
    }
    plane_->set_clock(now_ns);
    return Done{};
}

Result<> Replayer::judge(const CapturedFrame& frame, ReplayReport& report)
{
    if (frame.bytes.size() > test_run_frame_max) {
        report.too_large++;
        return Done{};
    }
    if (frame.bytes.size() < test_run_frame_min) {
        report.too_short++;
        return Done{};
    }
    auto verdict = plane_->run(frame.bytes);
    if (!verdict) {
        return verdict.error();
    }
    report.completed += frame.completed ? 1 : 0;
    report.judged++;
    report.packets[verdict->judgement.reason]++;
    report.answered += verdict->action == XDP_TX ? 1 : 0;
    if (verdict->action == XDP_DROP) {
        report.dropped++;
        report.drops[verdict->judgement.reason]++;
        report.dropped_in_session +=
            verdict->judgement.session == XDPCTL_SESSION_ESTABLISHED ? 1 : 0;
    }
    return Done{};
}

Result<ReplayReport> Replayer::run(const std::string& path, const Stated& stated,
                                   const Progress& progress)
{
    auto surveyed = survey(path, stated);
    if (!surveyed) {
        return surveyed.error();
    }
    const Orientation& orientation = surveyed->orientation;
    if (auto done = prepare(*surveyed); !done) {
        return done.error();
    }
    ReplayReport report;
    report.file = path;
    report.protects = orientation.describe();
    for (const SocketKey& listener : surveyed->listeners) {
        report.services.insert(to_string(ServicePort{listener.protocol, listener.local_port}));
    }
    for (const SocketKey& listener : surveyed->assumed) {
        report.assumed.insert(to_string(ServicePort{listener.protocol, listener.local_port}));
    }
    SessionTracker sessions(*plane_);
    for (const SocketKey& listener : surveyed->listeners) {
        if (auto done = sessions.listen(listener); !done) {
            return done.error();
        }
    }
    for (const SocketKey& connection : surveyed->older_connections) {
        if (auto done = sessions.resume(connection); !done) {
            return done.error();
        }
    }
    clock_.begin_file();
    const uint64_t begin_ns = clock_.now_ns();
    const uint64_t adjusted = clock_.adjusted();
    auto done = for_each_frame(path, [&](const CapturedFrame& frame, const Capture& capture) {
        if (++report.frames % progress_every == 0 && progress && capture.file_bytes() > 0) {
            progress(static_cast<double>(capture.read_bytes()) /
                     static_cast<double>(capture.file_bytes()));
        }
        if (auto ticked = tick_until(clock_.advance(frame.time_ns), report); !ticked) {
            return ticked;
        }
        const auto info = read_frame(frame.bytes);
        if (info && orientation.is_outgoing(*info)) {
            report.outgoing++;
            return sessions.from_protected(*info);
        }
        if (info && !orientation.is_incoming(*info)) {
            report.elsewhere++;
            return Result<>(Done{});
        }
        if (auto judged = judge(frame, report); !judged) {
            return judged;
        }
        return info ? sessions.to_protected(*info) : Result<>(Done{});
    });
    if (!done) {
        return done.error();
    }
    report.seconds = static_cast<double>(clock_.now_ns() - begin_ns) / 1e9;
    report.clock_adjusted = clock_.adjusted() - adjusted;
    return report;
}

} // namespace xdpctl
