// SPDX-License-Identifier: Apache-2.0
// Samples of packets in the ring buffer `events`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <xdpctl/abi/event.h>

namespace xdpctl
{

// None where a number of it has no name here. Another version may have written it, which had more
// reasons: the ring buffer is pinned, and the next version reads what the last one left.
std::optional<xdpctl_event> read_event(std::span<const uint8_t> bytes);

} // namespace xdpctl
