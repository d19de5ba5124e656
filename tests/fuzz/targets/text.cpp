// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "core/frame.h"
#include "core/units.h"
#include "replay/expectation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)xdpctl::parse_duration(text);
    (void)xdpctl::parse_expectation(text);
    (void)xdpctl::parse_tcp_flags(text);
    if (const auto prefix = xdpctl::parse_prefix(text)) {
        const auto again = xdpctl::parse_prefix(to_string(*prefix));
        if (!again || *again != *prefix) {
            std::abort();
        }
    }
    return 0;
}
