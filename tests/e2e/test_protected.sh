#!/usr/bin/env bash
# What the host cannot do without is not blocked by any ban or list: resolvers behind a stub,
# whom its sockets ask, routers of every kind of route, private networks, who is logged in. What
# becomes so is banned no more; strangers cannot make themselves so. And many of everything.
set -euo pipefail
if [ -z "${PROTECTED_INSIDE:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "SKIPPED: needs root" >&2; exit 77; }
    # A /run and an /etc/resolv.conf of its own; the machine's stay as they are.
    PROTECTED_INSIDE=1 exec unshare --mount --propagation slave bash "$0" "$@"
fi
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq socat perl mount
mount -t tmpfs none /run
mkdir -p /run/systemd/resolve /run/netns
[ -e /etc/resolv.conf ] || skip "needs an /etc/resolv.conf to bind over"
printf '# a stub\nnameserver 127.0.0.53\noptions edns0\n' > "$DIR/stub"
mount --bind "$DIR/stub" "$(readlink -f /etc/resolv.conf)"
printf 'nameserver 192.0.2.53\nnameserver 2001:db8:53::53\n' > /run/systemd/resolve/resolv.conf
lab_up
web_up

verdict() { xdpctl -j explain "$@" | jq -r .reason; }
source_of() { xdpctl -j status | jq -r "[.protected[] | select(.prefix == \"$1\") | .kind + \" \" + .source] | join(\"; \")"; }
blocked4() { [ "$(verdict "$1" $WEB4 --dport 80 --flags S)" = "${2:-blocked}" ]; }
blocked6() { [ "$(verdict "$1" $WEB6 --dport 80 --flags S)" = "${2:-blocked}" ]; }

printf '%s\n' 192.0.2.53 2001:db8:53::53 192.0.2.0/28 192.0.2.200 2001:db8:bad::/48 \
    $CLIENT4 $CLIENT6 $ATTACKER4 $ATTACKER6 203.0.113.9 2001:db8:a::9 > "$DIR/bad.list"
write_config enforce "$(printf '[[feeds]]\nname = "bad"\nurl = "%s"\n' "$DIR/bad.list")"
daemon_up
eventually 'xdpctl -j feed | jq -e ".feeds[0].fetched != null" > /dev/null'

# Stubs.
check_not "the resolver behind the stub is on a list and not blocked" blocked4 192.0.2.53
check_not "nor its IPv6 address" blocked6 2001:db8:53::53
check "what else is on the list is" blocked4 192.0.2.200
check "of IPv6 too" blocked6 2001:db8:bad::7
check_code 7 "no ban of it" xdpctl ban add 192.0.2.53
check "and it is said from where that is known" grep -q "/run/systemd/resolve/resolv.conf" "$DIR/err"
check_code 7 "not of a network with it" xdpctl ban add 2001:db8:53::/48
check_code 7 "not by force either" xdpctl ban add 192.0.2.53 --force
check_code 7 "not of the stub" xdpctl ban add 127.0.0.53
check_code 7 "nor of the cloud's metadata" xdpctl ban add fd00:ec2::254
check_equal "status says so" "$(source_of 192.0.2.53)" "resolver /run/systemd/resolve/resolv.conf"
check "for people too" sh -c "xdpctl() { \"$BUILD/bin/xdpctl\" --socket $XDPCTL_SOCKET \"\$@\"; }
    xdpctl status -v | grep -q '^192.0.2.53 *a resolver of this host'"
check_not "only where it is asked for" sh -c "\"$BUILD/bin/xdpctl\" --socket $XDPCTL_SOCKET status | grep -q '^192.0.2.53'"

# Routers: an old ban ends when the address becomes one.
xdpctl ban add 203.0.113.9 --ttl 1h > /dev/null
xdpctl ban add 203.0.113.8/29 --ttl 1h > /dev/null
xdpctl ban add 2001:db8:a::9 --ttl 1h > /dev/null
check "a ban acts" blocked4 203.0.113.9 banned
in_host sysctl -qw net.ipv4.nexthop_compat_mode=0 2> /dev/null || true
in_host ip route add 192.0.2.128/25 via 203.0.113.9 table 100
in_host ip nexthop add id 7 via 2001:db8:a::9 dev atk0
in_host ip -6 route add 2001:db8:77::/48 nhid 7
eventually '! blocked4 203.0.113.9 banned && ! blocked4 203.0.113.9'
echo "ok: not of a router: neither the host's ban nor that of its network, nor a list"
eventually '! blocked6 2001:db8:a::9 banned && ! blocked6 2001:db8:a::9'
echo "ok: nor of a next hop object's"
check "the rest of the banned network stays banned" blocked4 203.0.113.10
check_equal "a router of any table" "$(source_of 203.0.113.9)" "gateway route, table 100"
check "a next hop object" sh -c "echo '$(source_of 2001:db8:a::9)' | grep -q 'gateway next hop 7'"
check "events say that it is protected" sh -c "grep -q 'protected: 203.0.113.9 is protected now' $DIR/daemon.log"
check "and that its ban ended" grep -q "unban: 203.0.113.9: it is a gateway" "$DIR/daemon.log"
in_host ip route add 198.18.5.0/24 nexthop via 203.0.113.11 nexthop via 203.0.113.12
in_host ip route add 198.18.6.0/24 via inet6 2001:db8:a::13 dev atk0
eventually '[ -n "$(source_of 203.0.113.12)" ] && [ -n "$(source_of 2001:db8:a::13)" ]'
echo "ok: of several paths, and of the other family"
in_host ip route del 192.0.2.128/25 table 100
eventually 'blocked4 203.0.113.9'
echo "ok: a router no more: its network's ban acts again"
check "and that is said" grep -q "203.0.113.9 is not protected any more" "$DIR/daemon.log"

# Private networks.
in_host ip route add 10.1.0.0/16 via 203.0.113.11
in_host ip -6 route add fd00:5::/48 via 2001:db8:a::13
eventually '[ "$(source_of fd00:5::/48)" = "private_network route" ]'
check_code 7 "no ban in a private network that is reached" xdpctl ban add 10.1.2.3
check_code 7 "nor around it" xdpctl ban add 10.0.0.0/8
check_code 7 "nor in IPv6" xdpctl ban add fd00:5::7
check_code 7 "nor by fail2ban" xdpctl ban add 10.1.2.3 --source fail2ban
check_code 0 "but by force" xdpctl ban add 10.1.2.3 --force
check_code 0 "others are no matter" xdpctl ban add 10.2.0.0/16

# Whom the host's own sockets ask.
udp() { nsenter --net=/run/netns/$HOST socat -u "$1:$2" STDOUT & EXTRA_PIDS="$EXTRA_PIDS $!"; }
check "a stranger is blocked" blocked4 $ATTACKER4
udp UDP4-CONNECT $ATTACKER4:53
udp UDP6-CONNECT "[$ATTACKER6]:123"
eventually '! blocked4 $ATTACKER4 && ! blocked6 $ATTACKER6'
echo "ok: who is asked for names and the time is on a list and not blocked"
check "status says who asks" sh -c "echo '$(source_of $ATTACKER4)' | grep -q 'resolver a socket of user 0 asks it'"
check_equal "a time server" "$(source_of $ATTACKER6 | cut -d' ' -f1)" time_server
check_code 7 "no ban of it" xdpctl ban add $ATTACKER4
check_code 0 "but by force" xdpctl ban add $ATTACKER4 --force
sleep 2.5
check "which stays" blocked4 $ATTACKER4 banned
xdpctl ban del $ATTACKER4 > /dev/null

# A stranger who comes from port 53, or tries passwords.
xdpctl feed refresh bad > /dev/null
nsenter --net=/run/netns/$HOST socat TCP-LISTEN:22,fork,reuseaddr EXEC:cat &
EXTRA_PIDS="$EXTRA_PIDS $!"
xdpctl mode monitor > /dev/null # so that he may
eventually "in_client socat -u OPEN:/dev/null TCP:$WEB4:22"
nsenter --net=/run/netns/$CLIENT socat EXEC:"sleep 100" TCP:$WEB4:22,sourceport=53 > /dev/null 2>&1 &
EXTRA_PIDS="$EXTRA_PIDS $!"
nsenter --net=/run/netns/$CLIENT socat EXEC:"sleep 100" "TCP:[$WEB6]:80,sourceport=853" > /dev/null 2>&1 &
EXTRA_PIDS="$EXTRA_PIDS $!"
eventually 'in_host ss -Htn state established | grep -q ":53 *$"'
sleep 2.5
xdpctl mode enforce > /dev/null
check "he is blocked" blocked4 $CLIENT4
check "by IPv6 too" blocked6 $CLIENT6
check_equal "nothing protects him" "$(source_of $CLIENT4)$(source_of $CLIENT6)" ""

# Who is logged in.
login() { # PID ADDRESS
    perl -MSocket=inet_pton,AF_INET -e 'print pack("s x2 l a32 a4 a32 a256 s s l l l a16 x20",
        7, $ARGV[0], "pts/0", "ts/0", "root", $ARGV[1], 0, 0, 0, 0, 0, inet_pton(AF_INET, $ARGV[1]))' "$1" "$2"
}
{ login 999999 203.0.113.77 && login $$ $CLIENT4; } > /run/utmp
eventually '! blocked4 $CLIENT4'
echo "ok: who is logged in is not blocked"
check_equal "by utmp" "$(source_of $CLIENT4)" "ssh_peer /var/run/utmp"
check_equal "who was cut off is not logged in" "$(source_of 203.0.113.77)" ""
check_code 7 "no ban of his own address" xdpctl ban add $CLIENT4
check "which names the way" grep -q -- "--force bans it" "$DIR/err"
check_code 0 "who insists may" xdpctl ban add $CLIENT4 --force
xdpctl ban del $CLIENT4 > /dev/null
: > /run/utmp
eventually '[ -z "$(source_of $CLIENT4)" ]'

# More addresses than anybody has; all known, none stale.
own() { bpftool map dump pinned "$PINS/own_addresses" | grep -c '^key\|"key"' || true; }
before=$(own)
perl -e 'for $i (0 .. 5999) { printf "addr add 198.19.%d.%d/32 dev cli0\n", $i / 250, $i % 250 + 1 }' > "$DIR/add"
in_host ip -batch "$DIR/add"
eventually "[ \$(own) = $((before + 6000)) ]"
echo "ok: 6000 more addresses are known"
check_code 7 "and none of them can be banned" xdpctl ban add 198.19.23.249
sed 's/^addr add/addr del/' "$DIR/add" > "$DIR/del"
in_host ip -batch "$DIR/del"
eventually "[ \$(own) = $before ]"
echo "ok: none of them stays behind"

# A user who listens on 300 ports.
cat > "$DIR/listen.pl" << 'END'
use IO::Socket::INET;
$> = $) = 65534;
@all = map { IO::Socket::INET->new(LocalPort => 21000 + $_, Listen => 5) } 1 .. 300;
sleep 100;
END
nsenter --net=/run/netns/$HOST perl "$DIR/listen.pl" &
listener=$!
EXTRA_PIDS="$EXTRA_PIDS $listener"
eventually 'xdpctl -j status | jq -e "[.warnings[] | select(contains(\"have no SYN guard, the first is tcp/\"))] | length == 1" > /dev/null'
echo "ok: what has no guard is named in status"
nsenter --net=/run/netns/$HOST socat TCP-LISTEN:8443,fork,reuseaddr EXEC:cat &
EXTRA_PIDS="$EXTRA_PIDS $!"
eventually 'xdpctl -j guard | jq -e "[.guards[] | select(.port == 8443)] | length == 1" > /dev/null'
echo "ok: a service of the system has one all the same"
kill $listener
eventually 'xdpctl -j status | jq -e "[.warnings[] | select(contains(\"SYN guard\"))] | length == 0" > /dev/null'
echo "ok: and nothing is left of it"
