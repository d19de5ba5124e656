// SPDX-License-Identifier: Apache-2.0
// Of the run as a whole; linked last, so that a process that runs everything runs this last.
#include "bpf/test_run.h"
#include "core/reasons.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

bool belongs_to_run(const Catch::TestCaseInfo& test)
{
    return !test.isHidden() && test.name != Catch::getResultCapture().getCurrentTestName();
}

} // namespace

// What CTest runs before and after all others, each of which is a process of its own.
TEST_CASE("a run begins", "[.begin]")
{
    begin_run();
}

TEST_CASE("every reason has a row", "[end]")
{
    remove_pins();
    const auto reasons_met = reasons_by_case();
    std::set<uint32_t> all;
    for (const auto& [name, met] : reasons_met) {
        all.insert(met.begin(), met.end());
    }
    size_t missing = 0;
    for (const auto& registered : Catch::getRegistryHub().getTestCaseRegistry().getAllTests()) {
        const Catch::TestCaseInfo& test = info_of(registered);
        missing += belongs_to_run(test) && !reasons_met.contains(test.name) ? 1 : 0;
    }
    if (missing > 0) {
        WARN("SKIPPED: only a whole run meets every reason; " << missing
                                                              << " test cases did not run");
        return;
    }
    for (const ReasonInfo& reason : reasons) {
        INFO(reason.name);
        CHECK(all.contains(reason.id));
    }
}
