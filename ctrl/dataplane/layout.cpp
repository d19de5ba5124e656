// SPDX-License-Identifier: Apache-2.0
#include "dataplane/layout.h"

#include <array>
#include <string_view>

#include <linux/bpf.h>

#include <xdpctl/abi/maps.h>

namespace xdpctl
{
namespace
{

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
constexpr uint64_t fnv_offset = 0xcbf29ce484222325ULL;
constexpr uint64_t fnv_prime = 0x100000001b3ULL;

constexpr uint64_t mix(uint64_t hash, std::string_view text)
{
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * fnv_prime;
    }
    return (hash ^ 0xff) * fnv_prime; // ends the field
}

constexpr uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8) {
        hash = (hash ^ (value & 0xff)) * fnv_prime;
    }
    return hash;
}

constexpr uint64_t contract()
{
    uint64_t hash = mix(fnv_offset, uint64_t{XDPCTL_ABI_VERSION});
    // The default number of entries is the operator's choice, not layout.
#define XDPCTL_MIX_MAP(name, type, key, value, entries, flags, sized)                              \
    hash = mix(mix(mix(hash, #name "/" #type "/" #flags), sizeof(key)), sizeof(value));
    XDPCTL_MAPS(XDPCTL_MIX_MAP)
#undef XDPCTL_MIX_MAP
    hash = mix(hash, sizeof(xdpctl_prefix_key));
    hash = mix(hash, sizeof(xdpctl_prefix_leaf));
    hash = mix(hash, sizeof(xdpctl_event));
    // Counters keep their cells by position, and reasons are only appended.
    return mix(hash, uint64_t{XDPCTL_REASON_SLOTS});
}

} // namespace

uint64_t layout_hash()
{
    return contract();
}

uint64_t hash_bytes(std::span<const char> bytes)
{
    return mix(fnv_offset, std::string_view(bytes.data(), bytes.size()));
}

} // namespace xdpctl
