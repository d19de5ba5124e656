#!/usr/bin/env bash
# What a member of the socket's group can do, and that neither members nor idle connections keep
# root from being heard.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need curl jq socat setpriv python3
lab_up
# Members are of the group 65534, which Debian calls nogroup.
GROUP=$(getent group 65534 | cut -d: -f1)
[ -n "$GROUP" ] || skip "needs a group 65534"
write_config monitor
sed -i "s/^\[api\]\$/[api]\ngroup = \"$GROUP\"/" "$DIR/xdpctl.toml"
chmod 755 "$DIR"
cp "$BUILD/bin/xdpctl" "$DIR/xdpctl"
chmod 755 "$DIR/xdpctl"
daemon_up
as_member() { in_host setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
member() { as_member "$DIR/xdpctl" "$@"; }
memory_peak() { awk '/VmHWM/ { print $2 }' /proc/$DAEMON_PID/status; } # kB
same_daemon() { kill -0 $DAEMON_PID && xdpctl status > /dev/null; }

# --- what a member can do
check_code 0 "a member may look" member status
check_code 0 "and ban" member ban add 192.0.2.9 --ttl 1h
sed 's/monitor/enforce/' "$DIR/xdpctl.toml" > "$DIR/enforce.toml"
chmod 644 "$DIR/enforce.toml"
check_code 0 "and apply what changes how packets are judged" member apply "$DIR/enforce.toml"
check "which is in force" grep -q "^enforce" <(xdpctl mode)
check_code 0 "and have the daemon read its own file" member apply
check "which is in force" grep -q "^monitor" <(xdpctl mode)

# --- what a member cannot do: have the daemon open a file, ask a URL, give a socket away
SECRET="TOPSECRET-of-root-alone-0123456789"
echo "$SECRET" > "$DIR/secret"
chmod 600 "$DIR/secret"
# Answers everybody with the secret, and notes that it was asked.
cat > "$DIR/answer.sh" << END
#!/bin/sh
touch "$DIR/asked"
while read -r line && [ "\$line" != "\$(printf '\r')" ]; do :; done
printf 'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s' ${#SECRET} "$SECRET"
END
chmod 755 "$DIR/answer.sh"
nsenter --net=/run/netns/$HOST socat TCP-LISTEN:8099,bind=127.0.0.1,fork,reuseaddr EXEC:"$DIR/answer.sh" &
EXTRA_PIDS=$!
eventually "in_host ss -Hltn sport = :8099 | grep -q 8099"
try() { # KEY TOML
    { printf '%s\n' "$2"; cat "$DIR/xdpctl.toml"; } > "$DIR/try.toml"
    chmod 644 "$DIR/try.toml"
    local verb
    for verb in check diff apply; do
        check_code 7 "$verb: a member may not set $1" member $verb "$DIR/try.toml"
        check "the key is named" grep -q "try.toml.*$1: only root may set it" "$DIR/err"
        check_not "nothing is shown" grep -q TOPSECRET "$DIR/out" "$DIR/err"
    done
}
try feeds "feeds = [{name = \"x\", url = \"$DIR/secret\"}]"
try feeds 'feeds = [{name = "x", url = "http://127.0.0.1:8099/"}]'
try crowdsec.url 'crowdsec.url = "http://127.0.0.1:8099/"'
try crowdsec.key_file "crowdsec.key_file = \"$DIR/secret\""
try geo.databases "geo.databases = [\"$DIR/secret\"]"
try metrics.listen 'metrics.listen = "0.0.0.0:9417"'
sleep 1 # of a feed's workers, had there been one
check_not "nobody was asked" test -e "$DIR/asked"
check_not "status, events and the log know nothing of it" \
    grep -q TOPSECRET <(member -j status; member events; cat "$DIR/daemon.log")

# --- what root has it read is not shown by errors either
{
    printf 'feeds = [{name = "f", url = "%s"}, {name = "h", url = "http://127.0.0.1:8099/"}]\n' "$DIR/secret"
    printf 'crowdsec.url = "http://127.0.0.1:8099/"\ncrowdsec.key_file = "%s"\n' "$DIR/secret"
    cat "$DIR/xdpctl.toml"
} > "$DIR/root.toml"
check_code 0 "root may" xdpctl apply "$DIR/root.toml"
eventually "xdpctl -j status | jq -e '(.feeds | length) == 2 and all(.feeds[]; .problem != \"\") and .crowdsec.problem != \"\"' > /dev/null"
check "a faulty line is told" grep -q "TOPSECRET-of-roo" <(member -j status)
check_not "not the whole of it" grep -q "TOPSECRET-of-root" <(member -j status; member events; cat "$DIR/daemon.log")
check_not "and nothing of CrowdSec's answer" grep -q TOPSECRET <(xdpctl -j status | jq .crowdsec)
check_code 0 "as before" xdpctl apply

# --- texts that exhaust parsers
python3 -c 'print("a." * 100000 + "a = 1")' > "$DIR/dots.toml"
python3 -c 'print("x = " + "[" * 100000)' > "$DIR/deep.toml"
head -c 2000000 /dev/zero | tr '\0' '#' > "$DIR/long.toml"
chmod 644 "$DIR"/*.toml
for text in dots deep long; do
    check_code 6 "a text that is $text" member apply "$DIR/$text.toml"
    check_code 6 "also for root" xdpctl check --offline "$DIR/$text.toml"
done
check "the daemon is there" same_daemon

# --- bodies
post() { as_member curl -s -o "$DIR/answer" -w '%{http_code}' --unix-socket "$XDPCTL_SOCKET" -H "Content-Type: application/json" "$@" http://x/v1/bans; }
touch "$DIR/answer" && chmod 666 "$DIR/answer"
check_equal "15 MB of brackets" "$(head -c 15000000 /dev/zero | tr '\0' '[' | post --data-binary @-)" 400
check "are told as such" grep -q "nested deeper" "$DIR/answer"
check_equal "a chunked body of 200 MB" "$(head -c 200000000 /dev/zero | post -X POST -T -)" 413
check_equal "60 MB of brackets" "$(head -c 60000000 /dev/zero | tr '\0' '[' | post --data-binary @-)" 413
check "the daemon kept its memory ($(memory_peak) kB at most)" test "$(memory_peak)" -lt 400000
check "the daemon is there" same_daemon

# --- peers that are slow
cat > "$DIR/slow.py" << 'END'
# As a member, sends a byte twice a second to each of N connections until all of them are closed.
import os, socket, sys, time
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
peers = []
for _ in range(int(sys.argv[2])):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
    peer.setblocking(False)
    peers.append(peer)
while peers:
    for peer in list(peers):
        try:
            peer.send(b"G")
            if peer.recv(4096) == b"":
                peers.remove(peer)
        except BlockingIOError:
            pass
        except OSError:
            peers.remove(peer)
    print(len(peers), flush=True)
    time.sleep(0.5)
END
now() { in_host timeout 5 "$BUILD/bin/xdpctl" "$@"; }
python3 "$DIR/slow.py" "$XDPCTL_SOCKET" 8 > "$DIR/slow.out" &
SLOW_PID=$!
EXTRA_PIDS="$EXTRA_PIDS $SLOW_PID"
eventually "grep -q 8 '$DIR/slow.out'"
check_code 0 "eight slow members: root is heard" now status
check_code 3 "a ninth request of the group is not" member status
check "and says why" grep -q "8 requests of the group in work" "$DIR/err"
for i in $(seq 300); do kill -0 $SLOW_PID 2> /dev/null || break; sleep 0.1; done
check_not "each is closed in the end, though it sent a byte now and then" kill -0 $SLOW_PID
check_code 0 "and the group is heard again" member status

# --- and where they are not eight, but a hundred, of root
cat > "$DIR/hundred.py" << 'END'
# Sends a byte a second to each of 100 connections, and opens those anew that are closed.
import socket, sys, time
family, address = (socket.AF_UNIX, sys.argv[1]) if len(sys.argv) == 2 else (socket.AF_INET, (sys.argv[1], int(sys.argv[2])))
def opened():
    peer = socket.socket(family)
    peer.connect(address)
    peer.setblocking(False)
    return peer
peers = [opened() for _ in range(100)]
while True:
    for i, peer in enumerate(peers):
        try:
            peer.send(b"G")
        except OSError:
            peers[i] = opened()
    print("round", flush=True)
    time.sleep(1)
END
descriptors() { ls /proc/$DAEMON_PID/fd | wc -l; }
hundred() { # ARGUMENT...: until its first round is done
    nsenter --net=/run/netns/$HOST python3 "$DIR/hundred.py" "$@" > "$DIR/hundred.out" &
    HUNDRED_PID=$!
    EXTRA_PIDS="$EXTRA_PIDS $HUNDRED_PID"
    eventually "grep -q round '$DIR/hundred.out'"
}
before=$(descriptors)
hundred "$XDPCTL_SOCKET"
check_code 0 "a hundred slow connections: root is heard" now status
check_code 0 "and again" now status
check "they are bounded ($before, $(descriptors) descriptors)" test $(($(descriptors) - before)) -le 250
kill $HUNDRED_PID

# --- metrics
scrape() { in_host curl -s --max-time 5 http://127.0.0.1:9417/metrics | grep -q '^xdpctl_build_info'; }
check "a scrape" scrape
cat > "$DIR/idle.py" << 'END'
import socket
peers = [socket.create_connection(("127.0.0.1", 9417)) for _ in range(8)]
print("connected", flush=True)
for peer in peers: # each is closed by the other side
    while peer.recv(4096): pass
END
nsenter --net=/run/netns/$HOST python3 "$DIR/idle.py" > "$DIR/idle.out" &
IDLE_PID=$!
EXTRA_PIDS="$EXTRA_PIDS $IDLE_PID"
eventually "grep -q connected '$DIR/idle.out'"
check "idle connections do not block it" scrape
eventually "! kill -0 $IDLE_PID 2> /dev/null"
echo "ok: and they are closed"
hundred 127.0.0.1 9417
check "a hundred slow connections neither" scrape
check "nor later" scrape
kill $HUNDRED_PID
check "the daemon is there" same_daemon
