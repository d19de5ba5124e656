// SPDX-License-Identifier: Apache-2.0
// The event loop: tick, inbox, ring buffer, signals, watchdog.
#pragma once

#include <functional>

#include "base/result.h"
#include "daemon/controller.h"

namespace xdpctl
{

// Makes this thread the deciding one: it ticks and runs the inbox. Runs until SIGTERM or SIGINT.
// SIGHUP reloads. `events_fd` wakes the loop when the ring buffer fills; `each_tick` is called
// after each tick. Tells systemd when ready and keeps its watchdog fed.
Result<> run_loop(Controller& controller, Inbox& inbox, int events_fd,
                  const std::function<void()>& each_tick);

// SIGTERM, SIGINT and SIGHUP are blocked, in all threads made later: the loop
// reads them. Call before any thread is started.
Result<> block_signals();

} // namespace xdpctl
