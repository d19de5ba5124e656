#!/usr/bin/env bash
# Spoofed SYN, ACK, RST and SYN-ACK floods against a real nginx: clients notice
# nothing, the guard turns on by itself, and an accepted connection is as good as
# a plain one.
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl ss socat bpftool jq iperf3

guard() { xdpctl -j guard | jq -r ".guards[] | select(.port == 80) | .$1"; }

# connection_of ADDRESS PORT: what the kernel granted to a connection from that port.
options_of() { # PORT
    in_host ss -tinH state established "( dport = :$1 )" |
        grep -oE '\b(ts|sack|ecn|wscale:[0-9,]+|mss:[0-9]+|advmss:[0-9]+)\b' | sort -u | tr '\n' ' '
}
connection_of() {
    nsenter --net=/run/netns/$CLIENT socat -u "TCP:$1:80,sourceport=$2" /dev/null &
    local pid=$!
    eventually "[ -n \"\$(options_of $2)\" ]"
    options_of "$2"
    kill $pid
    wait $pid 2> /dev/null || true
}
throughput() { # ADDRESS: Mbit/s of an upload, best of two
    local best=0 now
    for _ in 1 2; do
        now=$(timeout 10 nsenter --net=/run/netns/$CLIENT iperf3 -c "$1" -t 1 -J | jq '.end.sum_received.bits_per_second / 1e6 | floor')
        [ "$now" -gt "$best" ] && best=$now
    done
    echo "$best"
}

lab_up
answers_ready
web_up
# Else the kernel would queue none of the forged SYNs, and a flood of them would harm nobody.
route_back 198.18.0.0/15
route_back 2001:db8:f::/48
nsenter --net=/run/netns/$HOST iperf3 -s > "$DIR/iperf.log" 2>&1 &
EXTRA_PIDS=$!
write_config enforce
daemon_up
eventually 'xdpctl -j guard | jq -e ".guards[] | select(.port == 5201)" > /dev/null'
# Ports below the ephemeral ones, which two hundred clients take.
connection_of $WEB4 10001 > "$DIR/plain4"
connection_of "[$WEB6]" 10002 > "$DIR/plain6"
plain4=$(throughput $WEB4) plain6=$(throughput $WEB6)
check_equal "in peace no cookie is sent" "$(guard cookies_sent)" 0
check_equal "and the guard watches" "$(guard state)" watching

# A download that began before the flood, and one client after the other during it.
in_client curl -sf -o "$DIR/before" --limit-rate 400k http://$WEB4/large &
before=$!
spoof $TARGET4 syn 198.18.0.0/15 --seconds 10 --pps 150000 > "$DIR/flood4" &
flood4=$!
spoof $TARGET6 syn 2001:db8:f::/48 --seconds 10 --pps 150000 > "$DIR/flood6" &
flood6=$!
eventually '[ "$(guard state)" = answering ]'
check "the guard turned itself on" true
eventually '[ "$(in_host sysctl -n net.ipv4.tcp_syncookies)" = 2 ]'
for _ in $(seq 100); do
    fetch http://$WEB4/ || fail "a client was lost (IPv4)"
    fetch "http://[$WEB6]/" || fail "a client was lost (IPv6)"
done
echo "ok: 200 of 200 new clients during the flood"
check_equal "an accepted cookie grants what a plain handshake does, IPv4" \
    "$(connection_of $WEB4 10003)" "$(cat "$DIR/plain4")"
check_equal "and IPv6" "$(connection_of "[$WEB6]" 10004)" "$(cat "$DIR/plain6")"
wait $before
check_equal "the download that began before is complete" "$(stat -c %s "$DIR/before")" 4000000
wait $flood4 $flood6
check "an attack was counted" [ "$(guard attacks)" -ge 1 ]
check "cookies were sent" [ "$(guard cookies_sent)" -gt 100000 ]
check "and accepted" [ "$(guard cookies_accepted)" -ge 200 ]
xdpctl events -k guard | grep -q "tcp/80: SYN flood: SYNs are answered" || fail "no event"
echo "ok: the log tells of it"

xdpctl guard set 80 on > /dev/null
xdpctl guard set 5201 on > /dev/null
sleep 1 # a look of the daemon: sysctls follow
cookie4=$(throughput $WEB4) cookie6=$(throughput $WEB6)
echo "upload, Mbit/s: plain $plain4 and $plain6, by cookie $cookie4 and $cookie6"
for kind in ack rst synack fin; do
    before=$(guard rejected)
    spoof $TARGET4 $kind 198.18.0.0/15 --count 20000 > /dev/null
    spoof $TARGET6 $kind 2001:db8:f::/48 --count 20000 > /dev/null
    # Some pass as strays, of which the host's new addresses take 4,096 a second.
    eventually "[ \$((\$(guard rejected) - $before)) -ge 30000 ]"
    fetch http://$WEB4/ || fail "a client was lost during $kind packets"
    echo "ok: 30,000 of 40,000 spoofed $kind packets ended at the guard"
done
in_host curl -s http://127.0.0.1:9417/metrics > "$DIR/metrics"
check "metrics tell of cookies" grep -q 'xdpctl_syn_cookies_total{result="sent"} [1-9]' "$DIR/metrics"
check "and of the guard" grep -q 'xdpctl_guard_state{service="tcp/80",state="answering"} 1' "$DIR/metrics"

xdpctl guard set 80 default > /dev/null
check_equal "the hand is taken off" "$(eventually '[ "$(guard by_hand)" = false ]' && guard mode)" auto
sed -i 's/^mode/on_stop = "detach"\nmode/' "$DIR/xdpctl.toml"
xdpctl apply "$DIR/xdpctl.toml" > /dev/null
daemon_kill TERM
check_equal "a stop that detaches puts timestamps back" \
    "$(in_host sysctl -n net.ipv4.tcp_timestamps)" 1
check_equal "and syncookies" "$(in_host sysctl -n net.ipv4.tcp_syncookies)" 1
