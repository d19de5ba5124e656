// SPDX-License-Identifier: Apache-2.0
#include "core/crowdsec.h"
#include "core/geo.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)xdpctl::parse_decisions(text);
    (void)xdpctl::parse_go_duration(text);
    (void)xdpctl::parse_geo_code(text);
    return 0;
}
