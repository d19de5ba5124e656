// SPDX-License-Identifier: Apache-2.0
#include "bpf/loaded.h"
#include "core/frame.h"
#include "core/reasons.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("explain answers as the program judges, and leaves no trace")
{
    Loaded loaded;
    loaded.spec.block = {{"203.0.113.0/24"_net, XDPCTL_NO_DEADLINE}};
    loaded.spec.samples_per_second = 1'000'000;
    loaded.commit();
    const uint64_t deadline = loaded.plane->now_ns() + 600 * ns_per_s;
    const BanEntry ban{"2001:db8::66"_ip, {deadline, 0, 0, 0, 0}};
    REQUIRE(loaded.plane->ban({&ban, 1}));
    REQUIRE(loaded.plane->seed_client("198.51.100.1"_ip, 1));
    const std::vector<Bytes> frames = {
        FrameBuilder("198.51.100.1"_ip, "192.0.2.1"_ip).tcp(1000, 80, tcp_ack).build(),
        FrameBuilder("198.51.100.1"_ip, "192.0.2.1"_ip).tcp(1000, 80, 0).build(),
        FrameBuilder("203.0.113.9"_ip, "192.0.2.1"_ip).udp(1, 2).build(),
        FrameBuilder("2001:db8::66"_ip, "2001:db8::2"_ip).udp(1, 2).build()};
    const auto counters = loaded.plane->counters();
    for (const Bytes& frame : frames) {
        REQUIRE(loaded.plane->judge(frame, 0));
    }
    const auto known = loaded.plane->judge(frames[0], 0);
    CHECK(known->known_client == 1);
    const auto blocked = loaded.plane->judge(frames[2], 0);
    CHECK(blocked->list == XDPCTL_LIST_BLOCK);
    const auto banned = loaded.plane->judge(frames[3], 0);
    CHECK(banned->deadline_ns == deadline);
    CHECK(banned->action == 1);

    const auto after = loaded.plane->counters();
    CHECK(std::equal(reinterpret_cast<const char*>(counters->data()),
                     reinterpret_cast<const char*>(counters->data() + counters->size()),
                     reinterpret_cast<const char*>(after->data())));
    size_t events = 0;
    loaded.plane->drain_events([&events](const xdpctl_event&) { events++; });
    CHECK(events == 0);
    const std::vector<Address> sources = {"2001:db8::66"_ip};
    CHECK(loaded.plane->find_bans(sources).at("2001:db8::66"_ip).hits == 0);
    for (const ClientSample& sample : *loaded.plane->clients()) {
        CHECK(sample.packets == 0);
    }
    for (const Bytes& frame : frames) {
        const auto explained = loaded.plane->judge(frame, 0);
        CHECK(reason_info(explained->reason).name == loaded.run(frame).reason);
    }
}

TEST_CASE("a frame that cannot be run says so")
{
    Loaded loaded;
    CHECK(loaded.plane->judge(Bytes(5), 0).error().kind == ErrorKind::usage);
    CHECK(loaded.plane->judge(Bytes(5000), 0).error().kind == ErrorKind::usage);
}
