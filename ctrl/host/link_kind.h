// SPDX-License-Identifier: Apache-2.0
// What follows from the kind of a network interface for an XDP program on it.
#pragma once

#include <string>
#include <vector>

#include "host/netlink.h"

namespace xdpctl
{

struct LinkSuitability {
    bool has_ethernet = true; // else its frames begin with the IP header
    std::string refusal;      // why nothing can be filtered on it, and where instead; or empty
    std::string no_answers;   // why no answer can leave by XDP_TX, whatever the driver; or empty
    std::string native_costs; // what native XDP takes from the host's own traffic; or empty
};

// Pure. `all` are the links of this network namespace, `link` one of them.
LinkSuitability suitability_of(const LinkInfo& link, const std::vector<LinkInfo>& all);

// Names of the ports of a bond or team; empty for others.
std::vector<std::string> ports_of(const LinkInfo& link, const std::vector<LinkInfo>& all);

// True where frames of what it is stacked on come up through it as they are: VLAN,
// macvlan and the like; not tunnels, whose packets are taken out of others.
bool passes_frames_up(const LinkInfo& link);

} // namespace xdpctl
