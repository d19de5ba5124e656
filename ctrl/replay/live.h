// SPDX-License-Identifier: Apache-2.0
// A capture as real frames through a veth pair, in a namespace made for it.
#pragma once

#include "core/config.h"
#include "replay/replay.h"

namespace xdpctl
{

// Leaves this process in a network namespace of its own that is gone with the
// process; run it in a child. Frames are sent as fast as the kernel takes them;
// the clock and the sockets are the kernel's.
Result<ReplayReport> replay_live(const Config& config, const std::string& path,
                                 const Stated& stated, const Progress& progress);

} // namespace xdpctl
