// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ban_store.h"

#include <algorithm>
#include <bit>

namespace xdpctl
{
namespace
{

constexpr int tag_bits = 16;

uint32_t word_of(uint32_t index)
{
    return index % XDPCTL_BAN_LANES / XDPCTL_BAN_WORD_LANES;
}

uint32_t shift_of(uint32_t index)
{
    return index % XDPCTL_BAN_WORD_LANES * tag_bits;
}

} // namespace

uint32_t BanStore::buckets_for(uint32_t bans)
{
    const uint64_t slots = static_cast<uint64_t>(std::max(bans, 1U)) * 2;
    return static_cast<uint32_t>(std::bit_ceil((slots + XDPCTL_BAN_LANES - 1) / XDPCTL_BAN_LANES));
}

uint16_t BanStore::tag_at(uint32_t index) const
{
    return static_cast<uint16_t>(tags_[index / XDPCTL_BAN_LANES].word[word_of(index)] >>
                                 shift_of(index));
}

void BanStore::set_tag(uint32_t index, uint64_t tag)
{
    auto& word = tags_[index / XDPCTL_BAN_LANES].word[word_of(index)];
    const uint64_t kept = word & ~(0xffffULL << shift_of(index));
    __atomic_store_n(&word, kept | tag << shift_of(index), __ATOMIC_RELEASE);
}

BanStore::Place BanStore::place_of(const Address& source) const
{
    const xdpctl_addr key = source.to_abi();
    const uint64_t hash = xdpctl_ban_hash(&key, secret_);
    const auto mask = static_cast<uint32_t>(tags_.size() - 1);
    const uint64_t tag = xdpctl_ban_tag(hash);
    const uint32_t bucket = xdpctl_ban_bucket(hash, mask);
    return {tag, {bucket, xdpctl_ban_other_bucket(bucket, tag, mask)}};
}

std::optional<uint32_t> BanStore::index_of(const Address& source) const
{
    const Place place = place_of(source);
    for (const uint32_t bucket : place.buckets) {
        for (uint32_t lane = 0; lane < XDPCTL_BAN_LANES; lane++) {
            const uint32_t index = bucket * XDPCTL_BAN_LANES + lane;
            if (tag_at(index) == place.tag && Address::from_abi(slots_[index].source) == source) {
                return index;
            }
        }
    }
    return std::nullopt;
}

// In the emptier of the two buckets, which keeps both from filling up.
std::optional<uint32_t> BanStore::free_index(const Place& place) const
{
    std::optional<uint32_t> best;
    uint32_t most_free = 0;
    for (const uint32_t bucket : place.buckets) {
        uint32_t free = 0;
        uint32_t last = 0;
        for (uint32_t lane = 0; lane < XDPCTL_BAN_LANES; lane++) {
            const uint32_t index = bucket * XDPCTL_BAN_LANES + lane;
            if (tag_at(index) == 0) {
                free++;
                last = index;
            }
        }
        if (free > most_free) {
            most_free = free;
            best = last;
        }
    }
    return best;
}

bool BanStore::put(const Address& source, const xdpctl_ban& ban)
{
    if (const auto index = index_of(source)) {
        xdpctl_ban& old = slots_[*index].ban;
        old.added_ns = ban.added_ns;
        old.origin = ban.origin;
        old.strikes = ban.strikes;
        old.reason = ban.reason;
        __atomic_store_n(&old.deadline_ns, ban.deadline_ns, __ATOMIC_RELEASE);
        return true;
    }
    const Place place = place_of(source);
    const auto index = free_index(place);
    if (!index) {
        return false;
    }
    // A reader that still follows the tag of the slot's former owner must not
    // find a deadline before it finds another address.
    xdpctl_ban_slot& slot = slots_[*index];
    __atomic_store_n(&slot.ban.deadline_ns, 0, __ATOMIC_RELEASE);
    slot.source = source.to_abi();
    __atomic_thread_fence(__ATOMIC_RELEASE);
    slot.ban = ban;
    set_tag(*index, place.tag);
    return true;
}

bool BanStore::erase(const Address& source)
{
    const auto index = index_of(source);
    if (index) {
        set_tag(*index, 0);
    }
    return index.has_value();
}

std::optional<xdpctl_ban> BanStore::find(const Address& source) const
{
    const auto index = index_of(source);
    return index ? std::optional(slots_[*index].ban) : std::nullopt;
}

} // namespace xdpctl
