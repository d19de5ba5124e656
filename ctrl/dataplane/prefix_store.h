// SPDX-License-Identifier: Apache-2.0
// The writer's side of <xdpctl/abi/prefix_table.h>: one set of tables, in memory that
// the data path reads at the same time. One writer at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <xdpctl/abi/prefix_table.h>

#include "core/prefix_index.h"

namespace xdpctl
{

class PrefixStore
{
  public:
    // Memory of the caller, zeroed.
    struct Memory {
        std::span<uint64_t> kinds;           // XDPCTL_KINDS_WORDS, or none: no IPv4
        std::span<xdpctl_prefix_line> whole; // XDPCTL_WHOLE_LINES, likewise
        std::span<uint64_t> filter;          // XDPCTL_FILTER_WORDS
        std::span<xdpctl_prefix_line> tags;
        std::span<xdpctl_prefix_line> nodes; // XDPCTL_TAG_LANES for each line of tags
        std::span<xdpctl_prefix_line> pages; // XDPCTL_PAGE_LINES each, the first unused
        uint64_t seed = 0;
    };
    explicit PrefixStore(const Memory& memory);

    // As PrefixIndex::paint calls them.
    void paint_ipv4(uint32_t prefix, const OctetValues& values);
    void paint_ipv6(Bits128 prefix, const OctetValues& values);
    // An octet of IPv6 at which no prefix ends any more.
    void remove_ipv6(Bits128 prefix, unsigned octet);

    // Something found no place since the tables were made: they are too small.
    bool is_full() const { return full_; }
    size_t nodes() const { return nodes_; }
    size_t pages() const { return pages_; }
    // How many pages there was no room for.
    size_t missing_pages() const { return missing_pages_; }
    // What the data path may still read is not used again before this is called,
    // after a grace period.
    void reuse();
    size_t unused() const { return old_nodes_.size() + old_pages_.size() + old_blocks_.size(); }
    // For so many more nodes there is room, most probably.
    bool has_room(size_t nodes) const;

    static uint32_t tag_lines_for(size_t nodes);

  private:
    struct Key {
        uint64_t high;
        uint64_t low;
    };
    using Leaves = std::array<uint16_t, 256>;

    uint16_t tag_at(uint32_t index) const;
    void set_tag(uint32_t index, uint64_t tag);
    bool find(const Key& key, uint32_t& index) const;
    bool find_in_line(const Key& key, uint64_t tag, uint32_t line, uint32_t& index) const;
    bool insert_in_line(const Key& key, uint64_t hash, uint32_t line, const Leaves& leaves);
    void read(const Key& key, Leaves& leaves) const;
    bool write(const Key& key, const Leaves& leaves); // false: no room
    bool rewrite(xdpctl_prefix_node& node, const Leaves& leaves);
    void remove(const Key& key);
    void retire_block(uint32_t block, uint16_t leaf);
    static Key key_of_block(uint32_t block);
    uint32_t take_page(const Leaves& leaves);
    void drop_page(uint32_t page);

    unsigned kind_of(uint32_t block) const;
    void fill(uint32_t first_block, uint32_t count, uint16_t leaf);
    void set_kinds(uint32_t first_block, uint32_t count, unsigned kind);
    void paint_block(uint32_t block, const OctetValues& values);

    Memory memory_;
    size_t nodes_ = 0;
    size_t pages_ = 0;
    size_t missing_pages_ = 0;
    uint32_t next_page_ = 1;
    std::vector<uint32_t> free_pages_;
    std::vector<uint32_t> old_pages_;
    std::vector<uint32_t> old_nodes_;  // index of the lane
    std::vector<uint32_t> old_blocks_; // /24s that may not need their node any more
    bool full_ = false;
};

} // namespace xdpctl
