#!/usr/bin/env bash
# kill -9 under traffic: no packet, no counter and no ban is lost.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl tcpreplay jq bpftool ping
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

# Another build of the same layout: a new program takes over the maps; another
# layout: everything is made anew. `meta` is layout, object, frags, each little-endian.
program_id() { in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id'; }
spoil_meta() { # OFFSET
    local bytes
    bytes=$(bpftool -j map lookup pinned "$PINS/meta" key hex 00 00 00 00 |
        jq -r "[.value[] | ltrimstr(\"0x\")] | .[$1] = \"00\" | .[$1 + 1] = \"01\" | join(\" \")")
    bpftool map update pinned "$PINS/meta" key hex 00 00 00 00 value hex $bytes
}
daemon_kill KILL
spoil_meta 8
daemon_up
check "another build replaces the program" test "$(program_id)" != "$program"
check "on the pinned maps" grep -q "loaded a new program on the pinned maps" "$DIR/daemon.log"
check_equal "counters went on" "$(dropped tcp_null)" 40000
check "bans went on" grep -q "$ATTACKER6" <(xdpctl ban)
check "pages" fetch "http://[$WEB6]/"
program=$(program_id)
known_clients() { bpftool -j map dump pinned "$PINS/known_clients" | jq -cS '[.[].key] | sort'; }
known=$(known_clients)
check "clients are known" test "$(jq length <<< "$known")" -gt 0
daemon_kill KILL
spoil_meta 0
# A banned host asks all the while: not one question comes through.
in_attacker ping -q -f -w 6 $TARGET6 > "$DIR/pings" 2>&1 &
pings=$!
daemon_up
wait $pings || true
check "nothing came through while one program took the other's place" grep -q " 0 received" "$DIR/pings"
check "another layout is loaded anew" grep -q "another layout than this version" "$DIR/daemon.log"
check "in place of the old program" test "$(program_id)" != "$program"
check_equal "with new counters" "$(dropped tcp_null)" 0
check_equal "the known clients" "$(known_clients)" "$known"
check "and the bans that were saved" grep -q "$ATTACKER6" <(xdpctl ban)
check "pages" fetch "http://$WEB4/"
program=$(program_id)
daemon_kill KILL
rm "$PINS/meta" # and one of a version that says more of itself
bpftool map create "$PINS/meta" type array key 4 value 65536 entries 1 name meta
daemon_up
check_equal "a larger meta is another layout" "$(grep -c "another layout than this version" "$DIR/daemon.log")" 2
check "in place of the old program" test "$(program_id)" != "$program"
check "and the bans that were saved" grep -q "$ATTACKER6" <(xdpctl ban)
check "pages" fetch "http://$WEB4/"

# Pins that somebody removed: what is missing is loaded anew, and pages go on.
for pin in judge clients_program ban_tags; do
    daemon_kill TERM
    rm "$PINS/$pin"
    daemon_up
    check "the daemon starts without the pin $pin" test -e "$PINS/$pin"
    check "attached" test "$(xdpctl -j status | jq '.interfaces | length')" = 2
    check "with its bans" grep -q "$ATTACKER6" <(xdpctl ban)
    check "pages" fetch "http://$WEB4/"
done
program=$(program_id)

daemon_kill TERM
check "on_stop = keep keeps the program" test "$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')" = "$program"
write_config enforce 'on_stop = "detach"'
daemon_up
daemon_kill TERM
check "on_stop = detach frees the interface" test "$(in_host ip -j link show dev atk0 | jq '.[0].xdp')" = null
check_not "and removes the pins" test -e "$PINS"

# As after a reboot: nothing is left in the kernel.
daemon_up
check "bans outlive a reboot" grep -q "$ATTACKER6" <(xdpctl ban)
daemon_kill TERM
sed -i '2s/operator/somebody/' "$DIR/state/bans"
daemon_up
check "a damaged file of bans is refused, and said" grep -q "state/bans: not used: line 2" "$DIR/daemon.log"
check_not "and not used in part" grep -q "$ATTACKER6" <(xdpctl ban)

# What was set by hand is lost, but nobody is without protection for it.
daemon_kill TERM
for damaged in '{"version": 99}' '{'; do
    printf '%s' "$damaged" > "$DIR/state/state.json"
    daemon_up
    check "a state file that holds '$damaged' is put aside, and said" \
        grep -q "state.json.bad" <(xdpctl status)
    check_equal "and kept" "$(cat "$DIR/state/state.json.bad")" "$damaged"
    check_equal "the configuration holds" "$(xdpctl -j status | jq -r .mode)" enforce
    daemon_kill TERM
done
daemon_up

# Killed at any moment, also while it writes: the file of bans is the old or the new one.
awk 'BEGIN { for (i = 0; i < 50000; i++) printf "10.1.%d.%d\n", i / 256, i % 256 }' > "$DIR/many"
RANDOM=20261122
echo "moments: RANDOM=$RANDOM after seed 20261122"
for round in 1 2 3 4 5 6; do
    xdpctl ban import "$DIR/many" --ttl 1h --reason "round $round" > /dev/null
    # The saver rests for two seconds: most of these meet a write.
    [ $round = 6 ] && eventually 'grep -q "round 6" "$DIR/state/bans"'
    sleep $((RANDOM % 2)).$((RANDOM % 10))
    daemon_kill KILL
    in_host ip link set cli0 xdpgeneric off
    in_host ip link set atk0 xdpgeneric off
    rm -rf "$PINS"
    daemon_up
    held=$(xdpctl -j status | jq .bans.active)
done
check_equal "no file of bans was torn" "$(grep -c 'not used' "$DIR/daemon.log")" 1 # the one above
check_equal "and what was written is in force" "$held" 50000
