// SPDX-License-Identifier: Apache-2.0
// Fragments, and the kernel's room for reassembly.
#include "bpf/volumetric.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("fragments follow the verdict of their first")
{
    const bool ipv6 = GENERATE(false, true);
    const int tags = GENERATE(0, 2);
    INFO((ipv6 ? "IPv6" : "IPv4") << ", " << tags << " VLAN tags");
    TimedVolumetric timed;
    timed.limit(XDPCTL_LIMIT_ORPHAN, {{XDPCTL_LEVEL_SOURCE, {1, 0}}});
    const auto piece = [&](uint16_t offset, size_t bytes, bool more, uint32_t id,
                           uint16_t sport = 5000, uint16_t dport = service_port) {
        // A transport header stands at the begin of each piece here; only the first's counts.
        return timed.judge(tagged(Wire::from_client(ipv6), tags)
                               .fragment(offset, more, id)
                               .udp(sport, dport)
                               .payload(bytes - 8)
                               .build());
    };
    SECTION("in order, and others in between")
    {
        CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
        CHECK(piece(0, 1480, true, 8) == XDPCTL_PASSED);
        CHECK(piece(1480, 1480, true, 7) == XDPCTL_PASSED);
        CHECK(piece(1480, 1480, true, 8) == XDPCTL_PASSED);
        CHECK(piece(2960, 100, false, 7) == XDPCTL_PASSED);
        CHECK(piece(2960, 100, false, 8) == XDPCTL_PASSED);
    }
    SECTION("out of order behind the first")
    {
        CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
        CHECK(piece(2960, 100, false, 7) == XDPCTL_PASSED);
        CHECK(piece(1480, 1480, true, 7) == XDPCTL_PASSED);
    }
    SECTION("an identification that comes again soon")
    {
        for (int round = 0; round < 3; round++) {
            CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
            CHECK(piece(1480, 100, false, 7) == XDPCTL_PASSED);
        }
    }
    SECTION("overlapping: teardrop")
    {
        CHECK(piece(0, 40, true, 7) == XDPCTL_PASSED);
        CHECK(piece(24, 16, false, 7) == XDPCTL_FRAGMENT_OVERLAP);
    }
    SECTION("without a first: a few, for those that changed places, then none")
    {
        int orphans = 0;
        for (uint32_t id = 0; id < 100; id++) {
            orphans += piece(1480, 500, false, id) == XDPCTL_FRAGMENT_ORPHAN ? 1 : 0;
        }
        CHECK(orphans >= 90);
        CHECK(orphans < 100);
    }
    SECTION("of a first that was dropped")
    {
        CHECK(piece(0, 1480, true, 7, 5000, 9999) == XDPCTL_UDP_NO_SOCKET);
        int orphans = 0;
        for (uint16_t i = 0; i < 40; i++) { // with gaps
            const auto offset = static_cast<uint16_t>(1480 * (i + 1));
            orphans += piece(offset, 1000, true, 7) == XDPCTL_FRAGMENT_ORPHAN ? 1 : 0;
        }
        CHECK(orphans >= 30); // what overlaps is dropped for that
    }
    SECTION("too late")
    {
        CHECK(piece(0, 1480, true, 7) == XDPCTL_PASSED);
        for (uint32_t i = 0; i < 20; i++) { // use up what orphans may
            piece(1480, 500, false, 100 + i);
        }
        CHECK(piece(1480, 500, true, 7) == XDPCTL_PASSED);
        timed.advance(31 * ns_per_s);
        for (uint32_t i = 0; i < 20; i++) {
            piece(1480, 500, false, 100 + i);
        }
        CHECK(piece(1980, 500, false, 7) == XDPCTL_FRAGMENT_ORPHAN);
    }
    SECTION("a flood of firsts leaves honest datagrams the time they need")
    {
        constexpr uint32_t honest = 100;
        for (uint32_t id = 0; id < honest; id++) {
            CHECK(piece(0, 1480, true, id) == XDPCTL_PASSED);
        }
        timed.advance(ns_per_ms);
        for (uint32_t i = 0; i < 8192; i++) {
            FrameBuilder flood = from(nth(ipv6, 1000 + i)).fragment(0, true, i);
            timed.judge(flood.udp(5, service_port).payload(24).build());
        }
        uint32_t passed = 0;
        for (uint32_t id = 0; id < honest; id++) {
            const uint32_t reason = piece(1480, 500, false, id);
            INFO("datagram " << id << ": " << reason_info(reason).name);
            CHECK(reason == XDPCTL_PASSED);
            passed += reason == XDPCTL_PASSED ? 1 : 0;
        }
        CHECK(passed == honest);
    }
}

namespace
{

// Fragments of a stranger to the service, 1480 bytes each and 100 the last.
struct Strangers : TimedVolumetric {
    bool ipv6;
    static constexpr uint32_t room = 1U << 20U;
    static constexpr uint32_t fragments = room / 2304; // FRAGMENT_MEMORY of bpf/reassembly.h

    explicit Strangers(bool v6) : ipv6(v6)
    {
        spec.host.reassembly_room = {room, room};
        limit(XDPCTL_LIMIT_ORPHAN, {});
    }
    Address stranger(uint32_t n) const { return nth(ipv6, ipv6 ? n : n << 8U); } // a prefix each
    uint32_t piece(const Address& source, uint32_t id, uint16_t number, bool more,
                   uint16_t dport = service_port)
    {
        return judge(from(source)
                         .fragment(static_cast<uint16_t>(number * 1480), more, id)
                         .udp(5000, dport)
                         .payload(!more         ? 96U
                                  : number == 0 ? 1472U
                                                : 1480U) // UDP's header
                         .build());
    }
    // How many datagrams that only begin may do so, each from the next prefix.
    uint32_t begun(uint32_t count, uint32_t first_source = 0)
    {
        uint32_t passed = 0;
        for (uint32_t i = 0; i < count; i++) {
            passed += piece(stranger(first_source + i), i, 0, true) == XDPCTL_PASSED ? 1 : 0;
        }
        return passed;
    }
};

} // namespace

TEST_CASE("unfinished datagrams of strangers hold half of the kernel's room at most")
{
    const bool ipv6 = GENERATE(false, true);
    Strangers strangers(ipv6);
    SECTION("from everywhere, until the kernel gives them up")
    {
        const uint32_t begun = strangers.begun(5000);
        CHECK(begun >= Strangers::fragments - 1);
        CHECK(begun <= Strangers::fragments + 1);
        CHECK(strangers.piece(strangers.stranger(7777), 1, 1, false) == XDPCTL_FRAGMENT_UNFINISHED);
        // What makes a datagram whole has room, and gives back what it held.
        CHECK(strangers.piece(strangers.stranger(3), 3, 1, false) == XDPCTL_PASSED);
        CHECK(strangers.begun(10, 10'000) == 1);
        strangers.advance(45 * ns_per_s);
        CHECK(strangers.begun(100, 20'000) == 100);
    }
    SECTION("the other family has its own")
    {
        strangers.begun(5000);
        CHECK(strangers.judge(from(nth(!ipv6, 1))
                                  .fragment(0, true, 1)
                                  .udp(5000, service_port)
                                  .payload(1472)
                                  .build()) == XDPCTL_PASSED);
    }
    SECTION("one prefix leaves others as much as it has")
    {
        uint32_t passed = 0;
        for (uint32_t id = 0; id < 5000; id++) {
            passed += strangers.piece(strangers.stranger(1), id, 0, true) == XDPCTL_PASSED ? 1 : 0;
        }
        CHECK(passed >= Strangers::fragments / 2 - 1);
        CHECK(passed <= Strangers::fragments / 2 + 1);
        CHECK(strangers.begun(100, 10) == 100);
    }
    SECTION("fragments behind one first count too")
    {
        uint32_t passed = 0;
        for (uint32_t id = 0; id < 100; id++) {
            for (uint16_t number = 0; number < 40; number++) {
                passed +=
                    strangers.piece(strangers.stranger(id), id, number, true) == XDPCTL_PASSED;
            }
        }
        CHECK(passed <= Strangers::fragments + 1);
    }
    SECTION("datagrams that become whole hold nothing, whatever their order")
    {
        const auto orders = std::vector<std::vector<uint16_t>>{{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                               {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        const std::vector<uint16_t>& order = GENERATE_COPY(from_range(orders));
        INFO("order " << order[0] << order[1] << order[2]);
        for (uint32_t id = 0; id < 5000; id++) {
            for (const uint16_t number : order) {
                CHECK(strangers.piece(strangers.stranger(1), id, number, number < 2) ==
                      XDPCTL_PASSED);
            }
        }
    }
    SECTION("a duplicate makes nothing whole")
    {
        const uint32_t begun = strangers.begun(5000);
        for (uint32_t id = 0; id < begun; id++) {
            strangers.piece(strangers.stranger(id), id, 0, true);
            strangers.piece(strangers.stranger(id), id, 0, false);
        }
        CHECK(strangers.begun(100, 10'000) == 0);
    }
    SECTION("who is known has a room of his own, what was asked for has no limit")
    {
        const Address known = nth(ipv6, 0xffffff);
        const Address asked = nth(ipv6, 0xfffffe);
        REQUIRE(strangers.plane->seed_client(known, 1));
        REQUIRE(strangers.plane->open_socket({IPPROTO_UDP, Wire::server(ipv6), 40000, asked, 5000},
                                             XDPCTL_SESSION_ESTABLISHED));
        strangers.begun(5000);
        uint32_t of_known = 0;
        for (uint32_t id = 0; id < 1000; id++) {
            of_known += strangers.piece(known, id, 0, true) == XDPCTL_PASSED ? 1 : 0;
            CHECK(strangers.piece(asked, id, 0, true, 40000) == XDPCTL_PASSED);
            CHECK(strangers.piece(asked, id, 1, true, 40000) == XDPCTL_PASSED);
        }
        CHECK(of_known >= Strangers::fragments * 3 / 4 - 1); // anybody may send in its name
        CHECK(of_known <= Strangers::fragments * 3 / 4 + 1);
    }
    SECTION("none is no limit")
    {
        strangers.spec.host.reassembly_room = {};
        strangers.commit();
        CHECK(strangers.begun(5000) == 5000);
    }
}
