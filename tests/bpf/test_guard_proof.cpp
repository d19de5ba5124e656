// SPDX-License-Identifier: Apache-2.0
// The guard sees whether its cookies become connections.
#include "bpf/guarded.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("cookies go off where accepted ones do not become connections")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const Bytes syn = syn_of({"", linux_options}, false).build();
    const auto answer = guarded.run(syn);
    REQUIRE(answer.reason == "syn_answered");
    const Bytes ack = ack_of(answer.frame, false).build();
    // As if something took the ACKs away behind us: the listener never sees them.
    CHECK(guarded.run(ack).reason == "cookie_accepted");
    CHECK(guarded.run(ack).reason == "passed"); // once more says nothing new
    CHECK(guarded.reading().state.proof_accepted == 1);
    std::string reason;
    for (uint16_t from = 5000; from < 5100; from++) {
        const auto next = guarded.run(
            Wire::from_client(false).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
        reason = next.reason;
        if (reason != "syn_answered") {
            break;
        }
        CHECK(guarded
                  .run(Wire::from_client(false)
                           .tcp(from, port, tcp_ack)
                           .sequence(0xfffffff1, sequence_of(next.frame) + 1)
                           .build())
                  .reason == "cookie_accepted");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(guarded.reading().counters.accepted >= 16); // of one prefix, so many are needed
    CHECK(reason == "passed");                        // within the limit
    CHECK(guarded.reading().state.cookies_off_until_ns > guarded.plane->now_ns());
    // Without conntrack nothing tells whether an ACK belongs to somebody.
    const Bytes stray = Wire::from_client(false).tcp(9, port, tcp_ack).build();
    CHECK(guarded.run(stray).reason == "passed");
}

namespace
{

// A handshake from this port, up to its last segment, which is not sent yet.
Bytes ack_by_cookie(Guarded& guarded, bool ipv6, uint16_t from)
{
    const auto answer = guarded.run(
        Wire::from_client(ipv6).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
    REQUIRE(answer.reason == "syn_answered");
    return Wire::from_client(ipv6)
        .tcp(from, port, tcp_ack)
        .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
        .build();
}

} // namespace

TEST_CASE("one connection that came by a cookie refutes that they fail, and a wrong checksum "
          "proves nothing")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    const auto handshake = [&](uint16_t from, uint32_t checksum_error) {
        Bytes ack = ack_by_cookie(guarded, ipv6, from);
        ack[transport_of(ack) + 16] ^= static_cast<uint8_t>(checksum_error);
        CHECK(guarded.run(ack).reason == "cookie_accepted");
    };
    for (uint16_t from = 5000; from < 5040; from++) {
        handshake(from, 0x55);
    }
    CHECK(guarded.reading().state.proof_accepted == 0);
    handshake(5100, 0);
    CHECK(guarded.reading().state.proof_accepted == 1);
}

TEST_CASE(
    "a checksum that the other end of a veth left unfinished is sound there, and nowhere else")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    constexpr uint32_t lo = 1; // where test runs come from
    uint16_t from = 5000;
    const auto accepted = [&](uint16_t checksum_error) {
        const uint64_t before = guarded.reading().state.proof_accepted;
        from++;
        Bytes ack = ack_by_cookie(guarded, ipv6, from);
        const size_t tcp = transport_of(ack);
        const auto partial =
            static_cast<uint16_t>(~internet_checksum(pseudo_header(ack, 20)) ^ checksum_error);
        ack[tcp + 16] = static_cast<uint8_t>(partial >> 8);
        ack[tcp + 17] = static_cast<uint8_t>(partial);
        CHECK(guarded.run(ack).reason == "cookie_accepted");
        return guarded.reading().state.proof_accepted > before;
    };
    REQUIRE(guarded.plane->register_device(lo));
    guarded.plane->set_answer_mss(lo, 1460, 1440);
    CHECK_FALSE(accepted(0));
    REQUIRE(guarded.plane->register_device(lo, XDPCTL_DEVICE_PARTIAL_CHECKSUMS));
    CHECK_FALSE(accepted(1));
    CHECK(accepted(0));
}

TEST_CASE(
    "where known clients ask again and again and no answer comes back, cookies go off for a moment")
{
    TimedGuard guarded;
    guarded.spec.host.services[0].guard = XDPCTL_GUARD_ON;
    guarded.spec.syn_prefix_per_second = guarded.spec.syn_service_per_second = 100000;
    guarded.commit();
    const auto clients = [](uint8_t n) {
        Address client = n % 2 == 0 ? "198.51.100.0"_ip : "2001:db8:c::"_ip;
        client.bytes[n % 2 == 0 ? 15 : 7] = n;
        return client;
    };
    for (uint8_t n = 0; n < 12; n++) {
        REQUIRE(guarded.plane->seed_client(clients(n), 0));
        guarded.plane->mark_peer(clients(n));
    }
    const auto ask = [&](bool spoofed) {
        for (uint8_t n = 0; n < 12; n++) {
            Address source = clients(n);
            source.bytes[n % 2 == 0 ? 13 : 5] ^= spoofed ? 0x77 : 0;
            guarded.run(FrameBuilder(source, Wire::server(n % 2 != 0))
                            .tcp(client_port, port, tcp_syn)
                            .build());
        }
    };
    const auto off = [&] { return guarded.now < guarded.reading().state.cookies_off_until_ns; };
    // A flood from strangers says nothing: they are not there.
    for (int second = 0; second < 10; second++) {
        ask(true);
        guarded.advance(ns_per_s);
    }
    CHECK_FALSE(off());
    SECTION("nobody comes through")
    {
        ask(false);
        guarded.advance(ns_per_s); // TCP's first retransmission
        ask(false);
        CHECK(off());
        CHECK(guarded.reading().state.doubt == XDPCTL_COOKIES_NOT_RETURNED);
        guarded.advance(3 * ns_per_s); // the first time for two seconds
        CHECK_FALSE(off());
    }
    SECTION("one comes through")
    {
        for (uint16_t second = 0; second < 10; second++) {
            ask(false);
            const auto from = static_cast<uint16_t>(client_port + second);
            const SocketKey half{IPPROTO_TCP, Wire::server(false), port, clients(0), from};
            REQUIRE(guarded.plane->open_socket(half, XDPCTL_SESSION_HALF_OPEN));
            guarded.run(
                FrameBuilder(clients(0), Wire::server(false)).tcp(from, port, tcp_ack).build());
            REQUIRE(guarded.plane->client_opened(half));
            CHECK_FALSE(off());
            guarded.advance(ns_per_s);
        }
    }
}
