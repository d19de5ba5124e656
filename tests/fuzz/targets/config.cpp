// SPDX-License-Identifier: Apache-2.0
#include "core/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto config = xdpctl::parse_config(text, "fuzz")) {
        (void)xdpctl::diff_configs({}, *config);
    }
    return 0;
}
