// SPDX-License-Identifier: Apache-2.0
// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/. Finds damage, not intent.
#pragma once

#include <cstdint>
#include <string_view>

namespace xdpctl
{

constexpr uint64_t hash_begin = 0xcbf29ce484222325ULL;

constexpr uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001b3ULL;
}

constexpr uint64_t hash_bytes(std::string_view bytes, uint64_t hash = hash_begin)
{
    for (const char c : bytes) {
        hash = hash_byte(hash, static_cast<uint8_t>(c));
    }
    return hash;
}

} // namespace xdpctl
