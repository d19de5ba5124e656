// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "base/file.h"
#include "core/defaults.h"
#include "core/event.h"
#include "core/reasons.h"
#include "harness/catch.h"

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

TEST_CASE("events whose numbers have no name here are left out")
{
    const auto is_read = [](auto change) {
        xdpctl_event event{};
        event.judgement.reason = XDPCTL_REASON_COUNT - 1;
        event.captured_bytes = sizeof(event.bytes);
        change(event);
        return read_event({reinterpret_cast<const uint8_t*>(&event), sizeof(event)}).has_value();
    };
    CHECK(is_read([](xdpctl_event&) {}));
    CHECK_FALSE(is_read([](xdpctl_event& e) { e.judgement.reason = XDPCTL_NEXT; }));
    CHECK_FALSE(is_read([](xdpctl_event& e) { e.judgement.reason = XDPCTL_REASON_COUNT; }));
    CHECK_FALSE(is_read([](xdpctl_event& e) { e.judgement.family = family_names.size(); }));
    CHECK_FALSE(is_read([](xdpctl_event& e) { e.judgement.session = session_names.size(); }));
    CHECK_FALSE(is_read([](xdpctl_event& e) { e.captured_bytes++; }));
    const xdpctl_event event{};
    CHECK_FALSE(read_event({reinterpret_cast<const uint8_t*>(&event), sizeof(event) - 1}));
}
