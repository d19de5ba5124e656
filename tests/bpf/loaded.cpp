// SPDX-License-Identifier: Apache-2.0
#include "bpf/loaded.h"

#include "bpf/object_pool.h"
#include "bpf/test_run.h"
#include "core/reasons.h"

namespace xdpctl::testing
{

Loaded::Loaded(const LoadOptions& options)
{
    if (options.replay) {
        one_cpu.emplace();
    }
    auto loaded = fresh_object(options);
    INFO((loaded ? "" : loaded.error().message));
    REQUIRE(loaded);
    object = std::move(*loaded);
    auto created = BpfDataplane::create(*object, options.replay);
    REQUIRE(created);
    plane = std::move(*created);
    plane->set_clock(now);
    spec.mode = XDPCTL_MODE_ENFORCE;
    commit();
}

Loaded::Outcome Loaded::run(const Bytes& frame)
{
    // Kernels before 5.18 want no more than the frame; all want at least a header.
    const auto before = plane->counters();
    REQUIRE(before);
    Bytes left;
    const auto verdict = plane->run(frame, &left);
    INFO((verdict ? "" : verdict.error().message));
    REQUIRE(verdict);
    const auto after = plane->counters();
    REQUIRE(after);
    Outcome outcome{"nothing", verdict->action, 0, 0, 0, left};
    size_t counted = 0;
    for (size_t device = 0; device < after->size(); device++) {
        for (size_t f = 0; f < XDPCTL_FAMILY_COUNT; f++) {
            for (size_t d = 0; d < XDPCTL_DISPOSITION_COUNT; d++) {
                for (uint32_t r = 0; r < XDPCTL_REASON_SLOTS; r++) {
                    const xdpctl_cell& was = before->at(device).cells[f][d][r];
                    const xdpctl_cell& is = after->at(device).cells[f][d][r];
                    counted += is.packets - was.packets;
                    if (is.packets != was.packets) {
                        REQUIRE(is_reason(r));
                        outcome = {std::string(reason_info(r).name),
                                   verdict->action,
                                   d,
                                   f,
                                   is.bytes - was.bytes,
                                   left};
                        reasons_met().insert(r);
                    }
                }
            }
        }
    }
    REQUIRE(counted == 1); // exactly one reason
    return outcome;
}

uint32_t Loaded::judge(const Bytes& frame)
{
    const auto verdict = plane->run(frame);
    REQUIRE(verdict);
    reasons_met().insert(verdict->judgement.reason);
    return verdict->judgement.reason;
}

} // namespace xdpctl::testing
