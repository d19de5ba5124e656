// SPDX-License-Identifier: Apache-2.0
// The option parser of the data path, out of the kernel: its bounds by ASan, its
// findings against a second reading that is written differently.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "../../../bpf/tcp_options.h"

namespace
{

// Cuts one option after the other off the front.
tcp_options read_again(std::span<const uint8_t> rest)
{
    tcp_options found{};
    while (!rest.empty() && rest[0] != TCP_OPTION_END) {
        if (rest[0] == TCP_OPTION_NOP) {
            rest = rest.subspan(1);
            continue;
        }
        if (rest.size() < 2 || rest[1] < 2 || rest[1] > rest.size()) {
            break;
        }
        const auto option = rest.first(rest[1]);
        rest = rest.subspan(rest[1]);
        if (option[0] == TCP_OPTION_MSS && option.size() == 4) {
            const auto mss = static_cast<uint16_t>(option[2] << 8 | option[3]);
            found.mss = mss != 0 ? mss : found.mss;
        } else if (option[0] == TCP_OPTION_WSCALE && option.size() == 3) {
            found.has_wscale = 1;
            found.wscale = std::min<uint8_t>(option[2], TCP_WSCALE_MAX);
        } else if (option[0] == TCP_OPTION_SACK_PERMITTED && option.size() == 2) {
            found.has_sack = 1;
        } else if (option[0] == TCP_OPTION_MD5 || option[0] == TCP_OPTION_AO) {
            found.has_signature = 1;
        } else if (option[0] == TCP_OPTION_TIMESTAMP && option.size() == 10) {
            found.has_timestamp = 1;
            std::memcpy(&found.tsval, &option[2], 4);
        }
    }
    return found;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const size_t length = std::min<size_t>(size, TCP_OPTIONS_BYTES_MAX);
    const auto reader = std::make_unique<tcp_option_reader>();
    std::memset(reader.get(), 0, sizeof(*reader));
    std::copy_n(data, length, reader->bytes);
    parse_tcp_options(reader.get(), static_cast<uint32_t>(length));
    const tcp_options again = read_again({data, length});
    const tcp_options& found = reader->found;
    if (found.mss != again.mss || found.has_wscale != again.has_wscale ||
        found.wscale != again.wscale || found.has_sack != again.has_sack ||
        found.has_timestamp != again.has_timestamp || found.tsval != again.tsval ||
        found.has_signature != again.has_signature) {
        std::abort();
    }
    return 0;
}
