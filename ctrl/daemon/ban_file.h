// SPDX-License-Identifier: Apache-2.0
// The bans of single hosts on disk, so that they outlive a reboot. While the host runs,
// the data path's own table is the truth.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/dataplane.h"

namespace xdpctl
{

// The two clocks at one moment: deadlines are on the data path's, the file on the wall's.
struct Clocks {
    uint64_t now_ns = 0;
    uint64_t unix_s = 0;
};

// On the data path's clock, of a time on the wall; at most a century ahead.
uint64_t deadline_of(uint64_t unix_s, const Clocks& clocks);

// When it was written, then a line for each: ADDRESS UNTIL ORIGIN STRIKES HITS REASON, where
// UNTIL is in seconds since 1970, or - for ever, and REASON is the rest of the line; then
// their number and a hash, so that damage is found.
std::string encode_bans(const std::vector<BanEntry>& bans, const BanReasons& reasons,
                        const Clocks& clocks);
// Those that are over are there too: their strikes count. Errors name the line.
struct SavedBan {
    BanEntry entry; // without the number of its reason
    std::string reason;
};
Result<std::vector<SavedBan>> decode_bans(std::string_view text, const Clocks& clocks);

inline constexpr size_t ban_file_bytes_most = 512UL << 20;

} // namespace xdpctl
