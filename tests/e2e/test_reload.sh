#!/usr/bin/env bash
# Policies flip under traffic without one misjudged packet.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl tcpreplay jq
lab_up
web_up
# Both policies block the attacker, by different prefixes; a packet that saw the
# mode of one and the lists of the other, or no lists at all, would pass.
write_config enforce '[lists]
block = ["203.0.113.2", "2001:db8:a::2"]'
cp "$DIR/xdpctl.toml" "$DIR/a.toml"
write_config enforce '[lists]
block = ["203.0.113.0/25", "2001:db8:a::/64", "192.0.2.0/24"]
allow = ["203.0.113.64/26"]'
cp "$DIR/xdpctl.toml" "$DIR/b.toml"
daemon_up

flood 60000 $ATTACKER4 $TARGET4 ack 10000 &
sender=$!
EXTRA_PIDS=$sender
flips=0
while kill -0 $sender 2> /dev/null; do
    cp "$DIR/a.toml" "$DIR/xdpctl.toml"
    xdpctl apply "$DIR/a.toml" > /dev/null
    kill -HUP $DAEMON_PID
    xdpctl apply "$DIR/b.toml" > /dev/null
    flips=$((flips + 2))
    fetch http://$WEB4/ || fail "a page was lost"
done
wait $sender
check "flipped often ($flips times)" test $flips -ge 40
eventually "[ \$(dropped blocked) = 60000 ]"
echo "ok: 60000 of 60000 dropped over $flips flips"

echo 'nonsense = 1' >> "$DIR/xdpctl.toml"
before=$(xdpctl -j status | jq .generation)
kill -HUP $DAEMON_PID
eventually "xdpctl status | grep -q 'last reload refused: .*nonsense'"
check_equal "a wrong reload changes nothing" "$(xdpctl -j status | jq .generation)" "$before"
