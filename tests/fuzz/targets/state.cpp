// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "daemon/state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto state = xdpctl::decode_state(text)) {
        // What was read can be written and read again.
        if (!xdpctl::decode_state(xdpctl::encode_state(*state))) {
            std::abort();
        }
    }
    return 0;
}
