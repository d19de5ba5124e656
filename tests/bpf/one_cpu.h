// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

#include "harness/catch.h"

namespace xdpctl::testing
{

// Keeps the calling thread on one CPU as long as this object lives: the data path keeps much for
// each CPU.
struct OneCpu {
    cpu_set_t before{};
    OneCpu()
    {
        sched_getaffinity(0, sizeof(before), &before);
        cpu_set_t one{};
        CPU_SET(sched_getcpu(), &one);
        REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    }
    ~OneCpu() { sched_setaffinity(0, sizeof(before), &before); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;
};

} // namespace xdpctl::testing
