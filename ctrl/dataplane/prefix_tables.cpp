// SPDX-License-Identifier: Apache-2.0
#include "dataplane/prefix_tables.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr uint32_t grace_key = XDPCTL_PREFIX_TABLES - 1;
constexpr size_t in_place_least = 10000; // so few changes are always made in place
constexpr int build_tries = 8;
constexpr size_t unused_most = 1000; // nodes, pages and leaves that wait to be used again
// All of a list may be replaced at once, and what is replaced is free only later.
constexpr size_t combinations_most = 2048;
constexpr size_t own_leaves_most = (XDPCTL_LEAVES - XDPCTL_LIST_SLOTS) / 2 - combinations_most;

template <typename... Calls> struct Overloaded : Calls... {
    using Calls::operator()...;
};
template <typename... Calls> Overloaded(Calls...) -> Overloaded<Calls...>; // clang before 17

template <typename Bits> constexpr bool is_ipv4 = sizeof(Bits) == 4;

template <typename Bits> PrefixItem<Bits> item_of(const Prefix& prefix, uint16_t list)
{
    constexpr size_t bytes = sizeof(Bits);
    Bits address = 0;
    for (size_t i = 16 - bytes; i < 16; i++) {
        address = static_cast<Bits>(address << 8 | prefix.address.bytes[i]);
    }
    const auto length = static_cast<uint8_t>(prefix.length - (is_ipv4<Bits> ? 96 : 0));
    static_assert(XDPCTL_LIST_SLOTS - 1 <= UINT8_MAX);
    return {address, length, 0, static_cast<uint8_t>(list)};
}

template <typename Bits> Prefix prefix_of(const PrefixItem<Bits>& item)
{
    Prefix prefix;
    if constexpr (is_ipv4<Bits>) {
        const std::array<uint8_t, 4> zero{};
        prefix.address = Address::from_ipv4(zero.data());
    }
    Bits rest = item.address;
    for (size_t i = 0; i < sizeof(Bits); i++, rest >>= 8) {
        prefix.address.bytes[15 - i] = static_cast<uint8_t>(rest);
    }
    prefix.length = static_cast<uint8_t>(item.length + (is_ipv4<Bits> ? 96 : 0));
    return prefix;
}

template <typename Bits> bool same_prefix(const PrefixItem<Bits>& a, const PrefixItem<Bits>& b)
{
    return a.address == b.address && a.length == b.length;
}

template <typename Bits> bool prefix_before(const PrefixItem<Bits>& a, const PrefixItem<Bits>& b)
{
    return a.address != b.address ? a.address < b.address : a.length < b.length;
}

uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    return hash ^ hash >> 29;
}

// In the order given: a list that is given again is compared by this.
uint64_t digest_of(const ListContent& list)
{
    uint64_t hash = mix(list.list, list.verdict);
    for (const ListEntry& entry : list.prefixes) {
        uint64_t words[2];
        static_assert(sizeof(words) == sizeof(entry.prefix.address.bytes));
        std::memcpy(words, entry.prefix.address.bytes.data(), sizeof(words));
        hash = mix(mix(hash, words[0]), words[1] ^ entry.prefix.length);
        hash = mix(mix(hash, entry.deadline_ns), entry.codes);
    }
    return mix(hash, list.prefixes.size());
}

uint64_t rank_of(uint8_t verdict, uint64_t deadline_ns)
{
    return verdict == XDPCTL_PREFIX_NONE       ? 0
           : verdict == XDPCTL_PREFIX_ALLOW    ? rank_allow
           : verdict == XDPCTL_PREFIX_TRUST    ? rank_trust
           : verdict == XDPCTL_PREFIX_GEO      ? rank_geo
           : deadline_ns == XDPCTL_NO_DEADLINE ? rank_forever
                                               : std::min(deadline_ns, rank_forever - 1);
}

// As xdpctl_prefix_set says it.
uint64_t pack_octets(uint32_t mask)
{
    uint64_t packed = 0;
    uint64_t count = 0;
    for (unsigned octet = 16; octet-- > 0 && count < XDPCTL_OCTETS_MOST;) {
        if ((mask >> octet & 1) != 0) {
            packed |= static_cast<uint64_t>(octet) << count++ * 4;
        }
    }
    return packed | count << XDPCTL_OCTETS_SHIFT;
}

// How many nodes the items need: neighbours of one octet share one.
template <typename Bits> size_t count_nodes(const SortedChunks<PrefixItem<Bits>>& items)
{
    using Index = PrefixIndex<Bits>;
    std::array<std::optional<Bits>, sizeof(Bits)> last{};
    size_t nodes = 0;
    for (auto at = items.begin(); !at.done(); at.next()) {
        const unsigned octet = Index::octet_of(at->length);
        if (is_ipv4<Bits> && octet < 3) {
            continue; // in the directory
        }
        const Bits node = at->address & Index::mask(octet * 8);
        nodes += last[octet] == node ? 0 : 1;
        last[octet] = node;
    }
    return nodes;
}

} // namespace

PrefixMaps::~PrefixMaps()
{
    for (const auto& lines : lines_) {
        if (!lines.empty()) {
            munmap(lines.data(), lines.size_bytes());
        }
    }
}

Result<> PrefixMaps::create(xdpctl_prefix_table table, uint32_t lines)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
    Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "xdpctl_prefix", sizeof(uint32_t),
                          sizeof(xdpctl_prefix_line), lines, &opts));
    const std::string what =
        fmt::format("a prefix table of {} bytes", lines * sizeof(xdpctl_prefix_line));
    if (!map.valid()) {
        return system_failure(errno, "making " + what);
    }
    void* memory = mmap(nullptr, lines * sizeof(xdpctl_prefix_line), PROT_READ | PROT_WRITE,
                        MAP_SHARED, map.get(), 0);
    if (memory == MAP_FAILED) {
        return system_failure(errno, "mapping " + what);
    }
    lines_[table] = {static_cast<xdpctl_prefix_line*>(memory), lines};
    maps_[table] = std::move(map);
    return Done{};
}

size_t PrefixMaps::bytes() const
{
    size_t sum = 0;
    for (const auto& lines : lines_) {
        sum += lines.size_bytes();
    }
    return sum;
}

// Leaves of timed bans that an earlier daemon made are in use until the first flip.
PrefixTables::PrefixTables(const Shared& shared) : shared_(shared), ranks_(XDPCTL_LEAVES, 0)
{
    for (uint32_t leaf = XDPCTL_LIST_SLOTS; leaf < XDPCTL_LEAVES; leaf++) {
        if (shared_.leaves[leaf].list != XDPCTL_LIST_NONE) {
            released_leaves_.push_back(static_cast<uint16_t>(leaf));
        } else {
            free_leaves_.push_back(static_cast<uint16_t>(leaf));
        }
    }
}

template <> PrefixIndex<uint32_t>& PrefixTables::index()
{
    return ipv4_;
}

template <> PrefixIndex<Bits128>& PrefixTables::index()
{
    return ipv6_;
}

void PrefixTables::set_leaf(uint16_t leaf, const ListContent& list, const ListEntry& entry)
{
    xdpctl_leaf& where = shared_.leaves[leaf];
    touched_.emplace_back(leaf, where);
    where.list = list.list;
    where.verdict = list.verdict;
    where.codes = entry.codes;
    __atomic_store_n(&where.deadline_ns, entry.deadline_ns, __ATOMIC_RELEASE);
    ranks_[leaf] = rank_of(list.verdict, entry.deadline_ns);
}

// make_leaves() has seen that one is free.
uint16_t PrefixTables::take_leaf(const ListContent& list, const ListEntry& entry)
{
    const uint16_t leaf = free_leaves_.front();
    free_leaves_.pop_front();
    shared_.leaves[leaf].hits = 0;
    set_leaf(leaf, list, entry);
    return leaf;
}

// Bans are counted one by one, where there are leaves for all of them.
bool PrefixTables::wants_own_leaf(const ListContent& list, const ListEntry& entry)
{
    return entry.deadline_ns != XDPCTL_NO_DEADLINE ||
           (list.list == XDPCTL_LIST_BANS && list.prefixes.size() <= own_leaves_most);
}

bool PrefixTables::has_own_leaf(uint16_t leaf) const
{
    return leaf >= XDPCTL_LIST_SLOTS && shared_.leaves[leaf].verdict != XDPCTL_PREFIX_GEO;
}

// Those of one list with the same codes share a leaf; others have that of the list.
uint16_t PrefixTables::shared_leaf(const ListContent& list, const ListEntry& entry)
{
    if (list.verdict != XDPCTL_PREFIX_GEO) {
        return list.list;
    }
    const auto known = combinations_.find(entry.codes);
    return known != combinations_.end()
               ? known->second
               : combinations_.emplace(entry.codes, take_leaf(list, entry)).first->second;
}

// Those that no entry has any more.
void PrefixTables::drop_combinations(const ListContent& list)
{
    std::set<uint64_t> used;
    for (const ListEntry& entry : list.prefixes) {
        used.insert(entry.codes);
    }
    for (auto at = combinations_.begin(); at != combinations_.end();) {
        if (used.contains(at->first)) {
            at++;
        } else {
            released_leaves_.push_back(at->second);
            at = combinations_.erase(at);
        }
    }
}

// For all that these lists may need.
Result<> PrefixTables::make_leaves(std::span<const ListContent> lists)
{
    size_t wanted = 0;
    for (const ListContent& list : lists) {
        const auto timed = static_cast<size_t>(
            std::count_if(list.prefixes.begin(), list.prefixes.end(), [](const ListEntry& entry) {
                return entry.deadline_ns != XDPCTL_NO_DEADLINE;
            }));
        if (timed > own_leaves_most) {
            return failure(ErrorKind::refused, "{} networks shall be banned for a time; {} can",
                           timed, own_leaves_most);
        }
        wanted += static_cast<size_t>(
            std::count_if(list.prefixes.begin(), list.prefixes.end(),
                          [&list](const ListEntry& entry) { return wants_own_leaf(list, entry); }));
        if (list.verdict == XDPCTL_PREFIX_GEO) {
            std::set<uint64_t> codes;
            for (const ListEntry& entry : list.prefixes) {
                codes.insert(entry.codes);
            }
            if (codes.size() > combinations_most) {
                return failure(ErrorKind::refused,
                               "{} combinations of countries and AS numbers; {} can be",
                               codes.size(), combinations_most);
            }
            wanted += codes.size();
        }
    }
    if (wanted > free_leaves_.size()) {
        settle();
    }
    if (wanted > free_leaves_.size()) {
        return failure("no leaf is free for the networks that shall be banned");
    }
    return Done{};
}

// No packet reads a table that names them any more.
void PrefixTables::release_leaves()
{
    for (const uint16_t leaf : released_leaves_) {
        shared_.leaves[leaf] = {};
        free_leaves_.push_back(leaf);
    }
    released_leaves_.clear();
}

// Between what the index holds of this list and what it shall hold.
template <typename Bits>
PrefixTables::Changes<Bits> PrefixTables::difference(const ListContent& list)
{
    using Item = PrefixItem<Bits>;
    std::vector<Item> current;
    const size_t held = lists_[list.list].prefixes[is_ipv4<Bits> ? 0 : 1];
    for (auto at = index<Bits>().items().begin(); current.size() < held && !at.done(); at.next()) {
        if (shared_.leaves[at->leaf].list == list.list) {
            current.push_back(*at);
        }
    }
    struct Entry {
        Item item;
        const ListEntry* entry;
    };
    std::vector<Entry> wanted;
    for (const ListEntry& entry : list.prefixes) {
        if (entry.prefix.is_ipv4() == is_ipv4<Bits>) {
            wanted.push_back({item_of<Bits>(entry.prefix, list.list), &entry});
        }
    }
    // Of duplicates the one that holds longest comes first, and stays.
    std::sort(wanted.begin(), wanted.end(), [](const Entry& a, const Entry& b) {
        return same_prefix(a.item, b.item) ? a.entry->deadline_ns > b.entry->deadline_ns
                                           : prefix_before(a.item, b.item);
    });
    wanted.erase(
        std::unique(wanted.begin(), wanted.end(),
                    [](const Entry& a, const Entry& b) { return same_prefix(a.item, b.item); }),
        wanted.end());

    Changes<Bits> changes;
    auto old = current.begin();
    const auto drop = [&](const Item& item) {
        changes.remove.push_back(item);
        if (has_own_leaf(item.leaf)) {
            released_leaves_.push_back(item.leaf);
        }
    };
    for (auto& [item, entry] : wanted) {
        while (old != current.end() && prefix_before(*old, item)) {
            drop(*old++);
        }
        const bool own = wants_own_leaf(list, *entry);
        const bool known = old != current.end() && same_prefix(*old, item);
        if (own && known && has_own_leaf(old->leaf)) {
            if (shared_.leaves[old->leaf].deadline_ns != entry->deadline_ns) {
                set_leaf(old->leaf, list, *entry);
                changes.repaint.push_back(*old);
            }
            old++;
            continue;
        }
        item.leaf = own ? take_leaf(list, *entry) : shared_leaf(list, *entry);
        if (known && old->leaf == item.leaf) {
            old++;
            continue;
        }
        if (known) {
            drop(*old++);
        }
        changes.add.push_back(item);
    }
    std::for_each(old, current.end(), drop);
    lists_[list.list].prefixes[is_ipv4<Bits> ? 0 : 1] = wanted.size();
    return changes;
}

// Many at once are merged, few are put in their places.
template <typename Bits> void PrefixTables::apply(const Changes<Bits>& changes)
{
    using Item = PrefixItem<Bits>;
    SortedChunks<Item>& items = index<Bits>().items();
    if (changes.size() < items.size() / 16 + 1) {
        for (const Item& item : changes.remove) {
            items.erase(item);
        }
        for (const Item& item : changes.add) {
            items.insert(item);
        }
        return;
    }
    std::vector<Item> gone = changes.remove;
    std::sort(gone.begin(), gone.end());
    std::vector<Item> fresh = changes.add;
    std::sort(fresh.begin(), fresh.end());
    std::vector<Item> merged;
    merged.reserve(items.size() + fresh.size() - std::min(gone.size(), items.size()));
    auto out = gone.begin();
    auto in = fresh.begin();
    for (auto at = items.begin(); !at.done(); at.next()) {
        while (out != gone.end() && *out < *at) {
            out++;
        }
        if (out != gone.end() && *out == *at) {
            continue;
        }
        while (in != fresh.end() && *in < *at) {
            merged.push_back(*in++);
        }
        merged.push_back(*at);
    }
    merged.insert(merged.end(), in, fresh.end());
    items.assign(merged);
}

Result<> PrefixTables::replace(std::span<const ListContent> lists)
{
    Changes<uint32_t> ipv4;
    Changes<Bits128> ipv6;
    const auto append = [](auto& all, const auto& more) {
        all.add.insert(all.add.end(), more.add.begin(), more.add.end());
        all.remove.insert(all.remove.end(), more.remove.begin(), more.remove.end());
        all.repaint.insert(all.repaint.end(), more.repaint.begin(), more.repaint.end());
    };
    if (auto enough = make_leaves(lists); !enough) {
        return enough;
    }
    Before before{combinations_, lists_, free_leaves_, released_leaves_};
    touched_.clear();
    for (const ListContent& list : lists) {
        const uint64_t digest = digest_of(list);
        if (lists_.contains(list.list) && lists_[list.list].digest == digest) {
            continue;
        }
        set_leaf(list.list, list, {});
        append(ipv4, difference<uint32_t>(list));
        append(ipv6, difference<Bits128>(list));
        if (list.verdict == XDPCTL_PREFIX_GEO) {
            drop_combinations(list);
        }
        lists_[list.list].digest = digest;
    }
    if (ipv4.empty() && ipv6.empty()) {
        return published_ ? publish() : Result<>(Done{});
    }
    apply(ipv4);
    apply(ipv6);
    if (!published_) {
        return Done{};
    }
    auto done = update(ipv4, ipv6);
    if (!done) {
        put_back(std::move(before), std::move(ipv4), std::move(ipv6));
    }
    return done;
}

void PrefixTables::put_back(Before before, Changes<uint32_t> ipv4, Changes<Bits128> ipv6)
{
    std::swap(ipv4.add, ipv4.remove);
    std::swap(ipv6.add, ipv6.remove);
    apply(ipv4);
    apply(ipv6);
    for (auto at = touched_.rbegin(); at != touched_.rend(); at++) {
        const auto& [leaf, was] = *at;
        shared_.leaves[leaf] = was;
        ranks_[leaf] = rank_of(was.verdict, was.deadline_ns);
    }
    combinations_ = std::move(before.combinations);
    lists_ = std::move(before.lists);
    free_leaves_ = std::move(before.free_leaves);
    released_leaves_ = std::move(before.released_leaves);
    // Where a part of it was painted before there was no room, that goes too.
    dirty_ = dirty_ && !paint_in_place(ipv4, ipv6);
}

Result<> PrefixTables::publish()
{
    if (published_ && !dirty_) {
        return Done{};
    }
    published_ = true;
    return rebuild();
}

template <typename Bits>
void PrefixTables::paint_region(PrefixStore& store, const PrefixItem<Bits>& region) const
{
    using Index = PrefixIndex<Bits>;
    const Index& all = index<Bits>();
    const unsigned top = Index::octet_of(region.length);
    const auto paint = [&](Bits prefix, OctetValues& values) {
        if constexpr (is_ipv4<Bits>) {
            store.paint_ipv4(prefix, values);
        } else {
            // Of the top octet only a part was looked at.
            values.ends_here |= values.octet == top && all.ends_at(prefix, top);
            if (values.octet == top && !values.ends_here) {
                store.remove_ipv6(prefix, top);
            } else {
                store.paint_ipv6(prefix, values);
            }
        }
    };
    const auto wanted = [top](Bits, unsigned octet) { return is_ipv4<Bits> || octet == top; };
    all.paint(region, ranks_, Overloaded{paint, wanted});
}

// What a wider change has painted needs no painting again.
template <typename Bits> void PrefixTables::paint_changes(const Changes<Bits>& changes)
{
    using Index = PrefixIndex<Bits>;
    std::vector<PrefixItem<Bits>> regions;
    for (const auto* items : {&changes.add, &changes.remove, &changes.repaint}) {
        regions.insert(regions.end(), items->begin(), items->end());
    }
    std::sort(regions.begin(), regions.end(), prefix_before<Bits>);
    std::optional<Bits> painted;
    for (const PrefixItem<Bits>& region : regions) {
        // Of IPv6 a node that is empty now is told by its own region only.
        const bool inside = painted && Index::last_of(region) <= *painted;
        if (!inside || !is_ipv4<Bits>) {
            paint_region(*store_, region);
        }
        if (!inside) {
            painted = Index::last_of(region);
        }
    }
}

uint32_t PrefixTables::octets() const
{
    uint32_t octets = 0;
    for (auto at = ipv6_.items().begin(); !at.done(); at.next()) {
        octets |= 1U << PrefixIndex<Bits128>::octet_of(at->length);
    }
    return octets;
}

// False where there was no room for all of it.
bool PrefixTables::paint_in_place(const Changes<uint32_t>& ipv4, const Changes<Bits128>& ipv6)
{
    if (!store_) {
        return false;
    }
    paint_changes(ipv4);
    paint_changes(ipv6);
    if (store_->is_full()) {
        return false;
    }
    for (const auto& item : ipv6.add) {
        octets_ |= 1U << PrefixIndex<Bits128>::octet_of(item.length);
    }
    octets_ = ipv6_.items().size() > 0 ? octets_ : 0; // a family without prefixes costs nothing
    __atomic_store_n(&shared_.control->prefix_sets[shared_.control->prefix_set].octets,
                     pack_octets(octets_), __ATOMIC_RELEASE);
    return true;
}

Result<> PrefixTables::update(const Changes<uint32_t>& ipv4, const Changes<Bits128>& ipv6)
{
    const size_t all = ipv4_.items().size() + ipv6_.items().size();
    const size_t changed = ipv4.size() + ipv6.size();
    const bool small = changed <= std::max(in_place_least, all / 8);
    const bool has_tables =
        store_ && !dirty_ && (ipv4.empty() || maps_->fd(XDPCTL_TABLE_WHOLE) >= 0);
    if (!small || !has_tables) {
        return rebuild();
    }
    // Leaves of what goes now are still read.
    if (!store_->has_room(changed) && store_->unused() > 0 && wait_for_readers()) {
        store_->reuse();
    }
    if (!store_->has_room(changed)) {
        return rebuild();
    }
    dirty_ = true;
    if (!paint_in_place(ipv4, ipv6)) {
        return rebuild();
    }
    dirty_ = false;
    // Waiting costs more than all of this: not for a few.
    if (store_->unused() + released_leaves_.size() > unused_most) {
        settle();
    }
    return Done{};
}

// What no packet reads any more is free. Where the kernel does not say so now, later.
void PrefixTables::settle()
{
    if (store_ && !dirty_ && store_->unused() + released_leaves_.size() > 0 && wait_for_readers()) {
        store_->reuse();
        release_leaves();
    }
}

Result<PrefixTables::Built> PrefixTables::build(uint32_t set, uint64_t seed, size_t pages)
{
    const size_t nodes = count_nodes(ipv4_.items()) + count_nodes(ipv6_.items());
    const uint32_t tag_lines = PrefixStore::tag_lines_for(nodes);
    auto maps = std::make_unique<PrefixMaps>();
    const auto make = [&maps](xdpctl_prefix_table table, size_t lines) {
        return lines == 0 ? Result<>(Done{}) : maps->create(table, static_cast<uint32_t>(lines));
    };
    const bool has_ipv4 = ipv4_.items().size() > 0;
    for (const auto& [table, lines] : {std::pair<xdpctl_prefix_table, size_t>{
                                           XDPCTL_TABLE_WHOLE, has_ipv4 ? XDPCTL_WHOLE_LINES : 0},
                                       {XDPCTL_TABLE_TAGS, tag_lines},
                                       {XDPCTL_TABLE_NODES, size_t{tag_lines} * XDPCTL_TAG_LANES},
                                       {XDPCTL_TABLE_PAGES, pages * XDPCTL_PAGE_LINES}}) {
        if (auto done = make(table, lines); !done) {
            return done.error();
        }
    }
    const auto kinds = shared_.kinds.subspan(size_t{set} * XDPCTL_KINDS_WORDS, XDPCTL_KINDS_WORDS);
    const auto filter =
        shared_.filter.subspan(size_t{set} * XDPCTL_FILTER_WORDS, XDPCTL_FILTER_WORDS);
    std::fill(kinds.begin(), kinds.end(), 0); // nobody reads this set
    std::fill(filter.begin(), filter.end(), 0);
    PrefixStore store({kinds, maps->lines(XDPCTL_TABLE_WHOLE), filter,
                       maps->lines(XDPCTL_TABLE_TAGS), maps->lines(XDPCTL_TABLE_NODES),
                       maps->lines(XDPCTL_TABLE_PAGES), seed});
    if (has_ipv4) {
        paint_region<uint32_t>(store, {});
    }
    if (ipv6_.items().size() > 0) {
        paint_region<Bits128>(store, {});
    }
    return Built{std::move(maps), std::move(store)};
}

// The active set stays as it is until the other one is whole.
Result<> PrefixTables::rebuild()
{
    const uint32_t set = 1 - shared_.control->prefix_set;
    constexpr size_t pages_least = 64;
    size_t pages = pages_least + (store_ ? store_->pages() * 2 : 0);
    for (int i = 0; i < build_tries; i++) {
        const uint64_t seed = mix(shared_.control->secret, static_cast<uint64_t>(i) + 1);
        auto built = build(set, seed, pages);
        if (!built) {
            return built.error();
        }
        if (!built->store.is_full()) {
            return install(std::move(*built), set, seed);
        }
        pages += built->store.missing_pages() + built->store.missing_pages() / 4;
    }
    return failure("the prefix tables could not be built"); // needs 8 unlucky seeds
}

Result<> PrefixTables::install(Built built, uint32_t set, uint64_t seed)
{
    auto& maps = built.maps;
    for (uint32_t table = 0; table < XDPCTL_TABLE_COUNT; table++) {
        const uint32_t key = set * XDPCTL_TABLE_COUNT + table;
        const int fd = maps->fd(table);
        if (fd >= 0 && bpf_map_update_elem(shared_.outer, &key, &fd, BPF_ANY) != 0) {
            return system_failure(errno, "installing the prefix tables");
        }
    }
    const auto tag_lines = static_cast<uint32_t>(maps->lines(XDPCTL_TABLE_TAGS).size());
    octets_ = octets();
    xdpctl_prefix_set& about = shared_.control->prefix_sets[set];
    about = {};
    about.seed = seed;
    about.tag_lines = tag_lines;
    about.ipv4 = ipv4_.items().size() > 0 ? 1 : 0;
    about.octets = pack_octets(octets_);
    __atomic_store_n(&shared_.control->prefix_set, set, __ATOMIC_SEQ_CST);
    dirty_ = false;
    std::swap(maps_, maps); // the old ones stay mapped for as long as their store
    store_.emplace(std::move(built.store));
    for (uint32_t table = 0; table < XDPCTL_TABLE_COUNT; table++) {
        const uint32_t key = (1 - set) * XDPCTL_TABLE_COUNT + table;
        bpf_map_delete_elem(shared_.outer, &key); // the kernel frees it by and by
    }
    if (wait_for_readers()) { // else they are released later
        release_leaves();
    }
    return Done{};
}

// The kernel waits for a grace period after it changed a map in a map
// (maybe_wait_bpf_programs, kernel/bpf/syscall.c): no packet reads what it read before.
Result<> PrefixTables::wait_for_readers()
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
    const Fd line(bpf_map_create(BPF_MAP_TYPE_ARRAY, "xdpctl_grace", sizeof(uint32_t),
                                 sizeof(xdpctl_prefix_line), 1, &opts));
    const int fd = line.get();
    if (fd < 0 || bpf_map_update_elem(shared_.outer, &grace_key, &fd, BPF_ANY) != 0) {
        return system_failure(errno, "waiting for packets on their way");
    }
    return Done{};
}

std::vector<ListUsage> PrefixTables::usage() const
{
    std::vector<ListUsage> all;
    for (const auto& [list, wanted] : lists_) {
        all.push_back({list, {wanted.prefixes[0], wanted.prefixes[1]}, {}});
    }
    return all;
}

template <typename Bits> ListMatch PrefixTables::match_of(const PrefixItem<Bits>& item) const
{
    const xdpctl_leaf& leaf = shared_.leaves[item.leaf];
    return {leaf.list, prefix_of(item), leaf.deadline_ns,
            has_own_leaf(item.leaf) ? std::optional(leaf.hits) : std::nullopt, leaf.codes};
}

std::vector<ListMatch> PrefixTables::entries_of(uint16_t list) const
{
    std::vector<ListMatch> matches;
    const auto add = [&](const auto& index) {
        for (auto at = index.items().begin(); !at.done(); at.next()) {
            if (shared_.leaves[at->leaf].list == list) {
                matches.push_back(match_of(*at));
            }
        }
    };
    add(ipv4_);
    add(ipv6_);
    return matches;
}

std::vector<ListMatch> PrefixTables::covering(const Address& address) const
{
    std::vector<ListMatch> matches;
    const auto add = [&](const auto& item) { matches.push_back(match_of(item)); };
    const Prefix host{address, 128};
    if (address.is_ipv4()) {
        ipv4_.covering(item_of<uint32_t>(host, 0).address, 32, add);
    } else {
        ipv6_.covering(item_of<Bits128>(host, 0).address, 128, add);
    }
    return matches;
}

size_t PrefixTables::bytes() const
{
    return (maps_ ? maps_->bytes() : 0) + shared_.kinds.size_bytes() + shared_.filter.size_bytes() +
           ipv4_.items().bytes() + ipv6_.items().bytes();
}

} // namespace xdpctl
