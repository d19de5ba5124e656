// SPDX-License-Identifier: Apache-2.0
#include "dataplane/bpf_dataplane.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <ctime>
#include <limits>
#include <random>
#include <set>

#include "base/log.h"
#include "core/event.h"
#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr uint32_t batch_entries = 4096;

// Reads a whole hash map in batches.
template <typename Value, typename Visit>
Result<> for_each(int fd, const std::string& name, Visit visit)
{
    std::vector<xdpctl_addr> keys(batch_entries);
    std::vector<Value> values(batch_entries);
    std::array<uint8_t, 64> position{};
    bool first = true;
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    while (true) {
        uint32_t count = static_cast<uint32_t>(keys.size());
        const int code =
            bpf_map_lookup_batch(fd, first ? nullptr : position.data(), position.data(),
                                 keys.data(), values.data(), &count, &opts);
        if (code == -ENOSPC) { // one bucket holds more than a batch
            keys.resize(keys.size() * 2);
            values.resize(keys.size());
            continue;
        }
        if (code != 0 && code != -ENOENT) {
            return system_failure(code, "reading the map " + name);
        }
        for (uint32_t i = 0; i < count; i++) {
            visit(Address::from_abi(keys[i]), values[i]);
        }
        if (code == -ENOENT) {
            return Done{};
        }
        first = false;
    }
}

xdpctl_socket_key to_abi(const SocketKey& key)
{
    return {.local = key.local.to_abi(),
            .peer = key.peer.to_abi(),
            .local_port = htons(key.local_port),
            .peer_port = htons(key.peer_port),
            .protocol = key.protocol};
}

// SO_NETNS_COOKIE of socket(7): of this namespace; 0 on a kernel before 5.14.
uint64_t netns_cookie()
{
    const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    return getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

// Called by libbpf, which is C: an event for which there is no memory is lost.
int forward_event(void* context, void* data, size_t size) noexcept
try {
    if (const auto event = read_event({static_cast<const uint8_t*>(data), size})) {
        (*static_cast<std::function<void(const xdpctl_event&)>*>(context))(*event);
    }
    return 0;
} catch (const std::exception& problem) {
    log::error("a packet event is lost: {}", problem.what());
    return 0;
}

// The values of an mmapable array, as the kernel lays them out: without gaps
// where the size of a value is a multiple of 8.
template <typename Value>
Result<std::span<Value>> map_memory(const BpfObject& object, const char* name)
{
    static_assert(sizeof(Value) % 8 == 0);
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (const int code = bpf_obj_get_info_by_fd(object.map(name), &info, &length); code != 0) {
        return system_failure(code, fmt::format("asking about the map {}", name));
    }
    void* memory = mmap(nullptr, info.max_entries * sizeof(Value), PROT_READ | PROT_WRITE,
                        MAP_SHARED, object.map(name), 0);
    if (memory == MAP_FAILED) {
        return system_failure(errno, fmt::format("mapping the map {}", name));
    }
    return std::span(static_cast<Value*>(memory), info.max_entries);
}

template <typename Value> void unmap_memory(std::span<Value> values)
{
    if (!values.empty()) {
        munmap(values.data(), values.size_bytes());
    }
}

} // namespace

Result<std::unique_ptr<BpfDataplane>> BpfDataplane::create(BpfObject& object, bool replay)
{
    std::unique_ptr<BpfDataplane> plane(new BpfDataplane(object, replay));
    auto control = map_memory<xdpctl_control>(object, "control");
    if (!control) {
        return control.error();
    }
    plane->control_ = control->data();
    auto guards = map_memory<xdpctl_guard>(object, "guards");
    if (!guards) {
        return guards.error();
    }
    plane->guards_ = *guards;
    auto policies = map_memory<xdpctl_policy>(object, "policies");
    if (!policies) {
        return policies.error();
    }
    plane->policies_ = *policies;
    auto peers = map_memory<xdpctl_peers>(object, "peers");
    if (!peers) {
        return peers.error();
    }
    plane->peers_ = *peers;
    if (auto done = plane->map_bans(); !done) {
        return done.error();
    }
    if (auto done = plane->map_lists(); !done) {
        return done.error();
    }
    plane->ring_ =
        ring_buffer__new(object.map(XDPCTL_EVENTS_MAP), forward_event, &plane->on_event_, nullptr);
    if (plane->ring_ == nullptr) {
        return system_failure(errno, "opening the event ring buffer");
    }
    if (!replay) {
        plane->set_clock_offset();
        plane->control_->netns_cookie = netns_cookie();
    }
    return plane;
}

BpfDataplane::~BpfDataplane()
{
    ring_buffer__free(ring_);
    tables_.reset();
    unmap_memory(leaves_);
    unmap_memory(prefix_filter_);
    unmap_memory(prefix_kinds_);
    unmap_memory(peers_);
    unmap_memory(policies_);
    unmap_memory(guards_);
    unmap_memory(ban_slots_);
    unmap_memory(ban_tags_);
    unmap_memory(std::span(control_, control_ != nullptr ? 1 : 0));
}

// The smallest difference seen is that right after a jiffy; one less is safe.
void BpfDataplane::set_clock_offset()
{
    int64_t least = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < 8; i++) {
        const auto jiffies_ns = static_cast<int64_t>(now_ns());
        least = std::min(least, static_cast<int64_t>(last_monotonic_ns_) - jiffies_ns);
    }
    timespec jiffy{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &jiffy);
    control_->monotonic_offset_ns = least - jiffy.tv_nsec;
}

uint64_t BpfDataplane::now_ns() const
{
    if (replay_) {
        return control_->replay_now_ns;
    }
    // Only a BPF program can read the kernel's jiffies: ask one.
    const std::array<uint8_t, test_run_frame_min + 1> frame{};
    const auto verdict = test_run(object_.judge(), frame, 0);
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t monotonic_ns =
        static_cast<uint64_t>(now.tv_sec) * ns_per_s + static_cast<uint64_t>(now.tv_nsec);
    const std::lock_guard lock(clock_mutex_);
    if (verdict) {
        last_now_ns_ = verdict->judgement.time_ns;
    } else { // no memory for a test run: go on from the last answer
        last_now_ns_ += monotonic_ns - last_monotonic_ns_;
    }
    last_monotonic_ns_ = monotonic_ns;
    return last_now_ns_;
}

Result<> BpfDataplane::map_bans()
{
    auto tags = map_memory<xdpctl_ban_tags>(object_, "ban_tags");
    if (!tags) {
        return tags.error();
    }
    ban_tags_ = *tags;
    auto slots = map_memory<xdpctl_ban_slot>(object_, "ban_slots");
    if (!slots) {
        return slots.error();
    }
    ban_slots_ = *slots;
    if (control_->secret == 0) { // new maps
        control_->trusted_before_ns = UINT64_MAX;
        std::random_device random;
        control_->secret = replay_ ? 1 : static_cast<uint64_t>(random()) << 32 | random() | 1;
    }
    bans_.emplace(ban_tags_, ban_slots_, control_->secret);
    bans_->for_each([this](const Address&, const xdpctl_ban&) { ban_entries_++; });
    return Done{};
}

uint32_t BpfDataplane::max_entries(const char* map) const
{
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    return bpf_obj_get_info_by_fd(object_.map(map), &info, &length) == 0 ? info.max_entries : 0;
}

Result<> BpfDataplane::map_lists()
{
    auto kinds = map_memory<uint64_t>(object_, "prefix_kinds");
    if (!kinds) {
        return kinds.error();
    }
    prefix_kinds_ = *kinds;
    auto filter = map_memory<uint64_t>(object_, "prefix_filter");
    if (!filter) {
        return filter.error();
    }
    prefix_filter_ = *filter;
    auto leaves = map_memory<xdpctl_leaf>(object_, "leaves");
    if (!leaves) {
        return leaves.error();
    }
    leaves_ = *leaves;
    tables_.emplace(PrefixTables::Shared{object_.map(XDPCTL_PREFIX_TABLES_MAP), control_,
                                         prefix_kinds_, prefix_filter_, leaves_});
    return Done{};
}

Result<uint64_t> BpfDataplane::commit(const CompiledPolicy& compiled)
{
    auto done = tables_->replace(compiled.lists);
    if (done) {
        done = tables_->publish();
    }
    if (!done) {
        return done.error();
    }
    xdpctl_policy& active = policies_[control_->active_slot];
    xdpctl_policy policy = compiled.policy;
    policy.generation = active.generation;
    if (std::memcmp(&policy, &active, sizeof(policy)) == 0) { // only lists changed
        __atomic_store_n(&active.generation, policy.generation + 1, __ATOMIC_SEQ_CST);
        return active.generation;
    }
    // Packets that began before the last flip may still read what is written now.
    if (auto waited = no_readers_ ? Result<>(Done{}) : tables_->wait_for_readers(); !waited) {
        return waited.error();
    }
    policy.generation++;
    const uint32_t slot = 1 - control_->active_slot;
    if (bpf_map_update_elem(object_.map("policies"), &slot, &policy, BPF_ANY) != 0) {
        return system_failure(errno, "writing the policy");
    }
    __atomic_store_n(&control_->active_slot, slot, __ATOMIC_SEQ_CST);
    // It is in force, whether or not the next commit has to wait.
    no_readers_ = static_cast<bool>(tables_->wait_for_readers());
    return policy.generation;
}

Result<> BpfDataplane::set_lists(std::span<const ListContent> lists)
{
    return tables_->replace(lists);
}

Result<std::vector<ListUsage>> BpfDataplane::lists() const
{
    std::vector<ListUsage> usage = tables_->usage();
    std::vector<xdpctl_cell> per_cpu(static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
    for (ListUsage& list : usage) {
        const uint32_t key = list.list;
        if (const int code =
                bpf_map_lookup_elem(object_.map("list_counters"), &key, per_cpu.data());
            code != 0) {
            return system_failure(code, "reading the map list_counters");
        }
        for (const xdpctl_cell& cpu : per_cpu) {
            list.met.packets += cpu.packets;
            list.met.bytes += cpu.bytes;
        }
    }
    return usage;
}

std::vector<ListMatch> BpfDataplane::entries_of(uint16_t list) const
{
    return tables_->entries_of(list);
}

std::vector<ListMatch> BpfDataplane::covering(const Address& address) const
{
    return tables_->covering(address);
}

uint64_t BpfDataplane::list_bytes() const
{
    return tables_->bytes();
}

uint64_t BpfDataplane::generation() const
{
    return active_policy().generation;
}

const xdpctl_policy& BpfDataplane::active_policy() const
{
    return policies_[__atomic_load_n(&control_->active_slot, __ATOMIC_SEQ_CST)];
}

void BpfDataplane::set_bypass(bool on)
{
    __atomic_store_n(&control_->bypass, on ? 1U : 0U, __ATOMIC_SEQ_CST);
}

bool BpfDataplane::bypass() const
{
    return control_->bypass != 0;
}

// Where one does not fit, all is as it was.
Result<> BpfDataplane::ban(std::span<const BanEntry> entries)
{
    std::unordered_map<Address, std::optional<xdpctl_ban>, AddressHash> before;
    size_t fresh = 0;
    for (const BanEntry& entry : entries) {
        const auto [at, is_new] = before.try_emplace(entry.source, std::nullopt);
        if (is_new) {
            at->second = bans_->find(entry.source);
            fresh += at->second ? 0 : 1;
        }
    }
    const Error full = failure(
        "there is room for {} bans of hosts (maps.bans) and {} are held: {} more do not fit, none "
        "was added",
        max_bans(), ban_entries_, fresh);
    if (ban_entries_ + fresh > max_bans()) {
        return full;
    }
    for (const BanEntry& entry : entries) {
        if (!bans_->put(entry.source, entry.ban)) { // both its buckets are, at half load
            for (const auto& [source, ban] : before) {
                ban ? static_cast<void>(bans_->put(source, *ban))
                    : static_cast<void>(bans_->erase(source));
            }
            return full;
        }
    }
    ban_entries_ += fresh;
    return Done{};
}

Result<size_t> BpfDataplane::unban(std::span<const Address> sources)
{
    size_t removed = 0;
    for (const Address& source : sources) {
        removed += bans_->erase(source) ? 1 : 0;
    }
    ban_entries_ -= std::min(removed, ban_entries_);
    return removed;
}

void BpfDataplane::visit_bans(const VisitBan& visit) const
{
    bans_->for_each(visit);
}

BanTable BpfDataplane::find_bans(std::span<const Address> sources) const
{
    BanTable found;
    for (const Address& source : sources) {
        if (const auto ban = bans_->find(source)) {
            found.emplace(source, *ban);
        }
    }
    return found;
}

Result<std::vector<DeviceCounters>> BpfDataplane::counters() const
{
    const int cpus = libbpf_num_possible_cpus();
    std::vector<xdpctl_counters> per_cpu(static_cast<size_t>(std::max(cpus, 1)));
    std::vector<DeviceCounters> devices;
    for (uint32_t slot = 0; slot < XDPCTL_DEVICE_SLOTS; slot++) {
        if (slot > 0 && control_->devices[slot].ifindex == 0) {
            continue;
        }
        if (const int code = bpf_map_lookup_elem(object_.map("counters"), &slot, per_cpu.data());
            code != 0) {
            return system_failure(code, "reading the map counters");
        }
        DeviceCounters& device = devices.emplace_back();
        device.ifindex = control_->devices[slot].ifindex;
        for (const xdpctl_counters& cpu : per_cpu) {
            device.events_lost += cpu.events_lost;
            for (size_t c = 0; c < device.offered.size(); c++) {
                device.offered[c].packets += cpu.offered[c].packets;
                device.offered[c].bytes += cpu.offered[c].bytes;
            }
            for (size_t f = 0; f < device.cells.size(); f++) {
                for (size_t d = 0; d < device.cells[f].size(); d++) {
                    for (size_t r = 0; r < device.cells[f][d].size(); r++) {
                        device.cells[f][d][r].packets += cpu.cells[f][d][r].packets;
                        device.cells[f][d][r].bytes += cpu.cells[f][d][r].bytes;
                    }
                }
            }
        }
    }
    return devices;
}

Result<std::vector<ClientSample>> BpfDataplane::clients() const
{
    std::vector<ClientSample> samples;
    auto done =
        for_each<xdpctl_client>(object_.map("clients"), "clients",
                                [&samples](const Address& source, const xdpctl_client& client) {
                                    samples.push_back({source, client.packets, client.connections});
                                });
    return done ? Result<std::vector<ClientSample>>(std::move(samples)) : done.error();
}

Result<> BpfDataplane::seed_client(const Address& source, uint32_t connections)
{
    const xdpctl_addr key = source.to_abi();
    const xdpctl_client client = {
        .packets = 0, .established_ns = now_ns(), .connections = connections, .unused = 0};
    const int code = bpf_map_update_elem(object_.map("clients"), &key, &client, BPF_NOEXIST);
    if (code != 0 && code != -EEXIST) {
        return system_failure(code, "writing the map clients");
    }
    return remember(source, now_ns());
}

void BpfDataplane::mark_peer(const Address& source)
{
    const xdpctl_addr key = source.to_abi();
    peers_[xdpctl_peer_slot(&key, control_->secret)].closed_tick =
        static_cast<uint32_t>(now_ns() / XDPCTL_PEER_TICK_NS);
}

Result<> BpfDataplane::remember_client(const Address& source)
{
    return remember(source, 0);
}

void BpfDataplane::trust_clients_before(uint64_t time_ns)
{
    __atomic_store_n(&control_->trusted_before_ns, time_ns, __ATOMIC_RELAXED);
}

Result<> BpfDataplane::remember(const Address& source, uint64_t first_ns) const
{
    const xdpctl_addr address = source.to_abi();
    const xdpctl_addr key = xdpctl_known_key(&address);
    const xdpctl_known_client known = {
        .first_ns = first_ns, .last_ns = now_ns(), .challenged_ns = 0};
    const int code = bpf_map_update_elem(object_.map("known_clients"), &key, &known, BPF_NOEXIST);
    return code == 0 || code == -EEXIST ? Result<>(Done{})
                                        : system_failure(code, "writing the map known_clients");
}

Result<FrameVerdict> BpfDataplane::test_run(int program, std::span<const uint8_t> frame,
                                            uint32_t ifindex, Bytes* after) const
{
    if (frame.size() < test_run_frame_min || frame.size() > test_run_frame_max) {
        return failure(ErrorKind::usage, "a frame of {} bytes cannot be run: {} to {} can",
                       frame.size(), test_run_frame_min, test_run_frame_max);
    }
    xdp_md context{};
    context.data_end = static_cast<uint32_t>(frame.size());
    context.ingress_ifindex = ifindex;
    FrameVerdict verdict;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()));
    if (after != nullptr) {
        after->resize(test_run_frame_max); // an answer may be longer than its question
        opts.data_out = after->data();
        opts.data_size_out = static_cast<uint32_t>(after->size());
    }
    if (ifindex != 0) {
        opts.ctx_in = &context;
        opts.ctx_size_in = sizeof(context);
    }
    if (const int code = bpf_prog_test_run_opts(program, &opts); code != 0) {
        return system_failure(code, "running the data path on a frame");
    }
    verdict.action = opts.retval;
    if (after != nullptr) {
        after->resize(opts.data_size_out);
    }
    const uint32_t zero = 0;
    if (const int code = bpf_map_lookup_elem(object_.map("judgement"), &zero, &verdict.judgement);
        code != 0) {
        return system_failure(code, "reading the judgement");
    }
    return verdict;
}

Result<xdpctl_judgement> BpfDataplane::judge(std::span<const uint8_t> frame, uint32_t ifindex)
{
    auto verdict = test_run(object_.judge(), frame, ifindex);
    return verdict ? Result<xdpctl_judgement>(verdict->judgement) : verdict.error();
}

void BpfDataplane::drain_events(const std::function<void(const xdpctl_event&)>& on_event)
{
    on_event_ = on_event;
    ring_buffer__consume(ring_);
}

int BpfDataplane::events_epoll_fd() const
{
    return ring_buffer__epoll_fd(ring_);
}

Result<bool> BpfDataplane::register_device(uint32_t ifindex, uint32_t flags,
                                           const std::set<uint32_t>& attached)
{
    const auto devices = std::span(control_->devices).subspan(1); // 0: unregistered ones
    const auto find = [devices](auto matches) {
        return std::find_if(devices.begin(), devices.end(), matches);
    };
    const auto same = [ifindex](const xdpctl_device& d) { return d.ifindex == ifindex; };
    if (const auto known = find(same); known != devices.end()) {
        known->flags = flags;
        return false;
    }
    auto slot = find([](const xdpctl_device& d) { return d.ifindex == 0; });
    if (slot == devices.end()) {
        slot = find([&attached](const xdpctl_device& d) {
            char name[IF_NAMESIZE];
            return if_indextoname(d.ifindex, name) == nullptr || !attached.contains(d.ifindex);
        });
    }
    if (slot == devices.end()) {
        return failure("there is room for {} interfaces", devices.size());
    }
    slot->mss[0] = slot->mss[1] = 0; // no answers until it is told
    slot->flags = flags;
    __atomic_store_n(&slot->ifindex, ifindex, __ATOMIC_SEQ_CST);
    answer_routes_.reset(); // they name slots
    return true;
}

void BpfDataplane::forget_device(uint32_t ifindex)
{
    for (xdpctl_device& device : std::span(control_->devices).subspan(1)) {
        if (device.ifindex == ifindex) {
            __atomic_store_n(&device.ifindex, 0, __ATOMIC_SEQ_CST);
        }
    }
}

void BpfDataplane::set_answer_mss(uint32_t ifindex, uint16_t ipv4, uint16_t ipv6)
{
    for (xdpctl_device& device : control_->devices) {
        if (device.ifindex == ifindex) {
            device.mss[XDPCTL_IPV4] = ipv4;
            device.mss[XDPCTL_IPV6] = ipv6;
        }
    }
}

// What is gone goes out first, so that it makes room and nothing stale stays whatever
// comes then. What does not fit is left out and named; the rest is in force.
Result<> BpfDataplane::set_own_addresses(const std::vector<Address>& addresses)
{
    const int fd = object_.map("own_addresses");
    const std::set<Address> wanted(addresses.begin(), addresses.end());
    if (!own_addresses_) { // an earlier run may have left some
        own_addresses_.emplace();
        auto done = for_each<xdpctl_own>(
            fd, "own_addresses",
            [this](const Address& address, const xdpctl_own&) { own_addresses_->insert(address); });
        if (!done) {
            own_addresses_.reset();
            return done;
        }
    }
    if (*own_addresses_ == wanted) {
        return Done{};
    }
    std::erase_if(*own_addresses_, [&](const Address& address) {
        const xdpctl_addr key = address.to_abi();
        return !wanted.contains(address) && (bpf_map_delete_elem(fd, &key) == 0 || errno == ENOENT);
    });
    xdpctl_own own = {.since_tick = static_cast<uint32_t>(now_ns() / XDPCTL_PEER_TICK_NS)};
    if (replay_ && own_addresses_->empty()) { // those of a capture were there before it began
        own.since_tick -= XDPCTL_OWN_NEW_TICKS;
    }
    std::optional<Error> problem;
    for (const Address& address : wanted) {
        const xdpctl_addr key = address.to_abi();
        if (problem || own_addresses_->contains(address)) {
            continue;
        }
        if (const int code = bpf_map_update_elem(fd, &key, &own, BPF_ANY); code == 0) {
            own_addresses_->insert(address);
        } else {
            problem = system_failure(
                code, fmt::format("the host has {} addresses; from {} on they are not known to "
                                  "the data path: writing the map own_addresses",
                                  wanted.size(), to_string(address)));
        }
    }
    __atomic_fetch_add(&control_->own_epoch, 1, __ATOMIC_RELEASE); // forget what was met
    return problem ? Result<>(*problem) : Done{};
}

namespace
{

xdpctl_addr mask_of(uint8_t length)
{
    Address ones;
    ones.bytes.fill(0xff);
    return network_of(ones, length).address.to_abi();
}

} // namespace

// Written beside, then flipped: a SYN sees all of one table.
void BpfDataplane::set_answer_routes(const AnswerRoutes& routes)
{
    if (answer_routes_ && routes == *answer_routes_) {
        return;
    }
    std::array<xdpctl_routes, XDPCTL_FAMILY_IP> tables{};
    std::vector<AnswerRoute> sorted = routes.value_or(std::vector<AnswerRoute>{});
    std::stable_sort(sorted.begin(), sorted.end(), [](const AnswerRoute& a, const AnswerRoute& b) {
        return a.prefix.length > b.prefix.length;
    });
    for (xdpctl_routes& table : tables) {
        table.known = routes ? 1 : 0;
    }
    for (const AnswerRoute& route : sorted) {
        xdpctl_routes& table = tables[route.prefix.is_ipv4() ? XDPCTL_IPV4 : XDPCTL_IPV6];
        if (table.count == XDPCTL_ROUTES) {
            table.known = 0; // what is left out could be the one
            continue;
        }
        xdpctl_route& row = table.route[table.count++];
        row.prefix = route.prefix.address.to_abi();
        row.mask = mask_of(route.prefix.length);
        for (uint32_t slot = 0; slot < XDPCTL_DEVICE_SLOTS; slot++) {
            const auto& in = route.ifindexes;
            const uint32_t ifindex = control_->devices[slot].ifindex;
            const bool leaves = std::find(in.begin(), in.end(), ifindex) != in.end();
            row.devices |= leaves ? 1U << slot : 0U;
        }
        if (route.next_hop) {
            std::copy(route.next_hop->begin(), route.next_hop->end(), row.next_hop);
            row.has_next_hop = 1;
        }
    }
    const uint32_t set = (control_->route_set + 1) % XDPCTL_ROUTE_SETS;
    for (uint32_t family = 0; family < tables.size(); family++) {
        const uint32_t key = set * XDPCTL_FAMILY_IP + family;
        bpf_map_update_elem(object_.map("answer_routes"), &key, &tables[family], BPF_ANY);
    }
    __atomic_store_n(&control_->route_set, set, __ATOMIC_SEQ_CST);
    answer_routes_ = routes;
}

Result<std::vector<GuardReading>> BpfDataplane::guards() const
{
    const xdpctl_policy& policy = active_policy();
    std::vector<xdpctl_service_counters> per_cpu(
        static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
    std::vector<GuardReading> readings;
    for (uint32_t slot = 0; slot < XDPCTL_SERVICES; slot++) {
        const xdpctl_service& service = policy.services[slot];
        if (slot > 0 && service.port == 0) {
            continue;
        }
        if (const int code =
                bpf_map_lookup_elem(object_.map("service_counters"), &slot, per_cpu.data());
            code != 0) {
            return system_failure(code, "reading the map service_counters");
        }
        GuardReading& reading = readings.emplace_back();
        reading.slot = static_cast<uint8_t>(slot);
        reading.service = service;
        reading.present = slot > 0 && policy.service_of_port[service.port] == slot;
        reading.state = guards_[slot];
        for (const xdpctl_service_counters& cpu : per_cpu) {
            reading.counters.syns += cpu.syns;
            reading.counters.cookies += cpu.cookies;
            reading.counters.accepted += cpu.accepted;
            reading.counters.rejected += cpu.rejected;
            reading.counters.limited += cpu.limited;
            reading.counters.misrouted += cpu.misrouted;
            reading.counters.established += cpu.established;
        }
    }
    return readings;
}

Result<> BpfDataplane::reset_service(uint8_t slot)
{
    const uint32_t key = slot;
    const std::vector<xdpctl_service_counters> zeros(
        static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
    guards_[slot] = {};
    const int code =
        bpf_map_update_elem(object_.map("service_counters"), &key, zeros.data(), BPF_ANY);
    return code == 0 ? Result<>(Done{}) : system_failure(code, "writing the map service_counters");
}

void BpfDataplane::set_clock(uint64_t now_ns)
{
    control_->replay_now_ns = now_ns;
}

Result<FrameVerdict> BpfDataplane::run(std::span<const uint8_t> frame, Bytes* after)
{
    return test_run(object_.program(), frame, 0, after);
}

Result<> BpfDataplane::open_socket(const SocketKey& key, xdpctl_session session)
{
    const xdpctl_socket_key abi = to_abi(key);
    const uint32_t value = session;
    const int code = bpf_map_update_elem(object_.map("replay_sockets"), &abi, &value, BPF_ANY);
    return code == 0 ? Result<>(Done{}) : system_failure(code, "writing the map replay_sockets");
}

Result<> BpfDataplane::close_socket(const SocketKey& key)
{
    const xdpctl_socket_key abi = to_abi(key);
    bpf_map_delete_elem(object_.map("replay_sockets"), &abi);
    return Done{};
}

Result<> BpfDataplane::change_connections(const Address& address, int by)
{
    const xdpctl_addr key = address.to_abi();
    xdpctl_client client{};
    const bool known = bpf_map_lookup_elem(object_.map("clients"), &key, &client) == 0;
    if (by < 0 && (!known || client.connections == 0)) {
        return Done{};
    }
    client.connections += static_cast<uint32_t>(by);
    if (by > 0) {
        client.established_ns = now_ns();
    }
    const int code = bpf_map_update_elem(object_.map("clients"), &key, &client, BPF_ANY);
    return code == 0 ? Result<>(Done{}) : system_failure(code, "writing the map clients");
}

// What handshake_completed of bpf/clients.h does on a host.
Result<> BpfDataplane::client_opened(const SocketKey& socket)
{
    const xdpctl_policy& policy = active_policy();
    const uint8_t slot = policy.service_of_port[socket.local_port];
    xdpctl_guard& guard = guards_[slot];
    guard.proven_ns = now_ns();
    guard.proof_since_ns = 0;
    guard.pending -= guard.pending > 0 ? 1 : 0;
    if (now_ns() >= guard.attack_until_ns || policy.services[slot].lockdown != 0) {
        if (auto done = remember(socket.peer, now_ns()); !done) {
            return done;
        }
    }
    return change_connections(socket.peer, 1);
}

Result<> BpfDataplane::client_closed(const SocketKey& socket)
{
    return change_connections(socket.peer, -1);
}

} // namespace xdpctl
