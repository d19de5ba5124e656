// SPDX-License-Identifier: Apache-2.0
// JSON of others: of peers, of servers, of files.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace xdpctl
{

// What a text may have. A value takes up to 100 bytes of memory, however short its text is.
struct JsonBounds {
    size_t bytes_most = 64UL << 20;
    size_t depth_most = 32;         // arrays and objects inside each other
    size_t values_most = 5'000'000; // an empty array or object counts as two
};

// Checks the bounds before any value is made. ErrorKind::refused: the text is beyond a bound,
// which the error names; ErrorKind::unreadable: it is not JSON. Errors quote nothing of the text.
Result<nlohmann::json> parse_json_bounded(std::string_view text, const JsonBounds& bounds = {});

} // namespace xdpctl
