// SPDX-License-Identifier: Apache-2.0
// The data path as installed, in enforce mode, on a clock in our hands.
#pragma once

#include <functional>

#include <netinet/in.h>

#include "bpf/loaded.h"
#include "bpf/wire.h"
#include "core/config.h"
#include "core/reasons.h"
#include "harness/catch.h"
#include "harness/literals.h"

namespace xdpctl::testing
{

// The defaults, and a listener at `web`; sockets are those of a capture.
inline constexpr uint16_t dns = 53;
inline constexpr uint16_t ntp = 123;
inline constexpr uint16_t web = 80;
inline constexpr uint16_t closed = 9999;

struct Peace : Loaded {
    bool ipv6;

    explicit Peace(bool v6) : Loaded({{}, false, true, ""}), ipv6(v6)
    {
        spec = policy_of(Config{});
        spec.mode = XDPCTL_MODE_ENFORCE;
        spec.host.limits = limits_of({}, {});
        spec.host.ephemeral_least = 32768;
        for (const uint16_t port : {dns, ntp}) {
            spec.host.udp_services.emplace(ipv6, port);
        }
        spec.host.services = {{1, web, true, XDPCTL_GUARD_AUTO, false, 64}};
        commit();
        REQUIRE(plane->set_own_addresses({Wire::server(false), Wire::server(true)}));
        REQUIRE(plane->open_socket({IPPROTO_TCP, Wire::server(ipv6), web, {}, 0},
                                   XDPCTL_SESSION_LISTENER));
    }
    // How many of them pass: at this rate, each from the next source.
    int passed(int count, int per_second, const std::function<Bytes(uint32_t)>& frame)
    {
        int passed = 0;
        for (int i = 0; i < count; i++) {
            passed += judge(frame(static_cast<uint32_t>(i))) == XDPCTL_PASSED ? 1 : 0;
            advance(ns_per_s / static_cast<uint64_t>(per_second));
        }
        return passed;
    }
    Address nth(uint32_t n) const // a /24 or /64 each
    {
        Address address = ipv6 ? "2001:db8::"_ip : "10.0.0.0"_ip;
        const size_t last = ipv6 ? 7 : 14;
        for (size_t i = 0; i < (ipv6 ? 3U : 2U); i++) {
            address.bytes[last - i] = static_cast<uint8_t>(n >> 8 * i);
        }
        address.bytes[15] = 1;
        return address;
    }
    FrameBuilder from(uint32_t n) const { return {nth(n), Wire::server(ipv6)}; }
    FrameBuilder from_client() const { return Wire::from_client(ipv6); }
};

inline Bytes with_payload(FrameBuilder& builder, const Bytes& begin, size_t bytes = 64)
{
    builder.payload(bytes);
    Bytes frame = builder.build();
    std::copy(begin.begin(), begin.end(),
              frame.begin() + static_cast<std::ptrdiff_t>(builder.transport_offset() + 8));
    return frame;
}

// An ICMP error about the packet whose IP header is at `network`, of which it holds the least
// that is usual.
inline Bytes quoting(FrameBuilder& error, const Bytes& packet, size_t network, bool ipv6)
{
    const size_t quoted = std::min<size_t>(packet.size() - network, ipv6 ? 48 : 28);
    Bytes frame = error.payload(quoted).build();
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(network), quoted,
                frame.begin() + static_cast<std::ptrdiff_t>(error.transport_offset() + 8));
    return frame;
}

} // namespace xdpctl::testing
