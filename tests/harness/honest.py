#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an honest host does, workload by workload; honest.sh makes the lab.

  honest.py lab                 reads "phase NAME SECONDS" lines, writes NAME.json
  honest.py numbers             the numbers of the workloads' peers, as JSON
  honest.py addresses           gives host and client the addresses

Each workload has a peer of its own (198.51.100.N, 2001:db8:c::N, fe80::N), so that a
dropped packet tells whose it was. It runs once per family for the length of a phase and
returns how much of what it tried was done. Both of its ends are sockets of one process:
a socket belongs to the network namespace in which it was made.
"""
import contextlib
import fcntl
import json
import os
import re
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback

from frames import (Wire, fragments, group_mac, icmp4, icmp6, inside, ip, ip4, ip6, mac, packed,
                    tcp, udp)

LAB, DIR = os.environ.get("LAB", ""), os.environ.get("DIR", "")
HOST, CLIENT, INNER = LAB + "-host", LAB + "-client", LAB + "-inner"
BROADCAST = b"\xff" * 6
FIRST_NUMBER = 10
EXTRA = {"fping": range(110, 115), "fail2ban": range(121, 124), "scanner": (120,)}
FPING_TARGETS = range(100, 110)  # addresses of the host
VIPS = range(200, 240)           # addresses of the host that come and go
WORKLOADS = {}


class Workload:
    def __init__(self, function, families, floor, flood, tells):
        self.run, self.name = function, function.__name__.replace("_", "-")
        self.families, self.floor, self.flood, self.tells = families, floor, flood, tells
        self.number = FIRST_NUMBER + len(WORKLOADS)


def workload(tells, families=(4, 6), floor=0.95, flood=True):
    """floor: the part of what is tried that must be done. flood: must work beside a flood
    as well; what rests on absence (closed ports, late answers) may be limited there."""
    def add(function):
        entry = Workload(function, families, floor, flood, tells)
        WORKLOADS[entry.name] = entry
        return function
    return add


# --- the addresses of one run -------------------------------------------------

def address_of(number, family):
    return ("198.51.100.%d" if family == 4 else "2001:db8:c::%d") % number


class Run:
    """One workload in one family during one phase."""

    def __init__(self, entry, family, phase, seconds):
        self.entry, self.family, self.phase, self.seconds = entry, family, phase, seconds
        self.host, self.peer = address_of(1, family), address_of(entry.number, family)
        self.link_local = "fe80::%d" % entry.number if family == 6 else self.peer
        self.inner = "192.0.2.2" if family == 4 else "2001:db8:1::2"
        self.domain = "four.example" if family == 4 else "six.example"
        self.af = socket.AF_INET if family == 4 else socket.AF_INET6
        self.note = ""

    def socket(self, namespace, kind, address="", port=0, **more):
        with inside(namespace):
            made = socket.socket(self.af, kind)
        return prepare(made, self.af, address, port, **more)

    def udp(self, namespace, address="", port=0, **more):
        made = self.socket(namespace, socket.SOCK_DGRAM, address, port, **more)
        made.setblocking(False)
        return made

    def tcp(self, namespace, address, to, timeout=4.0, before=None):
        made = self.socket(namespace, socket.SOCK_STREAM, address)
        made.settimeout(timeout)
        try:
            if before:
                before(made)
            made.connect(to)
        except OSError:
            made.close()
            raise
        return made

    def raw(self, protocol):
        """Of the host: what comes in of an IP protocol."""
        with inside(HOST):
            made = socket.socket(self.af, socket.SOCK_RAW, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        made.setblocking(False)
        return made


def prepare(made, af, address, port, ttl=None, reuse=False, rcvbuf=1 << 21):
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if reuse:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if af == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if ttl:
        set_ttl(made, af, ttl)
    if address or port:
        if not port:
            made.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        try:
            made.bind((address, port))
        except OSError as error:
            raise OSError(error.errno, "port %d: %s" % (port, error.strerror)) from error
    return made


def set_ttl(made, af, ttl):
    if af == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)


def host_mac():
    return Wire(HOST, "cli0").mac


def join(made, group):
    """The host listens to a group on cli0."""
    with inside(HOST):
        index = socket.if_nametoindex("cli0")
    if ":" in group:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed(group) + struct.pack("i", index))
    else:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed(group) + struct.pack("4si", b"", index))


# --- counting -----------------------------------------------------------------

class Tally:
    """What was sent, each with a token in its last eight bytes, and what arrived."""

    def __init__(self):
        self.sent, self.got, self.next = set(), set(), 0

    def token(self):
        self.next += 1
        made = struct.pack("!II", os.getpid() << 8 & 0xFFFFFFFF | 0x11, self.next)
        self.sent.add(made)
        return made

    def hear(self, data):
        if data[-8:] in self.sent:
            self.got.add(data[-8:])

    def result(self):
        return len(self.got), len(self.sent)


def pump(run, rate, send, readers, drain=1.5):
    """Calls send(n) at an even rate for the time of the run, and readers[socket](data, from)
    for what comes in. Who cannot keep up sends less, never a burst."""
    with selectors.DefaultSelector() as selector:
        for reader, hear in readers.items():
            selector.register(reader, selectors.EVENT_READ, hear)
        begin, n = time.monotonic(), 0
        end = begin + run.seconds - drain
        while True:
            now = time.monotonic()
            if now >= end + drain:
                return
            due = begin + n / rate
            if now < end and now >= due:
                if now - due > 0.3:
                    begin += now - due
                with contextlib.suppress(OSError):
                    send(n)
                n += 1
                due = begin + n / rate
            wait = max(0.0, due - time.monotonic()) if now < end else 0.1
            for key, _ in selector.select(min(wait, 0.1)):
                drain_socket(key.fileobj, key.data)


def drain_socket(reader, hear):
    for _ in range(256):
        try:
            if isinstance(reader, Wire):
                hear(reader.receive(), None)
            else:
                hear(*reader.recvfrom(65535))
        except BlockingIOError:
            return
        except OSError:  # an ICMP error of an earlier packet
            continue


def one_by_one(run, rate, attempt):
    """Calls attempt(n), true where it worked, at no more than a rate. Who waits in vain
    does nothing else: what it would have tried meanwhile counts as tried."""
    begin, done, tried, n = time.monotonic(), 0, 0, 0
    while time.monotonic() - begin < run.seconds - 2:
        now, worked = time.monotonic(), False
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            worked = attempt(n)
        n += 1
        done += bool(worked)
        tried += 1 if worked else max(1, int((time.monotonic() - now) * rate))
        wait = begin + n / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
    return done, tried


def tool(namespace, *command, timeout=30, stdin=None):
    """What a program prints, both streams; it is killed after the timeout."""
    with inside(namespace):
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        return child.communicate(stdin, timeout)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return ""


def http(run, namespace, source, to, timeout=4.0, path="/"):
    """A new connection, a page."""
    with run.tcp(namespace, source, to, timeout) as made:
        made.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
        page = b""
        while part := made.recv(65536):
            page += part
    return page.startswith(b"HTTP/1.1 200")


# --- questions of DNS -----------------------------------------------------------

def question(ident, name, kind=1, edns=0):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    head = struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 1 if edns else 0)
    option = struct.pack("!BHHIH", 0, 41, edns, 0, 0) if edns else b""
    return head + labels + struct.pack("!BHH", 0, kind, 1) + option


def answered(ident, data):
    return len(data) > 12 and data[:2] == struct.pack("!H", ident) and data[3] & 15 == 0 and \
        data[6:8] != b"\0\0" and not data[2] & 2


def questions(run, namespace, source, server, rate, name, kind=1, edns=0, port=53):
    """Each from a socket of its own, as a resolver asks; the answer must come within 3 s."""
    waiting, done, sent = {}, 0, 0
    poll = select.epoll()
    begin = time.monotonic()
    while True:
        now = time.monotonic()
        if now - begin > run.seconds + 1 - 3 and (not waiting or now - begin > run.seconds + 1):
            break
        if now - begin < run.seconds - 2 and now - begin >= sent / rate:
            if now - begin - sent / rate > 0.3:
                begin += 0.3
            made = run.udp(namespace, source, rcvbuf=1 << 16)
            with contextlib.suppress(OSError):
                made.connect((server, port))
                made.send(question(sent & 0xFFFF, name, kind, edns))
            poll.register(made, select.EPOLLIN)
            waiting[made.fileno()] = (made, sent & 0xFFFF, now)
            sent += 1
        for number, _ in poll.poll(max(0, min(0.05, begin + sent / rate - now)), 64):
            made, ident, _ = waiting.pop(number)
            with contextlib.suppress(OSError):
                done += answered(ident, made.recv(65535))
            poll.unregister(number)
            made.close()
        for number in [key for key, row in waiting.items() if now - row[2] > 3][:100]:
            made = waiting.pop(number)[0]
            poll.unregister(number)
            made.close()
    return done, sent


def question_by_tcp(run, namespace, source, server, name, kind=1):
    with run.tcp(namespace, source, (server, 53)) as made:
        text = question(7, name, kind)
        made.sendall(struct.pack("!H", len(text)) + text)
        data = b""
        while part := made.recv(65536):
            data += part
            if len(data) >= 2 and len(data) - 2 >= struct.unpack("!H", data[:2])[0]:
                break
    return answered(7, data[2:])


# --- TCP services of the host ---------------------------------------------------

@workload("new connections to nginx")
def web(run):
    return one_by_one(run, 10, lambda n: http(run, CLIENT, run.peer, (run.host, 80)))


@workload("4 MB down and up")
def large(run):
    url = "http://%s" % (run.host if run.family == 4 else "[%s]" % run.host)

    def attempt(n):
        common = ["curl", "-s", "-o", "/dev/null", "--interface", run.peer, "--max-time", "10"]
        if n % 2:
            return "4000000 200" in tool(CLIENT, *common, "-w", "%{size_upload} %{http_code}", "-H", "Expect:",
                                         "-T", DIR + "/web/large", url + "/up")
        return "4000000 200" in tool(CLIENT, *common, "-w", "%{size_download} %{http_code}", url + "/large")
    return one_by_one(run, 0.4, attempt)


@workload("requests on kept connections")
def keepalive(run):
    kept = [run.tcp(CLIENT, run.peer, (run.host, 80)) for _ in range(10)]

    def attempt(n):
        made = kept[n % len(kept)]
        made.settimeout(2)
        made.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        return b"works" in made.recv(65536)
    return one_by_one(run, 5, attempt)


@workload("ssh: logins by key")
def ssh_login(run):
    return one_by_one(run, 0.3, lambda n: "fine" in tool(CLIENT, *ssh_command(run), "echo fine"))


@workload("ssh: a session that stays open over all phases")
def ssh_session(run):
    child = SESSIONS[run.family]

    def attempt(n):
        word = "%s-%d" % (run.phase, n)
        child.stdin.write(word + "\n")
        child.stdin.flush()
        return wait_for(child.stdout, "got " + word, 3)
    return one_by_one(run, 1, attempt)


@workload("TCP connections that were silent for a phase, and for two")
def idle(run):
    mine = IDLE[run.family][:10 if PHASES % 2 == 0 else 5]
    time.sleep(max(0, run.seconds - 3))
    done = 0
    for made in mine:
        with contextlib.suppress(OSError):
            made.settimeout(2)
            made.sendall(b"still here")
            done += made.recv(100) == b"still here"
    return done, len(mine)


@workload("health checks: SYN, SYN-ACK, RST, 20/s, to listeners with backlog 128 and 5")
def health(run):
    def linger(made):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def attempt(n):
        run.tcp(CLIENT, run.peer, (run.host, 8002 if n % 3 == 2 else 8001), 1, linger).close()
        return True
    return one_by_one(run, 30, attempt)


@workload("BGP: with TTL 1, with TTL 255 (GTSM), with MD5")
def bgp(run):
    def ttl(number):
        return lambda made: set_ttl(made, run.af, number)

    def key(made):
        set_md5(made, run.af, run.host)
    kept = []
    for port, before in ((179, ttl(1)), (1790, ttl(255)), (1791, key)):
        with contextlib.suppress(OSError):
            made = run.tcp(CLIENT, run.peer, (run.host, port), 2, before)
            made.settimeout(1)
            kept.append(made)

    def attempt(n):
        if n % 3 >= len(kept):
            return False
        message = b"\xff" * 16 + b"\x00\x13\x04"
        kept[n % 3].sendall(message)
        return kept[n % 3].recv(100) == message
    return one_by_one(run, 3, attempt)


@workload("the host's own connections to a web server")
def fetch_out(run):
    return one_by_one(run, 5, lambda n: http(run, HOST, run.host, (run.peer, 8000)))


@workload("iperf3 TCP in 160,000 segments a second, both directions, after each other", floor=0.9)
def bulk(run):
    to, of = ("198.19.0.1", "198.19.0.2") if run.family == 4 else ("2001:db8:b::1", "2001:db8:b::2")
    length = max(3, int(run.seconds / 8))
    time.sleep(1 if run.family == 4 else run.seconds / 2)
    done, rates = 0, []
    for direction in ([], ["-R"]):
        text = tool(CLIENT, "iperf3", "-J", "-c", to, "-B", of, "-p", 5200 + run.family, "-M", 536,
                    "-b", "700M", "-t", length, *direction, timeout=length + 10)
        with contextlib.suppress(ValueError, KeyError):
            report = json.loads(text)
            speeds = [row["sum"]["bits_per_second"] for row in report["intervals"]]
            done += min(length, sum(speed > 1e6 for speed in speeds))
            rates.append("%dk" % (sum(speeds) / max(1, len(speeds)) / 8 / 524 / 1000))
    run.note = "segments/s: " + ", ".join(rates)
    return done, 2 * length


@workload("iperf3 UDP 5 Mbit/s, both directions, after each other")
def iperf_udp(run):
    length = max(3, int(run.seconds / 2) - 3)
    done = tried = 0
    for direction in ([], ["-R"]):
        text = tool(CLIENT, "iperf3", "-J", "-u", "-b", "5M", "-l", 1200, "-c", run.host, "-B", run.peer,
                    "-p", 5210 + run.family, "-t", length, *direction, timeout=length + 10)
        wanted = length * 5e6 / 8 / 1200
        tried += wanted
        with contextlib.suppress(ValueError, KeyError):
            end = json.loads(text)["end"]["sum"]
            tried += end["packets"] - wanted
            done += end["packets"] - end["lost_packets"]
    return int(done), int(tried)


# --- names and time -----------------------------------------------------------

@workload("names from the host's resolver, by UDP")
def dns_serve(run):
    return questions(run, CLIENT, run.peer, run.host, 20, "www." + run.domain)


@workload("names from the host's resolver, by TCP")
def dns_serve_tcp(run):
    return one_by_one(run, 2, lambda n: question_by_tcp(run, CLIENT, run.peer, run.host, "big." + run.domain, 16))


@workload("answers of 5 KB from the host's resolver, which asks for them")
def dns_serve_large(run):
    return questions(run, CLIENT, run.peer, run.host, 3, "big." + run.domain, 16, 8192)


@workload("the host's own questions to a resolver")
def dns_ask(run):
    return questions(run, HOST, run.host, run.peer, 20, "www." + run.domain)


@workload("the host's own questions, answers of 5 KB in fragments")
def dns_ask_large(run):
    return questions(run, HOST, run.host, run.peer, 5, "big." + run.domain, 16, 8192)


@workload("the same, the last fragment first, as some paths deliver them")
def dns_ask_reversed(run):
    wire, to, tally = Wire(CLIENT, "eth0"), host_mac(), Tally()
    server = run.udp(CLIENT, run.peer, 53)
    asking = [run.udp(HOST, run.host) for _ in range(20)]

    def answer(data, source):
        text = data[:2] + b"\x81\x80" + data[4:] + b"x" * 2900 + data[:8]
        parts = fragments(run.peer, run.host, 17, udp(run.peer, run.host, 53, source[1], text),
                          struct.unpack("!I", data[4:8])[0] * 7919 & 0xFFFF)
        for part in reversed(parts):
            wire.send(part, to)
    return pumped(run, 20, lambda n: asking[n % 20].sendto(tally.token(), (run.peer, 53)), tally,
                  {server: answer, **{made: lambda data, _: tally.hear(data[-8:]) for made in asking}})


def pumped(run, rate, send, tally, readers):
    pump(run, rate, send, readers)
    return tally.result()


@workload("late answers of DNS, NTP and others, after the socket was closed: port unreachable", flood=False,
          floor=0.9)
def late(run):
    ports = (53, 123, 5399)
    servers = [run.udp(CLIENT, run.peer, port) for port in ports]
    level, option = (socket.IPPROTO_IP, 11) if run.family == 4 else (socket.IPPROTO_IPV6, 25)
    for made in servers:
        made.setsockopt(level, option, 1)  # IP_RECVERR
    done = tried = 0
    for n in range(int((run.seconds - 3) * 2)):
        asking = run.udp(HOST, run.host)
        server = servers[n % 3]
        with contextlib.suppress(OSError):
            asking.sendto(b"question", (run.peer, ports[n % 3]))
        source = receive_from(server, 0.5)
        asking.close()
        if source is None:
            continue
        tried += 1
        time.sleep(0.2)
        with contextlib.suppress(OSError):
            server.sendto(b"answer", source)
        if select.select([], [], [server], 0.3)[2] or refused(server):
            done += 1
            with contextlib.suppress(OSError):
                server.recvmsg(2000, 500, socket.MSG_ERRQUEUE)
    return done, tried


def refused(made):
    with contextlib.suppress(BlockingIOError):
        made.recvmsg(2000, 500, socket.MSG_ERRQUEUE)
        return True
    return False


def receive_from(made, timeout):
    if not select.select([made], [], [], timeout)[0]:
        return None
    try:
        return made.recvfrom(65535)[1]
    except OSError:
        return None


@workload("NTP questions to the host from ports 123, 161, 53, 17, 389, 130, 40000")
def ntp_serve(run):
    tally = Tally()
    asking = [run.udp(CLIENT, run.peer, port) for port in (123, 161, 53, 17, 389, 130, 40000)]

    def hear(data, _):
        if data[0] & 7 == 4:
            tally.hear(data[24:32])  # our transmit time stamp

    def send(n):
        asking[n % 7].sendto(b"\x23" + b"\0" * 39 + tally.token(), (run.host, 123))
    return pumped(run, 7, send, tally, {made: hear for made in asking})


@workload("chronyd of the host asks a time server", floor=0.9)
def ntp_ask(run):
    def totals():
        text = tool(HOST, "chronyc", "-h", DIR + "/chronyd.sock", "ntpdata", run.peer)
        return [int((re.search(r"^Total %s +: (\d+)" % word, text, re.M) or [0, 0])[1]) for word in ("valid RX", "TX")]
    time.sleep(1)
    before = totals()
    time.sleep(run.seconds - 2)
    after = totals()
    return after[0] - before[0], after[1] - before[1]


# --- UDP between pairs ---------------------------------------------------------

@workload("WireGuard-like: one pair of ports, both directions, silent for a third of the time")
def wireguard(run):
    here, there = run.udp(HOST, port=51820), run.udp(CLIENT, run.peer, 51820)
    tally, rate = Tally(), 100
    third = int(rate * run.seconds / 3)

    def send(n):
        if third <= n < 2 * third:
            return
        packet = b"\x04\0\0\0" + b"x" * 1000 + tally.token()
        first = n < third  # who speaks first after the silence changes
        if bool(n % 2) == first:
            there.sendto(packet, (run.host, 51820))
        else:
            here.sendto(packet, (run.peer, 51820))
    hear = lambda data, _: tally.hear(data)
    return pumped(run, rate, send, tally, {here: hear, there: hear})


@workload("SIP OPTIONS both directions on port 5060, 50 at once every ten seconds")
def sip(run):
    here, there, tally = run.udp(HOST, port=5060), run.udp(CLIENT, run.peer, 5060), Tally()

    def serve(made):
        def hear(data, source):
            if data.startswith(b"OPTIONS"):
                made.sendto(b"SIP/2.0 200 OK\r\n\r\n" + data[-8:], source)
            else:
                tally.hear(data)
        return hear

    def send(n):
        for _ in range(50 if n % 100 == 50 else 1):
            text = b"OPTIONS sip:lab SIP/2.0\r\n\r\n" + b"x" * 400 + tally.token()
            if n % 2:
                there.sendto(text, (run.host, 5060))
            else:
                here.sendto(text, (run.peer, 5060))
    return pumped(run, 10, send, tally, {here: serve(here), there: serve(there)})


@workload("IPsec: ESP, ESP in UDP, IKE in fragments of which the last comes first")
def ipsec(run):
    wire, to, tally = Wire(CLIENT, "eth0"), host_mac(), Tally()
    raw, ike, nat = run.raw(50), run.udp(HOST, port=500), run.udp(HOST, port=4500)

    def send(n):
        if n % 10 == 9:
            text = udp(run.peer, run.host, 500, 500, b"k" * 2500 + tally.token())
            for part in reversed(fragments(run.peer, run.host, 17, text, n + 1)):
                wire.send(part, to)
        elif n % 10 == 8:
            wire.send(ip(run.peer, run.host, 17, udp(run.peer, run.host, 4500, 4500, b"\1\2\3\4" + b"e" * 900 + tally.token())), to)
        else:
            wire.send(ip(run.peer, run.host, 50, b"\0\0\1\2" + b"e" * 900 + tally.token()), to)
    hear = lambda data, _: tally.hear(data)
    return pumped(run, 100, send, tally, {raw: hear, ike: hear, nat: hear})


@workload("300 datagrams/s in two fragments, the last one first")
def frags(run):
    wire, to, tally = Wire(CLIENT, "eth0"), host_mac(), Tally()
    here = run.udp(HOST, port=5001)

    def send(n):
        text = udp(run.peer, run.host, 6000, 5001, b"x" * 1992 + tally.token())
        for part in reversed(fragments(run.peer, run.host, 17, text, n + 1)):
            wire.send(part, to)
    return pumped(run, 300, send, tally, {here: lambda data, _: tally.hear(data)})


@workload("BFD control, both directions, port 3784, TTL 255")
def bfd(run):
    here, there = run.udp(HOST, port=3784, ttl=255), run.udp(CLIENT, run.peer, 3784, ttl=255)
    here_out, there_out = run.udp(HOST, port=49153, ttl=255), run.udp(CLIENT, run.peer, 49152, ttl=255)
    tally = Tally()

    def send(n):
        text = b"\x20\xc0\x03\x18" + b"\0" * 12 + tally.token()
        if n % 2:
            there_out.sendto(text, (run.host, 3784))
        else:
            here_out.sendto(text, (run.peer, 3784))
    hear = lambda data, _: tally.hear(data)
    return pumped(run, 40, send, tally, {here: hear, there: hear})


@workload("BFD echo that the host forwards back")
def bfd_echo(run):
    tally, to = Tally(), host_mac()
    wanted = (0x0800, 22, 254) if run.family == 4 else (0x86DD, 21, 254)
    wire = Wire(CLIENT, "eth0", wanted)

    def send(n):
        text = udp(run.peer, run.peer, 49152, 3785, b"\x20" * 16 + tally.token())
        wire.send(ip(run.peer, run.peer, 17, text, 255), to)
    return pumped(run, 20, send, tally, {wire: lambda data, _: tally.hear(data)})


# --- ICMP -----------------------------------------------------------------------

def fping(run, namespace, source, targets, every_ms, count):
    with inside(namespace):
        return subprocess.Popen(["fping", "-%d" % run.family, "-q", "-S", source, "-c", str(count), "-p", str(every_ms),
                                 *targets], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)


def fping_result(children, wanted):
    done = 0
    for child in children:
        text = child.communicate()[1]
        done += sum(int(got) for got in re.findall(r"xmt/rcv/%loss = \d+/(\d+)/", text))
    return done, wanted


@workload("fping at its default interval from five monitors to ten addresses of the host")
def fping_in(run):
    count = int((run.seconds - 3) * 2)
    targets = [address_of(n, run.family) for n in FPING_TARGETS]
    sources = [address_of(n, run.family) for n in EXTRA["fping"]]
    children = [fping(run, CLIENT, source, targets, 500, count) for source in sources]
    return fping_result(children, count * len(targets) * len(sources))


@workload("the host's own fping to forty peers")
def fping_out(run):
    count = int(run.seconds - 3)
    targets = [address_of(n, run.family) for n in range(FIRST_NUMBER, FIRST_NUMBER + 40)]
    return fping_result([fping(run, HOST, run.host, targets, 1000, count)], count * len(targets))


def traceroute(run, namespace, source, to, *options):
    """True where the last line is the target's answer."""
    text = tool(namespace, "traceroute", "-%d" % run.family, "-n", "-q", 1, "-w", 2, "-m", 5, "-s", source, *options, to)
    last = text.strip().splitlines()[-1] if text.strip() else ""
    return re.match(r" *\d+ +%s +[\d.]+ ms" % re.escape(to), last) is not None


@workload("traceroute to the host by UDP: port unreachable of the last hop", flood=False, floor=0.9)
def trace_udp(run):
    return one_by_one(run, 0.4, lambda n: traceroute(run, CLIENT, run.peer, run.host))


@workload("traceroute to the host by ICMP", floor=0.9)
def trace_icmp(run):
    return one_by_one(run, 0.4, lambda n: traceroute(run, CLIENT, run.peer, run.host, "-I"))


@workload("traceroute to the host by TCP", floor=0.9)
def trace_tcp(run):
    return one_by_one(run, 0.4, lambda n: traceroute(run, CLIENT, run.peer, run.host, "-T", "-p", 80))


@workload("traceroute of the host to a peer", floor=0.9)
def trace_out(run):
    return one_by_one(run, 0.4, lambda n: traceroute(run, HOST, run.host, run.peer))


@workload("traceroute through the host to a container", floor=0.9)
def trace_through(run):
    return one_by_one(run, 0.4, lambda n: traceroute(run, CLIENT, run.peer, run.inner))


@workload("path MTU messages about 100 masqueraded connections of a container and 20 of the host")
def pmtu(run):
    kind = 1 if run.family == 4 else 58
    raws, kept = [], []
    for namespace in (INNER, HOST):
        with inside(namespace):
            made = socket.socket(run.af, socket.SOCK_RAW, kind)
        if run.family == 4:
            made.setsockopt(255, 1, struct.pack("=I", 0xFFFFFFFF ^ 1 << 3))  # ICMP_FILTER
        else:
            made.setsockopt(58, 1, only_icmp6(2))
        made.setblocking(False)
        raws.append(made)
    inner = connections(run, INNER, run.inner, 100)
    own = connections(run, HOST, run.host, 20)
    kept = [row for row, _ in inner + own]
    wire, to = Wire(CLIENT, "eth0"), host_mac()
    time.sleep(max(0.0, run.seconds / 2))
    for _, seen in inner + own:
        wire.send(too_big(run, *seen), to)
    time.sleep(1.5)
    got = 0
    for made in raws:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, source = made.recvfrom(65535)
                body = data[(data[0] & 15) * 4:] if run.family == 4 else data
                got += source[0] == run.peer and body[:2] == (b"\3\4" if run.family == 4 else b"\2\0")
    for made in kept:
        made.close()
    return got, 120


def only_icmp6(*kinds):
    """Of ICMP6_FILTER: a bit is set for what is kept away."""
    return b"".join(struct.pack("=I", 0xFFFFFFFF & ~sum(1 << kind % 32 for kind in kinds if kind // 32 == word))
                    for word in range(8))


def connections(run, namespace, source, count):
    """To the echo service of the peer; each with the address and port that the peer sees."""
    made = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            one = run.tcp(namespace, source, (run.peer, 7007), 2)
            one.sendall(b"who?")
            seen = one.recv(100).decode().split()
            made.append((one, (seen[0], int(seen[1]))))
    return made


def too_big(run, address, port):
    head = struct.pack("!HHI", port, 7007, 1) + b"\0" * 12
    if run.family == 4:
        lost = ip4(address, run.peer, 6, head, total=1500)
        return ip4(run.peer, address, 1, icmp4(3, 4, struct.pack("!I", 1300) + lost))
    lost = ip6(address, run.peer, 6, head, length=1460)
    return ip6(run.peer, address, 58, icmp6(run.peer, address, 2, 0, struct.pack("!I", 1300) + lost))


@workload("200 neighbours ask 5 times a second each, a gateway among them")
def neighbours(run):
    """IPv4: by ARP, IPv6: neighbour discovery from link-local addresses."""
    gate_mac, tally = mac("02:00:00:00:%02x:99" % run.family), [0, 0]
    wire = Wire(CLIENT, "eth0", (0x0806, 21, 2) if run.family == 4 else (0x86DD, 54, 136), promiscuous=True)

    def ask(number, source_mac):
        if run.family == 4:
            return BROADCAST + source_mac + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + source_mac + \
                packed("198.51.100.254") + b"\0" * 6 + packed(run.host)
        source = "fe80::5:%x" % number
        body = b"\0" * 4 + packed(run.host) + b"\1\1" + source_mac
        group = "ff02::1:ff00:1"
        return group_mac(group) + source_mac + b"\x86\xdd" + ip6(source, group, 58, icmp6(source, group, 135, 0, body), 255)
    others = [ask(n, mac("02:00:00:05:%02x:%02x" % (run.family, n))) for n in range(1, 201)]
    gate = ask(0x99, gate_mac)

    def send(n):
        if n % 100 == 37:
            tally[1] += 1
            wire.send_frame(gate)
        wire.send_frame(others[n % 200])

    def hear(frame, _):
        tally[0] += frame[:6] == gate_mac
    pump(run, 1000, send, {wire: hear})
    return tuple(tally)


@workload("router advertisements, DAD, unsolicited neighbour advertisements", families=(6,))
def router(run):
    wire, tally, raw, to = Wire(CLIENT, "eth0"), Tally(), run.raw(58), host_mac()
    raw.setsockopt(58, 1, only_icmp6(134, 136))

    def send(n):
        if n % 3 == 0:
            body = b"\x40\0\x07\x08" + b"\0" * 8 + b"\x05\x01\0\0" + struct.pack("!I", 1500) + b"\xfe\x02" + b"\0" * 6 + tally.token()
            kind, source, group = 134, run.link_local, "ff02::1"
        elif n % 3 == 1:  # a neighbour's DAD of an address of its own
            group = "ff02::1:ff00:%d" % run.entry.number
            kind, source, body = 135, "::", b"\0" * 4 + packed(run.peer)
        else:
            kind, source, group = 136, run.link_local, "ff02::1"
            body = b"\x20\0\0\0" + packed(run.peer) + b"\2\1" + wire.mac + b"\xfe\x02" + b"\0" * 6 + tally.token()
        wire.send(ip6(source, group, 58, icmp6(source, group, kind, 0, body), 255), group_mac(group))
    return pumped(run, 6, send, tally, {raw: lambda data, _: tally.hear(data)})


# --- groups, routing protocols, DHCP ------------------------------------------

GROUPS = {  # name: group, source port, destination port
    4: {"mDNS": ("224.0.0.251", 5353, 5353), "SSDP": ("239.255.255.250", 1900, 1900),
        "NAT-PMP": ("224.0.0.1", 5351, 5350), "LLMNR": ("224.0.0.252", 49200, 5355),
        "WS-Discovery": ("239.255.255.250", 3702, 3702), "RIP": ("224.0.0.9", 520, 520),
        "HSRP": ("224.0.0.2", 1985, 1985), "PTP": ("224.0.1.129", 320, 320),
        "mDNS, legacy": ("224.0.0.251", 49201, 5353), "SNMP trap": ("255.255.255.255", 161, 162),
        "NTP broadcast": ("224.0.1.1", 123, 10123)},
    6: {"mDNS": ("ff02::fb", 5353, 5353), "SSDP": ("ff02::c", 1900, 1900), "PCP": ("ff02::1", 5351, 5350),
        "LLMNR": ("ff02::1:3", 49200, 5355), "WS-Discovery": ("ff02::c", 3702, 3702),
        "RIPng": ("ff02::9", 521, 521), "HSRP": ("ff02::66", 2029, 2029), "PTP": ("ff02::6b", 320, 320),
        "NTP broadcast": ("ff02::101", 123, 10123)},
}


@workload("announcements to groups and broadcast: mDNS, SSDP, NAT-PMP, PCP, LLMNR, RIP, HSRP, PTP, ...")
def groups(run):
    wire, tally, sockets = Wire(CLIENT, "eth0"), Tally(), {}
    rows = list(GROUPS[run.family].values())
    for group, _, port in rows:
        if port not in sockets:
            sockets[port] = run.udp(HOST, port=port, reuse=True)
    for group, port in {(group, port) for group, _, port in rows if group != "255.255.255.255"}:
        join(sockets[port], group)

    def send(n):
        group, sport, dport = rows[n % len(rows)]
        text = udp(run.link_local, group, sport, dport, b"\0\0\x84\0" + b"a" * 60 + tally.token())
        to = BROADCAST if group == "255.255.255.255" else group_mac(group)
        wire.send(ip(run.link_local, group, 17, text, 255 if run.family == 4 else 64), to)
    return pumped(run, 2 * len(rows), send, tally, {made: lambda data, _: tally.hear(data) for made in sockets.values()})


@workload("VRRP, OSPF, PIM, EIGRP, IGMP and MLD, to groups and to the host")
def routing(run):
    wire, tally, raws, to = Wire(CLIENT, "eth0"), Tally(), {}, host_mac()
    four = run.family == 4
    rows = [(112, "224.0.0.18" if four else "ff02::12", 255), (89, "224.0.0.5" if four else "ff02::5", 1),
            (89, run.host, 1), (103, "224.0.0.13" if four else "ff02::d", 1),
            (88, "224.0.0.10" if four else "ff02::a", 2)]
    rows += [(2, "224.0.0.1", 1), (2, "224.0.0.22", 1)] if four else [(58, "ff02::1", 1), (58, "ff02::16", 1)]
    for protocol, group, _ in rows:
        if protocol not in raws:
            raws[protocol] = run.raw(protocol)
        if group not in (run.host, "224.0.0.1", "ff02::1"):
            join(raws[protocol], group)
    if not four:
        raws[58].setsockopt(58, 1, only_icmp6(130, 143))

    def packet(protocol, group, ttl, token):
        if protocol == 2:  # query and report, with router alert
            body = (b"\x11\x64" if group == "224.0.0.1" else b"\x22\0") + b"\0" * 10 + token
            return ip4(run.peer, group, 2, body, 1, options=b"\x94\x04\0\0")
        if protocol == 58:
            body = icmp6(run.link_local, group, 130 if group == "ff02::1" else 143, 0, b"\0" * 24 + token)
            return ip6(run.link_local, group, 0, b"\x3a\0\x05\x02\0\0\1\0" + body, 1)
        return ip(run.link_local, group, protocol, b"\x21\1\x64\1" + b"r" * 40 + token, ttl)

    def send(n):
        protocol, group, ttl = rows[n % len(rows)]
        wire.send(packet(protocol, group, ttl, tally.token()), to if group == run.host else group_mac(group))
    return pumped(run, 2 * len(rows), send, tally, {made: lambda data, _: tally.hear(data) for made in raws.values()})


@workload("DHCP: server (broadcast, unicast, relay) and client (answers before it has an address)")
def dhcp(run):
    wire, tally, to = Wire(CLIENT, "eth0"), Tally(), host_mac()
    hear = lambda data, _: tally.hear(data)
    if run.family == 4:
        server = run.udp(HOST, port=67)
        client = Wire(HOST, "cli0", (0x0800, 37, 68))  # as dhclient, without a UDP socket
        rows = [("0.0.0.0", "255.255.255.255", 68, 67), (run.peer, run.host, 68, 67), (run.peer, run.host, 67, 67),
                (run.peer, "255.255.255.255", 67, 68), (run.peer, "198.51.100.250", 67, 68), (run.peer, run.host, 67, 68)]
    else:
        server, client = run.udp(HOST, port=547), run.udp(HOST, port=546)
        join(server, "ff02::1:2")
        rows = [(run.link_local, "ff02::1:2", 546, 547), (run.peer, run.host, 547, 547),
                (run.link_local, "fe80::1", 547, 546)]

    def send(n):
        source, target, sport, dport = rows[n % len(rows)]
        where = BROADCAST if target == "255.255.255.255" else group_mac(target) if target.startswith("ff") else to
        text = b"\2\1\6\0" + b"d" * 240 + tally.token()
        wire.send(ip(source, target, 17, udp(source, target, sport, dport, text)), where)
    return pumped(run, 2 * len(rows), send, tally, {server: hear, client: hear})


# --- what comes without evidence ------------------------------------------------

@workload("connections to a closed port are refused at once", flood=False)
def closed_tcp(run):
    def attempt(n):
        try:
            run.tcp(CLIENT, run.peer, (run.host, 4400 + n % 50), 1).close()
        except ConnectionRefusedError:
            return True
        return False
    return one_by_one(run, 2, attempt)


@workload("UDP to a closed port: port unreachable", flood=False)
def closed_udp(run):
    def attempt(n):
        with run.udp(CLIENT, run.peer) as made:
            made.settimeout(1)
            made.connect((run.host, 45000 + n % 50))
            made.send(b"anybody?")
            try:
                made.recv(100)
            except ConnectionRefusedError:
                return True
        return False
    return one_by_one(run, 2, attempt)


@workload("segments of connections that the host does not have (any more): RST", flood=False)
def stray_tcp(run):
    flags = 47 if run.family == 4 else 67
    wire, to = Wire(CLIENT, "eth0", (0x0800 if run.family == 4 else 0x86DD, flags, 4)), host_mac()
    asked, got = set(), set()

    def send(n):
        port = 20000 + n
        asked.add(port)
        to_port = 80 if n % 2 else 4399
        wire.send(ip(run.peer, run.host, 6, tcp(run.peer, run.host, port, to_port, 0x10, 1000 + n, 2000 + n)), to)

    def hear(frame, _):
        at = flags - 11  # the destination port
        got.add(struct.unpack("!H", frame[at:at + 2])[0])
    pump(run, 3, send, {wire: hear})
    return len(asked & got), len(asked)


def far(n, family):
    """A source somewhere on the Internet, each in a prefix of its own."""
    return "198.19.%d.7" % (10 + n) if family == 4 else "2001:db8:5:%x::7" % (10 + n)


def strays(run):
    """(protocol, payload by source address): late, unasked and lost packets that every host
    meets; none of them contradicts itself."""
    to, four = run.host, run.family == 4

    def datagram(sport, dport, text=b"stray" * 8):
        return 17, lambda source: udp(source, to, sport, dport, text)

    def segment(sport, dport, flags):
        return 6, lambda source: tcp(source, to, sport, dport, flags, 1000, 2000)

    def message(kind, code, body):
        return (1, lambda source: icmp4(kind, code, body(source))) if four else \
            (58, lambda source: icmp6(source, to, kind, code, body(source)))

    def about(source):  # a connection that was here once
        lost = ip(to, source, 6, tcp(to, source, 40404, 443, 0x10, 1, 1))
        return b"\0" * 4 + lost
    answer = b"\x12\x34\x81\x80\0\1\0\0\0\0\0\0\3www\0\0\1\0\1"
    echo = b"\0\7\0\1" + b"e" * 40
    rows = [datagram(53, 41000, answer), datagram(123, 41001, b"\x24" + b"\0" * 47), datagram(443, 41002),
            datagram(3478, 41003), datagram(40000, 161), datagram(40001, 33437), datagram(5060, 5060),
            datagram(51413, 6881), datagram(40002, 514), datagram(500, 500), datagram(4500, 4500),
            segment(443, 41004, 0x10), segment(443, 41005, 0x14), segment(80, 41006, 0x11), segment(443, 41007, 0x12),
            segment(40003, 23, 0x02), segment(40004, 22, 0x10), segment(40005, 80, 0x11),
            (47, lambda source: b"\0\0\x08\0" + b"g" * 40), (132, lambda source: b"s" * 40), (136, lambda source: b"u" * 40)]
    if four:
        rows += [message(3, 1, about), message(3, 3, about), message(3, 4, about), message(11, 0, about),
                 message(0, 0, lambda _: echo), message(8, 0, lambda _: echo), message(13, 0, lambda _: b"\0" * 16)]
    else:
        rows += [message(1, 3, about), message(1, 4, about), message(2, 0, about), message(3, 0, about),
                 message(129, 0, lambda _: echo), message(128, 0, lambda _: echo)]
    return rows


def broadcasts(run, own):
    """Frames that a quiet network carries."""
    if run.family == 6:
        rows = [(546, "ff02::1:2", 547), (5353, "ff02::fb", 5353), (1900, "ff02::c", 1900), (49300, "ff02::1:3", 5355),
                (521, "ff02::9", 521), (5351, "ff02::1", 5350)]
        made = [group_mac(group) + own + b"\x86\xdd" +
                ip6(run.link_local, group, 17, udp(run.link_local, group, sport, dport, b"chatter" * 6)) for sport, group, dport in rows]
        return made + [group_mac("ff02::1") + own + b"\x86\xdd" + ip6(
            run.link_local, "ff02::1", 0, b"\x3a\0\x05\x02\0\0\1\0" + icmp6(run.link_local, "ff02::1", 130, 0, b"\0" * 24), 1)]
    rows = [(137, "198.51.100.255", 137), (138, "198.51.100.255", 138), (17500, "255.255.255.255", 17500),
            (5678, "255.255.255.255", 5678), (40000, "255.255.255.255", 9), (27036, "255.255.255.255", 27036),
            (67, "255.255.255.255", 68), (123, "198.51.100.255", 123), (161, "255.255.255.255", 162),
            (520, "198.51.100.255", 520), (5353, "224.0.0.251", 5353), (1900, "239.255.255.250", 1900),
            (49300, "224.0.0.252", 5355), (5351, "224.0.0.1", 5350), (6771, "239.192.152.143", 6771)]
    made = [(BROADCAST if group.endswith("255") else group_mac(group)) + own + b"\x08\0" +
            ip4(run.peer, group, 17, udp(run.peer, group, sport, dport, b"chatter" * 6)) for sport, group, dport in rows]
    made.append(BROADCAST + own + b"\x08\0" + ip4("0.0.0.0", "255.255.255.255", 17, udp(
        "0.0.0.0", "255.255.255.255", 68, 67, b"\1\1\6\0" + b"\0" * 240)))
    made.append(group_mac("224.0.0.1") + own + b"\x08\0" + ip4(
        run.peer, "224.0.0.1", 2, b"\x11\x64\xee\x9b\0\0\0\0", 1, options=b"\x94\x04\0\0"))
    arp = b"\x08\x06\0\1\x08\0\6\4\0\1" + own
    made += [BROADCAST + own + arp + packed(source) + b"\0" * 6 + packed(target) + b"\0" * 18
             for source, target in ((run.peer, run.host), (run.peer, "198.51.100.77"), (run.peer, run.peer), ("0.0.0.0", "198.51.100.78"))]
    other = [("01:80:c2:00:00:0e", b"\x88\xcc\2\7\4" + own), ("01:80:c2:00:00:00", b"\0\x26\x42\x42\3"),
             ("01:00:0c:cc:cc:cc", b"\0\x2a\xaa\xaa\3\0\0\x0c\x20\0"), ("01:80:c2:00:00:03", b"\x88\x8e\1\1"),
             ("ff:ff:ff:ff:ff:ff", b"\x88\x63\x11\x09"), ("01:80:c2:00:00:02", b"\x88\x09\1\1"),
             ("ff:ff:ff:ff:ff:ff", b"\x90\0")]
    return made + [mac(to) + own + (text + b"\0" * 60)[:60] for to, text in other]


@workload("what a quiet network brings: ARP, LLDP, STP, NetBIOS, strays of old connections, single fragments; "
          "judged by what is dropped", flood=False)
def chatter(run):
    wire, to = Wire(CLIENT, "eth0"), host_mac()
    quiet, lost = broadcasts(run, wire.mac), strays(run)
    both, sent = len(quiet) + len(lost) + 1, [0]

    def send(n):
        at = n % both
        if at < len(quiet):
            wire.send_frame(quiet[at])
        elif at < both - 1:
            source = far(at - len(quiet), run.family)
            protocol, payload = lost[at - len(quiet)]
            wire.send(ip(source, run.host, protocol, payload(source)), to)
        else:  # a datagram of which one part was lost on the way
            source = far(150, run.family)
            wire.send(fragments(source, run.host, 17, udp(source, run.host, 5002, 5002, b"x" * 2000), n)[n // both % 2], to)
        sent[0] += 1
    pump(run, both, send, {})
    return sent[0], sent[0]


# --- containers -----------------------------------------------------------------

@workload("names for a masqueraded container, 1,000 questions a second", floor=0.9)
def masq_dns(run):
    return questions(run, INNER, run.inner, run.peer, 1000, "www." + run.domain)


@workload("connections of a masqueraded container")
def masq_tcp(run):
    return one_by_one(run, 5, lambda n: http(run, INNER, run.inner, (run.peer, 8000)))


@workload("ping of a masqueraded container")
def masq_ping(run):
    count = int((run.seconds - 4) * 5)
    text = tool(INNER, "ping", "-%d" % run.family, "-q", "-n", "-i", "0.2", "-c", count, "-w", int(run.seconds - 2), run.peer,
                timeout=run.seconds + 5)
    found = re.search(r"(\d+) received", text)
    return int(found[1]) if found else 0, count


@workload("traceroute of a masqueraded container", floor=0.9)
def masq_trace(run):
    return one_by_one(run, 0.4, lambda n: traceroute(run, INNER, run.inner, run.peer))


@workload("a container's published TCP port")
def dnat_tcp(run):
    return one_by_one(run, 10, lambda n: http(run, CLIENT, run.peer, (run.host, 8080)))


@workload("a container's published UDP port")
def dnat_udp(run):
    return questions(run, CLIENT, run.peer, run.host, 50, "www." + run.domain, port=5301)


def two_megabytes(run, port):
    url = "http://%s:%d" % (run.host if run.family == 4 else "[%s]" % run.host, port)

    def attempt(n):
        common = ["curl", "-s", "-o", "/dev/null", "--interface", run.peer, "--max-time", "6"]
        if n % 2:
            return "4000000 200" in tool(CLIENT, *common, "-w", "%{size_upload} %{http_code}", "-H", "Expect:",
                                         "-T", DIR + "/web/large", url + "/up")
        return "4000000 200" in tool(CLIENT, *common, "-w", "%{size_download} %{http_code}", url + "/large")
    return one_by_one(run, 0.4, attempt)


@workload("a service behind NAT without state (as tc, Cilium): 4 MB down and up")
def stateless(run):
    return two_megabytes(run, 8088)


@workload("a service behind IPVS: 4 MB down and up")
def ipvs(run):
    if not os.path.exists(DIR + "/ipvs"):
        run.note = "skipped: this kernel or machine has no IPVS"
        return 0, 0
    return two_megabytes(run, 8090)


# --- the rest ---------------------------------------------------------------------

@workload("a floating address arrives: TCP, UDP and ping within a second", floor=0.8)
def floating(run):
    wire = Wire(HOST, "cli0")
    done = tried = 0
    begin = time.monotonic()
    for n in range(max(2, int(run.seconds / 6))):
        vip = address_of(VIPS[(PHASES * 7 + n) % len(VIPS)], run.family)
        tool(HOST, "ip", "addr", "add", *on_host(vip).split())
        announce(run, wire, vip)
        tried += 3
        with contextlib.suppress(OSError):
            done += http(run, CLIENT, run.peer, (vip, 80), 0.9)
        with run.udp(CLIENT, run.peer) as made, contextlib.suppress(OSError):
            made.settimeout(0.9)
            made.sendto(question(n, "www." + run.domain), (vip, 53))
            done += answered(n, made.recv(65535))
        done += " 1 received" in tool(CLIENT, "ping", "-n", "-c", 1, "-W", 1, "-I", run.peer, vip)
        time.sleep(max(0.0, begin + (n + 1) * 5 - time.monotonic()))
        tool(HOST, "ip", "addr", "del", *on_host(vip).split()[:3])
    return done, tried


def announce(run, wire, address):
    if run.family == 4:
        body = wire.mac + packed(address)
        wire.send_frame(BROADCAST + wire.mac + b"\x08\x06\0\1\x08\0\6\4\0\1" + body + b"\0" * 6 + packed(address))
    else:
        body = b"\x20\0\0\0" + packed(address) + b"\2\1" + wire.mac
        wire.send(ip6(address, "ff02::1", 58, icmp6(address, "ff02::1", 136, 0, body), 255), group_mac("ff02::1"))


@workload("fail2ban watches the web server: a scanner is banned, the honest are not")
def fail2ban(run):
    scanner, honest = address_of(EXTRA["scanner"][0], run.family), [address_of(n, run.family) for n in EXTRA["fail2ban"]]
    for _ in range(8):
        with contextlib.suppress(OSError):
            http(run, CLIENT, scanner, (run.host, 80), 1, "/secret")
    for source in honest:
        with contextlib.suppress(OSError):
            http(run, CLIENT, source, (run.host, 80), 2, "/secret")
    done, tried = one_by_one(run, 2, lambda n: http(run, CLIENT, honest[n % 3], (run.host, 80)))
    banned, begin = [], time.monotonic()
    while scanner not in banned and time.monotonic() - begin < 20:  # it looks now and then
        time.sleep(0.5)
        with open(DIR + "/bans") as file:
            banned = file.read().split()
    wrong = [source for source in honest if source in banned]
    run.note = "" if scanner in banned and not wrong else "banned by fail2ban: %s" % " ".join(banned)
    return done + (scanner in banned) - 100 * len(wrong), tried + 1


# --- what lives over all phases -------------------------------------------------

SESSIONS, IDLE, PHASES, RUNNING = {}, {}, 0, []


def ssh_command(run):
    return ["ssh", "-%d" % run.family, "-F", "/dev/null", "-i", DIR + "/key", "-b", run.peer, "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "ConnectTimeout=5", "root@" + run.host]


def ssh_open(run):
    remote = "stty -echo; while read word; do echo got $word; done"
    with inside(CLIENT):
        child = subprocess.Popen([*ssh_command(run)[:1], "-tt", *ssh_command(run)[1:], remote], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    fcntl.fcntl(child.stdout, fcntl.F_SETFL, os.O_NONBLOCK)
    return child


def wait_for(stream, word, timeout):
    end, text = time.monotonic() + timeout, ""
    while time.monotonic() < end:
        if select.select([stream], [], [], 0.2)[0]:
            part = os.read(stream.fileno(), 65536).decode(errors="replace")
            if not part:
                return False
            text += part
            if word in text:
                return True
    return False


def set_md5(made, af, peer):
    """The key of RFC 2385 for what a peer sends."""
    address = struct.pack("=HH4s", af, 0, packed(peer)) if af == socket.AF_INET else \
        struct.pack("=HHI16sI", af, 0, 0, packed(peer), 0)
    key = b"lab"
    made.setsockopt(socket.IPPROTO_TCP, 14, address.ljust(128, b"\0") + struct.pack("=BBHI", 0, 0, len(key), 0) + key.ljust(80, b"\0"))


def serve(namespace, port, backlog=512, ttl=None, echo=True, md5=None):
    """A process that accepts connections over both families, and answers with what comes."""
    listeners = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with inside(namespace):
            made = socket.socket(family, socket.SOCK_STREAM)
        prepare(made, family, "", port, ttl=ttl, reuse=True)
        if md5:
            set_md5(made, family, address_of(md5, 4 if family == socket.AF_INET else 6))
        made.listen(backlog)
        listeners.append(made)
    child = os.fork()
    if child:
        for made in listeners:
            made.close()
        return child
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    poll = {made.fileno(): made for made in listeners}
    while True:
        for number in select.select(list(poll), [], [])[0]:
            serve_once(poll, poll[number], listeners, echo)


def serve_once(poll, made, listeners, echo):
    try:
        if made in listeners:
            client, source = made.accept()
            if echo:
                client.setblocking(False)
                poll[client.fileno()] = client
            else:
                client.close()
            return
        data = made.recv(65536)
        if data:
            made.sendall("{0} {1}".format(*made.getpeername()).encode() if data == b"who?" else data)
            return
    except BlockingIOError:
        return
    except OSError:
        if made in listeners:
            return
    del poll[made.fileno()]
    made.close()


def servers():
    number = WORKLOADS["bgp"].number
    return [serve(HOST, 7007), serve(CLIENT, 7007), serve(HOST, 8001, 128, echo=False), serve(HOST, 8002, 5, echo=False),
            serve(HOST, 179, ttl=1), serve(HOST, 1790, ttl=255), serve(HOST, 1791, md5=number)]


def numbers():
    made = {entry.name: (entry.number,) for entry in WORKLOADS.values()}
    for name, more in EXTRA.items():
        made[name] = made.get(name, ()) + tuple(more)
    return made


def add_addresses():
    lines = ["addr add fe80::1/64 dev cli0 nodad"]
    for number in FPING_TARGETS:
        lines += ["addr add " + on_host(address_of(number, family)) for family in (4, 6)]
    batch(HOST, lines)
    lines = []
    for number in sorted(n for more in numbers().values() for n in more):
        lines += ["addr add %s/24 dev eth0" % address_of(number, 4), "addr add %s/64 dev eth0 nodad" % address_of(number, 6)]
    batch(CLIENT, lines)


def on_host(address):
    """Never the source of what the host sends by itself."""
    return "%s/64 dev cli0 nodad preferred_lft 0" % address if ":" in address else "%s/24 dev cli0" % address


def batch(namespace, lines):
    with inside(namespace):
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def lab():
    children = servers()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    global PHASES
    try:
        for family in (4, 6):
            run = Run(WORKLOADS["idle"], family, "", 0)
            IDLE[family] = [run.tcp(CLIENT, run.peer, (run.host, 7007)) for _ in range(10)]
            SESSIONS[family] = ssh_open(Run(WORKLOADS["ssh-session"], family, "", 0))
        time.sleep(1)
        print("ready", flush=True)
        for line in sys.stdin:
            _, name, seconds = line.split()
            PHASES += 1
            phase(name, float(seconds))
            print("done", name, flush=True)
    finally:
        for child in SESSIONS.values():
            child.stdin.close()
        for child in children + RUNNING:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)


def phase(name, seconds):
    only = os.environ.get("HONEST_ONLY", "").split()
    children = []
    for entry in WORKLOADS.values():
        for family in entry.families:
            if only and entry.name not in only:
                continue
            children.append((os.fork(), entry, family))
            if children[-1][0] == 0:
                run_one(Run(entry, family, name, seconds))
            RUNNING.append(children[-1][0])
    rows = []
    for child, entry, family in children:
        os.waitpid(child, 0)
        RUNNING.remove(child)
        path = "%s/%s.%s.%d" % (DIR, name, entry.name, family)
        with open(path) as file:
            rows.append(json.load(file))
        os.unlink(path)
    with open("%s/%s.json" % (DIR, name), "w") as file:
        json.dump(rows, file)


def run_one(run):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    done, tried = 0, 1
    try:
        done, tried = run.entry.run(run)
    except Exception as error:  # becomes a red line of the table, with its place
        run.note = "%s at line %d" % (error, traceback.extract_tb(error.__traceback__)[-1].lineno)
    row = {"workload": run.entry.name, "family": run.family, "done": done, "tried": tried, "note": run.note}
    with open("%s/%s.%s.%d" % (DIR, run.phase, run.entry.name, run.family), "w") as file:
        json.dump(row, file)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:] == ["lab"]:
        lab()
    elif sys.argv[1:] == ["numbers"]:
        print(json.dumps(numbers()))
    elif sys.argv[1:] == ["addresses"]:
        add_addresses()
    else:
        sys.exit(__doc__)
