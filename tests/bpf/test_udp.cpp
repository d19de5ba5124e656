// SPDX-License-Identifier: Apache-2.0
// UDP: who waits for it.
#include <sys/socket.h>

#include "bpf/volumetric.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

class UdpSocket
{
  public:
    // Connected where a peer is given.
    UdpSocket(bool ipv6, uint16_t port, uint16_t peer_port = 0)
        : fd_(socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        bind_or_connect(Wire::server(ipv6), port, ::bind);
        if (peer_port != 0) {
            bind_or_connect(Wire::client(ipv6), peer_port, ::connect);
        }
    }

  private:
    template <typename Call> void bind_or_connect(const Address& address, uint16_t port, Call call)
    {
        sockaddr_in in4{};
        sockaddr_in6 in6{};
        if (address.is_ipv4()) {
            in4.sin_family = AF_INET;
            in4.sin_port = htons(port);
            std::copy_n(address.bytes.begin() + 12, 4, reinterpret_cast<uint8_t*>(&in4.sin_addr));
            REQUIRE(call(fd_.get(), reinterpret_cast<sockaddr*>(&in4), sizeof(in4)) == 0);
        } else {
            in6.sin6_family = AF_INET6;
            in6.sin6_port = htons(port);
            std::copy_n(address.bytes.begin(), 16, reinterpret_cast<uint8_t*>(&in6.sin6_addr));
            REQUIRE(call(fd_.get(), reinterpret_cast<sockaddr*>(&in6), sizeof(in6)) == 0);
        }
    }
    Fd fd_;
};

} // namespace

TEST_CASE("UDP passes where somebody waits for it, and only there")
{
    const Wire wire;
    Volumetric loaded;
    const bool ipv6 = GENERATE(false, true);
    const int tags = GENERATE(0, 1, 2);
    INFO((ipv6 ? "IPv6" : "IPv4") << ", " << tags << " VLAN tags");
    const auto reason = [&](const Address& source, uint16_t sport, uint16_t dport,
                            const Bytes& begin = {}) {
        return loaded.reason(datagram(tagged(from(source), tags), sport, dport, begin));
    };
    SECTION("nobody")
    {
        CHECK(reason(Wire::client(ipv6), 5000, socket_port) == "udp_no_socket");
        for (const uint16_t port : reflectors_of({})) {
            // What asks is no answer: a question of DNS begins with an identification and 0.
            CHECK(reason(Wire::client(ipv6), port, socket_port, Bytes{0, 0, 0x80, 0}) ==
                  "reflection");
        }
        CHECK(reason(Wire::client(ipv6), dns, socket_port, dns_query) == "udp_no_socket");
    }
    SECTION("a socket that is connected to this very peer")
    {
        const UdpSocket socket(ipv6, socket_port, dns);
        CHECK(reason(Wire::client(ipv6), dns, socket_port, dns_answer) == "passed");
        CHECK(reason(other(ipv6), dns, socket_port, dns_answer) == "reflection");
        CHECK(reason(Wire::client(ipv6), dns, socket_port + 1, dns_answer) == "reflection");
        CHECK(reason(Wire::client(ipv6), 1900, socket_port) == "reflection");
    }
    SECTION("a socket without a peer")
    {
        const UdpSocket socket(ipv6, socket_port);
        CHECK(reason(Wire::client(ipv6), dns, socket_port, dns_answer) == "passed");
        CHECK(reason(Wire::client(ipv6), 5000, socket_port) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, socket_port, ntp_server) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, socket_port, ntp_private) == "passed"); // few
        CHECK(reason(Wire::client(ipv6), 5000, socket_port + 1) == "udp_no_socket");
    }
    SECTION("a service")
    {
        CHECK(reason(Wire::client(ipv6), 5000, service_port) == "passed");
        CHECK(reason(Wire::client(ipv6), 1900, service_port) == "passed"); // a translator's port
        CHECK(reason(Wire::client(ipv6), ntp, ntp, ntp_client) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, ntp, ntp_server) == "passed");
        CHECK(reason(Wire::client(ipv6), ntp, ntp, ntp_private) == "passed"); // within its limit
        CHECK(reason(Wire::client(ipv6), dns, dns, dns_query) == "passed");
    }
}

TEST_CASE("UDP to groups and to other hosts has no socket here to ask")
{
    const Wire wire;
    Volumetric loaded;
    for (const auto& destination : {"224.0.0.251"_ip, "255.255.255.255"_ip, "203.0.113.5"_ip,
                                    "ff02::fb"_ip, "2001:db8:5::5"_ip}) {
        const Address source = Wire::client(!destination.is_ipv4());
        FrameBuilder frame(source, destination);
        CHECK(loaded.reason(frame.udp(5353, 5353).payload(30).build()) == "passed");
    }
    // Conntrack knows what a router forwards: what it does not know was not asked for.
    loaded.spec.host.flags = XDPCTL_HOST_CONNTRACK;
    loaded.commit();
    FrameBuilder frame("198.51.100.7"_ip, "203.0.113.5"_ip);
    CHECK(loaded.reason(frame.udp(5000, 5000).build()) == "passed");
}

TEST_CASE("answers that no socket lookup can find a reader for are let in")
{
    const Wire wire;
    Volumetric loaded;
    // DHCP clients read packet sockets.
    CHECK(loaded.reason(datagram(Wire::from_client(false), 67, 68, {})) == "passed");
    CHECK(loaded.reason(datagram(Wire::from_client(true), 547, 546, {})) == "passed");
    CHECK(loaded.reason(datagram(Wire::from_client(false), 67, 69, {})) == "udp_no_socket");
    CHECK(loaded.reason(datagram(Wire::from_client(true), 67, 68, {})) == "udp_no_socket");
    CHECK(loaded.reason(datagram(FrameBuilder("fe80::7"_ip, "fe80::1"_ip), dns, socket_port,
                                 dns_answer)) == "passed");
    CHECK(loaded.reason(datagram(from("fe80::7"_ip), dns, socket_port, dns_answer)) ==
          "reflection");
    // Sockets that are bound to a VLAN or VRF above; and conntrack may translate a port.
    loaded.spec.host.flags = XDPCTL_HOST_UNSEEN;
    loaded.commit();
    CHECK(loaded.reason(datagram(Wire::from_client(false), dns, socket_port, {})) == "passed");
    CHECK(loaded.reason(datagram(Wire::from_client(true), 5000, socket_port, {})) == "passed");
}

TEST_CASE("the list of reflectors is the configuration's")
{
    CHECK(reflectors_of({}).contains(11211));
    CHECK(reflector_name(11211) == "memcached");
    CHECK(reflector_name(80).empty());
    const auto changed = reflectors_of({{7777}, {dns}});
    CHECK(changed.contains(7777));
    CHECK_FALSE(changed.contains(dns));
    const Wire wire;
    Volumetric loaded;
    loaded.spec.reflectors = changed;
    loaded.commit();
    CHECK(loaded.reason(datagram(Wire::from_client(false), 7777, socket_port, {})) == "reflection");
    CHECK(loaded.reason(datagram(Wire::from_client(false), dns, socket_port, {})) ==
          "udp_no_socket");
}

TEST_CASE("a UDP service without a socket passes where the configuration names its port")
{
    const bool ipv6 = GENERATE(false, true);
    TimedVolumetric timed;
    CHECK(timed.judge(Wire::from_client(ipv6).udp(5000, 4790).payload(10).build()) ==
          XDPCTL_UDP_NO_SOCKET);
    timed.spec.udp_services = {4790};
    timed.commit();
    CHECK(timed.judge(Wire::from_client(ipv6).udp(5000, 4790).payload(10).build()) ==
          XDPCTL_PASSED);
}
