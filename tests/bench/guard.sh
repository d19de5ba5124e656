#!/usr/bin/env bash
# A spoofed SYN flood as fast as one core sends it, against this guard and what else
# a Debian host has: rates as ratios to a bare XDP_DROP, and what clients notice.
# usage: tests/bench/guard.sh [SECONDS EACH, default 6] [FILE.json]
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
seconds=${1:-6}
out=${2:-$BUILD/bench-guard.json}
need nginx curl wrk nft iptables bpftool jq taskset

MAC=
blast() { # SECONDS: from CPU 1, which then also receives
    nsenter --net=/run/netns/$ATTACKER taskset -c 1 "$BUILD/bin/flood" eth0 $TARGET4 syn \
        --source 198.18.0.0/15 --mac "$MAC" --seconds "$1" --batch 262144 > /dev/null
}
bare() { # PROGRAM of flood.bpf.c on the host's interfaces, or off
    local interface
    for interface in atk0 cli0; do
        if [ "$1" = off ]; then
            in_host ip link set $interface xdpdrv off
        else
            in_host ip link set $interface xdpdrv pinned "$PINS-lab/$1"
        fi
    done
}
rows=
measure() { # NAME
    local before after begin end rate requests
    blast 1 # warm, and the guards are on
    begin=$(date +%s%N) before=$(received)
    blast "$seconds" &
    local flooding=$!
    : > "$DIR/times"
    (
        end=$((SECONDS + seconds - 2))
        while [ $SECONDS -lt $end ]; do
            in_client curl -s -o /dev/null -w '%{http_code} %{time_connect}\n' --connect-timeout 1 \
                --max-time 2 http://$WEB4/ >> "$DIR/times" || true
        done
    ) &
    local asking=$!
    requests=$(nsenter --net=/run/netns/$CLIENT taskset -c 0 wrk -t 1 -c 10 -d $((seconds - 2)) \
        --timeout 1 http://$WEB4/ 2> /dev/null | awk '/Requests\/sec/ {print $2}')
    wait $asking $flooding
    after=$(received) end=$(date +%s%N)
    rate=$(((after - before) * 1000000 / ((end - begin) / 1000)))
    rows="$rows$(jq -cn --arg name "$1" --argjson pps "$rate" --argjson requests "${requests:-0}" \
        --rawfile times "$DIR/times" '
        ($times | split("\n") | map(select(. != "") | split(" "))) as $all
        | ($all | map(select(.[0] == "200") | .[1] | tonumber * 1000) | sort) as $ok
        | {name: $name, pps: $pps, requests_per_second: $requests, clients: ($all | length),
           connected: ($ok | length),
           connect_p50_ms: ($ok[($ok | length) / 2 | floor]),
           connect_p99_ms: ($ok[($ok | length) * 0.99 | floor])}')
"
    echo "measured: $1" >&2
}

lab_up
answers_ready
web_up
MAC=$(target_mac)
route_back 198.18.0.0/15 # else the stack could not even answer

in_host ip link set atk0 xdpdrv pinned "$PINS-lab/drop"
measure "bare XDP_DROP"
in_host ip link set atk0 xdpdrv off
in_host ip link set atk0 xdpdrv pinned "$PINS-lab/transmit"
measure "bare XDP_TX"
in_host ip link set atk0 xdpdrv off

write_config enforce
daemon_up
measure "xdpctl"
daemon_kill TERM
bare off
rm -rf "$PINS"

bare pass # what a veth needs to take the flood
measure "kernel's own cookies"

in_host sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
in_host nft -f - << 'END'
table inet shield {
    chain raw { type filter hook prerouting priority raw; tcp dport 80 tcp flags syn notrack; }
    chain input {
        type filter hook input priority filter;
        tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 10 timestamp sack-perm
        ct state invalid drop
    }
}
END
measure "nft synproxy"
in_host nft delete table inet shield

in_host iptables -t raw -A PREROUTING -p tcp --dport 80 --syn -j CT --notrack
in_host iptables -A INPUT -p tcp --dport 80 -m state --state INVALID,UNTRACKED -j SYNPROXY \
    --sack-perm --timestamp --wscale 10 --mss 1460
in_host iptables -A INPUT -m state --state INVALID -j DROP
measure "iptables SYNPROXY"

printf '%s' "$rows" | jq -s '.[0].pps as $bare
    | {schema_version: 2, seed: 1, rows: map(. + {of_bare_drop: (.pps / $bare)})}' > "$out"
jq -r '(["DEFENCE", "PACKETS/S", "OF BARE DROP", "CLIENTS", "CONNECTED", "P50 MS", "P99 MS", "REQUESTS/S"],
     (.rows[] | [.name, .pps, (.of_bare_drop * 100 | round / 100), .clients, .connected,
                 .connect_p50_ms, .connect_p99_ms, .requests_per_second]) | @tsv)' "$out" |
    column -t -s "$(printf '\t')"
echo "JSON: $out"
