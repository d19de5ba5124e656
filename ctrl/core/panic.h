// SPDX-License-Identifier: Apache-2.0
// The words for panic: daemon, CLI and doctor say the same.
#pragma once

#include <string_view>

namespace xdpctl
{

inline constexpr std::string_view panic_end_command = "xdpctl panic --end";
inline constexpr std::string_view panic_text =
    "panic is in force: every packet passes until `xdpctl panic --end`";

} // namespace xdpctl
