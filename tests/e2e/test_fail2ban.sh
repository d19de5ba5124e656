#!/usr/bin/env bash
# The real fail2ban bans, lifts and bans for ever through the action that is shipped.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need fail2ban-client fail2ban-server curl nginx jq tcpreplay
lab_up
web_up
write_config enforce '[lists]
allow = ["198.51.100.2"]'
daemon_up

mkdir -p "$DIR/f2b/action.d" "$DIR/f2b/filter.d" "$DIR/f2b/jail.d"
cp /etc/fail2ban/paths-common.conf "$DIR/f2b/" 2> /dev/null || true
cp "$ROOT/tools/fail2ban/xdpctl.conf" "$DIR/f2b/action.d/"
cat > "$DIR/f2b/fail2ban.conf" << END
[Definition]
loglevel = INFO
logtarget = $DIR/f2b/fail2ban.log
syslogsocket = auto
socket = $DIR/f2b/socket
pidfile = $DIR/f2b/pid
dbfile = None
dbpurgeage = 1d
END
cat > "$DIR/f2b/filter.d/lab.conf" << 'END'
[Definition]
failregex = login failed from <HOST>$
datepattern = ^%%Y-%%m-%%d %%H:%%M:%%S
END
cat > "$DIR/f2b/jail.conf" << END
[DEFAULT]
backend = polling
maxretry = 3
findtime = 600
action = xdpctl[xdpctl="$BUILD/bin/xdpctl --socket $XDPCTL_SOCKET"]
filter = lab
[short]
enabled = true
bantime = 600
logpath = $DIR/short.log
[forever]
enabled = true
bantime = -1
logpath = $DIR/forever.log
END
: > "$DIR/short.log"
: > "$DIR/forever.log"
nsenter --net=/run/netns/$HOST fail2ban-server -c "$DIR/f2b" -s "$DIR/f2b/socket" \
    -p "$DIR/f2b/pid" -f start > "$DIR/f2b/out" 2>&1 &
EXTRA_PIDS=$!
f2b() { fail2ban-client -c "$DIR/f2b" -s "$DIR/f2b/socket" "$@"; }
eventually 'f2b ping > /dev/null 2>&1'
fails() { # LOG ADDRESS
    local i
    for i in 1 2 3; do echo "$(date '+%Y-%m-%d %H:%M:%S') login failed from $2" >> "$1"; done
}
remaining() { xdpctl -j ban list | jq -r ".bans[] | select(.prefix == \"$1\") | .remaining_seconds"; }

fails "$DIR/short.log" $ATTACKER4
fails "$DIR/short.log" $ATTACKER6
eventually '[ -n "$(remaining $ATTACKER4)" ] && [ -n "$(remaining $ATTACKER6)" ]'
left=$(remaining $ATTACKER4)
check_equal "by whom, and why" "$(xdpctl -j ban list | jq -r ".bans[] |
    select(.prefix == \"$ATTACKER6\") | .origin + \" \" + .reason")" "fail2ban short"
check "for the time of the jail ($left s)" test "${left%.*}" -le 600 -a "${left%.*}" -gt 500
flood 200 $ATTACKER4 $TARGET4 ack
eventually '[ $(dropped banned) = 200 ]'
echo "ok: dropped at the NIC"

f2b set short unbanip $ATTACKER4 > /dev/null
eventually '[ -z "$(remaining $ATTACKER4)" ]'
echo "ok: lifted"
check "the other one stays" test -n "$(remaining $ATTACKER6)"

fails "$DIR/forever.log" 192.0.2.66
eventually '[ "$(remaining 192.0.2.66)" = null ]'
echo "ok: for ever"
fails "$DIR/short.log" $CLIENT4
eventually 'grep -q "allow list" "$DIR/f2b/fail2ban.log"'
check "who is on the allow list is not banned, and it is said" fetch http://$WEB4/
f2b stop > /dev/null
