// SPDX-License-Identifier: Apache-2.0
// The writer's side of <xdpctl/abi/ban_table.h>: the memory that the data path
// reads at the same time. One writer at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <xdpctl/abi/ban_table.h>

#include "core/prefix.h"

namespace xdpctl
{

class BanStore
{
  public:
    // Over memory that the caller owns: a power of two of buckets, and
    // XDPCTL_BAN_LANES slots for each.
    BanStore(std::span<xdpctl_ban_tags> tags, std::span<xdpctl_ban_slot> slots, uint64_t secret)
        : tags_(tags), slots_(slots), secret_(secret)
    {
    }

    // Adds or replaces; false where both buckets of the address are full. The
    // data path sees the old entry or the new one. Hits of an old one are kept.
    bool put(const Address& source, const xdpctl_ban& ban);
    bool erase(const Address& source);
    std::optional<xdpctl_ban> find(const Address& source) const;

    template <typename Visit> void for_each(Visit visit) const
    {
        for (uint32_t index = 0; index < slots_.size(); index++) {
            if (tag_at(index) != 0) {
                visit(Address::from_abi(slots_[index].source), slots_[index].ban);
            }
        }
    }

    // Buckets for so many bans: a power of two, at most half full, where two
    // choices of eight slots leave nobody without a place.
    static uint32_t buckets_for(uint32_t bans);
    // How many bans so many buckets are meant for.
    static uint32_t capacity(size_t buckets)
    {
        return static_cast<uint32_t>(buckets * XDPCTL_BAN_LANES / 2);
    }

  private:
    struct Place {
        uint64_t tag;
        uint32_t buckets[2];
    };

    Place place_of(const Address& source) const;
    std::optional<uint32_t> index_of(const Address& source) const;
    std::optional<uint32_t> free_index(const Place& place) const;
    uint16_t tag_at(uint32_t index) const;
    void set_tag(uint32_t index, uint64_t tag);

    std::span<xdpctl_ban_tags> tags_;
    std::span<xdpctl_ban_slot> slots_;
    uint64_t secret_;
};

} // namespace xdpctl
