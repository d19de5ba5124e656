#!/usr/bin/env bash
# kill -9 under traffic: no packet, no counter and no ban is lost.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl tcpreplay jq
lab_up
web_up
write_config enforce
daemon_up
xdpctl ban add $ATTACKER6 --ttl 1h > /dev/null
xdpctl allow add 192.0.2.0/24 > /dev/null
program=$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')

flood 40000 $ATTACKER4 $TARGET4 null 8000 &
sender=$!
EXTRA_PIDS=$sender
pages=0
for round in 1 2 3 4; do
    for i in 1 2 3 4 5; do
        fetch http://$WEB4/ || fail "a page was lost"
        fetch "http://[$WEB6]/" || fail "a page was lost"
        pages=$((pages + 2))
    done
    daemon_kill KILL
    fetch http://$WEB4/ || fail "a page was lost while the daemon was dead"
    daemon_up
done
wait $sender
check_equal "pages fetched" $pages 40
eventually "[ \$(dropped tcp_null) = 40000 ]"
echo "ok: 40000 of 40000 dropped and counted over four kills"
check_equal "the program never changed" "$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')" "$program"
check "adopted, not loaded" grep -q "adopted the running data path" "$DIR/daemon.log"
check "the ban is still there" grep -q "$ATTACKER6" <(xdpctl ban)
check "the allow list is still there" grep -q "192.0.2.0/24" <(xdpctl allow)

daemon_kill TERM
check "on_stop = keep keeps the program" test "$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')" = "$program"
write_config enforce 'on_stop = "detach"'
daemon_up
daemon_kill TERM
check "on_stop = detach frees the interface" test "$(in_host ip -j link show dev atk0 | jq '.[0].xdp')" = null
check_not "and removes the pins" test -e "$PINS"
