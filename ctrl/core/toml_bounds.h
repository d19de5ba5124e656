// SPDX-License-Identifier: Apache-2.0
// What a text may have that the TOML library reads: the library calls itself for each part of a
// dotted key and for each bracket, and runs out of stack where they are many.
#pragma once

#include <string_view>

#include "base/result.h"

namespace xdpctl
{

inline constexpr size_t toml_bytes_most = 1UL << 20;
inline constexpr size_t toml_dots_most = 32;  // outside strings, on one line
inline constexpr size_t toml_depth_most = 64; // brackets and braces inside each other

// Reads the text once and makes nothing. Errors are ErrorKind::invalid_config, "LINE: cause", and
// quote nothing of the text.
Result<> check_toml_bounds(std::string_view text);

} // namespace xdpctl
