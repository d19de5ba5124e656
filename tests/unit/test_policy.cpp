// SPDX-License-Identifier: Apache-2.0
#include <xdpctl/abi/maps.h>

#include "core/policy.h"
#include "core/units.h"
#include "harness/catch.h"

using namespace xdpctl;

TEST_CASE("the sample rate is shared by the CPUs")
{
    PolicySpec spec;
    spec.samples_per_second = 200;
    CHECK(compile_policy(spec, 4).policy.sample_interval_ns == ns_per_s / 50);
    spec.samples_per_second = 0;
    CHECK(compile_policy(spec, 4).policy.sample_interval_ns == 0);
}
