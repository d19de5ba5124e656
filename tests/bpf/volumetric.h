// SPDX-License-Identifier: Apache-2.0
// Limits and what is not TCP, with services of UDP.
#pragma once

#include "bpf/peace.h"
#include "harness/catch.h"

namespace xdpctl::testing
{

inline constexpr uint16_t service_port = 4433;

inline constexpr uint16_t socket_port = 40123;

struct Volumetric : Loaded {
    explicit Volumetric(LoadOptions options = {}) : Loaded(options)
    {
        spec.reflectors = reflectors_of({});
        spec.host.limits = limits_of({}, {});
        for (const uint16_t port : {service_port, dns, ntp}) {
            spec.host.udp_services.emplace(false, port);
            spec.host.udp_services.emplace(true, port);
        }
        commit();
        REQUIRE(plane->set_own_addresses({Wire::server(false), Wire::server(true)}));
    }
    std::string reason(const Bytes& frame) { return run(frame).reason; }
};

inline FrameBuilder from(const Address& source)
{
    return {source, Wire::server(!source.is_ipv4())};
}

inline Address other(bool ipv6)
{
    return ipv6 ? "2001:db8:99::1"_ip : "203.0.113.99"_ip;
}

// A UDP datagram whose payload begins with these bytes.
inline Bytes datagram(FrameBuilder builder, uint16_t sport, uint16_t dport, const Bytes& begin,
                      size_t bytes = 64)
{
    builder.udp(sport, dport).payload(bytes);
    Bytes frame = builder.build();
    std::copy(begin.begin(), begin.end(),
              frame.begin() + static_cast<std::ptrdiff_t>(builder.transport_offset() + 8));
    return frame;
}

inline const Bytes ntp_client = {0x23}; // version 4, mode 3
inline const Bytes ntp_server = {0x24};

inline const Bytes ntp_private = {0x97, 0, 3, 0x2a}; // mode 7: the answer to monlist
inline const Bytes dns_query = {1, 2, 0x01, 0};

inline const Bytes dns_answer = {1, 2, 0x81, 0x80};

// The limits on a clock in our hands; sockets are those of a capture.
struct TimedVolumetric : Volumetric {
    TimedVolumetric() : Volumetric({{}, false, true, ""}) {}
    // No limit but these.
    void limit(size_t limit_class, std::initializer_list<std::pair<size_t, Rate>> rates)
    {
        for (auto& levels : spec.host.limits) {
            levels.fill({});
        }
        for (const auto& [level, rate] : rates) {
            spec.host.limits[limit_class][level].rate = rate;
        }
        commit();
    }
};

inline FrameBuilder to_service(const Address& source)
{
    return from(source).udp(5000, service_port).payload(100);
}

inline Address nth(bool ipv6, uint32_t n)
{
    Address address = ipv6 ? "2001:db8::"_ip : "10.0.0.0"_ip;
    const size_t last = ipv6 ? 7 : 15; // a /64 each
    for (size_t i = 0; i < 3; i++) {
        address.bytes[last - i] = static_cast<uint8_t>(n >> 8 * i);
    }
    if (ipv6) {
        address.bytes[15] = 1;
    }
    return address;
}

inline FrameBuilder tagged(FrameBuilder builder, int tags)
{
    for (int i = 0; i < tags; i++) {
        builder.vlan(static_cast<uint16_t>(100 + i));
    }
    return builder;
}

} // namespace xdpctl::testing
