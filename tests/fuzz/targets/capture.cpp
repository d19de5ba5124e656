// SPDX-License-Identifier: Apache-2.0
// pcap, pcapng and gzip.
#include <sys/mman.h>
#include <unistd.h>

#include "replay/capture.h"
#include "replay/orientation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const int fd = memfd_create("fuzz", 0);
    static const std::string path = fmt::format("/proc/self/fd/{}", fd);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) {
        return 0;
    }
    const auto file = xdpctl::CaptureFile::open(path, 1 << 20);
    if (!file) {
        return 0;
    }
    auto capture = xdpctl::Capture::open(*file);
    xdpctl::OrientationGuess guess;
    while (capture) {
        const auto frame = capture->next();
        if (!frame || !*frame) {
            break;
        }
        if (const auto info = xdpctl::read_frame((*frame)->bytes)) {
            guess.see(*info);
        }
    }
    (void)guess.result();
    return 0;
}
