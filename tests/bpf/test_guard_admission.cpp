// SPDX-License-Identifier: Apache-2.0
// Whom the guard lets in: limits, lockdown, and when it turns itself on.
#include <linux/bpf.h>

#include "bpf/guarded.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("where the accept queue is full a SYN is dropped under its own reason")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({.backlog = 1});
    const auto connect = [&](uint16_t from) {
        const auto answer = guarded.run(Wire::from_client(false)
                                            .tcp(from, port, tcp_syn)
                                            .sequence(0xfffffff0, 0)
                                            .tcp_options(opt_mss)
                                            .build());
        if (answer.action == XDP_TX) {
            wire.send(Wire::from_client(false)
                          .tcp(from, port, tcp_ack)
                          .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
                          .build());
        }
        return answer.reason;
    };
    CHECK(connect(5000) == "syn_answered");
    CHECK(connect(5001) == "syn_answered"); // a backlog of 1 holds two (listen(2))
    for (int i = 0; i < 100 && connect(5002) != "accept_queue"; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10)); // the kernel takes its time
    }
    CHECK(connect(5002) == "accept_queue");
}

TEST_CASE("where no cookie can be made, SYNs are limited, who is known passes")
{
    const Wire wire;
    Guarded guarded;
    const auto count_passed = [&](const char* net, bool ipv6, uint16_t to, int count) {
        int passed = 0;
        for (int i = 0; i < count; i++) {
            const auto source = *parse_address(fmt::format("{}{}", net, i % 200 + 1));
            FrameBuilder builder(source, Wire::server(ipv6));
            const std::string reason =
                guarded.run(builder.tcp(client_port, to, tcp_syn).build()).reason;
            CHECK((reason == "passed" || reason == "syn_limited"));
            passed += reason == "passed" ? 1 : 0;
        }
        return passed;
    };
    // 10 a second and prefix, and what a second has saved.
    const auto fair = [](int passed, int limit) { return passed >= limit && passed <= 3 * limit; };
    CHECK(fair(count_passed("203.0.113.", false, 9999, 500), 10)); // no service
    CHECK(fair(count_passed("2001:db8:7::", true, 9999, 500), 10));
    CHECK(count_passed("203.0.113.", false, 9996, 100) <= 10);    // no service either: one limit
    CHECK(fair(count_passed("198.18.0.", false, port, 500), 10)); // a service without a listener
    SECTION("the service's own limit")
    {
        int passed = 0;
        for (int net = 0; net < 100; net++) {
            passed += count_passed(fmt::format("198.18.{}.", net + 1).c_str(), false, 9998, 1);
        }
        CHECK(passed <= 60);
    }
    REQUIRE(guarded.plane->seed_client("203.0.113.77"_ip, 1));
    FrameBuilder known("203.0.113.77"_ip, Wire::server(false));
    CHECK(guarded.run(known.tcp(client_port, 9999, tcp_syn).build()).reason == "passed");
    SECTION("syncookies switched off")
    {
        const Listener listener({});
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "0"));
        CHECK(fair(count_passed("198.19.0.", false, port, 100), 10));
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1")); // the kernel has room itself
        CHECK(count_passed("198.19.1.", false, port, 100) == 100);
    }
    SECTION("an interface on which no answer may be sent")
    {
        const Listener listener({});
        guarded.plane->set_answer_mss(0, 0, 0);
        CHECK(fair(count_passed("198.19.2.", false, port, 100), 10));
    }
}

TEST_CASE("a listener whose queue has room is not attacked, however many SYNs came and went")
{
    const Wire wire;
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1")); // with 2 there is no queue to ask
    Guarded guarded(XDPCTL_GUARD_AUTO);
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    // Health checks: none of them stays in the listener's queue.
    for (uint16_t n = 0; n < 2000; n++) {
        CHECK(guarded
                  .run(Wire::from_client(ipv6)
                           .tcp(static_cast<uint16_t>(2000 + n), port, tcp_syn)
                           .build())
                  .reason == "passed");
    }
    CHECK(guarded.reading().state.attacks == 0);
    // The same SYNs reach the listener and stay there.
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "0"));
    for (uint16_t n = 0; n < 2000 && guarded.reading().state.attacks == 0; n++) {
        const Bytes syn =
            Wire::from_client(ipv6).tcp(static_cast<uint16_t>(2000 + n), port, tcp_syn).build();
        guarded.run(syn);
        wire.send(syn);
    }
    CHECK(guarded.reading().state.attacks == 1);
}

TEST_CASE("a full accept queue is overload, not an attack")
{
    const Wire wire;
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1"));
    Guarded guarded(XDPCTL_GUARD_AUTO);
    const Listener listener({.backlog = 1});
    // With one that stays open the queue of unfinished handshakes is full, too: who
    // completes his waits longer.
    if (GENERATE(false, true)) {
        wire.send(Wire::from_client(false).tcp(4999, port, tcp_syn).tcp_options(opt_mss).build());
    }
    for (uint16_t from = 5000; from < 5003; from++) { // a backlog of 1 holds two
        wire.forget();
        wire.send(Wire::from_client(false)
                      .tcp(from, port, tcp_syn)
                      .sequence(0xfffffff0, 0)
                      .tcp_options(opt_mss)
                      .build());
        const auto answer = wire.receive(from < 5002 ? 2000 : 200);
        if (answer) {
            wire.send(Wire::from_client(false)
                          .tcp(from, port, tcp_ack)
                          .sequence(0xfffffff1, sequence_of(*answer) + 1)
                          .build());
        }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (uint16_t n = 0; n < 500; n++) {
        guarded.run(
            Wire::from_client(false).tcp(static_cast<uint16_t>(6000 + n), port, tcp_syn).build());
    }
    CHECK(guarded.reading().state.attacks == 0);
    CHECK(guarded.reading().state.overloaded_until_ns > guarded.plane->now_ns());
}

TEST_CASE("a client that gives up its handshake with a RST is not pending any more")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    for (uint16_t from = 5000; from < 5050; from++) {
        const auto answer = guarded.run(
            Wire::from_client(ipv6).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
        REQUIRE(answer.reason == "syn_answered");
        CHECK(guarded
                  .run(Wire::from_client(ipv6)
                           .tcp(from, port, tcp_rst | tcp_ack)
                           .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
                           .build())
                  .reason == "passed");
    }
    CHECK(guarded.reading().state.pending <= 1);
    // One that never saw the cookie takes nothing back.
    for (uint16_t from = 6000; from < 6020; from++) {
        guarded.run(Wire::from_client(ipv6).tcp(from, port, tcp_syn).build());
        guarded.run(Wire::from_client(ipv6).tcp(from, port, tcp_rst | tcp_ack).build());
    }
    CHECK(guarded.reading().state.pending >= 15);
}

TEST_CASE("in lockdown known clients connect, and so many new ones as are admitted")
{
    const Wire wire;
    const Listener listener({});
    Guarded guarded(XDPCTL_GUARD_AUTO);
    guarded.spec.host.services[0].lockdown = true;
    guarded.spec.host.services[0].capacity = 100000; // no attack
    guarded.spec.admit_per_second = 16;
    guarded.commit();
    const bool kernel_handshake = GENERATE(false, true);
    if (kernel_handshake) { // no cookies while the kernel has room: admitted at the SYN
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1"));
    }
    int admitted = 0;
    for (uint32_t i = 0; i < 200; i++) {
        Address source = i % 2 == 0 ? "198.18.0.1"_ip : "2001:db8:0:1::1"_ip;
        source.bytes[i % 2 == 0 ? 14 : 7] = static_cast<uint8_t>(i); // a prefix each
        const auto packet = [&](uint8_t flags, uint32_t acknowledged) {
            return guarded.run(FrameBuilder(source, Wire::server(i % 2 == 1))
                                   .tcp(client_port, port, flags)
                                   .sequence(0xfffffff0 + (flags == tcp_ack ? 1 : 0), acknowledged)
                                   .build());
        };
        const auto answer = packet(tcp_syn, 0);
        if (kernel_handshake) {
            CHECK((answer.reason == "passed" || answer.reason == "lockdown"));
            admitted += answer.reason == "passed" ? 1 : 0;
            continue;
        }
        REQUIRE(answer.reason == "syn_answered"); // proven first
        const std::string reason = packet(tcp_ack, sequence_of(answer.frame) + 1).reason;
        CHECK((reason == "cookie_accepted" || reason == "lockdown"));
        admitted += reason == "cookie_accepted" ? 1 : 0;
    }
    CHECK(admitted >= 16);
    CHECK(admitted < 100);
    for (const bool ipv6 : {false, true}) {
        REQUIRE(guarded.plane->seed_client(Wire::client(ipv6), 0));
        CHECK(guarded.run(syn_of({"", linux_options}, ipv6).build()).reason == "passed");
    }
}

TEST_CASE("in lockdown one host cannot take all admissions")
{
    const Wire wire;
    const Listener listener({});
    Guarded guarded;
    guarded.spec.host.services[0].lockdown = true;
    guarded.spec.admit_per_second = 80;
    guarded.commit();
    int admitted = 0;
    for (uint16_t from = 5000; from < 5200; from++) {
        const auto answer = guarded.run(
            Wire::from_client(false).tcp(from, port, tcp_syn).sequence(0xfffffff0, 0).build());
        REQUIRE(answer.reason == "syn_answered");
        admitted += guarded.run(Wire::from_client(false)
                                    .tcp(from, port, tcp_ack)
                                    .sequence(0xfffffff1, sequence_of(answer.frame) + 1)
                                    .build())
                                .reason == "cookie_accepted"
                        ? 1
                        : 0;
    }
    CHECK(admitted >= 10);
    CHECK(admitted <= 30);
}

TEST_CASE("a guard that sees no handshakes does not turn itself on")
{
    const Wire wire;
    Guarded guarded(XDPCTL_GUARD_AUTO);
    const Listener listener({});
    guarded.spec.host.flags = XDPCTL_HOST_BLIND;
    guarded.commit();
    for (uint16_t from = 1024; from < 2024; from++) {
        REQUIRE(guarded.run(Wire::from_client(false).tcp(from, port, tcp_syn).build()).reason ==
                "passed");
    }
    CHECK(guarded.reading().state.attacks == 0);
}

TEST_CASE("auto turns on when handshakes exceed what the listener holds, and off with hysteresis")
{
    TimedGuard guarded;
    int passed = 0;
    while (guarded.syn() == "passed" && passed < 1000) {
        passed++;
    }
    CHECK(passed == 64); // the listener's room
    CHECK(guarded.reading().state.attacks == 1);
    // A flood: it stays on.
    for (int second = 0; second < 30; second++) {
        for (int i = 0; i < 200; i++) {
            CHECK(guarded.syn() == "syn_answered");
        }
        guarded.advance(ns_per_s);
    }
    // Silence, then single SYNs: it goes off once, and not at the first of them.
    int answered = 0;
    for (int second = 0; second < 120; second++) {
        guarded.advance(ns_per_s);
        answered += guarded.syn() == "syn_answered" ? 1 : 0;
    }
    CHECK(answered >= 10);
    CHECK(answered < 60);
    CHECK(guarded.reading().state.attacks == 1);
    CHECK(guarded.syn() == "passed");
}

TEST_CASE("a crowd that completes its handshakes is no attack")
{
    TimedGuard guarded;
    for (int i = 0; i < 5000; i++) {
        REQUIRE(guarded.syn() == "passed");
        REQUIRE(guarded.plane->client_opened(
            {IPPROTO_TCP, Wire::server(false), port, Wire::client(false), client_port}));
        guarded.advance(ns_per_s / 5000);
    }
    CHECK(guarded.reading().state.attacks == 0);
}
