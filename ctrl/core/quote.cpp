// SPDX-License-Identifier: Apache-2.0
#include "core/quote.h"

#include <algorithm>

namespace xdpctl
{
namespace
{

std::string printable(std::string_view text)
{
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return out;
}

} // namespace

std::string short_quote(std::string_view text)
{
    return printable(text.substr(0, quote_most)) + (text.size() > quote_most ? "..." : "");
}

std::string with_short_quotes(std::string_view message, std::string_view text)
{
    const std::string shown = printable(message);
    const std::string source = printable(text);
    const auto is_quoted = [&](size_t at) {
        return at + quote_most < shown.size() &&
               source.find(shown.substr(at, quote_most + 1)) != std::string::npos;
    };
    std::string out;
    for (size_t at = 0; at < shown.size();) {
        if (!is_quoted(at)) {
            out += shown[at++];
            continue;
        }
        out += shown.substr(at, quote_most) + "...";
        while (is_quoted(at)) {
            at++;
        }
        at += quote_most; // the last run of it
    }
    return out;
}

} // namespace xdpctl
