// SPDX-License-Identifier: Apache-2.0
#include "core/feed.h"
#include "feeds/copies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)xdpctl::take_feed(xdpctl::parse_feed(text), {}, {});
    (void)xdpctl::decode_copy(text);
    return 0;
}
