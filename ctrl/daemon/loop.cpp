// SPDX-License-Identifier: Apache-2.0
#include "daemon/loop.h"

#include <csignal>
#include <ctime>
#include <exception>
#include <memory>

#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t tick_us = tick_ns / 1000;

struct Ticking {
    Controller& controller;
    const std::function<void()>& each_tick;
};

// The loop is C: nothing may be thrown through it. What a tick could not do, for want of memory,
// the next one does.
template <typename Work> void without_exceptions(const char* what, Work work) noexcept
{
    try {
        work();
    } catch (const std::exception& problem) {
        log::error("{}: {}", what, problem.what());
    }
}

int on_tick(sd_event_source* source, uint64_t due_us, void* context)
{
    const auto* ticking = static_cast<Ticking*>(context);
    without_exceptions("tick", [ticking] {
        ticking->controller.tick();
        ticking->each_tick();
    });
    sd_event_source_set_time(source, due_us + tick_us);
    return sd_event_source_set_enabled(source, SD_EVENT_ON);
}

int on_events(sd_event_source*, int, uint32_t, void* context)
{
    without_exceptions("events", [context] { static_cast<Controller*>(context)->drain_events(); });
    return 0;
}

int on_inbox(sd_event_source*, int, uint32_t, void* context)
{
    without_exceptions("inbox", [context] { static_cast<Inbox*>(context)->run(); });
    return 0;
}

int on_reload(sd_event_source*, const signalfd_siginfo*, void* context)
{
    sd_notifyf(0, "RELOADING=1");
    without_exceptions("reload", [context] {
        auto* controller = static_cast<Controller*>(context);
        (void)controller->reload(); // logs and keeps its error for `status`
        controller->publish_report();
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
    Ticking ticking{controller, each_tick};
    sd_event* raw = nullptr;
    if (const int code = sd_event_new(&raw); code < 0) {
        return system_failure(code, "making the event loop");
    }
    const std::unique_ptr<sd_event, decltype(&sd_event_unref)> event(raw, sd_event_unref);
    uint64_t now_us = 0;
    sd_event_now(raw, CLOCK_MONOTONIC, &now_us);
    const int codes[] = {
        sd_event_add_time(raw, nullptr, CLOCK_MONOTONIC, now_us + tick_us, 0, on_tick, &ticking),
        sd_event_add_io(raw, nullptr, events_fd, EPOLLIN, on_events, &controller),
        sd_event_add_io(raw, nullptr, inbox.fd(), EPOLLIN, on_inbox, &inbox),
        sd_event_add_signal(raw, nullptr, SIGHUP, on_reload, &controller),
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
