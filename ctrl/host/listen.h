// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace xdpctl
{

// Sockets that listen at all of these addresses, see parse_listen(); a port alone is every address
// of IPv4 and IPv6. A family that this host lacks is no error where the other one is there. An
// error names the address and the kernel's reason.
Result<std::vector<Fd>> listen_at(const std::string& addresses);

// Whether a server could listen there now.
Result<> can_listen(const std::string& addresses);

} // namespace xdpctl
