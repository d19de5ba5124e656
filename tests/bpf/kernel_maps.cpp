// SPDX-License-Identifier: Apache-2.0
#include "bpf/kernel_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <span>

#include <xdpctl/abi/maps.h>

namespace xdpctl::testing
{
namespace
{

template <typename Value> Bytes bytes_of(const Value& value)
{
    const auto* first = reinterpret_cast<const uint8_t*>(&value);
    return {first, first + sizeof(value)};
}

bool is_zero(std::span<const uint8_t> bytes)
{
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

Error map_failure(const KernelMap& map, const char* what)
{
    return system_failure(errno, fmt::format("{} the map {}", what, map.name));
}

Result<KernelMap> describe(Fd fd)
{
    KernelMap map{"", std::move(fd), {}};
    uint32_t length = sizeof(map.info);
    if (!map.fd.valid() || bpf_obj_get_info_by_fd(map.fd.get(), &map.info, &length) != 0) {
        return system_failure(errno, "asking about a map");
    }
    map.name = map.info.name;
    return map;
}

Result<std::vector<uint32_t>> map_ids_of(int program)
{
    std::vector<uint32_t> ids(256);
    bpf_prog_info info{};
    info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
    info.nr_map_ids = static_cast<uint32_t>(ids.size());
    uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(program, &info, &length) != 0) {
        return system_failure(errno, "asking about a program");
    }
    if (info.nr_map_ids > ids.size()) {
        return failure("a program uses {} maps", info.nr_map_ids);
    }
    ids.resize(info.nr_map_ids);
    return ids;
}

// Part of a map's memory, as long as this object lives.
class Mapping
{
  public:
    Mapping(const KernelMap& map, int protection, size_t bytes, off_t at = 0)
        : bytes_(bytes), memory_(mmap(nullptr, bytes, protection, MAP_SHARED, map.fd.get(), at))
    {
    }
    ~Mapping()
    {
        if (valid()) {
            munmap(memory_, bytes_);
        }
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    bool valid() const { return memory_ != MAP_FAILED; }
    std::span<uint8_t> bytes() const { return {static_cast<uint8_t*>(memory_), bytes_}; }
    uint64_t& word() const { return *static_cast<uint64_t*>(memory_); }

  private:
    size_t bytes_;
    void* memory_;
};

// What producer and consumer of a ring buffer count (Documentation/bpf/ringbuf.rst): each has a
// page of its own in front of the data.
struct RingPositions {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    Mapping consumer;
    Mapping producer;

    explicit RingPositions(const KernelMap& ring)
        : consumer(ring, PROT_READ | PROT_WRITE, page),
          producer(ring, PROT_READ, page, static_cast<off_t>(page))
    {
    }
    bool valid() const { return consumer.valid() && producer.valid(); }
    uint64_t unread() const { return producer.word() - consumer.word(); }
    void skip() const { __atomic_store_n(&consumer.word(), producer.word(), __ATOMIC_RELEASE); }
};

Result<> zero_memory(const KernelMap& map)
{
    const size_t value_bytes = (map.info.value_size + 7) / 8 * 8;
    const Mapping memory(map, PROT_READ | PROT_WRITE, map.info.max_entries * value_bytes);
    if (!memory.valid()) {
        return map_failure(map, "mapping");
    }
    std::memset(memory.bytes().data(), 0, memory.bytes().size());
    return Done{};
}

Result<> zero_array(const KernelMap& map)
{
    if ((map.info.map_flags & BPF_F_MMAPABLE) != 0) {
        return zero_memory(map);
    }
    constexpr size_t batch_bytes = size_t{4} << 20;
    const uint32_t entries = map.info.max_entries;
    const auto batch =
        static_cast<uint32_t>(std::clamp<size_t>(batch_bytes / map.value_bytes(), 1, entries));
    const Bytes zeros(static_cast<size_t>(batch) * map.value_bytes());
    std::vector<uint32_t> keys(batch);
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    for (uint32_t first = 0; first < entries; first += batch) {
        uint32_t count = std::min(batch, entries - first);
        for (uint32_t i = 0; i < count; i++) {
            keys[i] = first + i;
        }
        if (bpf_map_update_batch(map.fd.get(), keys.data(), zeros.data(), &count, &opts) != 0) {
            return map_failure(map, "resetting");
        }
    }
    return Done{};
}

// Keys and values of an array or a hash, one after the other.
struct Entries {
    uint32_t count = 0;
    Bytes keys;
    Bytes values;
};

// In one batch: a system call for each entry takes too long.
Result<Entries> read_entries(const KernelMap& map)
{
    Entries all{map.info.max_entries, {}, {}};
    all.keys.resize(static_cast<size_t>(all.count) * map.info.key_size);
    all.values.resize(static_cast<size_t>(all.count) * map.value_bytes());
    std::array<uint8_t, 64> position{};
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    const int code = bpf_map_lookup_batch(map.fd.get(), nullptr, position.data(), all.keys.data(),
                                          all.values.data(), &all.count, &opts);
    return code == 0 || code == -ENOENT ? Result(std::move(all)) : map_failure(map, "reading");
}

Result<> empty_hash(const KernelMap& map)
{
    auto entries = read_entries(map);
    if (!entries) {
        return entries.error();
    }
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    return entries->count == 0 || bpf_map_delete_batch(map.fd.get(), entries->keys.data(),
                                                       &entries->count, &opts) == 0
               ? Result<>(Done{})
               : map_failure(map, "resetting");
}

// The map in this place of a map of maps; an invalid descriptor where there is none.
Fd inner_map(const KernelMap& outer, uint32_t index)
{
    uint32_t id = 0;
    return bpf_map_lookup_elem(outer.fd.get(), &index, &id) == 0 ? Fd(bpf_map_get_fd_by_id(id))
                                                                 : Fd();
}

// Like `no_prefix_lines` of bpf/maps.h, which the first place has after the load.
bool has_no_lines(Fd inner)
{
    const auto map = describe(std::move(inner));
    if (!map || map->info.max_entries != 1) {
        return false;
    }
    const auto line = read_entries(*map);
    return line && is_zero(line->values);
}

// The kernel waits for a grace period after each change of a place: only those that differ.
Result<> reset_prefix_tables(const KernelMap& outer)
{
    for (uint32_t index = 1; index < outer.info.max_entries; index++) {
        if (inner_map(outer, index).valid() && bpf_map_delete_elem(outer.fd.get(), &index) != 0) {
            return map_failure(outer, "resetting");
        }
    }
    if (has_no_lines(inner_map(outer, 0))) {
        return Done{};
    }
    const uint32_t first = 0;
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
    const Fd empty(bpf_map_create(BPF_MAP_TYPE_ARRAY, "no_prefix_lines", sizeof(uint32_t),
                                  sizeof(xdpctl_prefix_line), 1, &opts));
    const int fd = empty.get();
    return fd >= 0 && bpf_map_update_elem(outer.fd.get(), &first, &fd, BPF_ANY) == 0
               ? Result<>(Done{})
               : map_failure(outer, "resetting");
}

Result<> reset(const KernelMap& map)
{
    if (map.is_constant()) {
        return Done{};
    }
    switch (map.info.type) {
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY:
        return zero_array(map);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
        return empty_hash(map);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
        return reset_prefix_tables(map);
    case BPF_MAP_TYPE_RINGBUF: {
        const RingPositions positions(map);
        if (!positions.valid()) {
            return map_failure(map, "mapping");
        }
        positions.skip();
        return Done{};
    }
    default:
        return failure("the map {}: how maps of type {} are reset is not known", map.name,
                       map.info.type);
    }
}

// Of an array what is not zero.
Result<std::map<Bytes, Bytes>> read_plain(const KernelMap& map)
{
    auto all = read_entries(map);
    if (!all) {
        return all.error();
    }
    const bool is_hash =
        map.info.type == BPF_MAP_TYPE_HASH || map.info.type == BPF_MAP_TYPE_LRU_HASH;
    std::map<Bytes, Bytes> entries;
    const uint8_t* key = all->keys.data();
    const uint8_t* value = all->values.data();
    for (uint32_t i = 0; i < all->count; i++) {
        const std::span bytes(value, map.value_bytes());
        if (is_hash || !is_zero(bytes)) {
            entries.emplace(Bytes(key, key + map.info.key_size), Bytes(bytes.begin(), bytes.end()));
        }
        key += map.info.key_size;
        value += map.value_bytes();
    }
    return entries;
}

// Of each map in a map what it is, and what is in it.
Result<std::map<Bytes, Bytes>> read_prefix_tables(const KernelMap& outer)
{
    std::map<Bytes, Bytes> entries;
    for (uint32_t index = 0; index < outer.info.max_entries; index++) {
        Fd inner = inner_map(outer, index);
        if (!inner.valid()) {
            continue;
        }
        const auto map = describe(std::move(inner));
        const auto all = map ? read_entries(*map) : Result<Entries>(map.error());
        if (!all) {
            return all.error();
        }
        Bytes& is = entries[bytes_of(index)];
        is = bytes_of(std::array{map->info.type, map->info.key_size, map->info.value_size,
                                 map->info.max_entries, map->info.map_flags});
        is.insert(is.end(), all->values.begin(), all->values.end());
    }
    return entries;
}

Result<std::map<Bytes, Bytes>> read(const KernelMap& map)
{
    if (map.info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
        return read_prefix_tables(map);
    }
    if (map.info.type != BPF_MAP_TYPE_RINGBUF) {
        return read_plain(map);
    }
    const RingPositions positions(map);
    return positions.valid() ? Result(std::map<Bytes, Bytes>{{{}, bytes_of(positions.unread())}})
                             : map_failure(map, "mapping");
}

} // namespace

uint32_t KernelMap::value_bytes() const
{
    const auto cpus = static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
    return info.type == BPF_MAP_TYPE_PERCPU_ARRAY ? (info.value_size + 7) / 8 * 8 * cpus
                                                  : info.value_size;
}

Result<std::vector<KernelMap>> maps_of(const BpfObject& object)
{
    std::vector<KernelMap> maps;
    std::set<uint32_t> ids;
    const auto add = [&](Fd fd) -> Result<> {
        auto map = describe(std::move(fd));
        if (map && ids.insert(map->info.id).second) {
            maps.push_back(std::move(*map));
        }
        return map ? Result<>(Done{}) : map.error();
    };
    for (const int program : {object.program(), object.judge(), object.clients()}) {
        const auto used = map_ids_of(program);
        if (!used) {
            return used.error();
        }
        for (const uint32_t id : *used) {
            if (auto done = add(Fd(bpf_map_get_fd_by_id(id))); !done) {
                return done.error();
            }
        }
    }
    for (const char* name : {
#define XDPCTL_MAP_NAME(name, type, key, value, entries, flags, sized) #name,
             XDPCTL_MAPS(XDPCTL_MAP_NAME)
#undef XDPCTL_MAP_NAME
                 XDPCTL_PREFIX_TABLES_MAP,
             XDPCTL_EVENTS_MAP}) {
        if (std::string_view(name) == "meta") {
            continue;
        }
        if (auto done = add(Fd(dup(object.map(name)))); !done) {
            return done.error();
        }
    }
    return maps;
}

Result<> reset_maps(const BpfObject& object)
{
    const auto maps = maps_of(object);
    if (!maps) {
        return maps.error();
    }
    for (const KernelMap& map : *maps) {
        if (auto done = reset(map); !done) {
            return done;
        }
    }
    return Done{};
}

Result<MapContents> contents_of(const BpfObject& object)
{
    const auto maps = maps_of(object);
    if (!maps) {
        return maps.error();
    }
    MapContents all;
    for (const KernelMap& map : *maps) {
        auto entries = read(map);
        if (!entries) {
            return entries.error();
        }
        all[map.name] = std::move(*entries);
    }
    return all;
}

} // namespace xdpctl::testing
