// SPDX-License-Identifier: Apache-2.0
// sysctl(8) of this network namespace.
#pragma once

#include <string>

#include "base/result.h"

namespace xdpctl
{

// A word of a name: dots in it, as interfaces may have, become slashes.
std::string sysctl_word(std::string word);

// "net.ipv4.tcp_syncookies"; the first line, as the kernel writes it. not_found
// where this kernel has none of that name.
Result<std::string> read_sysctl(const std::string& name);
Result<> write_sysctl(const std::string& name, const std::string& value);

} // namespace xdpctl
