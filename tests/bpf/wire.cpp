// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdlib>

#include "harness/catch.h"
#include "harness/literals.h"

namespace xdpctl::testing
{
namespace
{

void shell(const std::string& command)
{
    INFO(command);
    REQUIRE(std::system(command.c_str()) == 0);
}

} // namespace

Address Wire::client(bool ipv6)
{
    return ipv6 ? "2001:db8::1"_ip : "198.51.100.1"_ip;
}

Address Wire::server(bool ipv6)
{
    return ipv6 ? "2001:db8::2"_ip : "192.0.2.1"_ip;
}

Wire::Wire() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC))
{
    REQUIRE(before_.valid());
    REQUIRE(unshare(CLONE_NEWNET) == 0);
    // The addresses of FrameBuilder's frames.
    shell("ip link set lo up && "
          "ip link add wire address 02:00:00:00:00:01 type veth peer name far "
          "address 02:00:00:00:00:02 && "
          "sysctl -qw net.ipv6.conf.far.disable_ipv6=1 net.ipv4.tcp_syncookies=2 "
          "net.ipv4.tcp_timestamps=2 net.ipv4.conf.all.rp_filter=0 && "
          "ethtool -K wire tx off gso off tso off > /dev/null && "
          "ip addr add 192.0.2.1/24 dev wire && ip addr add 2001:db8::2/64 dev wire nodad && "
          "ip link set wire up && ip link set far up && "
          "ip route add 198.51.100.0/24 dev wire && "
          "ip neigh add 198.51.100.1 lladdr 02:00:00:00:00:02 dev wire && "
          "ip neigh add 2001:db8::1 lladdr 02:00:00:00:00:02 dev wire");
    socket_ = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    REQUIRE(socket_.valid());
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex("far"));
    REQUIRE(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
}

Wire::~Wire()
{
    setns(before_.get(), CLONE_NEWNET); // the last one out takes the namespace with it
}

void Wire::send(const Bytes& frame) const
{
    REQUIRE(::send(socket_.get(), frame.data(), frame.size(), 0) ==
            static_cast<ssize_t>(frame.size()));
}

std::optional<Bytes> Wire::receive(int wait_ms) const
{
    while (true) {
        pollfd ready{socket_.get(), POLLIN, 0};
        if (poll(&ready, 1, wait_ms) != 1) {
            return std::nullopt;
        }
        Bytes frame(2048);
        sockaddr_ll from{};
        socklen_t length = sizeof(from);
        const ssize_t got = recvfrom(socket_.get(), frame.data(), frame.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &length);
        REQUIRE(got > 0);
        frame.resize(static_cast<size_t>(got));
        const auto info = read_frame(frame);
        if (from.sll_pkttype != PACKET_OUTGOING && info && info->protocol == IPPROTO_TCP) {
            return frame;
        }
    }
}

void Wire::forget() const
{
    Bytes frame(2048);
    while (recv(socket_.get(), frame.data(), frame.size(), MSG_DONTWAIT) > 0) {
    }
}

Listener::Listener(const Options& options)
    : socket_(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
    const int fd = socket_.get();
    const int both = 0;
    REQUIRE(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof(both)) == 0);
    if (options.receive_buffer > 0) {
        REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof(int)) == 0);
    }
    if (options.max_segment > 0) {
        REQUIRE(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &options.max_segment, sizeof(int)) == 0);
    }
    if (options.tos > 0) {
        REQUIRE(setsockopt(fd, IPPROTO_IP, IP_TOS, &options.tos, sizeof(int)) == 0);
        REQUIRE(setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &options.tos, sizeof(int)) == 0);
    }
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(options.port);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(fd, options.backlog) == 0);
}

Fd Listener::accept() const
{
    pollfd ready{socket_.get(), POLLIN, 0};
    if (poll(&ready, 1, 2000) != 1) {
        return Fd();
    }
    return Fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

} // namespace xdpctl::testing
