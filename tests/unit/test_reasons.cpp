// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <set>

#include "base/file.h"
#include "core/defaults.h"
#include "core/reasons.h"

using namespace xdpctl;

TEST_CASE("reasons are found by their name and stand at their number")
{
    std::set<std::string_view> names;
    for (const ReasonInfo& reason : reasons) {
        INFO(reason.name);
        CHECK(names.insert(reason.name).second);
        CHECK(find_reason(reason.name)->id == reason.id);
        CHECK(&reason_info(reason.id) == &reason);
        CHECK((XDPCTL_DROP_REASONS >> reason.id & 1) == (reason.verdict == XDPCTL_VERDICT_DROP));
        CHECK_FALSE(reason.text.empty());
    }
    CHECK(reasons.size() + 1 == XDPCTL_REASON_COUNT);
    CHECK_FALSE(find_reason("nonsense"));
    CHECK_FALSE(is_reason(XDPCTL_NEXT));
    CHECK_FALSE(is_reason(XDPCTL_REASON_COUNT));
}

TEST_CASE("the table of defaults is the one that xdpctl explain --defaults writes")
{
    const auto file = read_file(SOURCE_DIR "/tools/defaults.md");
    REQUIRE(file);
    CHECK(*file == defaults_document());
}
