#!/usr/bin/env bash
# UDP of the host's own and of its services, while reflected, random, fragmented and
# ICMP floods of both families run beside it: names, time, large answers, iperf3; and
# names for a namespace that is masqueraded.
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
need dig dnsmasq chronyd iperf3 nft bpftool jq

lab_up
inner_up
answers_ready

# What the host asks: a resolver with an answer that needs several fragments, and time.
large=$(for n in $(seq 24); do printf 'txt-record=big.example,"%0200d"\n' $n; done)
printf '%s\n' "no-resolv" "no-hosts" "bind-interfaces" "listen-address=$CLIENT4,$CLIENT6" \
    "address=/www.example/203.0.113.80" "edns-packet-max=8192" "$large" > "$DIR/dnsmasq.conf"
nsenter --net=/run/netns/$CLIENT dnsmasq --keep-in-foreground --conf-file="$DIR/dnsmasq.conf" \
    --pid-file="$DIR/dnsmasq.pid" --user=root 2> "$DIR/dnsmasq.log" &
EXTRA_PIDS=$!
printf '%s\n' "local stratum 8" "allow all" "cmdport 0" "pidfile $DIR/chronyd.pid" \
    "driftfile $DIR/drift" > "$DIR/chrony.conf"
nsenter --net=/run/netns/$CLIENT chronyd -x -d -u root -f "$DIR/chrony.conf" > "$DIR/chronyd.log" 2>&1 &
EXTRA_PIDS="$EXTRA_PIDS $!"
# What the host serves.
nsenter --net=/run/netns/$HOST iperf3 -s -p 5201 > /dev/null 2>&1 &
EXTRA_PIDS="$EXTRA_PIDS $!"
sed "s/listen-address=.*/listen-address=$TARGET4,$WEB4,$WEB6/; s/dnsmasq.pid/served.pid/; 1i port=5300" \
    "$DIR/dnsmasq.conf" > "$DIR/served.conf"
nsenter --net=/run/netns/$HOST dnsmasq --keep-in-foreground --conf-file="$DIR/served.conf" \
    --pid-file="$DIR/served.pid" --user=root 2> "$DIR/served.log" &
EXTRA_PIDS="$EXTRA_PIDS $!"
write_config enforce '[limits]
udp = ["service 10kpps"]'
daemon_up
xdpctl -j status > /dev/null

answered() { # N DIG...: how many of N questions are answered
    local n ok=0 count=$1
    shift
    for n in $(seq "$count"); do
        [ "$("$@" +short +time=1 +tries=3 www.example A | tail -n 1)" = 203.0.113.80 ] && ok=$((ok + 1))
    done
    echo $ok
}
asks() { answered "$2" in_host dig @"$1"; } # SERVER N
large_answer() { # SERVER: bytes of a UDP answer in fragments
    in_host dig +time=2 +tries=2 +ignore +notcp +bufsize=8192 @"$1" big.example TXT |
        awk '/MSG SIZE/ {print $NF}'
}
clock() { # SERVER: was its time received? -Q sets no clock
    in_host timeout 20 chronyd -Q -t 8 "server $1 iburst maxsamples 1" 2>&1 | grep -c "System clock wrong by"
}
lost() { # BYTES OF A DATAGRAM: percent that iperf3 lost at 20 Mbit/s
    in_client timeout 20 iperf3 -c $WEB4 -p 5201 -u -b 20M -l "$1" -t 2 -J | jq '.end.sum.lost_percent'
}
eventually '[ "$(asks $CLIENT4 1)" = 1 ]'

everything() { # WHEN
    check_equal "$1: names over IPv4" "$(asks $CLIENT4 20)" 20
    check_equal "$1: names over IPv6" "$(asks $CLIENT6 20)" 20
    check "$1: an answer in fragments over IPv4" test "$(large_answer $CLIENT4)" -gt 4500
    check "$1: an answer in fragments over IPv6" test "$(large_answer $CLIENT6)" -gt 4500
    check_equal "$1: time" "$(clock $CLIENT4)" 1
    check_equal "$1: time over IPv6" "$(clock $CLIENT6)" 1
}
everything "in peace"
check "in peace: iperf3" jq -en "$(lost 1400) < 1"
check "in peace: iperf3 in fragments" jq -en "$(lost 8000) < 1"

mac=$(target_mac)
FLOODS=
flood_more() { # DESTINATION KIND PREFIX [more]: not spoof, for $! must be the flood
    nsenter --net=/run/netns/$ATTACKER "$BUILD/bin/flood" eth0 "$1" "$2" --source "$3" --mac "$mac" \
        --pps "${PPS:-20000}" --seconds 60 "${@:4}" > /dev/null &
    FLOODS="$FLOODS $!"
    EXTRA_PIDS="$EXTRA_PIDS $!"
}
floods_begin() {
    flood_more $TARGET4 udp 198.18.0.0/15 --port 5353 --from-port 53
    flood_more $TARGET6 udp 2001:db8:f::/48 --port 40000 --from-port 123
    flood_more $TARGET4 udp 198.18.0.0/15 --port 9
    flood_more $TARGET4 fragment 198.18.0.0/15
    flood_more $TARGET6 fragment 2001:db8:f::/48
    PPS=60000 flood_more $TARGET4 icmp 198.18.0.0/15 # far above what monitoring may send
    PPS=60000 flood_more $TARGET6 icmp 2001:db8:f::/48
    sleep 1
}
floods_end() {
    kill $FLOODS 2> /dev/null || true
    wait $FLOODS 2> /dev/null || true
    FLOODS=
}

floods_begin
everything "flooded"
for reason in reflection udp_no_socket fragment_orphan icmp_limited; do
    eventually "[ \$(dropped $reason) -gt 20000 ]"
    echo "ok: $reason ends at the NIC"
done
floods_end
served() { answered "$2" in_client dig -p 5300 @"$1"; } # ADDRESS N: by the host's own service
# The service itself, beyond its limit and from everywhere: who completed a handshake
# here in peacetime (iperf3's control connection) keeps his place.
PPS=160000 flood_more $WEB4 udp 198.18.0.0/15 --port 5300
sleep 2
check_equal "a service flooded beyond its limit: a known client, IPv4" "$(served $WEB4 20)" 20
check_equal "a service flooded beyond its limit: a known client, IPv6" "$(served $WEB6 20)" 20
floods_end
check "the flood was limited" test $(($(dropped service_limited) + $(dropped prefix_limited))) -gt 10000

# A namespace behind masquerading: conntrack knows its questions.
in_host nft add table ip hidden
in_host nft add chain ip hidden post '{ type nat hook postrouting priority srcnat; }'
in_host nft add rule ip hidden post oifname cli0 masquerade
inner_asks() { answered "$1" in_inner dig @$CLIENT4; } # N
eventually '[ "$(inner_asks 1)" = 1 ]'
sleep 2 # the daemon has seen that connections are tracked here
floods_begin
check_equal "flooded: names for a masqueraded namespace" "$(inner_asks 20)" 20
check_equal "flooded: names for the host beside it" "$(asks $CLIENT4 20)" 20
floods_end
check "limits and their origin are shown" \
    jq -e '[.limits[] | select(.class == "udp") | .levels[] | select(.origin == "floor")] | length == 4' \
    <(xdpctl -j status)
