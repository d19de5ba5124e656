#!/usr/bin/env bash
# Lockdown: who was here in peacetime connects as usual, also after a restart of the
# daemon; new clients get in at the rate that is admitted, once proven real.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl bpftool jq

new_client() { # N: one of many addresses of the client's machine
    in_client curl -sf -o /dev/null --connect-timeout 0.3 --max-time 0.5 --interface "198.51.100.$1" http://$WEB4/
}
new_client6() {
    in_client curl -sf -o /dev/null --connect-timeout 0.3 --max-time 0.5 --interface "2001:db8:c::$1" "http://[$WEB6]/"
}

lab_up
answers_ready
for n in $(seq 10 60); do
    in_client ip addr add 198.51.100.$n/24 dev eth0
    in_client ip addr add 2001:db8:c::$n/64 dev eth0 nodad
done
web_up
write_config enforce '[guard]
admit_per_second = 2'
daemon_up
check "a client in peacetime" new_client 10
check "and over IPv6" new_client6 10
sleep 3 # until they are known, see write_config
daemon_kill KILL
daemon_up
check_code 4 "no lockdown of what is no service" xdpctl guard lockdown 81 on
xdpctl guard lockdown 80 on > /dev/null
check_equal "lockdown is shown" "$(xdpctl -j guard | jq '.guards[] | select(.port == 80) | .lockdown')" true
eventually '[ "$(in_host sysctl -n net.ipv4.tcp_syncookies)" = 2 ]'
for _ in $(seq 10); do
    new_client 10 || fail "a known client was kept out (IPv4)"
    new_client6 10 || fail "a known client was kept out (IPv6)"
done
echo "ok: known clients connect, over a restart of the daemon"
admitted=0
for n in $(seq 11 50); do
    if new_client $n; then admitted=$((admitted + 1)); fi
    if new_client6 $n; then admitted=$((admitted + 1)); fi
done
check "some new clients were admitted ($admitted of 80)" [ $admitted -ge 2 ]
check "and not all" [ $admitted -lt 80 ]
check "the others ended under their reason" [ "$(dropped lockdown)" -gt 0 ]
xdpctl allow add 198.51.100.60 2001:db8:c::60 > /dev/null
for _ in 1 2 3 4 5 6; do
    new_client 60 || fail "an allowed client was kept out"
    new_client6 60 || fail "an allowed client was kept out (IPv6)"
done
echo "ok: allowed prefixes connect"
xdpctl guard lockdown 80 default > /dev/null
for n in $(seq 51 56); do new_client $n || fail "still locked down"; done
echo "ok: after lockdown everybody connects"
