#!/usr/bin/env bash
# A real client that floods over its own connections is banned, doubles, decays;
# an allowed one is not.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl wrk jq
lab_up
web_up
write_config enforce '[heuristics]
enabled = true
client_packets_per_second = 300
window = "1s"
ban_ttl = "2s"
ban_ttl_max = "1m"
strike_decay = "1h"'
daemon_up
load() { in_client wrk -t1 -c4 -d"${2:-3}s" "$1" > "$DIR/wrk.log" 2>&1 || true; }

load "http://[$WEB6]/"
check "IPv6 client banned" grep -q "$CLIENT6 for 2s: .*packets/s on its own connections" <(xdpctl events -k ban)
xdpctl allow add $CLIENT4 > /dev/null
load "http://$WEB4/"
check_not "an allowed client is not" grep -q "$CLIENT4 for" <(xdpctl events -k ban)
xdpctl allow del $CLIENT4 > /dev/null
eventually "fetch 'http://[$WEB6]/'"
load "http://[$WEB6]/"
check "the second ban is twice as long" grep -q "$CLIENT6 for 4s: .*(offence 2)" <(xdpctl events -k ban -n 100)

# The attacker sends in the client's name: that must not get the client banned.
xdpctl ban del $CLIENT6 > /dev/null || true
fetch http://$WEB4/
bans=$(xdpctl events -k ban -n 1000 | grep -c "$CLIENT4 for" || true)
in_client sleep 1 &
flood 20000 $CLIENT4 $TARGET4 ack 5000
check_equal "forged packets ban nobody" "$(xdpctl events -k ban -n 1000 | grep -c "$CLIENT4 for" || true)" "$bans"
