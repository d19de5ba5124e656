// SPDX-License-Identifier: Apache-2.0
// The maps of a loaded object as a whole: reset between tests, read to compare two states.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <linux/bpf.h>

#include "base/fd.h"
#include "core/frame.h"
#include "dataplane/bpf_object.h"

namespace xdpctl::testing
{

struct KernelMap {
    std::string name;
    Fd fd;
    bpf_map_info info{};

    uint32_t value_bytes() const; // as the syscalls take it: of all CPUs, where they have their own
    bool is_constant() const { return (info.map_flags & BPF_F_RDONLY_PROG) != 0; }
};

// Every map of the contract but `meta`, which says what the pins hold, and every other one that
// a program of the object uses (.rodata, .bss).
Result<std::vector<KernelMap>> maps_of(const BpfObject& object);

// Makes every map as it was after the load.
Result<> reset_maps(const BpfObject& object);

// Name of map, key, value: of arrays what is not zero, of a map in a map what it is and holds, of a
// ring buffer how many bytes are unread.
using MapContents = std::map<std::string, std::map<Bytes, Bytes>>;
Result<MapContents> contents_of(const BpfObject& object);

} // namespace xdpctl::testing
