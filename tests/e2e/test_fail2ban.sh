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
dbfile = $DIR/f2b/db
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
[other]
enabled = true
bantime = 900
logpath = $DIR/other.log
[grows]
enabled = true
bantime = 8
bantime.increment = true
bantime.multipliers = 1 100
bantime.overalljails = false
logpath = $DIR/grows.log
[forever]
enabled = true
bantime = -1
logpath = $DIR/forever.log
END
for log in short other grows forever; do : > "$DIR/$log.log"; done
f2b() { fail2ban-client -c "$DIR/f2b" -s "$DIR/f2b/socket" "$@"; }
f2b_up() {
    nsenter --net=/run/netns/$HOST fail2ban-server -c "$DIR/f2b" -s "$DIR/f2b/socket" \
        -p "$DIR/f2b/pid" -f start >> "$DIR/f2b/out" 2>&1 &
    EXTRA_PIDS="$EXTRA_PIDS $!"
    eventually 'f2b ping > /dev/null 2>&1'
}
f2b_up
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

# One address, two jails: each lifts its own ban.
for address in 192.0.2.70 2001:db8:f::70; do
    fails "$DIR/short.log" $address
    eventually "[ -n \"\$(remaining $address)\" ]"
    fails "$DIR/other.log" $address
    eventually "[ \"\$(remaining $address | cut -d. -f1)\" -gt 700 ]"
    f2b set other unbanip $address > /dev/null
    eventually "[ \"\$(remaining $address | cut -d. -f1)\" -lt 700 ]"
    check "the other jail's ban stays ($address)" test -n "$(remaining $address)"
    f2b set short unbanip $address > /dev/null
    eventually "[ -z \"\$(remaining $address)\" ]"
    fails "$DIR/other.log" $address
done
eventually '[ -n "$(remaining 192.0.2.70)" ] && [ -n "$(remaining 2001:db8:f::70)" ]'
echo "ok: lifted by both it is free; banned again"

# A growing ban time arrives, though fail2ban tells it late.
fails "$DIR/grows.log" 192.0.2.71
eventually '[ -n "$(remaining 192.0.2.71)" ]'
for _ in 1 2; do # the ban ends by itself
    grep -q "Unban 192.0.2.71" "$DIR/f2b/fail2ban.log" || sleep 8
done
eventually '[ -z "$(remaining 192.0.2.71)" ]'
sleep 1
fails "$DIR/grows.log" 192.0.2.71
eventually '[ -n "$(remaining 192.0.2.71)" ]'
for _ in 1 2; do
    [ "$(remaining 192.0.2.71 | cut -d. -f1)" -gt 100 ] || sleep 7
done
left=$(remaining 192.0.2.71)
check "the longer time is in force ($left s)" test "${left%.*}" -gt 100 -a "${left%.*}" -le 800

fails "$DIR/forever.log" 192.0.2.66
eventually '[ "$(remaining 192.0.2.66)" = null ]'
echo "ok: for ever"
fails "$DIR/short.log" $CLIENT4
eventually 'grep -q "allow list" "$DIR/f2b/fail2ban.log"'
check "who is on the allow list is not banned, and it is said" fetch http://$WEB4/

# What fail2ban restores after its restart is banned for what is left of its time.
f2b stop > /dev/null
eventually '[ -z "$(remaining 192.0.2.70)" ] && [ -z "$(remaining 192.0.2.66)" ]'
check "a stop flushes each jail at once" grep -q "Flush ticket(s) with xdpctl" "$DIR/f2b/fail2ban.log"
sleep 2
f2b_up
eventually '[ -n "$(remaining 2001:db8:f::70)" ] && [ "$(remaining 192.0.2.66)" = null ]'
left=$(remaining 192.0.2.71)
check "restored for what is left ($left s)" test "${left%.*}" -lt 799 -a "${left%.*}" -gt 700
f2b reload > /dev/null
eventually '[ -n "$(remaining 192.0.2.70)" ]'
echo "ok: a reload keeps the bans"
f2b set short banip 192.0.2.72 > /dev/null
eventually '[ -n "$(remaining 192.0.2.72)" ]'
f2b unban --all > /dev/null
eventually '[ -z "$(remaining 192.0.2.72)" ] && [ -z "$(remaining 192.0.2.66)" ]'
echo "ok: unban --all"
f2b stop > /dev/null
