// SPDX-License-Identifier: Apache-2.0
#include "core/units.h"
#include "harness/catch.h"

using namespace xdpctl;

TEST_CASE("durations")
{
    CHECK(*parse_duration("250ms") == 250 * ns_per_ms);
    CHECK(*parse_duration("90s") == 90 * ns_per_s);
    CHECK(*parse_duration("10m") == 600 * ns_per_s);
    CHECK(*parse_duration("7d") == 7 * 86400 * ns_per_s);
    for (const char* wrong : {"", "5", "s", "-1s", "1.5s", "1h30m", "1 s", "99999999999999999d"}) {
        INFO(wrong);
        CHECK_FALSE(parse_duration(wrong));
    }
    CHECK(format_duration(0) == "0s");
    CHECK(format_duration(90 * ns_per_s) == "1m30s");
    CHECK(format_duration(3600 * ns_per_s) == "1h");
    CHECK(format_duration(3601 * ns_per_s) == "1h");
    CHECK(format_duration(250 * ns_per_ms) == "250ms");
}

TEST_CASE("counts")
{
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(1234) == "1.23k");
    CHECK(format_count(12345678) == "12.3M");
    CHECK(format_count(123456789012) == "123G");
}
