// SPDX-License-Identifier: Apache-2.0
// Two numbers that tell whether pinned maps and programs fit this binary.
#pragma once

#include <cstdint>
#include <span>

namespace xdpctl
{

// Over the contract in <xdpctl/abi/>: names, sizes and order of everything
// that lives in a map. Equal means that the maps can be shared.
uint64_t layout_hash();

uint64_t hash_bytes(std::span<const char> bytes);

} // namespace xdpctl
