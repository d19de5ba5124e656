// SPDX-License-Identifier: Apache-2.0
// Eight bytes are a stamp.
#include <cstdlib>
#include <cstring>

#include "replay/clock.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    std::vector<uint64_t> stamps(size / sizeof(uint64_t));
    if (!stamps.empty()) {
        std::memcpy(stamps.data(), data, stamps.size() * sizeof(uint64_t));
    }
    xdpctl::StampSurvey survey;
    for (const uint64_t stamp : stamps) {
        survey.see(stamp);
    }
    xdpctl::CaptureClock clock;
    clock.begin_file(survey.plan());
    uint64_t last = xdpctl::CaptureClock::start_ns;
    for (const uint64_t stamp : stamps) {
        const uint64_t now = clock.advance(stamp);
        if (now < last) {
            std::abort();
        }
        last = now;
    }
    return 0;
}
