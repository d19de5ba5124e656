#!/usr/bin/env bash
# Published container ports and masqueraded connections, behind the guard and under
# a flood: with and without a listener (as docker-proxy) in the host's namespace.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl nft socat bpftool jq

guard() { xdpctl -j guard | jq -r ".guards[] | select(.port == $1) | .$2"; }
# N fetches, one after the other; how many came back.
count_ok() { # N URL
    local n ok=0
    for n in $(seq "$1"); do
        if in_client curl -sf -o /dev/null --connect-timeout 1 --max-time 2 "$2"; then ok=$((ok + 1)); fi
    done
    echo $ok
}

lab_up
inner_up
answers_ready
in_host nft -f - << END
table inet published {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname { "cli0", "atk0" } meta nfproto ipv4 tcp dport { 8080, 8081 } dnat ip to $INNER4:80
        iifname { "cli0", "atk0" } meta nfproto ipv6 tcp dport { 8080, 8081 } dnat ip6 to [$INNER6]:80
        iifname { "cli0", "atk0" } meta nfproto ipv4 udp dport 5000 dnat ip to $INNER4:5000
        iifname { "cli0", "atk0" } meta nfproto ipv6 udp dport 5000 dnat ip6 to [$INNER6]:5000
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "cli0" masquerade
    }
}
END
web_up
sed "s|nginx\.pid|inner.pid|; s|nginx\.log|inner.log|" "$DIR/nginx.conf" > "$DIR/inner.conf"
nsenter --net=/run/netns/$INNER nginx -c "$DIR/inner.conf" 2> /dev/null &
EXTRA_PIDS=$!
# Like docker-proxy: it listens, but never sees the packets.
nsenter --net=/run/netns/$HOST socat TCP6-LISTEN:8080,ipv6only=0,fork,reuseaddr,backlog=128 /dev/null &
EXTRA_PIDS="$EXTRA_PIDS $!"
nsenter --net=/run/netns/$INNER socat UDP6-RECVFROM:5000,ipv6only=0,fork EXEC:cat 2> /dev/null &
EXTRA_PIDS="$EXTRA_PIDS $!"
write_config enforce '[guard]
syn_service_per_second = 2000
[limits]
udp = ["service 3kpps"]'
daemon_up
eventually '[ -n "$(guard 8080 port)" ]'
eventually '[ "$(count_ok 1 http://$WEB4:8080/)" = 1 ]'
check_equal "published ports answer in peace" \
    "$(count_ok 5 http://$WEB4:8080/) $(count_ok 5 "http://[$WEB6]:8080/") $(count_ok 5 http://$WEB4:8081/)" "5 5 5"

# A published UDP port: that a flow was answered once gives it no more room than others have.
ask() { echo hello | in_client timeout 2 socat -t 1 - "$1"; }
check_equal "a published UDP port answers" "$(ask UDP4:$WEB4:5000) $(ask UDP6:[$WEB6]:5000)" "hello hello"
in_host sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.atk0.rp_filter=0
inner_udp() { in_inner awk '$1 == "Udp:" && $2 ~ /^[0-9]/ {four = $2 + $3} END {print four}' /proc/net/snmp; }
inner_udp6() { in_inner awk '$1 ~ /^Udp6(InDatagrams|NoPorts)$/ {sum += $2} END {print sum}' /proc/net/snmp6; }
for family in "$TARGET4 198.18.7.0/25 inner_udp" "$TARGET6 2001:db8:f:7::/121 inner_udp6"; do
    read -r to from count <<< "$family"
    begun=$($count)
    spoof $to udp $from --port 5000 --from-port 7000 --even --pps 10000 --seconds 3 > /dev/null
    sleep 0.5
    reached=$(($($count) - begun))
    check "of 30,000 packets of 128 answered flows $reached reach the container" [ $reached -lt 16000 ]
    check "and not none" [ $reached -gt 1000 ]
done

# A connection from inside, masqueraded, that lives through all of it.
nsenter --net=/run/netns/$CLIENT socat TCP6-LISTEN:9000,fork,ipv6only=0 PIPE &
EXTRA_PIDS="$EXTRA_PIDS $!"
sleep 0.3
(for n in $(seq 200); do echo "line $n"; sleep 0.1; done) |
    nsenter --net=/run/netns/$INNER socat -t 5 - TCP4:$CLIENT4:9000 > "$DIR/echoed" &
echoing=$!

xdpctl guard set 8080 on > /dev/null
spoof $TARGET4 syn 198.18.0.0/15 --port 8080 --seconds 60 --pps 20000 > /dev/null &
floods="$!"
spoof $TARGET6 syn 2001:db8:f::/48 --port 8080 --seconds 60 --pps 20000 > /dev/null &
floods="$floods $!"
spoof $TARGET4 syn 198.18.0.0/15 --port 8081 --seconds 60 --pps 20000 > /dev/null &
floods="$floods $!"
# Clients whose cookies are accepted, and never become connections here.
# The first time cookies are off for two seconds, then for eight, then for longer.
trying() { for _ in $(seq 24); do count_ok 1 http://$WEB4:8080/ > /dev/null & done; }
fell_back() { [ "$(xdpctl events -k guard | grep -c "tcp/8080: COOKIES OFF")" -ge "$1" ]; }
fall_back() { # N: they keep trying until cookies went off for the Nth time
    local round
    for round in $(seq 8); do
        trying
        for _ in $(seq 20); do
            if fell_back "$1"; then return 0; fi
            sleep 0.1
        done
    done
    fail "cookies did not go off for the ${1}th time: $(xdpctl -j guard | jq -c '.guards[] | select(.port == 8080)')"
}
fall_back 1
eventually '[ "$(guard 8080 cookies_off_seconds)" = null ]'
fall_back 2
echo "ok: the guard's own proof failed, and cookies went off"
check_equal "known clients connect to the published port" "$(count_ok 10 http://$WEB4:8080/)" 10
check_equal "over IPv6 too" "$(count_ok 10 "http://[$WEB6]:8080/")" 10
check_equal "and where nothing listens in the host's namespace" "$(count_ok 10 http://$WEB4:8081/)" 10
check "SYNs were limited instead" [ "$(dropped syn_limited)" -gt 1000 ]
check_equal "the host's own service keeps its cookies" "$(guard 80 cookies_off_seconds)" null
wait $echoing
check_equal "the masqueraded connection lost nothing" "$(tail -n 1 "$DIR/echoed")" "line 200"
kill $floods
