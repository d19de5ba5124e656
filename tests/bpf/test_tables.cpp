// SPDX-License-Identifier: Apache-2.0
// Events, clients, counters by device, and what is full.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/fd.h"
#include "bpf/loaded.h"
#include "core/frame.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("dropped packets become events, at the rate that was asked for")
{
    Loaded loaded;
    const Bytes frame =
        FrameBuilder("198.51.100.1"_ip, "192.0.2.1"_ip).tcp(1000, 80, 0).payload(200).build();
    std::vector<xdpctl_event> events;
    const auto drain = [&] {
        events.clear();
        loaded.plane->drain_events([&](const xdpctl_event& event) { events.push_back(event); });
        return events.size();
    };
    REQUIRE(loaded.plane->run(frame));
    CHECK(drain() == 0); // none was asked for

    loaded.spec.samples_per_second = 1;
    loaded.commit();
    for (int i = 0; i < 100; i++) {
        REQUIRE(loaded.plane->run(frame));
    }
    // One for each CPU that this thread ran on.
    CHECK(drain() >= 1);
    CHECK(events.size() <= std::thread::hardware_concurrency());
    const xdpctl_event& event = events.at(0);
    CHECK(event.judgement.reason == XDPCTL_TCP_NULL);
    CHECK(event.judgement.action == 1);
    CHECK(event.judgement.session == XDPCTL_SESSION_NONE);
    CHECK(Address::from_abi(event.src) == "198.51.100.1"_ip);
    CHECK(Address::from_abi(event.dst) == "192.0.2.1"_ip);
    CHECK(ntohs(event.dport) == 80);
    CHECK(event.frame_bytes == frame.size());
    REQUIRE(event.captured_bytes == XDPCTL_EVENT_BYTES);
    CHECK(std::equal(event.bytes, event.bytes + event.captured_bytes, frame.begin()));
}

TEST_CASE("events without room are counted as lost")
{
    MapsConfig maps;
    maps.events_bytes = 4096;
    Loaded loaded({maps, false, true, ""}); // a clock that the test moves
    loaded.spec.samples_per_second = 1'000;
    loaded.commit();
    const Bytes frame = FrameBuilder("2001:db8::1"_ip, "2001:db8::2"_ip).tcp(1000, 80, 0).build();
    for (uint64_t i = 1; i <= 100; i++) {
        loaded.plane->set_clock(i * ns_per_s);
        REQUIRE(loaded.plane->run(frame));
    }
    CHECK(loaded.events_lost() > 0);
    CHECK(loaded.events_lost() < 100);
}

namespace
{

size_t bans_in(const Dataplane& plane)
{
    size_t count = 0;
    plane.visit_bans([&count](const Address&, const xdpctl_ban&) { count++; });
    return count;
}

} // namespace

TEST_CASE("a full ban table refuses the whole batch and names itself")
{
    MapsConfig maps;
    maps.bans = 100;
    Loaded loaded({maps, false, false, ""});
    std::vector<BanEntry> entries;
    for (uint32_t i = 0; i <= loaded.plane->max_bans(); i++) {
        Address address = "10.0.0.0"_ip;
        address.bytes[14] = static_cast<uint8_t>(i >> 8);
        address.bytes[15] = static_cast<uint8_t>(i);
        entries.push_back({address, {XDPCTL_NO_DEADLINE, 0, 0, 0, 0}});
    }
    const auto refused = loaded.plane->ban(entries);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message,
               Catch::Contains("maps.bans") && Catch::Contains("none was added"));
    CHECK(bans_in(*loaded.plane) == 0);
    entries.pop_back();
    CHECK(loaded.plane->ban(entries));
    CHECK(bans_in(*loaded.plane) == loaded.plane->max_bans());
}

TEST_CASE("session packets are those of the client's own sockets, not those in its name")
{
    // A real connection over loopback, which is the device of a test run.
    const Fd listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(listener.get(), 1) == 0);
    REQUIRE(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const Fd peer(socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(connect(peer.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    const Fd accepted(accept(listener.get(), nullptr, nullptr));
    REQUIRE(accepted.valid());
    sockaddr_in local{};
    REQUIRE(getsockname(peer.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0);

    Loaded loaded;
    const auto judged =
        loaded.plane->judge(FrameBuilder("127.0.0.1"_ip, "127.0.0.1"_ip)
                                .tcp(ntohs(local.sin_port), ntohs(address.sin_port), tcp_ack)
                                .build(),
                            0);
    REQUIRE(judged);
    CHECK(judged->session == XDPCTL_SESSION_ESTABLISHED);
    const auto forged = loaded.plane->judge(FrameBuilder("127.0.0.1"_ip, "127.0.0.1"_ip)
                                                .tcp(9, ntohs(address.sin_port), tcp_ack)
                                                .build(),
                                            0);
    REQUIRE(forged);
    CHECK(forged->session == XDPCTL_SESSION_LISTENER);
    const auto nowhere = loaded.plane->judge(
        FrameBuilder("127.0.0.1"_ip, "127.0.0.1"_ip).tcp(9, 1, tcp_ack).build(), 0);
    REQUIRE(nowhere);
    CHECK(nowhere->session == XDPCTL_SESSION_NONE);
}

TEST_CASE("clients are counted by sampling, within the stated error")
{
    Loaded loaded({{}, false, true, ""}); // sockets of a capture stand in
    loaded.plane->set_clock(ns_per_s);
    for (const auto& [client, server] : {std::pair{"198.51.100.1"_ip, "192.0.2.1"_ip},
                                         std::pair{"2001:db8::1"_ip, "2001:db8::2"_ip}}) {
        const SocketKey socket = {6, server, 80, client, 1000};
        REQUIRE(loaded.plane->client_opened(socket));
        REQUIRE(loaded.plane->open_socket(socket, XDPCTL_SESSION_ESTABLISHED));
        const Bytes own = FrameBuilder(client, server).tcp(1000, 80, tcp_ack).build();
        const Bytes forged = FrameBuilder(client, server).tcp(1001, 80, tcp_ack).build();
        constexpr int packets = 20000;
        for (int i = 0; i < packets; i++) {
            REQUIRE(loaded.plane->run(own));
            REQUIRE(loaded.plane->run(forged));
        }
        for (const ClientSample& sample : *loaded.plane->clients()) {
            if (sample.source != client) {
                continue;
            }
            CHECK(sample.connections == 1);
            // What is forged in its name does not count. About 625 samples: three standard
            // deviations are 12 %.
            CHECK(static_cast<double>(sample.packets) == Approx(packets).epsilon(0.13));
        }
    }
}

TEST_CASE("the table of bans takes what it has room for, whatever was refused before")
{
    LoadOptions options;
    options.maps.bans = 64;
    Loaded loaded(options);
    const uint32_t room = loaded.plane->max_bans();
    const auto hosts = [](uint32_t from, uint32_t to) {
        std::vector<BanEntry> entries;
        for (uint32_t i = from; i < to; i++) {
            Address source = i % 2 == 0 ? "203.0.113.0"_ip : "2001:db8::"_ip;
            source.bytes[14] = static_cast<uint8_t>(i >> 8);
            source.bytes[15] = static_cast<uint8_t>(i);
            entries.push_back({source, {XDPCTL_NO_DEADLINE, 0, 0, XDPCTL_BAN_OPERATOR, 0}});
        }
        return entries;
    };
    const auto held = [&loaded] {
        uint32_t count = 0;
        loaded.plane->visit_bans([&count](const Address&, const xdpctl_ban&) { count++; });
        return count;
    };
    REQUIRE(loaded.plane->ban(hosts(0, room - 10)));
    for (int i = 0; i < 5; i++) {
        const auto refused = loaded.plane->ban(hosts(room - 20, room + 1));
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message,
                   Catch::Contains(fmt::format("room for {} bans of hosts (maps.bans) and {} are "
                                               "held: 11 more",
                                               room, room - 10)));
        CHECK(held() == room - 10);
    }
    REQUIRE(loaded.plane->ban(hosts(room - 20, room))); // those that are there need none
    CHECK(held() == room);
    CHECK_FALSE(loaded.plane->ban(hosts(room, room + 1)));
    std::vector<Address> gone = {hosts(0, 1)[0].source};
    CHECK(*loaded.plane->unban(gone) == 1);
    CHECK(loaded.plane->ban(hosts(room, room + 1)));
    CHECK(held() == room);
}

TEST_CASE("the host's own addresses: many fit, and of too many the rest is right")
{
    Loaded loaded;
    const auto many = [](uint32_t first, uint32_t count) {
        std::vector<Address> addresses;
        for (uint32_t i = first; i < first + count; i++) {
            Address address = i % 2 == 0 ? "10.0.0.0"_ip : "2001:db8::"_ip;
            address.bytes[13] = static_cast<uint8_t>(i >> 16);
            address.bytes[14] = static_cast<uint8_t>(i >> 8);
            address.bytes[15] = static_cast<uint8_t>(i);
            addresses.push_back(address);
        }
        return addresses;
    };
    const int map = loaded.object->map("own_addresses");
    const auto known = [map] {
        std::set<Address> all;
        xdpctl_addr key{};
        for (int code = bpf_map_get_next_key(map, nullptr, &key); code == 0;
             code = bpf_map_get_next_key(map, &key, &key)) {
            all.insert(Address::from_abi(key));
        }
        return all;
    };
    const auto set_of = [](const std::vector<Address>& addresses) {
        return std::set<Address>(addresses.begin(), addresses.end());
    };
    REQUIRE(loaded.plane->set_own_addresses(many(0, 10000)));
    CHECK(known() == set_of(many(0, 10000)));
    // All others: there would be no room for both.
    REQUIRE(loaded.plane->set_own_addresses(many(100000, 60000)));
    CHECK(known() == set_of(many(100000, 60000)));

    const auto wanted = many(200000, 70000);
    for (int again = 0; again < 2; again++) {
        const auto full = loaded.plane->set_own_addresses(wanted);
        REQUIRE_FALSE(full);
        CHECK_THAT(full.error().message, Catch::Contains("the host has 70000 addresses; from "));
        const auto in_force = known();
        CHECK(in_force.size() == 65536);
        const auto all = set_of(wanted);
        CHECK(std::includes(all.begin(), all.end(), in_force.begin(), in_force.end()));
    }
    REQUIRE(loaded.plane->set_own_addresses(many(0, 3)));
    CHECK(known() == set_of(many(0, 3)));
}
