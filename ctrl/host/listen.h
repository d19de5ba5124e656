// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace xdpctl
{

// Whether a server could listen on these addresses now; see parse_listen(). An error names
// the address and the kernel's reason.
Result<> can_listen(const std::string& addresses);

} // namespace xdpctl
