// SPDX-License-Identifier: Apache-2.0
// How much of what others wrote is told in errors: enough to find the place, not enough to read a
// file or an answer by it.
#pragma once

#include <string>
#include <string_view>

namespace xdpctl
{

inline constexpr size_t quote_most = 16; // characters

// The begin of the text; what is not printable ASCII becomes '?', and "..." stands for the rest.
std::string short_quote(std::string_view text);

// The message, in which no more than `quote_most` characters in a row are those of `text`.
std::string with_short_quotes(std::string_view message, std::string_view text);

} // namespace xdpctl
