// SPDX-License-Identifier: Apache-2.0
#include "core/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    (void)xdpctl::read_frame({data, size});
    return 0;
}
