// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "replay/offload.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    constexpr size_t frame_max = 600; // small, so that small inputs are larger
    if (size < 14) {
        return 0;
    }
    (void)xdpctl::has_headers({data, size});
    xdpctl::Bytes frame(data, data + size);
    if (xdpctl::complete_ip_length(frame) && xdpctl::complete_ip_length(frame)) {
        std::abort();
    }
    const xdpctl::WireFrames wire = xdpctl::fit_buffer(frame, frame_max);
    for (const xdpctl::Bytes& piece : wire.frames) {
        if (!wire.segmented && piece.size() > frame_max) {
            std::abort();
        }
        (void)xdpctl::read_frame(piece);
    }
    return wire.frames.empty() ? (std::abort(), 1) : 0;
}
