// SPDX-License-Identifier: Apache-2.0
#include "daemon/ban_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)xdpctl::decode_bans(text, {1000, 1000});
    return 0;
}
