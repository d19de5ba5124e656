// SPDX-License-Identifier: Apache-2.0
#include "core/json.h"
#include "core/quote.h"
#include "harness/catch.h"

using namespace xdpctl;

TEST_CASE("JSON of others is bounded before it is read")
{
    const auto why = [](const std::string& text, const JsonBounds& bounds = {}) {
        const auto parsed = parse_json_bounded(text, bounds);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().kind == ErrorKind::refused);
        return parsed.error().message;
    };
    CHECK_THAT(why(std::string(60'000'000, '[')), Catch::Contains("nested deeper than 32"));
    CHECK_THAT(why(R"({"a":[{"b":1}]})", {.depth_most = 2}), Catch::Contains("nested deeper"));
    CHECK_THAT(why("[1,2,3]", {.bytes_most = 6}), Catch::Contains("more than 6 bytes"));
    CHECK_THAT(why("[{},{},{}]", {.values_most = 3}), Catch::Contains("more than 3 values"));

    // Brackets in strings are text, also behind quotes that are escaped.
    CHECK(parse_json_bounded(R"(["[[[[", "\"[[[", "\\"])", {.depth_most = 1}));
    CHECK(parse_json_bounded("[[],[],[]]", {.depth_most = 2}));
    CHECK(parse_json_bounded(R"({"a":{},"b":[1,2]})", {.depth_most = 2, .values_most = 6}));
    for (const char* wrong : {"", "[", "\"", "\"\\", "[\"a", "]", "}{", "[1,]", "secret"}) {
        INFO(wrong);
        const auto parsed = parse_json_bounded(wrong);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().kind == ErrorKind::unreadable);
        CHECK(parsed.error().message == "it is not JSON");
    }
}

TEST_CASE("errors quote a few characters of what others wrote")
{
    CHECK(short_quote("192.0.2.300") == "192.0.2.300");
    CHECK(short_quote("0123456789abcdef") == "0123456789abcdef");
    CHECK(short_quote("0123456789abcdefg") == "0123456789abcdef...");
    CHECK(short_quote("\x1b[2J\xff") == "?[2J?");

    const std::string line = "root:$6$salt'salt$0123456789:19000:0:99999";
    CHECK(with_short_quotes("'" + line + "' is no address", line) ==
          "'root:$6$salt'sal...' is no address");
    CHECK(with_short_quotes(line + " and " + line, line) ==
          "root:$6$salt'sal... and root:$6$salt'sal...");
    CHECK(with_short_quotes("'x' is no address", line) == "'x' is no address");
    CHECK(with_short_quotes("'0123456789:19000' of it", line) == "'0123456789:19000' of it");
    CHECK(with_short_quotes("'0123456789:19000:' of it", line) == "'0123456789:19000...' of it");
    CHECK(with_short_quotes("anything", "") == "anything");
}
