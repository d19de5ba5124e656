#!/usr/bin/env bash
# Block lists of growing size beside what else a host has: the same flood from sources
# that are all on the list, on one core; rates as ratios to a bare XDP_DROP, and what
# loading, memory and one more entry under the flood cost. Sources are scattered hosts of
# 10.0.0.0/8, and of 2001:db8::/32, each in a /64 of its own.
# usage: tests/bench/lists.sh [SECONDS EACH, default 4] [FILE.json]; SIZES="1000 ..." PEERS="bare xdpctl ..."
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
seconds=${1:-4}
out=${2:-$BUILD/bench-lists.json}
sizes=${SIZES:-1000 100000 1000000 4000000}
patience=${PATIENCE:-90} # seconds to load a list
need bpftool jq taskset nft ipset iptables ip6tables gnuplot xdp-filter

lab_up
answers_ready
mac=$(target_mac)
route_back 10.0.0.0/8
NET4=10.0.0.0/8 NET6=2001:db8::/32
rows= plain_pps=

available() { awk '/^MemAvailable/ {printf "%.0f", $2 * 1024}' /proc/meminfo; }
now() { date +%s%N; }
row() { # JSON fields
    rows="$rows$(jq -cn "$@" '$ARGS.named')
"
}
measure() { # PEER FAMILY SIZE, with $load_s and $memory
    local begin before after end source=$NET4 to=$TARGET4 update
    [ "$2" = ipv6 ] && source=$NET6 to=$TARGET6
    begin=$(now) before=$(received)
    nsenter --net=/run/netns/$ATTACKER taskset -c 1 "$BUILD/bin/flood" eth0 $to udp --source $source \
        --spread "$3" --mac "$mac" --seconds "$seconds" --batch 131072 > /dev/null &
    local flooding=$!
    sleep 1
    update=$(now)
    "add_$1" "$2" > /dev/null 2>&1 || true
    update=$((($(now) - update) / 1000))
    wait $flooding
    after=$(received) end=$(now)
    row --arg peer "$1" --arg family "$2" --argjson size "$3" --argjson load_s "$load_s" \
        --argjson memory "$memory" --argjson update_us "$update" \
        --argjson pps $(((after - before) * 1000000 / ((end - begin) / 1000)))
    echo "measured: $1, $2, $3 entries" >&2
}
# load_PEER FAMILY SIZE FILE; a peer that cannot do a size is shown as such.
try() { # PEER FAMILY SIZE
    local code=0 begin before
    before=$(available) begin=$(now)
    "load_$1" "$2" "$3" "$DIR/$2-$3" > "$DIR/out" 2>&1 || code=$?
    if [ $code != 0 ]; then
        row --arg peer "$1" --arg family "$2" --argjson size "$3" \
            --arg cannot "$([ $code = 124 ] && echo "not loaded in $patience s" || tail -n 1 "$DIR/out")"
        echo "$1, $2, $3 entries: cannot" >&2
    else
        load_s=${took:-$(((($(now) - begin)) / 1000000))e-3} memory=$((before - $(available)))
        measure "$1" "$2" "$3"
    fi
    took=
    "clear_$1" > /dev/null 2>&1 || true
}

pass_up() { in_host ip link set atk0 xdpdrv pinned "$PINS-lab/pass"; }
xdp_off() { in_host ip link set atk0 xdpdrv off; }

load_bare() { in_host ip link set atk0 xdpdrv pinned "$PINS-lab/drop"; }
add_bare() { :; }
clear_bare() { xdp_off; }

load_xdpctl() {
    write_config enforce "[[feeds]]
name = \"large\"
url = \"$3\"
max_entries = 20000000"
    sed -i 's/"cli0", "atk0"/"atk0"/' "$DIR/xdpctl.toml"
    daemon_up
    local tries
    for tries in $(seq $((patience * 10))); do
        took=$(xdpctl -j feed | jq -r '.feeds[0] | select(.fetched != null) | .read_seconds + .apply_seconds')
        if [ -n "$took" ]; then return 0; fi
        sleep 0.1
    done
    return 124
}
add_xdpctl() { xdpctl ban add "$([ "$1" = ipv4 ] && echo 172.16.0.0/30 || echo 2001:db8:0:1::/80)"; }
clear_xdpctl() {
    daemon_kill TERM
    xdp_off
    rm -rf "$PINS" "$DIR/state"
}

load_lpm_trie() {
    took=$(nsenter --net=/run/netns/$HOST timeout $patience "$BUILD/bin/bench_lpm" atk0 "$3" | jq .load_seconds)
    [ -n "$took" ]
}
add_lpm_trie() {
    local id
    id=$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')
    bpftool map update id "$(bpftool -j prog show id "$id" | jq '.map_ids[0]')" key \
        128 0 0 0 0 0 0 0 0 0 0 0 0 0 0xff 0xff 172 16 0 0 value 1 0 0 0
}
clear_lpm_trie() { xdp_off; }

nft_load() { # FAMILY FILE FLAGS
    local type=ipv4_addr match="ip saddr"
    [ "$1" = ipv6 ] && type=ipv6_addr match="ip6 saddr"
    {
        printf 'table netdev bench {\nset blocked { type %s; %s elements = {\n' "$type" "$3"
        paste -sd, "$2"
        printf '}\n}\nchain drops { type filter hook ingress device atk0 priority 0; %s @blocked drop;\n}\n}\n' "$match"
    } > "$DIR/nft"
    pass_up
    nsenter --net=/run/netns/$HOST timeout $patience nft -f "$DIR/nft"
}
nft_add() { in_host nft add element netdev bench blocked "{ $([ "$1" = ipv4 ] && echo 172.16.0.1 || echo 2001:db9::1) }"; }
nft_clear() { in_host nft flush ruleset; xdp_off; }
load_nft_set() { nft_load "$1" "$3" ""; }
add_nft_set() { nft_add "$1"; }
clear_nft_set() { nft_clear; }
load_nft_interval() { nft_load "$1" "$3" "flags interval;"; }
add_nft_interval() { nft_add "$1"; }
clear_nft_interval() { nft_clear; }

ipset_load() { # FAMILY SIZE FILE TYPE
    local family=inet tables=iptables
    [ "$1" = ipv6 ] && family=inet6 tables=ip6tables
    {
        echo "create blocked $4 family $family hashsize 65536 maxelem $(($2 + 1000))"
        sed 's/^/add blocked /' "$3"
    } > "$DIR/ipset"
    pass_up
    nsenter --net=/run/netns/$HOST timeout $patience ipset restore < "$DIR/ipset" || return $?
    in_host $tables -t raw -A PREROUTING -m set --match-set blocked src -j DROP
}
ipset_add() { in_host ipset add blocked "$([ "$1" = ipv4 ] && echo 172.16.0.1 || echo 2001:db9::1)"; }
ipset_clear() {
    in_host iptables -t raw -F
    in_host ip6tables -t raw -F
    in_host ipset destroy
    xdp_off
}
load_ipset_ip() { ipset_load "$1" "$2" "$3" hash:ip; }
add_ipset_ip() { ipset_add "$1"; }
clear_ipset_ip() { ipset_clear; }
load_ipset_net() { ipset_load "$1" "$2" "$3" hash:net; }
add_ipset_net() { ipset_add "$1"; }
clear_ipset_net() { ipset_clear; }

# One call for each address, and a table of 10,000.
load_xdp_filter() {
    [ "$2" -le 10000 ] || { echo "its tables hold 10,000 addresses"; return 1; }
    in_host xdp-filter load -f "$1" atk0 || { echo "xdp-filter does not load on this kernel"; return 1; }
    local address
    while read -r address; do in_host xdp-filter ip -m src "$address" || return 1; done < "$3"
}
add_xdp_filter() { in_host xdp-filter ip -m src "$([ "$1" = ipv4 ] && echo 172.16.0.1 || echo 2001:db9::1)"; }
clear_xdp_filter() { in_host xdp-filter unload -a; }

for size in $sizes; do
    "$BUILD/bin/flood" - - - --list --source $NET4 --spread "$size" > "$DIR/ipv4-$size"
    "$BUILD/bin/flood" - - - --list --source $NET6 --spread "$size" > "$DIR/ipv6-$size"
    for family in ipv4 ipv6; do
        for peer in ${PEERS:-bare xdpctl lpm_trie xdp_filter nft_set nft_interval ipset_ip ipset_net}; do
            try $peer $family "$size"
        done
    done
    rm -f "$DIR/ipv4-$size" "$DIR/ipv6-$size"
done

printf '%s' "$rows" | jq -s '
    ([.[] | select(.peer == "bare")] | map({key: "\(.family) \(.size)", value: .pps}) | from_entries) as $bare
    | {schema_version: 1, seed: 1, rows: map(if .cannot then . else . + ($bare["\(.family) \(.size)"] as $b
        | {of_bare_drop: (.pps / $b), ns_over_bare: (1e9 / .pps - 1e9 / $b)}) end)}' > "$out"
jq -r '(["PEER", "FAMILY", "ENTRIES", "PACKETS/S", "OF BARE", "NS OVER BARE", "LOAD S", "MEMORY MB", "ONE MORE MS"],
    (.rows[] | if .cannot then [.peer, .family, .size, .cannot, "-", "-", "-", "-", "-"] else
        [.peer, .family, .size, .pps, (.of_bare_drop * 100 | round / 100), (.ns_over_bare | round),
         (.load_s * 1000 | round / 1000), (.memory / 1e6 | round), (.update_us / 1000 | round)] end)) | @tsv' "$out" |
    column -t -s "$(printf '\t')"

plot=${out%.json}.svg
peers=$(jq -r '[.rows[] | select(.cannot | not) | .peer] | unique | map(select(. != "bare")) | .[]' "$out")
{
    echo "set terminal svg size 900,420 font 'sans,12'; set output '$plot'"
    echo "set multiplot layout 1,2; set logscale xy; set grid; set key top left; set xlabel 'entries'"
    for family in ipv4 ipv6; do
        echo "set title '$family: ns per dropped packet over a bare XDP_DROP'"
        line="plot"
        for peer in $peers; do
            jq -r ".rows[] | select(.peer == \"$peer\" and .family == \"$family\" and (.cannot | not)) |
                \"\(.size) \([.ns_over_bare, 1] | max)\"" "$out" > "$DIR/$family-$peer.dat"
            [ -s "$DIR/$family-$peer.dat" ] || continue
            line="$line '$DIR/$family-$peer.dat' with linespoints lw 2 title '${peer//_/ }',"
        done
        echo "${line%,}"
    done
} > "$DIR/plot"
gnuplot "$DIR/plot"
echo "JSON: $out, plot: $plot"
