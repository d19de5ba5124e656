#!/usr/bin/env bash
# An attacker's day: what protects the host is turned against it, one way after the other,
# beside real clients of both families. They connect, the daemon answers, its memory is flat,
# and nothing is left to repair.
# usage: test_attacker.sh [SECONDS EACH, default 4]
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl bpftool jq ping nft /usr/bin/python3
seconds=${1:-4}
TRUSTED4=198.18.0.0/16 TRUSTED6=2001:db8:f0::/48   # as a CDN that is trusted
ALLOWED4=198.19.0.0/24 ALLOWED6=2001:db8:f1::/64   # as a network of management
STRANGE4=198.19.128.0/17 STRANGE6=2001:db8:f2::/48 # anybody

guard() { xdpctl -j guard | jq -r ".guards[] | select(.port == 80) | .$1"; }
memory() { awk '/^VmRSS/ {print $2}' /proc/$DAEMON_PID/status; } # KiB

# Fetches until it is killed; a line for each: + or -.
clients() {
    while true; do
        for url in http://$WEB4/ "http://[$WEB6]/"; do
            if in_client curl -sf -o /dev/null --connect-timeout 2 --max-time 4 "$url"; then echo +; else echo "- $url"; fi
        done
        sleep 0.05
    done >> "$DIR/clients"
}

# Both families at once, packets at the same distance.
both() { # PPS KIND SOURCE4 SOURCE6 [more]
    local pps=$1 kind=$2 from4=$3 from6=$4
    shift 4
    spoof $TARGET4 $kind $from4 --even --pps $pps --seconds "$seconds" "$@" > /dev/null &
    spoof $TARGET6 $kind $from6 --even --pps $pps --seconds "$seconds" "$@" > /dev/null
    wait $!
}

# A phase: WHAT COMMAND...; then the clients of its time and the daemon are looked at.
day() {
    local what=$1 begin tried failed
    shift
    begin=$(wc -l < "$DIR/clients")
    "$@"
    timeout 5 "$BUILD/bin/xdpctl" status > /dev/null || fail "$what: status does not answer"
    tried=$(tail -n +$((begin + 1)) "$DIR/clients" | wc -l)
    failed=$(tail -n +$((begin + 1)) "$DIR/clients" | grep -c '^-' || true)
    [ "$tried" -gt 0 ] || fail "$what: no client tried"
    [ $((failed * 100)) -le "$tried" ] || fail "$what: $failed of $tried clients failed"
    printf 'ok: %-58s %4s clients, %s failed, %s KiB\n' "$what" "$tried" "$failed" "$(memory)"
}

lab_up
answers_ready
for owner in 2001:db8:f3::/48 2001:db8:f4::/48; do
    in_client ip -6 route add local $owner dev lo # every address of it answers
    in_host ip -6 route add $owner via $CLIENT6
done
for network in 198.18.0.0/15 2001:db8:f0::/47 $STRANGE6; do route_back $network; done
inner_up
web_up
write_config enforce "[lists]
trusted = [\"$TRUSTED4\", \"$TRUSTED6\"]
allow = [\"$ALLOWED4\", \"$ALLOWED6\"]"
daemon_up
clients &
EXTRA_PIDS=$!
sleep 3 # until they are known

day "in peace" sleep "$seconds"
first=$(memory)
# Handshakes that are completed, each from another /64 of one /48: they push out nobody who is known.
cat > "$DIR/handshakes.py" << 'END'
import ipaddress, random, socket, sys, time
random.seed(7)
until, done, failed, why = time.time() + float(sys.argv[2]), 0, 0, ""
while time.time() < until:
    peer = socket.socket(socket.AF_INET6)
    peer.settimeout(2)
    peer.setsockopt(socket.IPPROTO_IPV6, 78, 1) # IPV6_FREEBIND
    try:
        peer.bind((str(ipaddress.ip_address(sys.argv[3]) + random.getrandbits(80)), 0))
        peer.connect((sys.argv[1], 80))
        done += 1
    except OSError as problem:
        failed, why = failed + 1, problem
    peer.close()
print(done, "handshakes,", failed, "failed", why)
END
handshakes() { # BASE of a /48
    in_client /usr/bin/python3 "$DIR/handshakes.py" $WEB6 "$seconds" "$1" > "$DIR/handshakes"
}
day "handshakes from many networks of one owner" handshakes 2001:db8:f3::
cat "$DIR/handshakes"
known=$(bpftool -j map dump pinned "$PINS/known_clients" | jq length)
check "the owner of many networks takes $known places of known clients" [ "$known" -lt $((600 + 20 * seconds)) ]
check "and some, as anybody new" [ "$known" -gt 100 ]
check "they were made" grep -q "^[1-9][0-9]* handshakes" "$DIR/handshakes"

held() { # REASON LEAST WHAT: so many packets more were dropped for it
    local now
    now=$(dropped "$1")
    [ $((now - ${last:-0})) -ge "$2" ] || fail "$3: $((now - ${last:-0})) packets dropped as $1, wanted $2"
    last=
}
for kind in ack rst fin synack; do
    last=$(dropped no_session)
    day "a flood of $kind from everywhere" both 15000 $kind $STRANGE4 $STRANGE6
    held no_session $((15000 * seconds)) "$kind" # half of them
done
day "SYNs in the name of a trusted network" both 8000 syn $TRUSTED4 $TRUSTED6
day "SYNs in the name of an allowed network" both 8000 syn $ALLOWED4 $ALLOWED6
day "ACKs in the name of an allowed network" both 15000 ack $ALLOWED4 $ALLOWED6
check "who is allowed and forged does not reach the kernel unjudged" \
    [ "$(xdpctl -j stats | jq '[.counters[] | select(.reason == "allowed") | .packets] | add // 0')" -lt $((seconds * 2 * 8000)) ]
day "SYNs from everywhere" both 10000 syn $STRANGE4 $STRANGE6
check "the guard answered them" [ "$(guard cookies_sent)" -gt 1000 ]

# Fragments that never become a datagram; honest ones are beside them.
fragments() {
    both 1000 first $STRANGE4 $STRANGE6 &
    local flood=$!
    sleep 1
    in_client ping -q -c 20 -i 0.05 -W 2 -s 4000 $WEB4 > "$DIR/ping4" || true
    in_client ping -q -c 20 -i 0.05 -W 2 -s 4000 $WEB6 > "$DIR/ping6" || true
    wait $flood
}
day "first fragments whose rest never comes" fragments
check "datagrams of others become whole" grep -q " 20 received" "$DIR/ping4"
check "over IPv6 too" grep -q " 20 received" "$DIR/ping6"

last=$(dropped icmp_unsolicited)
day "ICMP errors about connections that nobody has" both 15000 error $STRANGE4 $STRANGE6
held icmp_unsolicited $((15000 * seconds)) "ICMP errors"

# Below the limits of what is forwarded, which tests/bpf proves: this host stays served.
TARGET4=$INNER4 TARGET6=$INNER6 day "SYNs to a host behind this one" both 15000 syn $STRANGE4 $STRANGE6

# Who attacked while the operator locked down is not let in for it.
lock_down() {
    both 5000 syn $STRANGE4 $STRANGE6 &
    local flood=$!
    sleep 1
    xdpctl guard lockdown 80 on > /dev/null
    handshakes 2001:db8:f4::
    wait $flood
}
accepted=$(guard cookies_accepted) tried=$(wc -l < "$DIR/clients")
day "new clients in a lockdown that began under a flood" lock_down
# A client counts a handshake when our cookie arrives. The kernel gets the ACKs that are admitted:
# those of the known clients, and 50 a second.
accepted=$(($(guard cookies_accepted) - accepted - $(wc -l < "$DIR/clients") + tried))
echo "$(cat "$DIR/handshakes"), $accepted admitted"
check "new clients are admitted at their rate" [ "$accepted" -le $((75 * (seconds + 3))) ]
check "and some are" [ "$accepted" -gt 50 ]
xdpctl guard lockdown 80 default > /dev/null

day "GRE from everywhere" both 10000 gre $STRANGE4 $STRANGE6
day "UDP to a closed port" both 15000 udp $STRANGE4 $STRANGE6 --port 9999

# Right cookies in segments that the kernel will not take prove nothing: their checksum is wrong.
in_attacker nft -f - << 'END'
table inet quiet {
    chain output { type filter hook output priority 0; tcp flags & rst == rst drop; }
}
END
cat > "$DIR/forge.py" << 'END'
import contextlib, select, struct, sys, time
sys.path.insert(0, sys.argv[1])
from frames import Wire, ip, mac, tcp
namespace, router, seconds = sys.argv[2], mac(sys.argv[3]), float(sys.argv[4])
pairs = [(sys.argv[5], sys.argv[6]), (sys.argv[7], sys.argv[8])]
wires = [Wire(namespace, "eth0", wanted) for wanted in ((0x0800, 23, 6), (0x86DD, 20, 6))]
wire = wires[0]
until, port, forged = time.time() + seconds, 20000, 0


def received(ready):
    for one in ready:
        with contextlib.suppress(BlockingIOError):
            while True:
                yield one.receive()[14:]


while time.time() < until:
    port = 20000 + (port - 19999) % 30000
    for source, target in pairs:
        wire.send(ip(source, target, 6, tcp(source, target, port, 80, 2, 1, 0)), router)
    ready = select.select(wires, [], [], 0.004)[0]
    for packet in received(ready):
        version = packet[0] >> 4 if packet else 0
        at = {4: 20, 6: 40}.get(version)
        if at is None or packet[9 if version == 4 else 6] != 6 or len(packet) < at + 20:
            continue
        sport, dport, seq = struct.unpack_from("!HHI", packet, at)
        if sport != 80 or packet[at + 13] & 0x12 != 0x12:
            continue
        source, target = pairs[0 if version == 4 else 1]
        segment = bytearray(tcp(source, target, dport, 80, 16, 2, (seq + 1) & 0xFFFFFFFF))
        segment[16] ^= 0xFF
        wire.send(ip(source, target, 6, bytes(segment)), router)
        forged += 1
print(forged, "forged")
END
forge() {
    spoof $TARGET4 syn $STRANGE4 --even --pps 5000 --seconds "$seconds" > /dev/null &
    sleep 1
    /usr/bin/python3 "$DIR/forge.py" "$ROOT/tests/harness" $ATTACKER "$(target_mac)" "$seconds" \
        $ATTACKER4 $TARGET4 $ATTACKER6 $TARGET6 > "$DIR/forged"
    wait $!
}
day "right cookies with wrong checksums, from two addresses" forge
check "they were sent" grep -q "^[1-9][0-9][0-9]* forged" "$DIR/forged"
check_equal "and cookies are not doubted" "$(guard cookies_off_seconds)" null

day "afterwards, in peace" sleep "$seconds"
check_equal "nobody is banned" "$(xdpctl -j status | jq .bans.active)" 0
check_equal "cookies are not doubted" "$(guard cookies_off_seconds)" null
check "memory is flat: $first KiB, then $(memory)" [ "$(memory)" -lt $((first + 32768)) ]
# It holds ten seconds after the last sign, and what is pending fades by a sixteenth each second.
for _ in $(seq 60); do
    if [ "$(guard state)" != answering ]; then break; fi
    sleep 1
done
check "the guard is off again" [ "$(guard state)" != answering ]
