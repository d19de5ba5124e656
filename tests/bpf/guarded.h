// SPDX-License-Identifier: Apache-2.0
// The SYN guard of one service, what clients send to it, and how its answers are read.
#pragma once

#include <netinet/in.h>

#include <chrono>
#include <thread>

#include "bpf/loaded.h"
#include "bpf/one_cpu.h"
#include "bpf/wire.h"
#include "harness/catch.h"
#include "harness/literals.h"
#include "host/sysctl.h"

namespace xdpctl::testing
{

inline constexpr uint16_t client_port = 4000;

inline constexpr uint16_t port = 80;

inline constexpr uint8_t slot = 1;

inline constexpr uint8_t tcp_cwr_ece = 0xc0;

// Longer than a connection passes for having just been accepted (ACCEPTED_NS), and
// than a listener's terms are kept (TERMS_FRESH_NS).
inline void outlast_what_is_kept()
{
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
}

struct Guarded : Loaded {
    explicit Guarded(xdpctl_guard_mode mode = XDPCTL_GUARD_ON, LoadOptions options = {})
        : Loaded(options)
    {
        spec.host.services = {{slot, port, true, mode, false, 64}};
        const auto rmem_max = read_sysctl("net.core.rmem_max");
        spec.host.rmem_max = static_cast<uint32_t>(std::stoul(*rmem_max));
        spec.syn_prefix_per_second = 10;
        spec.syn_service_per_second = 20;
        commit();
        REQUIRE(plane->set_own_addresses({Wire::server(false), Wire::server(true)}));
        plane->set_answer_mss(0, 1460, 1440); // test runs come from a device that nobody registered
    }
    // As if the client had a connection: then the listener is asked at each SYN.
    void ask_always()
    {
        for (const bool ipv6 : {false, true}) {
            plane->mark_peer(Wire::client(ipv6));
        }
    }
    GuardReading reading() const
    {
        for (const GuardReading& reading : *plane->guards()) {
            if (reading.slot == slot) {
                return reading;
            }
        }
        return {};
    }
};

inline Bytes operator+(Bytes a, const Bytes& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

inline const Bytes opt_mss = {2, 4, 5, 0xb4};

inline const Bytes opt_sack_timestamp = {4, 2, 8, 10, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0};

inline const Bytes opt_nop = {1};

inline const Bytes opt_wscale = {3, 3, 7};

inline const Bytes opt_timestamp = {8, 10, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 0};

inline const Bytes opt_sack = {4, 2};

inline const Bytes linux_options = opt_mss + opt_sack_timestamp + opt_nop + opt_wscale;

struct SynKind {
    const char* what;
    Bytes options;
    uint8_t flags = tcp_syn;
    size_t payload = 0;
};

inline FrameBuilder syn_of(const SynKind& kind, bool ipv6)
{
    return Wire::from_client(ipv6)
        .tcp(client_port, port, kind.flags)
        .sequence(0xfffffff0, 0)
        .tcp_options(kind.options)
        .payload(kind.payload);
}

inline constexpr size_t network = 14;

inline size_t transport_of(const Bytes& frame)
{
    return network + (frame.at(12) == 8 ? (frame.at(network) & 15) * 4U : 40U);
}

inline uint32_t word(const Bytes& frame, size_t at)
{
    return static_cast<uint32_t>(frame.at(at) << 24 | frame.at(at + 1) << 16 |
                                 frame.at(at + 2) << 8 | frame.at(at + 3));
}

inline uint32_t sequence_of(const Bytes& frame)
{
    return word(frame, transport_of(frame) + 4);
}

// Where the timestamp's value is; 0 for none. Options are well formed here.
inline size_t timestamp_at(const Bytes& frame)
{
    const size_t tcp = transport_of(frame);
    const size_t end = tcp + (frame.at(tcp + 12) >> 4) * 4U;
    for (size_t at = tcp + 20; at < end && frame[at] != 0;
         at += frame[at] == 1 ? 1 : frame.at(at + 1)) {
        if (frame[at] == 8) {
            return at + 2;
        }
    }
    return 0;
}

// By the definition: the sum over pseudo header and segment is 0.
// Of RFC 9293, 3.1 and RFC 8200, 8.1: what the checksum of TCP covers beside the segment.
inline Bytes pseudo_header(const Bytes& frame, size_t tcp_bytes)
{
    const bool ipv6 = frame.at(12) != 8;
    const auto addresses = std::span(frame).subspan(network + (ipv6 ? 8 : 12), ipv6 ? 32 : 8);
    return Bytes(addresses.begin(), addresses.end()) +
           Bytes{0, 6, static_cast<uint8_t>(tcp_bytes >> 8), static_cast<uint8_t>(tcp_bytes)};
}

// The client's ACK to a SYN-ACK, which echoes its timestamp.
inline FrameBuilder ack_of(const Bytes& syn_ack, bool ipv6, uint8_t flags = tcp_ack)
{
    FrameBuilder builder = Wire::from_client(ipv6)
                               .tcp(client_port, port, flags)
                               .sequence(0xfffffff1, sequence_of(syn_ack) + 1);
    if (const size_t at = timestamp_at(syn_ack)) {
        Bytes options = {1, 1, 8, 10, 0x11, 0x22, 0x33, 0x45};
        options.insert(options.end(), syn_ack.begin() + static_cast<std::ptrdiff_t>(at),
                       syn_ack.begin() + static_cast<std::ptrdiff_t>(at) + 4);
        builder.tcp_options(options);
    }
    return builder;
}

// The guard on a clock in our hands, with the sockets of a capture.
struct TimedGuard : Guarded {
    uint32_t next = 0;

    TimedGuard() : Guarded(XDPCTL_GUARD_AUTO, {{}, false, true, ""})
    {
        for (const bool ipv6 : {false, true}) {
            REQUIRE(plane->open_socket({IPPROTO_TCP, Wire::server(ipv6), port, {}, 0},
                                       XDPCTL_SESSION_LISTENER));
        }
    }
    std::string syn()
    {
        next++;
        Address source = next % 2 == 0 ? "10.0.0.0"_ip : "2001:db8:bad::"_ip;
        source.bytes[14] = static_cast<uint8_t>(next >> 8);
        source.bytes[15] = static_cast<uint8_t>(next);
        return run(FrameBuilder(source, Wire::server(!source.is_ipv4()))
                       .tcp(client_port, port, tcp_syn)
                       .build())
            .reason;
    }
};

} // namespace xdpctl::testing
