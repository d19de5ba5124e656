// SPDX-License-Identifier: Apache-2.0
#include "dataplane/layout.h"

#include <array>
#include <string_view>

#include <linux/bpf.h>

#include <xdpctl/abi/maps.h>

#include "base/hash.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t mix(uint64_t hash, std::string_view text)
{
    return hash_byte(hash_bytes(text, hash), 0xff); // ends the field
}

constexpr uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8) {
        hash = hash_byte(hash, static_cast<uint8_t>(value));
    }
    return hash;
}

constexpr uint64_t contract()
{
    uint64_t hash = mix(hash_begin, uint64_t{XDPCTL_ABI_VERSION});
    // The default number of entries is the operator's choice, not layout.
#define XDPCTL_MIX_MAP(name, type, key, value, entries, flags, sized)                              \
    hash = mix(mix(mix(hash, #name "/" #type "/" #flags), sizeof(key)), sizeof(value));
    XDPCTL_MAPS(XDPCTL_MIX_MAP)
#undef XDPCTL_MIX_MAP
    hash = mix(hash, sizeof(xdpctl_prefix_line));
    hash = mix(hash, sizeof(xdpctl_event));
    // Counters keep their cells by position, and reasons are only appended.
    return mix(hash, uint64_t{XDPCTL_REASON_SLOTS});
}

} // namespace

uint64_t layout_hash()
{
    return contract();
}

} // namespace xdpctl
