#!/usr/bin/env bash
# Floods that are no handshakes, as fast as one core sends them, from one source and
# from many: rates as ratios to a bare XDP_DROP, and what the host's own questions (DNS)
# notice of it, beside the plain kernel.
# usage: tests/bench/volumetric.sh [SECONDS EACH, default 4] [FILE.json]
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
seconds=${1:-4}
out=${2:-$BUILD/bench-volumetric.json}
need dig dnsmasq bpftool jq taskset

lab_up
answers_ready
mac=$(target_mac)
printf '%s\n' "no-resolv" "no-hosts" "bind-interfaces" "listen-address=$CLIENT4" \
    "address=/www.example/203.0.113.80" > "$DIR/dnsmasq.conf"
nsenter --net=/run/netns/$CLIENT taskset -c 0 dnsmasq --keep-in-foreground --user=root \
    --conf-file="$DIR/dnsmasq.conf" --pid-file="$DIR/dnsmasq.pid" 2> /dev/null &
EXTRA_PIDS=$!
# A UDP service that reads and forgets.
nsenter --net=/run/netns/$HOST taskset -c 0 socat -u UDP4-RECV:4433,rcvbuf=65536 /dev/null &
EXTRA_PIDS="$EXTRA_PIDS $!"

rows=
measure() { # DEFENCE FLOOD SOURCES KIND [more options of flood]
    local before begin after end asked=0 answered=0 deadline
    local defence=$1 name=$2 sources=$3
    begin=$(date +%s%N) before=$(received)
    nsenter --net=/run/netns/$ATTACKER taskset -c 1 "$BUILD/bin/flood" eth0 $TARGET4 "$4" \
        --source "$sources" --mac "$mac" --seconds "$seconds" --batch 262144 "${@:5}" > /dev/null &
    local flooding=$!
    : > "$DIR/times"
    deadline=$((SECONDS + seconds - 1))
    while [ $SECONDS -lt $deadline ]; do
        asked=$((asked + 1))
        if in_host dig +time=1 +tries=1 @$CLIENT4 www.example A > "$DIR/answer" 2> /dev/null; then
            answered=$((answered + 1))
            sed -n 's/.*Query time: \([0-9]*\) msec/\1/p' "$DIR/answer" >> "$DIR/times"
        fi
    done
    wait $flooding
    after=$(received) end=$(date +%s%N)
    rows="$rows$(jq -cn --arg defence "$defence" --arg flood "$name" --arg sources "$sources" \
        --argjson pps $(((after - before) * 1000000 / ((end - begin) / 1000))) \
        --argjson asked $asked --argjson answered $answered --rawfile times "$DIR/times" '
        ($times | split("\n") | map(select(. != "") | tonumber) | sort) as $ms
        | {defence: $defence, flood: $flood, sources: $sources, pps: $pps, asked: $asked,
           answered: $answered, p99_ms: $ms[($ms | length) * 0.99 | floor]}')
"
    echo "measured: $defence, $name, $sources" >&2
}
all_floods() { # DEFENCE
    local sources
    for sources in 10.0.0.1/32 10.0.0.0/8; do
        measure "$1" "reflected" $sources udp --from-port 53 --port 40000
        measure "$1" "UDP to a closed port" $sources udp --port 9
        measure "$1" "UDP to a service" $sources udp --port 4433
        measure "$1" "fragments" $sources fragment
        measure "$1" "ICMP" $sources icmp
    done
}
route_back 10.0.0.0/8

in_host ip link set atk0 xdpdrv pinned "$PINS-lab/drop"
measure "bare XDP_DROP" "any" 10.0.0.0/8 udp
in_host ip link set atk0 xdpdrv off
write_config enforce
daemon_up
sleep 2
all_floods "xdpctl"
daemon_kill TERM
for interface in atk0 cli0; do in_host ip link set $interface xdpdrv off; done
rm -rf "$PINS"
in_host ip link set atk0 xdpdrv pinned "$PINS-lab/pass"
all_floods "plain kernel"

printf '%s' "$rows" | jq -s '.[0].pps as $bare
    | {schema_version: 1, seed: 1,
       rows: map(. + {of_bare_drop: (.pps / $bare), ns_over_bare: (1e9 / .pps - 1e9 / $bare)})}' > "$out"
jq -r '(["DEFENCE", "FLOOD", "SOURCES", "PACKETS/S", "OF BARE DROP", "NS OVER BARE", "DNS ASKED", "ANSWERED", "P99 MS"],
     (.rows[] | [.defence, .flood, .sources, .pps, (.of_bare_drop * 100 | round / 100),
                 (.ns_over_bare | round), .asked, .answered, .p99_ms]) | @tsv)' "$out" |
    column -t -s "$(printf '\t')"
echo "JSON: $out"
