// SPDX-License-Identifier: Apache-2.0
// The production data path for one test, as if just loaded, with its policy.
#pragma once

#include <optional>

#include "bpf/one_cpu.h"
#include "dataplane/bpf_dataplane.h"
#include "harness/catch.h"

namespace xdpctl::testing
{

struct Loaded {
    std::optional<OneCpu> one_cpu; // for replay, as the replay does
    std::shared_ptr<BpfObject> object;
    std::unique_ptr<BpfDataplane> plane;
    PolicySpec spec;
    uint64_t now = 1000 * ns_per_s;

    explicit Loaded(const LoadOptions& options = {});

    // Where the object was loaded for replay, whose clock is in our hands.
    void advance(uint64_t ns)
    {
        now += ns;
        plane->set_clock(now);
    }

    void commit() { REQUIRE(plane->commit(compile_policy(spec, 1))); }

    // The reason under which the program counted the frame, by its counters, and
    // the action it took.
    struct Outcome {
        std::string reason;
        uint32_t action;
        size_t disposition;
        size_t family;
        uint64_t bytes;
        Bytes frame; // as the program left it
    };
    Outcome run(const Bytes& frame);
    // The reason alone, as the program tells it where it was loaded for replay.
    uint32_t judge(const Bytes& frame);

    uint64_t events_lost() const { return plane->counters()->at(0).events_lost; }
};

} // namespace xdpctl::testing
