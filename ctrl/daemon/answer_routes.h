// SPDX-License-Identifier: Apache-2.0
// From the host's routes to the way that SYN-ACKs of the data path take.
#pragma once

#include <functional>
#include <vector>

#include "dataplane/dataplane.h"
#include "host/routing.h"

namespace xdpctl
{

// `below`: the interfaces that run the program and carry what leaves by this one, 0 among
// them for the ports of a bond; itself where it runs the program. Nothing where the table
// does not say which way packets go.
AnswerRoutes answer_routes_of(const RoutingTable& table,
                              const std::function<std::vector<uint32_t>(uint32_t)>& below);

} // namespace xdpctl
