// SPDX-License-Identifier: Apache-2.0
// What an earlier version may have left in the pinned ring buffer: events, one after the other.
#include <algorithm>
#include <span>

#include "api/codec.h"
#include "core/event.h"
#include "daemon/at_risk.h"
#include "telemetry/event_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    xdpctl::EventLog log(64);
    xdpctl::AtRisk at_risk;
    for (std::span<const uint8_t> rest(data, size); !rest.empty();) {
        const auto piece = rest.first(std::min(rest.size(), sizeof(xdpctl_event)));
        rest = rest.subspan(piece.size());
        if (const auto event = xdpctl::read_event(piece)) {
            log.add(1, *event);
            at_risk.add(*event);
        }
    }
    xdpctl::TopLists top;
    top.dropped = log.top_dropped(0, 10);
    (void)xdpctl::to_text(xdpctl::to_json(top));
    (void)xdpctl::to_text(xdpctl::to_json(log.since(0)));
    (void)at_risk.text(1);
    return 0;
}
