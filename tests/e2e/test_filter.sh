#!/usr/bin/env bash
# nginx behind the filter: pages pass, floods do not, bans bite and expire alone.
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl tcpreplay jq
lab_up
web_up
write_config enforce
daemon_up

check "IPv4 page" fetch http://$WEB4/
check "IPv6 page" fetch "http://[$WEB6]/"
check "native XDP on both interfaces" test "$(xdpctl -j status | jq '[.interfaces[] | select(.xdp == "native")] | length')" = 2
check "nginx was discovered" grep -q "tcp 0.0.0.0:80" <(xdpctl status)

for kind in null xmas; do
    flood 5000 $ATTACKER4 $TARGET4 $kind
    flood 5000 $ATTACKER6 $TARGET6 $kind
    eventually "[ \$(dropped tcp_$kind) = 10000 ]"
    echo "ok: 10000 of 10000 tcp_$kind packets dropped"
done
check "pages after the flood" fetch http://$WEB4/
check "evidence of the drops" grep -q "dropped tcp_null" <(xdpctl events)
check "evidence has the source" grep -q "$ATTACKER4" <(xdpctl top)

for pair in "$CLIENT4 http://$WEB4/" "$CLIENT6 http://[$WEB6]/"; do
    set -- $pair
    xdpctl ban add "$1" --ttl 1h > /dev/null
    check_not "banned client $1 gets nothing" fetch "$2"
    xdpctl ban del "$1" > /dev/null
    check "after the ban" fetch "$2"
    xdpctl ban add "$1" --ttl 4s > /dev/null
    check_not "banned again" fetch "$2"
done
daemon_kill KILL
check_not "still banned with the daemon dead" fetch "http://[$WEB6]/"
sleep 5
check "the ban expired with the daemon dead" fetch http://$WEB4/
check "both families" fetch "http://[$WEB6]/"

daemon_up
xdpctl ban add 198.51.100.0/29 > "$DIR/out" 2> "$DIR/err" && fail "own network was banned"
check "a ban of our own address is refused" grep -q "it contains 198.51.100.1, an address of this host" "$DIR/err"
xdpctl allow add $CLIENT4 > /dev/null
check_code 7 "a ban of an allowed address is refused" xdpctl ban add $CLIENT4
