// SPDX-License-Identifier: Apache-2.0
// What the data path counted of a source that completed a handshake here.
#pragma once

#include <cstdint>

#include "core/prefix.h"

namespace xdpctl
{

struct ClientSample {
    Address source;
    uint64_t packets = 0; // TCP of its connections, an estimate
    uint32_t connections = 0;
};

} // namespace xdpctl
