# SPDX-License-Identifier: Apache-2.0
"""Frames by struct, and sockets of several network namespaces in one process."""
import contextlib
import ctypes
import ipaddress
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_home = os.open("/proc/self/ns/net", os.O_RDONLY)
_namespaces = {}


def _enter(descriptor, name):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns", name)


@contextlib.contextmanager
def inside(namespace):
    """Sockets and processes that begin here belong to that network namespace."""
    if namespace not in _namespaces:
        _namespaces[namespace] = os.open("/run/netns/" + namespace, os.O_RDONLY)
    _enter(_namespaces[namespace], namespace)
    try:
        yield
    finally:
        _enter(_home, "home")


def packed(text):
    return ipaddress.ip_address(text).packed


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(src, dst, protocol, length):
    addresses = packed(src) + packed(dst)
    if len(addresses) == 8:
        return addresses + struct.pack("!BBH", 0, protocol, length)
    return addresses + struct.pack("!IHBB", length, 0, 0, protocol)


def udp(src, dst, sport, dport, payload):
    length = 8 + len(payload)
    head = struct.pack("!HHHH", sport, dport, length, 0)
    check = checksum(_pseudo(src, dst, 17, length) + head + payload) or 0xFFFF
    return struct.pack("!HHHH", sport, dport, length, check) + payload


def tcp(src, dst, sport, dport, flags, seq, ack):
    def head(check):
        return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, check, 0)

    return head(checksum(_pseudo(src, dst, 6, 20) + head(0)))


def icmp4(kind, code, body):
    head = struct.pack("!BBH", kind, code, 0)
    return struct.pack("!BBH", kind, code, checksum(head + body)) + body


def icmp6(src, dst, kind, code, body):
    head = struct.pack("!BBH", kind, code, 0)
    check = checksum(_pseudo(src, dst, 58, 4 + len(body)) + head + body)
    return struct.pack("!BBH", kind, code, check) + body


def ip4(src, dst, protocol, payload, ttl=64, ident=0, fragment=0, total=None, options=b""):
    length = 20 + len(options)
    total = length + len(payload) if total is None else total
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | length // 4, 0, total, ident, fragment, ttl, protocol,
                       0, packed(src), packed(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, protocol, payload, hops=64, length=None):
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28, length, protocol, hops) + packed(src) + packed(dst) + payload


def ip(src, dst, protocol, payload, ttl=64):
    make = ip6 if ":" in dst else ip4
    return make(src, dst, protocol, payload, ttl)


def fragments(src, dst, protocol, payload, ident, piece=1440):
    """The packets of one datagram, in order."""
    made = []
    for offset in range(0, len(payload), piece):
        part, more = payload[offset:offset + piece], offset + piece < len(payload)
        if ":" in dst:
            head = struct.pack("!BBHI", protocol, 0, offset | more, ident)
            made.append(ip6(src, dst, 44, head + part))
        else:
            flags = (0x2000 if more else 0) | offset // 8
            made.append(ip4(src, dst, protocol, part, ident=ident & 0xFFFF, fragment=flags))
    return made


def group_mac(address):
    raw = packed(address)
    if len(raw) == 16:
        return b"\x33\x33" + raw[12:]
    return b"\x01\x00\x5e" + bytes([raw[1] & 0x7F]) + raw[2:]


def _filter(kind, offset, value):
    """Classic BPF: frames of one EtherType with one byte as wanted."""
    return [(0x28, 0, 0, 12), (0x15, 0, 3, kind), (0x30, 0, 0, offset), (0x15, 0, 1, value),
            (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)]


class Wire:
    """An AF_PACKET socket: sends frames out of a device and, where `wanted` says which
    (EtherType, offset of a byte, its value), receives them."""

    def __init__(self, namespace, device, wanted=None, promiscuous=False):
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            if wanted:
                self._attach(_filter(*wanted))
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.socket.bind((device, 3 if wanted else 0))
            if promiscuous:
                index = socket.if_nametoindex(device)
                self.socket.setsockopt(263, 1, struct.pack("iHH8s", index, 1, 0, b""))
        self.socket.setblocking(False)
        self.mac = self.socket.getsockname()[4]

    def _attach(self, program):
        code = b"".join(struct.pack("HBBI", *row) for row in program)
        held = ctypes.create_string_buffer(code)
        pointer = struct.pack("HL", len(program), ctypes.addressof(held))
        self.socket.setsockopt(socket.SOL_SOCKET, 26, pointer)  # SO_ATTACH_FILTER

    def send(self, packet, to, source=None):
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        self.send_frame(to + (source or self.mac) + kind + packet)

    def send_frame(self, frame):
        with contextlib.suppress(BlockingIOError, OSError):
            self.socket.send(frame)

    def fileno(self):
        return self.socket.fileno()

    def receive(self):
        """The next frame that came in (not one of our own); raises BlockingIOError."""
        while True:
            frame, where = self.socket.recvfrom(65535)
            if where[2] != 4:  # PACKET_OUTGOING
                return frame
