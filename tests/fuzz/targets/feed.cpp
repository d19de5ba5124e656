// SPDX-License-Identifier: Apache-2.0
#include "core/feed.h"
#include "feeds/copies.h"
#include "feeds/unpack.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto feed = xdpctl::parse_feed(text, {})) {
        (void)xdpctl::take_feed(*feed, {}, {});
    }
    (void)xdpctl::unpack(text, 1UL << 20);
    (void)xdpctl::decode_copy(text);
    return 0;
}
