#!/usr/bin/env python3
# Records what the kernel answers to the questions of ctrl/host: the seeds of the target netlink.
# Answers of drivers that not every kernel has are written by hand.
# usage: unshare -n tests/fuzz/record_netlink.py DIRECTORY (as root; the namespace is thrown away)
import socket
import struct
import subprocess
import sys

setup = """
ip link set lo up
ip link add v0 type veth peer name v1
ip link add b0 type bridge
ip link set v1 master b0
ip addr add 192.0.2.1/24 dev v0
ip addr add 192.0.2.101 peer 192.0.2.102/32 dev v1
ip addr add 2001:db8::1/64 dev v0 nodad
ip link set v0 up
ip link set v1 up
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev v0
ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev v0
ip nexthop add id 7 via 192.0.2.2 dev v0
ip route add default nexthop via 192.0.2.2 dev v0 nexthop via 192.0.2.3 dev v0
ip route add 198.51.100.0/24 via inet6 2001:db8::2 dev v0 mtu 1400 advmss 1200
ip route add 10.0.0.0/8 nhid 7
ip -6 route add default via 2001:db8::2 dev v0 mtu 1400
ip route add local 203.0.113.0/24 dev lo
ip rule add from 192.0.2.0/24 lookup 100
"""

NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4
REQUEST, DUMP = 1, 0x300


def ask(protocol, kind, body, flags=REQUEST | DUMP):
    """All messages of the answer, as they came."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = b""
        while True:
            piece = netlink.recv(65536)
            at = 0
            while at < len(piece):
                length, of_kind = struct.unpack_from("=IH", piece, at)
                at += length + 3 & ~3
                if of_kind in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                    return answer + piece
            answer += piece


def attribute(kind, payload):
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind, body, *attributes):
    payload = body + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(payload), kind, 2, 1, 0) + payload


def link(kind, data):
    """IFLA_IFNAME, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO"""
    info = attribute(1, kind.encode() + b"\0") + attribute(2, data)
    return message(
        16,
        struct.pack("=BBHiII", 0, 0, 1, 9, 0, 0),
        attribute(3, b"t0\0"),
        attribute(5, struct.pack("=I", 2)),
        attribute(37, struct.pack("=I", 0)),
        attribute(18, info),
    )


# TCA_FLOWER_ACT, the first of it: TCA_ACT_KIND
action = attribute(3, attribute(1, attribute(1, b"mirred\0")))

for command in setup.strip().splitlines():
    subprocess.run(command.split(), check=True)
listener = socket.create_server(("::", 8080), family=socket.AF_INET6)
client = socket.create_connection(("::1", 8080))
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.connect(("192.0.2.2", 53))
sock_diag = struct.pack("=BBBBI48x", socket.AF_INET6, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
answers = {
    "links": ask(NETLINK_ROUTE, 18, bytes(16)),
    "addresses": ask(NETLINK_ROUTE, 22, bytes(8)),
    "routes": ask(NETLINK_ROUTE, 26, bytes(12)),
    "neighbours": ask(NETLINK_ROUTE, 30, bytes(12)),
    "rules": ask(NETLINK_ROUTE, 34, bytes(12)),
    "filters": message(44, bytes(20), attribute(1, b"flower\0"), attribute(2, action)),
    "tunnels": link("gre", attribute(7, bytes([192, 0, 2, 9])))
    + link("ip6gre", attribute(7, bytes([0x20, 1, 0xD, 0xB8, *[0] * 11, 9])))
    + link("gre", attribute(18, b""))
    + link("ipvlan", attribute(1, struct.pack("=H", 2))),
    "next_hops": ask(NETLINK_ROUTE, 106, bytes(8)),
    "sockets": ask(NETLINK_SOCK_DIAG, 20, sock_diag),
}
for name, answer in answers.items():
    with open(f"{sys.argv[1]}/{name}", "wb") as file:
        file.write(answer)
