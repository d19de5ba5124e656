// SPDX-License-Identifier: Apache-2.0
#include "daemon/loop.h"

#include <csignal>
#include <ctime>
#include <exception>
#include <memory>

#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t tick_us = tick_ns / 1000;

struct Deciding {
    Controller& controller;
    Inbox& inbox;
    const std::function<void()>& each_tick;
};

// The loop is C: nothing may be thrown through it. What a tick could not do, for want of memory,
// the next one does.
template <typename Work> void decide(void* context, const char* what, Work work) noexcept
{
    const auto* deciding = static_cast<Deciding*>(context);
    const uint64_t begin = steady_ns();
    try {
        work(*deciding);
    } catch (const std::exception& problem) {
        log::error("{}: {}", what, problem.what());
    }
    deciding->controller.note_hold(steady_ns() - begin);
}

int on_tick(sd_event_source* source, uint64_t due_us, void* context)
{
    decide(context, "tick", [](const Deciding& deciding) {
        deciding.controller.tick();
        deciding.each_tick();
    });
    sd_event_source_set_time(source, due_us + tick_us);
    return sd_event_source_set_enabled(source, SD_EVENT_ON);
}

int on_events(sd_event_source*, int, uint32_t, void* context)
{
    decide(context, "events", [](const Deciding& deciding) { deciding.controller.drain_events(); });
    return 0;
}

int on_inbox(sd_event_source*, int, uint32_t, void* context)
{
    decide(context, "inbox", [](const Deciding& deciding) { deciding.inbox.run(); });
    return 0;
}

int on_reload(sd_event_source*, const signalfd_siginfo*, void* context)
{
    sd_notifyf(0, "RELOADING=1");
    decide(context, "reload", [](const Deciding& deciding) {
        (void)deciding.controller.reload(); // logs and keeps its error for `status`
        deciding.controller.publish_report();
    });
    sd_notify(0, "READY=1");
    return 0;
}

int on_stop(sd_event_source* source, const signalfd_siginfo*, void*)
{
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

} // namespace

Result<> block_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&signals, signal);
    }
    const int code = pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return code == 0 ? Result<>(Done{}) : system_failure(code, "blocking signals");
}

Result<> run_loop(Controller& controller, Inbox& inbox, int events_fd,
                  const std::function<void()>& each_tick)
{
    Deciding deciding{controller, inbox, each_tick};
    sd_event* raw = nullptr;
    if (const int code = sd_event_new(&raw); code < 0) {
        return system_failure(code, "making the event loop");
    }
    const std::unique_ptr<sd_event, decltype(&sd_event_unref)> event(raw, sd_event_unref);
    uint64_t now_us = 0;
    sd_event_now(raw, CLOCK_MONOTONIC, &now_us);
    const int codes[] = {
        sd_event_add_time(raw, nullptr, CLOCK_MONOTONIC, now_us + tick_us, 0, on_tick, &deciding),
        sd_event_add_io(raw, nullptr, events_fd, EPOLLIN, on_events, &deciding),
        sd_event_add_io(raw, nullptr, inbox.fd(), EPOLLIN, on_inbox, &deciding),
        sd_event_add_signal(raw, nullptr, SIGHUP, on_reload, &deciding),
        sd_event_add_signal(raw, nullptr, SIGTERM, on_stop, &controller),
        sd_event_add_signal(raw, nullptr, SIGINT, on_stop, &controller),
        sd_event_set_watchdog(raw, 1),
    };
    for (const int code : codes) {
        if (code < 0) {
            return system_failure(code, "preparing the event loop");
        }
    }
    sd_notify(0, "READY=1");
    const int code = sd_event_loop(raw);
    sd_notify(0, "STOPPING=1");
    return code >= 0 ? Result<>(Done{}) : system_failure(code, "running the event loop");
}

} // namespace xdpctl
