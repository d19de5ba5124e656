// SPDX-License-Identifier: Apache-2.0
#include "harness/catch.h"
#include "harness/literals.h"
#include "replay/orientation.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

FrameInfo tcp(const Address& src, const Address& dst, uint8_t flags)
{
    return {src, dst, 6, flags, true, 1000, 80};
}

Address spoofed(uint32_t n)
{
    Address address = "10.0.0.0"_ip;
    address.bytes[14] = static_cast<uint8_t>(n >> 8);
    address.bytes[15] = static_cast<uint8_t>(n);
    return address;
}

} // namespace

TEST_CASE("the victim of a flood is the protected side")
{
    OrientationGuess guess;
    for (uint32_t i = 0; i < 1000; i++) {
        guess.see(tcp(spoofed(i), "192.0.2.1"_ip, tcp_syn));
        guess.see(tcp(spoofed(i), "2001:db8::1"_ip, tcp_syn));
    }
    const Orientation found = guess.result();
    CHECK(found.protect == std::vector{"192.0.2.1"_net, "2001:db8::1"_net});
    CHECK(found.describe() == "192.0.2.1, 2001:db8::1 (inferred)");
}

TEST_CASE("of two ends the one that accepts is protected, though it receives less")
{
    OrientationGuess guess;
    for (int i = 0; i < 100; i++) {
        guess.see(tcp("198.51.100.1"_ip, "192.0.2.1"_ip, tcp_syn));
        guess.see(tcp("192.0.2.1"_ip, "198.51.100.1"_ip, tcp_syn | tcp_ack));
        guess.see(tcp("192.0.2.1"_ip, "198.51.100.1"_ip, tcp_ack));
    }
    const Orientation found = guess.result();
    REQUIRE(found.protect == std::vector{"192.0.2.1"_net});
    CHECK(found.is_outgoing(tcp("192.0.2.1"_ip, "198.51.100.1"_ip, tcp_ack)));
    CHECK_FALSE(found.is_outgoing(tcp("198.51.100.1"_ip, "192.0.2.1"_ip, tcp_ack)));
}

TEST_CASE("where nobody stands out, all are protected and every packet is judged")
{
    OrientationGuess guess;
    for (uint32_t i = 0; i < 1000; i++) {
        guess.see(tcp(spoofed(i), spoofed(i + 7000), tcp_syn));
    }
    const Orientation found = guess.result();
    CHECK(found.protect.empty());
    CHECK_FALSE(found.is_outgoing(tcp(spoofed(1), spoofed(2), tcp_ack)));
}

TEST_CASE("a group address is nobody's host")
{
    OrientationGuess guess;
    for (int i = 0; i < 100; i++) {
        guess.see(tcp("192.0.2.1"_ip, "239.255.255.250"_ip, 0));
        guess.see(tcp("192.0.2.1"_ip, "255.255.255.255"_ip, 0));
        guess.see(tcp("fe80::1"_ip, "ff02::1"_ip, 0));
    }
    CHECK(guess.result().protect.empty());
}
