// SPDX-License-Identifier: Apache-2.0
#include "core/frame.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

TEST_CASE("what is built is read back")
{
    struct Case {
        Address src;
        Address dst;
    };
    for (const Case& c :
         {Case{"192.0.2.1"_ip, "198.51.100.2"_ip}, Case{"2001:db8::1"_ip, "2001:db8::2"_ip}}) {
        for (int vlans = 0; vlans <= 2; vlans++) {
            FrameBuilder builder(c.src, c.dst);
            for (int i = 0; i < vlans; i++) {
                builder.vlan(5);
            }
            const auto tcp =
                read_frame(builder.tcp(1234, 80, tcp_syn | tcp_ack).payload(3).build());
            REQUIRE(tcp);
            CHECK(tcp->src == c.src);
            CHECK(tcp->dst == c.dst);
            CHECK(tcp->protocol == 6);
            CHECK(tcp->sport == 1234);
            CHECK(tcp->dport == 80);
            CHECK(tcp->tcp_flags == (tcp_syn | tcp_ack));
            const auto udp = read_frame(builder.udp(53, 5353).build());
            REQUIRE(udp);
            CHECK(udp->protocol == 17);
            CHECK(udp->dport == 5353);
        }
    }
    const auto extended = read_frame(FrameBuilder("2001:db8::1"_ip, "2001:db8::2"_ip)
                                         .extension(0, 6)
                                         .extension(60, 14)
                                         .fragment(0, false)
                                         .udp(1, 2)
                                         .build());
    REQUIRE(extended);
    CHECK(extended->protocol == 17);
    CHECK(extended->has_ports);
    const auto later = read_frame(FrameBuilder("2001:db8::1"_ip, "2001:db8::2"_ip)
                                      .fragment(1480, false)
                                      .udp(1, 2)
                                      .payload(64)
                                      .build());
    REQUIRE(later);
    CHECK(later->protocol == 17);
    CHECK_FALSE(later->has_ports);
}

// RFC 1071 section 3, and the sum of a correct packet is all ones.
TEST_CASE("checksums are right")
{
    const auto sum = [](const Bytes& bytes) {
        uint32_t total = 0;
        for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
            total += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
        }
        while (total >> 16) {
            total = (total & 0xffff) + (total >> 16);
        }
        return total;
    };
    const FrameBuilder builder = FrameBuilder("192.0.2.1"_ip, "198.51.100.2"_ip)
                                     .ipv4_options(2)
                                     .tcp(1, 2, tcp_ack)
                                     .payload(6);
    const Bytes frame = builder.build();
    const auto ip = static_cast<std::ptrdiff_t>(builder.network_offset());
    const auto l4 = static_cast<std::ptrdiff_t>(builder.transport_offset());
    CHECK(sum(Bytes(frame.begin() + ip, frame.begin() + l4)) == 0xffff);
    Bytes pseudo(frame.begin() + ip + 12, frame.begin() + ip + 20);
    pseudo.insert(pseudo.end(), {0, 6, 0, 26});
    pseudo.insert(pseudo.end(), frame.begin() + l4, frame.end());
    CHECK(sum(pseudo) == 0xffff);
}

TEST_CASE("what is cut short is not read beyond its end")
{
    const Bytes frame = FrameBuilder("2001:db8::1"_ip, "2001:db8::2"_ip)
                            .vlan(1)
                            .extension(0, 6)
                            .tcp(1, 2, 0)
                            .build();
    for (size_t size = 0; size < frame.size(); size++) {
        const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
        const auto info = read_frame(cut); // the sanitizer watches
        CHECK((!info || !info->has_ports));
    }
}

TEST_CASE("TCP flags are letters")
{
    CHECK(*parse_tcp_flags("SA") == (tcp_syn | tcp_ack));
    CHECK(*parse_tcp_flags(".") == 0);
    CHECK(format_tcp_flags(tcp_fin | tcp_psh | tcp_urg) == "FPU");
    CHECK(format_tcp_flags(0) == ".");
    CHECK_FALSE(parse_tcp_flags("SX"));
}
