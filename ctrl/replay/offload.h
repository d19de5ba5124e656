// SPDX-License-Identifier: Apache-2.0
// Frames as they were on the wire. Undoes what network cards do for a sender or receiver
// (TSO, GSO, GRO): captures of such hosts hold frames that never were there.
#pragma once

#include <vector>

#include "core/frame.h"

namespace xdpctl
{

// A TCP or UDP packet whose IP length is 0, because the card would have written it (or
// because it is larger than the field: BIG TCP), gets the frame's own. Only what such
// a sender makes: TCP with data in a connection, UDP with data. True if it was so.
bool complete_ip_length(Bytes& frame);

// Does what was captured of a frame hold all headers that a verdict rests on? Those are,
// of an ICMP error, also the ones that it quotes.
bool has_headers(std::span<const uint8_t> captured);

// What to judge in place of a frame that is larger than one buffer.
struct WireFrames {
    std::vector<Bytes> frames;
    bool segmented = false; // else it is the frame's first bytes, with lengths to match
};
// TCP and UDP as segments of an MTU of 1500; the rest (ICMP, fragments, other protocols)
// by its headers: `frame_max` bytes of it.
WireFrames fit_buffer(const Bytes& frame, size_t frame_max);

} // namespace xdpctl
