// SPDX-License-Identifier: Apache-2.0
// The number that tells whether pinned maps fit this binary.
#pragma once

#include <cstdint>

namespace xdpctl
{

// Over the contract in <xdpctl/abi/>: names, sizes and order of everything
// that lives in a map. Equal means that the maps can be shared.
uint64_t layout_hash();

} // namespace xdpctl
