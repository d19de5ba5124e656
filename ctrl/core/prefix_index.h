// SPDX-License-Identifier: Apache-2.0
// Which prefixes there are, in order, and what holds where: the writer's picture of
// <xdpctl/abi/prefix_table.h>. Knows no list and no memory of the data path.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <span>
#include <vector>

#include <xdpctl/abi/prefix_table.h>

namespace xdpctl
{

using Bits128 = unsigned __int128;

// Bits: the address in host byte order, uint32_t for IPv4, Bits128 for IPv6.
template <typename Bits> struct PrefixItem {
    Bits address{}; // no bit beyond length is set
    uint8_t length = 0;
    uint16_t leaf = 0;
    uint8_t list = UINT8_MAX; // that it is of; the highest begins a search

    // A prefix before those inside it. Of equal ones the lowest list comes last, and so
    // wins.
    bool operator<(const PrefixItem& other) const
    {
        if (address != other.address) {
            return address < other.address;
        }
        if (length != other.length) {
            return length < other.length;
        }
        return list != other.list ? list > other.list : leaf > other.leaf;
    }
    bool operator==(const PrefixItem&) const = default;
};

// A sorted sequence in chunks, so that inserting moves little memory.
template <typename Item> class SortedChunks
{
    static constexpr size_t chunk_most = 512;
    using Chunk = std::vector<Item>;

  public:
    class Cursor
    {
      public:
        Cursor(const std::vector<Chunk>& chunks, size_t chunk, size_t at)
            : chunks_(&chunks), chunk_(chunk), at_(at)
        {
            skip();
        }
        bool done() const { return chunk_ == chunks_->size(); }
        const Item& operator*() const { return (*chunks_)[chunk_][at_]; }
        const Item* operator->() const { return &**this; }
        void next()
        {
            at_++;
            skip();
        }

      private:
        void skip()
        {
            while (chunk_ < chunks_->size() && at_ == (*chunks_)[chunk_].size()) {
                chunk_++;
                at_ = 0;
            }
        }
        const std::vector<Chunk>* chunks_;
        size_t chunk_;
        size_t at_;
    };

    size_t size() const { return size_; }
    size_t bytes() const
    {
        size_t sum = chunks_.capacity() * sizeof(Chunk);
        for (const Chunk& chunk : chunks_) {
            sum += chunk.capacity() * sizeof(Item);
        }
        return sum;
    }
    Cursor begin() const { return Cursor(chunks_, 0, 0); }

    // The first that is not before `item`.
    Cursor lower_bound(const Item& item) const
    {
        const size_t chunk = chunk_of(item);
        if (chunk == chunks_.size()) {
            return Cursor(chunks_, chunk, 0);
        }
        const Chunk& in = chunks_[chunk];
        return Cursor(
            chunks_, chunk,
            static_cast<size_t>(std::lower_bound(in.begin(), in.end(), item) - in.begin()));
    }

    // Sorted, without duplicates.
    void assign(std::span<const Item> items)
    {
        chunks_.clear();
        size_ = items.size();
        constexpr size_t fill = chunk_most * 3 / 4; // leaves room for more
        for (size_t from = 0; from < items.size(); from += fill) {
            const auto part = items.subspan(from, std::min(fill, items.size() - from));
            chunks_.emplace_back(part.begin(), part.end());
        }
    }

    // False where it was there already.
    bool insert(const Item& item)
    {
        if (chunks_.empty()) {
            chunks_.emplace_back();
        }
        const size_t chunk = std::min(chunk_of(item), chunks_.size() - 1);
        Chunk& in = chunks_[chunk];
        const auto at = std::lower_bound(in.begin(), in.end(), item);
        if (at != in.end() && *at == item) {
            return false;
        }
        in.insert(at, item);
        size_++;
        if (in.size() > chunk_most) {
            Chunk upper(in.begin() + chunk_most / 2, in.end());
            in.resize(chunk_most / 2);
            chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk) + 1,
                           std::move(upper));
        }
        return true;
    }

    bool erase(const Item& item)
    {
        const size_t chunk = chunk_of(item);
        if (chunk == chunks_.size()) {
            return false;
        }
        Chunk& in = chunks_[chunk];
        const auto at = std::lower_bound(in.begin(), in.end(), item);
        if (at == in.end() || !(*at == item)) {
            return false;
        }
        in.erase(at);
        size_--;
        if (in.empty()) {
            chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk));
        }
        return true;
    }

  private:
    // The first whose last item is not before `item`.
    size_t chunk_of(const Item& item) const
    {
        const auto found = std::partition_point(
            chunks_.begin(), chunks_.end(), [&item](const Chunk& c) { return c.back() < item; });
        return static_cast<size_t>(found - chunks_.begin());
    }

    std::vector<Chunk> chunks_; // none is empty
    size_t size_ = 0;
};

// Who speaks where several leaves hold: the highest, of equal ones the longer prefix.
// 0: the leaf says nothing.
using LeafRanks = std::vector<uint64_t>;
inline constexpr uint64_t rank_allow = ~0ULL;
inline constexpr uint64_t rank_trust = ~0ULL - 1;
inline constexpr uint64_t rank_forever = ~0ULL - 2; // below it: deadlines
inline constexpr uint64_t rank_geo = 1;             // says nothing of the source itself

// What an octet's 256 values have; see PrefixIndex::paint.
struct OctetValues {
    unsigned octet = 0;
    unsigned first = 0; // those that are painted
    unsigned last = 255;
    std::array<uint16_t, 256> leaves; // of those only
    std::bitset<256> deeper;          // a longer prefix is below: painted on its own before
    bool ends_here = false;           // a prefix ends at this octet
};

template <typename Bits> class PrefixIndex
{
  public:
    using Item = PrefixItem<Bits>;
    static constexpr unsigned width = sizeof(Bits) * 8;

    SortedChunks<Item>& items() { return items_; }
    const SortedChunks<Item>& items() const { return items_; }

    static Bits mask(unsigned length)
    {
        return length == 0 ? 0 : static_cast<Bits>(~Bits{0} << (width - length));
    }
    static Bits last_of(const Item& item) { return item.address | ~mask(item.length); }
    // At which octet a prefix of this length ends.
    static unsigned octet_of(unsigned length) { return length == 0 ? 0 : (length - 1) / 8; }
    static unsigned value_at(Bits address, unsigned octet)
    {
        return static_cast<unsigned>(address >> (width - 8 - octet * 8)) & 0xff;
    }

    // Calls sink(prefix, OctetValues) for the octet at which `region` ends, and before
    // it for every octet below at which there is more to say, each with the leaf that
    // speaks there. Only what lies inside the region is painted. Where no prefix ends at an
    // octet, sink(prefix, octet) says whether it is wanted all the same.
    template <typename Sink>
    void paint(const Item& region, const LeafRanks& ranks, Sink&& sink) const
    {
        const unsigned octet = octet_of(region.length);
        const unsigned first = value_at(region.address, octet);
        const unsigned last = value_at(last_of(region), octet);
        auto cursor = items_.lower_bound({region.address, region.length, UINT16_MAX});
        descend(cursor, region.address & mask(octet * 8), last_of(region), octet, first, last,
                speaker_above(region, ranks), ranks, sink);
    }

    // Every item that covers the address, widest first.
    template <typename Visit> void covering(Bits address, unsigned longest, Visit&& visit) const
    {
        for (unsigned length = 0; length <= longest; length++) {
            const Bits network = address & mask(length);
            const auto bits = static_cast<uint8_t>(length);
            for (auto at = items_.lower_bound({network, bits, UINT16_MAX});
                 !at.done() && at->address == network && at->length == length; at.next()) {
                visit(*at);
            }
        }
    }

    // Does any prefix end at this octet, behind these bits?
    bool ends_at(Bits prefix, unsigned octet) const
    {
        const Bits last = prefix | ~mask(octet * 8);
        const auto shortest = static_cast<uint8_t>(octet == 0 ? 0 : octet * 8 + 1);
        auto at = items_.lower_bound({prefix, shortest, UINT16_MAX});
        while (!at.done() && at->address <= last) {
            if (at->length <= octet * 8 + 8) {
                return true;
            }
            const Bits child = at->address | ~mask(octet * 8 + 8);
            if (child >= last) {
                return false;
            }
            at = items_.lower_bound({child + 1, 0, UINT16_MAX});
        }
        return false;
    }

    static uint16_t speaker(uint16_t outer, uint16_t inner, const LeafRanks& ranks)
    {
        return ranks[inner] >= ranks[outer] ? inner : outer;
    }

  private:
    uint16_t speaker_above(const Item& region, const LeafRanks& ranks) const
    {
        uint16_t leaf = 0;
        if (region.length > 0) {
            covering(region.address, region.length - 1U,
                     [&](const Item& item) { leaf = speaker(leaf, item.leaf, ranks); });
        }
        return leaf;
    }

    template <typename Cursor, typename Sink>
    void descend(Cursor& at, Bits prefix, Bits end, unsigned octet, unsigned first, unsigned last,
                 uint16_t inherited, const LeafRanks& ranks, Sink& sink) const
    {
        OctetValues values;
        values.octet = octet;
        values.first = first;
        values.last = last;
        bool filled = false;
        const auto fill = [&] {
            if (!filled) {
                std::fill(values.leaves.begin() + first, values.leaves.begin() + last + 1,
                          inherited);
                filled = true;
            }
        };
        while (!at.done() && at->address <= end) {
            const unsigned value = value_at(at->address, octet);
            if (at->length <= octet * 8 + 8) {
                fill();
                const unsigned to = value_at(last_of(*at), octet);
                for (unsigned i = value; i <= to; i++) {
                    values.leaves[i] = speaker(values.leaves[i], at->leaf, ranks);
                }
                values.ends_here = true;
                at.next();
            } else {
                const Bits child = at->address & mask(octet * 8 + 8);
                values.deeper.set(value);
                descend(at, child, child | ~mask(octet * 8 + 8), octet + 1, 0, 255,
                        filled ? values.leaves[value] : inherited, ranks, sink);
            }
        }
        if (!filled && !sink(prefix, octet)) {
            return; // says no more than what is around it
        }
        fill();
        sink(prefix, values);
    }

    SortedChunks<Item> items_;
};

} // namespace xdpctl
