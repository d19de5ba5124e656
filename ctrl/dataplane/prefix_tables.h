// SPDX-License-Identifier: Apache-2.0
// The lists in the kernel: keeps <xdpctl/abi/prefix_table.h> as the lists say, in place
// where little changes, else by building the other set and flipping.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <xdpctl/abi/maps.h>

#include "base/fd.h"
#include "core/policy.h"
#include "core/prefix_index.h"
#include "dataplane/dataplane.h"
#include "dataplane/prefix_store.h"

namespace xdpctl
{

// The inner maps of one set, in the kernel and in our memory.
class PrefixMaps
{
  public:
    PrefixMaps() = default;
    ~PrefixMaps();
    PrefixMaps(const PrefixMaps&) = delete;
    PrefixMaps& operator=(const PrefixMaps&) = delete;

    // Zeroed lines; an error where the kernel has no memory for them.
    Result<> create(xdpctl_prefix_table table, uint32_t lines);
    int fd(size_t table) const { return maps_[table].get(); }
    std::span<xdpctl_prefix_line> lines(size_t table) const { return lines_[table]; }
    size_t bytes() const;

  private:
    std::array<Fd, XDPCTL_TABLE_COUNT> maps_;
    std::array<std::span<xdpctl_prefix_line>, XDPCTL_TABLE_COUNT> lines_;
};

class PrefixTables
{
  public:
    // All of the caller, and in the kernel's memory.
    struct Shared {
        int outer = -1; // descriptor of prefix_tables
        xdpctl_control* control = nullptr;
        std::span<uint64_t> kinds;
        std::span<uint64_t> filter;
        std::span<xdpctl_leaf> leaves;
    };
    explicit PrefixTables(const Shared& shared);

    // Replaces what these lists hold; others stay. The data path sees it from
    // publish() on, then at once. On an error everything stays as it was.
    Result<> replace(std::span<const ListContent> lists);
    Result<> publish();

    // Waits until no packet reads what was replaced before.
    Result<> wait_for_readers();

    std::vector<ListUsage> usage() const; // without packets
    std::vector<ListMatch> covering(const Address& address) const;
    std::vector<ListMatch> entries_of(uint16_t list) const;
    // Of the kernel and of the daemon.
    size_t bytes() const;

  private:
    template <typename Bits> struct Changes {
        std::vector<PrefixItem<Bits>> add;
        std::vector<PrefixItem<Bits>> remove;
        std::vector<PrefixItem<Bits>> repaint; // rank of the leaf changed
        bool empty() const { return add.empty() && remove.empty() && repaint.empty(); }
        size_t size() const { return add.size() + remove.size() + repaint.size(); }
    };
    struct Wanted {
        uint64_t digest = 0;
        size_t prefixes[2] = {0, 0};
    };

    template <typename Bits> PrefixIndex<Bits>& index();
    template <typename Bits> const PrefixIndex<Bits>& index() const
    {
        return const_cast<PrefixTables*>(this)->index<Bits>();
    }
    template <typename Bits> Changes<Bits> difference(const ListContent& list);
    template <typename Bits> void apply(const Changes<Bits>& changes);
    template <typename Bits> void paint_changes(const Changes<Bits>& changes);
    template <typename Bits>
    void paint_region(PrefixStore& store, const PrefixItem<Bits>& region) const;
    // What a replacement that fails puts back.
    struct Before {
        std::map<uint64_t, uint16_t> combinations;
        std::map<uint16_t, Wanted> lists;
        std::deque<uint16_t> free_leaves;
        std::vector<uint16_t> released_leaves;
    };
    Result<> update(const Changes<uint32_t>& ipv4, const Changes<Bits128>& ipv6);
    bool paint_in_place(const Changes<uint32_t>& ipv4, const Changes<Bits128>& ipv6);
    void put_back(Before before, Changes<uint32_t> ipv4, Changes<Bits128> ipv6);
    void settle();
    Result<> rebuild();
    struct Built {
        std::unique_ptr<PrefixMaps> maps;
        PrefixStore store;
    };
    Result<> install(Built built, uint32_t set, uint64_t seed);
    Result<Built> build(uint32_t set, uint64_t seed, size_t pages);
    uint32_t octets() const; // bit: an IPv6 prefix ends at it
    Result<> make_leaves(std::span<const ListContent> lists);
    uint16_t take_leaf(const ListContent& list, const ListEntry& entry);
    uint16_t shared_leaf(const ListContent& list, const ListEntry& entry);
    void set_leaf(uint16_t leaf, const ListContent& list, const ListEntry& entry);
    template <typename Bits> ListMatch match_of(const PrefixItem<Bits>& item) const;
    static bool wants_own_leaf(const ListContent& list, const ListEntry& entry);
    bool has_own_leaf(uint16_t leaf) const;
    void drop_combinations(const ListContent& list);
    void release_leaves();

    Shared shared_;
    PrefixIndex<uint32_t> ipv4_;
    PrefixIndex<Bits128> ipv6_;
    LeafRanks ranks_;
    std::deque<uint16_t> free_leaves_;
    std::vector<uint16_t> released_leaves_;                 // free after the next grace period
    std::vector<std::pair<uint16_t, xdpctl_leaf>> touched_; // leaves as they were before
    std::map<uint64_t, uint16_t> combinations_;             // leaves by the codes that they have
    std::map<uint16_t, Wanted> lists_;
    std::unique_ptr<PrefixMaps> maps_; // of the active set
    std::optional<PrefixStore> store_;
    uint32_t octets_ = 0; // of the active set
    bool published_ = false;
    bool dirty_ = true; // the index says more than the tables
};

} // namespace xdpctl
