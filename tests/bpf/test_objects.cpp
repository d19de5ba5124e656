// SPDX-License-Identifier: Apache-2.0
// Tests share loaded objects (object_pool.h): a reset one is as a new one.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cstring>

#include "bpf/kernel_maps.h"
#include "bpf/loaded.h"
#include "bpf/one_cpu.h"
#include "core/config.h"
#include "core/frame.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr LoadOptions for_replay = {{}, false, true, ""};

MapContents contents(const BpfObject& object)
{
    auto all = contents_of(object);
    INFO((all ? "" : all.error().message));
    REQUIRE(all);
    REQUIRE(all->size() == maps_of(object)->size()); // no two of one name
    return std::move(*all);
}

void put(const KernelMap& map, const Bytes& key, const void* value)
{
    INFO(map.name);
    REQUIRE(bpf_map_update_elem(map.fd.get(), key.data(), value, BPF_ANY) == 0);
}

// Something in the first and the last place of a map, or in any two of a hash.
void disturb(const KernelMap& map)
{
    if (map.is_constant() || map.info.type == BPF_MAP_TYPE_RINGBUF) {
        return;
    }
    Bytes first(map.info.key_size);
    Bytes last(map.info.key_size, 0xa5);
    const bool is_hash =
        map.info.type == BPF_MAP_TYPE_HASH || map.info.type == BPF_MAP_TYPE_LRU_HASH;
    if (!is_hash) {
        const uint32_t index = map.info.max_entries - 1;
        REQUIRE(last.size() == sizeof(index));
        std::memcpy(last.data(), &index, sizeof(index));
    }
    if (map.info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
        const Fd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "disturbing", sizeof(uint32_t),
                                      sizeof(xdpctl_prefix_line), 2, &opts));
        const int fd = inner.get();
        put(map, first, &fd);
        put(map, last, &fd);
        return;
    }
    const Bytes value(map.value_bytes(), 0xa5);
    put(map, first, value.data());
    put(map, last, value.data());
}

// Runs everything that keeps state: lists, bans, clients, sockets, limits, fragments, events.
std::string use(BpfObject& object)
{
    auto created = BpfDataplane::create(object, true);
    REQUIRE(created);
    BpfDataplane& plane = **created;
    uint64_t now = 1000 * ns_per_s;
    plane.set_clock(now);
    PolicySpec spec = policy_of(Config{});
    spec.mode = XDPCTL_MODE_ENFORCE;
    spec.samples_per_second = 1000;
    spec.block = {{"203.0.113.0/24"_net, XDPCTL_NO_DEADLINE},
                  {"2001:db8:bad::/48"_net, XDPCTL_NO_DEADLINE}};
    spec.host.limits = limits_of({}, {});
    spec.host.services = {{1, 80, true, XDPCTL_GUARD_ON, false, 64}};
    REQUIRE(plane.commit(compile_policy(spec, 1)));
    REQUIRE(plane.set_own_addresses({"192.0.2.1"_ip, "2001:db8::2"_ip}));
    plane.set_answer_mss(0, 1460, 1440);
    REQUIRE(plane.open_socket({6, "192.0.2.1"_ip, 80, {}, 0}, XDPCTL_SESSION_LISTENER));
    REQUIRE(plane.client_opened({6, "192.0.2.1"_ip, 80, "198.51.100.7"_ip, 1000}));
    const BanEntry ban{"2001:db8::66"_ip, {XDPCTL_NO_DEADLINE, 0, 0, XDPCTL_BAN_OPERATOR, 0}};
    REQUIRE(plane.ban({&ban, 1}));
    std::string verdicts;
    for (uint8_t host = 1; host < 200; host++) {
        now += ns_per_s / 100;
        plane.set_clock(now);
        for (Address source : {"198.51.100.0"_ip, "203.0.113.0"_ip, "2001:db8::"_ip}) {
            source.bytes[15] = host;
            const FrameBuilder to_server(source,
                                         source.is_ipv4() ? "192.0.2.1"_ip : "2001:db8::2"_ip);
            for (const Bytes& frame :
                 {FrameBuilder(to_server).tcp(1000, 80, tcp_syn).build(),
                  FrameBuilder(to_server).tcp(1000, 81, tcp_ack).build(),
                  FrameBuilder(to_server).udp(1000, 9).payload(9).build(),
                  FrameBuilder(to_server).fragment(0, true).udp(1, 2).payload(64).build()}) {
                const auto verdict = plane.run(frame);
                REQUIRE(verdict);
                verdicts += fmt::format("{} ", verdict->judgement.reason);
            }
        }
    }
    return verdicts;
}

// Says which maps differ.
void check_equal(const MapContents& is, const MapContents& was)
{
    for (const auto& [name, entries] : was) {
        INFO(name);
        const bool same = is.at(name) == entries;
        CHECK(same);
    }
    CHECK(is.size() == was.size());
}

} // namespace

TEST_CASE("an object that was used and reset is as one that was just loaded")
{
    const OneCpu pinned;
    auto opened = BpfObject::open(for_replay);
    REQUIRE(opened);
    BpfObject& object = **opened;
    REQUIRE(object.load());
    const MapContents loaded = contents(object);
    const std::string verdicts = use(object);
    const MapContents used = contents(object);
    for (const char* name :
         {"control", "policies", "counters", "ban_tags", "ban_slots", "prefix_filter", "clients",
          "known_clients", "guards", "strays", "buckets", "datagrams", "unfinished",
          "own_addresses", "judgement", "replay_sockets", "prefix_tables", "events"}) {
        INFO(name);
        const bool same = used.at(name) == loaded.at(name);
        CHECK_FALSE(same);
    }
    REQUIRE(reset_maps(object));
    check_equal(contents(object), loaded);

    // Whatever is written, also by who does not know what a map is for.
    for (const KernelMap& map : *maps_of(object)) {
        disturb(map);
    }
    REQUIRE(reset_maps(object));
    check_equal(contents(object), loaded);

    CHECK(use(object) == verdicts);
    check_equal(contents(object), used);
}
