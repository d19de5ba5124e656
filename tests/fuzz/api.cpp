// SPDX-License-Identifier: Apache-2.0
#include "api/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)xdpctl::parse_prefix_request(text);
    (void)xdpctl::parse_lift_request(text);
    (void)xdpctl::parse_guard_request(text, "mode");
    (void)xdpctl::parse_geo_request(text);
    (void)xdpctl::parse_flag(text, "force");
    (void)xdpctl::parse_string_member(text, "config");
    (void)xdpctl::parse_hex(text);
    return 0;
}
