#!/usr/bin/env bash
# Services for some countries and AS numbers only, with real databases: who is connected
# stays, who is outside is refused, nobody locks himself out.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq socat perl
database() { # NAME KIND < lines
    "$ROOT/tests/harness/mkmmdb.pl" "$DIR/$1.mmdb" "$2" || {
        [ $? = 77 ] && skip "needs MaxMind::DB::Writer (libmaxmind-db-writer-perl)"
        fail "making a database"
    }
}
countries() { # CLIENT ATTACKER
    printf '198.51.100.0/24 %s\n2001:db8:c::/48 %s\n203.0.113.0/24 %s\n2001:db8:a::/48 %s\n' \
        "$1" "$1" "$2" "$2" | database country country
}
countries CN US
printf '203.0.113.0/25 AS64500\n2001:db8:a::/48 AS64500\n' | database asn asn
lab_up
web_up
truncate -s 400M "$DIR/web/endless"
write_config enforce "[geo]
databases = [\"$DIR/country.mmdb\", \"$DIR/asn.mmdb\"]
[[geo.services]]
ports = [80]
only = [\"CN\"]"
daemon_up
from_attacker() { in_attacker curl -sf -o /dev/null --connect-timeout 1 --max-time 3 "$@"; }
both() { "$1" http://$2/ && "$1" "http://[$3]/"; }

check "narrowed to a country: its clients come in" both fetch $WEB4 $WEB6
check_not "others do not (IPv4)" from_attacker http://$TARGET4/
check_not "nor over IPv6" from_attacker "http://[$TARGET6]/"
check "refused with its own reason" test "$(dropped geo_refused)" -ge 2
explain() { xdpctl -j explain $ATTACKER4 $TARGET4 --dport 80 --flags S | jq -r "$1"; }
check_equal "explain says so" "$(explain .reason)" geo_refused
check_equal "and where the source is" "$(explain '.source_codes | join(" ")')" "AS64500 US"
check_equal "the list counts them" "$(xdpctl -j geo | jq '.refused_packets >= 2')" true

# A download that began before the service was closed goes on; a new one does not begin.
xdpctl geo set 80 --open
in_attacker curl -s --limit-rate 1M -o "$DIR/got" http://$TARGET4/endless &
download=$!
eventually '[ -s "$DIR/got" ]'
xdpctl geo set 80 --closed AS64500,US
check_not "closed for an AS number" from_attacker http://$TARGET4/
check_not "and over IPv6" from_attacker "http://[$TARGET6]/"
check "open to the rest" both fetch $WEB4 $WEB6
before=$(stat -c %s "$DIR/got")
eventually "[ \$(stat -c %s '$DIR/got') -gt $((before + 2000000)) ]"
echo "ok: who is connected stays"
kill $download
wait $download 2> /dev/null || true

# UDP has no connections: every packet is asked.
nsenter --net=/run/netns/$HOST socat -T 2 UDP6-LISTEN:5353,fork,reuseaddr EXEC:cat &
EXTRA_PIDS="$EXTRA_PIDS $!"
ask() { # NAMESPACE ADDRESS
    [ "$(echo hello | nsenter --net=/run/netns/$1 socat -t 1 - "UDP:$2:5353")" = hello ]
}
eventually "ask $CLIENT $WEB4"
xdpctl geo set 5353 --only CN
check "UDP of the country" ask $CLIENT $WEB4
check "and over IPv6" ask $CLIENT "[$WEB6]"
check_not "not of others" ask $ATTACKER $TARGET4
check_not "nor over IPv6" ask $ATTACKER "[$TARGET6]"
xdpctl geo set 5353 --default
check "as configured: open" ask $ATTACKER $TARGET4

# The allow list comes first.
xdpctl allow add $ATTACKER4 > /dev/null
check "who is allowed comes in" from_attacker http://$TARGET4/
xdpctl allow del $ATTACKER4 > /dev/null

# Nobody locks himself out.
nsenter --net=/run/netns/$HOST socat TCP-LISTEN:22,fork,reuseaddr EXEC:cat &
EXTRA_PIDS="$EXTRA_PIDS $!"
eventually "in_client socat -u OPEN:/dev/null TCP:$WEB4:22"
nsenter --net=/run/netns/$CLIENT socat EXEC:"sleep 60" TCP:$WEB4:22 > /dev/null 2>&1 &
EXTRA_PIDS="$EXTRA_PIDS $!"
eventually "in_host ss -Htn state established '( sport = :22 )' | grep -q $CLIENT4"
check_code 7 "SSH is not closed for who is logged in" xdpctl geo set 22 --only US
check "and it is said who" grep -q "$CLIENT4 (port 22)" "$DIR/err"
check_code 0 "for others it may be" xdpctl geo set 22 --only CN
check_code 0 "or with force" xdpctl geo set 22 --only US --force
xdpctl geo set 22 --only CN
check_code 4 "a country that no database knows" xdpctl geo set 80 --only ZZ
check_code 2 "a code that is none" xdpctl geo set 80 --only CHINA
xdpctl geo set 80 --default
cp "$DIR/xdpctl.toml" "$DIR/wrong.toml"
sed -i 's/"CN"/"ZZ"/' "$DIR/wrong.toml"
check_code 6 "a configuration with it is not taken" xdpctl apply "$DIR/wrong.toml"

xdpctl geo set 443 --closed US

# A database that says something else is followed; a bad one is not.
check_not "narrowed as configured" from_attacker http://$TARGET4/
countries US CN
eventually "from_attacker http://$TARGET4/"
check_not "the other country is refused now" fetch http://$WEB4/
head -c 100 "$DIR/country.mmdb" > "$DIR/bad" && mv "$DIR/bad" "$DIR/country.mmdb"
eventually 'xdpctl -j geo | jq -e ".problem != \"\" and .in_force" > /dev/null'
check "a bad database changes nothing" from_attacker http://$TARGET4/
check_not "nothing at all" fetch http://$WEB4/

# What was set by hand survives; where no database can be read rules wait, and it is said.
daemon_kill TERM
check "without the daemon too" from_attacker http://$TARGET4/
daemon_up
check "without a database every service is open" fetch http://$WEB4/
check_equal "and it is said" "$(xdpctl -j geo | jq .in_force)" false
check "status warns" sh -c "$BUILD/bin/xdpctl --socket $XDPCTL_SOCKET status | grep -q 'no rule of geo'"
countries CN US
eventually 'xdpctl -j geo | jq -e .in_force > /dev/null'
eventually "! from_attacker http://$TARGET4/"
check "in force again" fetch http://$WEB4/
check_equal "with what was set by hand" \
    "$(xdpctl -j geo | jq -r '.services[] | select(.port == 443) | .closed[0]')" US
