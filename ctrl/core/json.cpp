// SPDX-License-Identifier: Apache-2.0
#include "core/json.h"

namespace xdpctl
{
namespace
{

// The position of the quote that ends the string which begins at `begin`; of the end of the text
// where none does.
size_t end_of_string(std::string_view text, size_t begin)
{
    size_t at = begin + 1;
    while (at < text.size() && text[at] != '"') {
        at += text[at] == '\\' ? 2 : 1;
    }
    return at;
}

Result<> check_bounds(std::string_view text, const JsonBounds& bounds)
{
    if (text.size() > bounds.bytes_most) {
        return failure(ErrorKind::refused, "JSON of more than {} bytes", bounds.bytes_most);
    }
    size_t depth = 0;
    size_t values = 1;
    for (size_t at = 0; at < text.size(); at++) {
        const char c = text[at];
        if (c == '"') {
            at = end_of_string(text, at);
            continue;
        }
        const bool opens = c == '[' || c == '{';
        depth += opens ? 1 : 0;
        depth -= (c == ']' || c == '}') && depth > 0 ? 1 : 0;
        values += opens || c == ',' ? 1 : 0;
        if (depth > bounds.depth_most) {
            return failure(ErrorKind::refused, "JSON that is nested deeper than {}",
                           bounds.depth_most);
        }
        if (values > bounds.values_most) {
            return failure(ErrorKind::refused, "JSON of more than {} values", bounds.values_most);
        }
    }
    return Done{};
}

} // namespace

Result<nlohmann::json> parse_json_bounded(std::string_view text, const JsonBounds& bounds)
{
    if (auto done = check_bounds(text, bounds); !done) {
        return done.error();
    }
    nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
    return parsed.is_discarded()
               ? Result<nlohmann::json>(failure(ErrorKind::unreadable, "it is not JSON"))
               : std::move(parsed);
}

} // namespace xdpctl
