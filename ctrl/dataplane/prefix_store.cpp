// SPDX-License-Identifier: Apache-2.0
#include "dataplane/prefix_store.h"

#include <algorithm>
#include <optional>

#include <xdpctl/abi/ban_table.h>

namespace xdpctl
{
namespace
{

constexpr uint64_t old_tag = 2; // even, so that nobody finds it; not 0, so not free
constexpr unsigned tag_bits = 16;
constexpr unsigned lanes = XDPCTL_TAG_LANES - 1; // the last tells of an overflow
constexpr unsigned ipv4_octet = 15;
constexpr uint64_t ipv4_mapped = 0xffffULL << 32;

template <typename T> void store(T& where, uint64_t value)
{
    __atomic_store_n(&where, static_cast<T>(value), __ATOMIC_RELEASE);
}

template <typename Key> bool is_mapped(const Key& key)
{
    return key.high == 0 && key.low >> 32 == 0xffff;
}

// Two leaves and who has which, where no more than two are there.
struct TwoLeaves {
    std::array<uint64_t, 4> bits{};
    uint16_t leaf[2] = {0, 0};

    uint64_t leaves() const { return leaf[0] | static_cast<uint64_t>(leaf[1]) << 16; }
};

std::optional<TwoLeaves> two_leaves(const std::array<uint16_t, 256>& leaves)
{
    TwoLeaves two;
    two.leaf[0] = two.leaf[1] = leaves[0];
    for (unsigned i = 0; i < leaves.size(); i++) {
        if (leaves[i] == two.leaf[0]) {
            continue;
        }
        if (two.leaf[1] == two.leaf[0]) {
            two.leaf[1] = leaves[i];
        } else if (leaves[i] != two.leaf[1]) {
            return std::nullopt;
        }
        two.bits[i / 64] |= 1ULL << i % 64;
    }
    return two;
}

} // namespace

PrefixStore::PrefixStore(const Memory& memory) : memory_(memory) {}

// Half full: of 31 lanes a Poisson number of 15 hardly ever needs the other line.
uint32_t PrefixStore::tag_lines_for(size_t nodes)
{
    return static_cast<uint32_t>(nodes * 2 / lanes + 8);
}

uint16_t PrefixStore::tag_at(uint32_t index) const
{
    const uint64_t word = memory_.tags[index / XDPCTL_TAG_LANES].tags[index % XDPCTL_TAG_LANES / 4];
    return static_cast<uint16_t>(word >> index % 4 * tag_bits);
}

void PrefixStore::set_tag(uint32_t index, uint64_t tag)
{
    auto& word = memory_.tags[index / XDPCTL_TAG_LANES].tags[index % XDPCTL_TAG_LANES / 4];
    const unsigned shift = index % 4 * tag_bits;
    store(word, (word & ~(0xffffULL << shift)) | tag << shift);
}

bool PrefixStore::find_in_line(const Key& key, uint64_t tag, uint32_t line, uint32_t& index) const
{
    for (unsigned word = 0; word < XDPCTL_TAG_WORDS; word++) {
        uint64_t match = xdpctl_ban_match(memory_.tags[line].tags[word], tag);
        for (; match != 0; match &= match - 1) {
            const auto lane = static_cast<unsigned>(__builtin_ctzll(match)) / tag_bits;
            index = line * XDPCTL_TAG_LANES + word * 4 + lane;
            const xdpctl_prefix_node& node = memory_.nodes[index].node;
            if (node.high == key.high && node.low == key.low) {
                return true;
            }
        }
    }
    return false;
}

bool PrefixStore::find(const Key& key, uint32_t& index) const
{
    const auto lines = static_cast<uint32_t>(memory_.tags.size());
    const uint64_t hash = xdpctl_node_hash(key.high, key.low, memory_.seed);
    const uint64_t tag = xdpctl_node_tag(hash);
    const uint32_t line = xdpctl_node_line(hash, 0, lines);
    if (find_in_line(key, tag, line, index)) {
        return true;
    }
    return memory_.tags[line].tags[XDPCTL_TAG_WORDS - 1] >> 48 != 0 &&
           find_in_line(key, tag, xdpctl_node_line(hash, 1, lines), index);
}

// The node first, then its tag, which is what makes it visible.
bool PrefixStore::insert_in_line(const Key& key, uint64_t hash, uint32_t line, const Leaves& leaves)
{
    uint32_t lane = xdpctl_node_word(hash) * 4; // and round from there
    unsigned looked = 0;
    while (looked < XDPCTL_TAG_LANES &&
           (lane == XDPCTL_TAG_OVERFLOW || tag_at(line * XDPCTL_TAG_LANES + lane) != 0)) {
        lane = (lane + 1) % XDPCTL_TAG_LANES;
        looked++;
    }
    if (looked == XDPCTL_TAG_LANES) {
        return false;
    }
    const uint32_t index = line * XDPCTL_TAG_LANES + lane;
    xdpctl_prefix_node& node = memory_.nodes[index].node;
    node.high = key.high;
    node.low = key.low;
    const auto two = two_leaves(leaves);
    if (two) {
        std::copy(two->bits.begin(), two->bits.end(), node.bits);
        node.leaves = two->leaves();
    } else {
        const uint32_t page = take_page(leaves);
        if (page == 0) {
            return false;
        }
        node.leaves = static_cast<uint64_t>(page) << 32;
    }
    set_tag(index, xdpctl_node_tag(hash));
    nodes_++;
    return true;
}

uint32_t PrefixStore::take_page(const Leaves& leaves)
{
    uint32_t page = 0;
    if (!free_pages_.empty()) {
        page = free_pages_.back();
        free_pages_.pop_back();
    } else if ((next_page_ + 1) * XDPCTL_PAGE_LINES <= memory_.pages.size()) {
        page = next_page_++;
    } else {
        full_ = true;
        missing_pages_++;
        return 0;
    }
    pages_++;
    for (unsigned i = 0; i < leaves.size(); i++) {
        memory_.pages[page * XDPCTL_PAGE_LINES + i / XDPCTL_LINE_LEAVES]
            .leaf[i % XDPCTL_LINE_LEAVES] = leaves[i];
    }
    return page;
}

void PrefixStore::drop_page(uint32_t page)
{
    if (page != 0) {
        old_pages_.push_back(page);
        pages_--;
    }
}

void PrefixStore::reuse()
{
    for (const uint32_t block : old_blocks_) {
        if (kind_of(block) != XDPCTL_KIND_MIXED) {
            remove(key_of_block(block)); // seen by nobody, so free at once
        }
    }
    old_blocks_.clear();
    for (const uint32_t index : old_nodes_) {
        set_tag(index, 0);
    }
    old_nodes_.clear();
    free_pages_.insert(free_pages_.end(), old_pages_.begin(), old_pages_.end());
    old_pages_.clear();
}

void PrefixStore::read(const Key& key, Leaves& leaves) const
{
    uint32_t index = 0;
    leaves.fill(0);
    if (!find(key, index)) {
        return;
    }
    const xdpctl_prefix_node& node = memory_.nodes[index].node;
    for (unsigned i = 0; i < leaves.size(); i++) {
        leaves[i] = node.page != 0
                        ? memory_.pages[node.page * XDPCTL_PAGE_LINES + i / XDPCTL_LINE_LEAVES]
                              .leaf[i % XDPCTL_LINE_LEAVES]
                        : node.leaf[node.bits[i / 64] >> i % 64 & 1];
    }
}

// Each address sees its old leaf or its new one: either the bits change or the leaves,
// or a new page takes the place of both.
bool PrefixStore::rewrite(xdpctl_prefix_node& node, const Leaves& leaves)
{
    const auto two = two_leaves(leaves);
    const bool same_leaves = two && two->leaves() == node.leaves;
    const bool same_bits = two && std::equal(two->bits.begin(), two->bits.end(), node.bits);
    if (same_leaves) {
        for (unsigned word = 0; word < two->bits.size(); word++) {
            store(node.bits[word], two->bits[word]);
        }
        return true;
    }
    const uint32_t old_page = node.page;
    if (same_bits && old_page == 0) {
        store(node.leaves, two->leaves());
        return true;
    }
    const uint32_t page = take_page(leaves);
    if (page == 0) {
        return false;
    }
    store(node.leaves, static_cast<uint64_t>(page) << 32);
    drop_page(old_page);
    return true;
}

bool PrefixStore::write(const Key& key, const Leaves& leaves)
{
    uint32_t index = 0;
    if (find(key, index)) {
        return rewrite(memory_.nodes[index].node, leaves);
    }
    const auto lines = static_cast<uint32_t>(memory_.tags.size());
    const uint64_t hash = xdpctl_node_hash(key.high, key.low, memory_.seed);
    const uint32_t line = xdpctl_node_line(hash, 0, lines);
    if (!is_mapped(key)) { // of IPv4 the kind tells it
        auto& word = memory_.filter[xdpctl_filter_word(hash)];
        store(word, word | xdpctl_filter_bit(hash));
    }
    if (insert_in_line(key, hash, line, leaves)) {
        return true;
    }
    set_tag(line * XDPCTL_TAG_LANES + XDPCTL_TAG_OVERFLOW, old_tag);
    if (insert_in_line(key, hash, xdpctl_node_line(hash, 1, lines), leaves)) {
        return true;
    }
    full_ = true;
    return false;
}

bool PrefixStore::has_room(size_t nodes) const
{
    const size_t lanes_here = memory_.tags.size() * lanes;
    const size_t pages_here = memory_.pages.size() / XDPCTL_PAGE_LINES;
    return (nodes_ + old_nodes_.size() + nodes) * 4 < lanes_here * 3 &&
           pages_ + old_pages_.size() + std::min<size_t>(nodes, 32) < pages_here;
}

PrefixStore::Key PrefixStore::key_of_block(uint32_t block)
{
    return {0, ipv4_mapped | static_cast<uint64_t>(block) << 8 | (ipv4_octet + 1)};
}

// The node of a /24 that is whole now says the same until no packet looks for it.
void PrefixStore::retire_block(uint32_t block, uint16_t leaf)
{
    uint32_t index = 0;
    if (find(key_of_block(block), index)) {
        xdpctl_prefix_node& node = memory_.nodes[index].node;
        const uint32_t page = node.page;
        store(node.leaves, leaf | static_cast<uint64_t>(leaf) << 16);
        drop_page(page);
        old_blocks_.push_back(block);
    }
}

void PrefixStore::remove(const Key& key)
{
    uint32_t index = 0;
    if (find(key, index)) {
        drop_page(memory_.nodes[index].node.page);
        set_tag(index, old_tag);
        old_nodes_.push_back(index);
        nodes_--;
    }
}

unsigned PrefixStore::kind_of(uint32_t block) const
{
    return memory_.kinds[block / 32] >> block % 32 * 2 & 3;
}

void PrefixStore::set_kinds(uint32_t first_block, uint32_t count, unsigned kind)
{
    constexpr uint64_t each = 0x5555555555555555ULL;
    for (uint32_t block = first_block; count > 0;) {
        const uint32_t part = std::min(count, 32 - block % 32);
        const uint64_t mask = (part == 32 ? ~0ULL : (1ULL << part * 2) - 1) << block % 32 * 2;
        uint64_t& word = memory_.kinds[block / 32];
        const uint64_t wanted = (word & ~mask) | (each * kind & mask);
        if (word != wanted) {
            store(word, wanted);
        }
        block += part;
        count -= part;
    }
}

// The leaves first, then the kinds, which make them visible.
void PrefixStore::fill(uint32_t first_block, uint32_t count, uint16_t leaf)
{
    std::vector<uint32_t> mixed;
    for (uint32_t block = first_block; block < first_block + count;) {
        const uint32_t part = std::min(first_block + count - block, 32 - block % 32);
        if ((memory_.kinds[block / 32] & 0xaaaaaaaaaaaaaaaaULL) != 0) {
            for (uint32_t i = block; i < block + part; i++) {
                if (kind_of(i) == XDPCTL_KIND_MIXED) {
                    mixed.push_back(i);
                }
            }
        }
        if (leaf != 0) {
            auto& line = memory_.whole[block / XDPCTL_LINE_LEAVES];
            std::fill_n(line.leaf + block % XDPCTL_LINE_LEAVES, part, leaf);
        }
        block += part;
    }
    for (const uint32_t block : mixed) {
        retire_block(block, leaf);
    }
    set_kinds(first_block, count, leaf != 0 ? XDPCTL_KIND_WHOLE : XDPCTL_KIND_NONE);
}

// One /24, of which single addresses differ.
void PrefixStore::paint_block(uint32_t block, const OctetValues& values)
{
    const Key key = key_of_block(block);
    Leaves leaves = values.leaves;
    if (values.first != 0 || values.last != 255) { // a part: the rest stays
        const unsigned kind = kind_of(block);
        if (kind == XDPCTL_KIND_MIXED) {
            read(key, leaves);
        } else {
            leaves.fill(
                kind == XDPCTL_KIND_WHOLE
                    ? memory_.whole[block / XDPCTL_LINE_LEAVES].leaf[block % XDPCTL_LINE_LEAVES]
                    : 0);
        }
        std::copy(values.leaves.begin() + values.first, values.leaves.begin() + values.last + 1,
                  leaves.begin() + values.first);
    }
    if (std::all_of(leaves.begin(), leaves.end(),
                    [&](uint16_t leaf) { return leaf == leaves[0]; })) {
        fill(block, 1, leaves[0]);
        return;
    }
    if (write(key, leaves)) { // else what was there stays until the tables are built anew
        set_kinds(block, 1, XDPCTL_KIND_MIXED);
    }
}

void PrefixStore::paint_ipv4(uint32_t prefix, const OctetValues& values)
{
    if (values.octet == 3) {
        paint_block(prefix >> 8, values);
        return;
    }
    // Runs of one leaf at once; what is deeper has been painted.
    const uint32_t blocks = 1U << (2 - values.octet) * 8; // that one value stands for
    const uint32_t base = prefix >> 8;
    for (unsigned from = values.first; from <= values.last;) {
        unsigned to = from;
        while (to <= values.last && !values.deeper[to] &&
               values.leaves[to] == values.leaves[from]) {
            to++;
        }
        if (to > from) {
            fill(base + from * blocks, (to - from) * blocks, values.leaves[from]);
        }
        from = std::max(to, from + 1);
    }
}

namespace
{

template <typename Key> Key key_of(Bits128 prefix, unsigned octet)
{
    const auto high = static_cast<uint64_t>(prefix >> 64);
    const auto low = static_cast<uint64_t>(prefix);
    return {xdpctl_node_high(high, octet), xdpctl_node_low(low, octet)};
}

} // namespace

// An octet at which no prefix ends has no node: a wider one speaks for it.
void PrefixStore::paint_ipv6(Bits128 prefix, const OctetValues& values)
{
    if (!values.ends_here) {
        return;
    }
    const auto key = key_of<Key>(prefix, values.octet);
    Leaves leaves = values.leaves;
    if (values.first != 0 || values.last != 255) {
        read(key, leaves);
        std::copy(values.leaves.begin() + values.first, values.leaves.begin() + values.last + 1,
                  leaves.begin() + values.first);
    }
    write(key, leaves);
}

void PrefixStore::remove_ipv6(Bits128 prefix, unsigned octet)
{
    remove(key_of<Key>(prefix, octet));
}

} // namespace xdpctl
