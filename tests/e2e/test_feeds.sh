#!/usr/bin/env bash
# Block lists of others: from files and a server that serves them right, unchanged,
# redirected, wrong, too large, cut short and too slowly; over restarts, kill -9 and a live
# flood that a reload may not misjudge.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq socat tcpreplay
lab_up
web_up

# A server beside the host: the client's end. Numbers of lines: a hundred addresses each.
mkdir -p "$DIR/feeds"
hosts() { seq -f "192.0.2.%g" 100 $((99 + $1)); }
cp "$DIR/nginx.conf" "$DIR/feeds.conf"
cat > "$DIR/feeds.conf" << END
daemon off;
pid $DIR/feeds.pid;
error_log $DIR/feeds.log;
events { worker_connections 64; }
http {
    access_log $DIR/feeds.access;
    server { listen 8080; listen [::]:8080; root $DIR/feeds; default_type text/plain;
        location /moved { return 302 /good; }
        location /loop { return 302 /loop; }
        location /elsewhere { return 302 file:///etc/passwd; }
        location /slow { limit_rate 40; }
        location /missing { return 404; } }
}
END
nsenter --net=/run/netns/$CLIENT nginx -c "$DIR/feeds.conf" 2> "$DIR/feeds.err" &
EXTRA_PIDS=$!
# Says how long its answer is and does not keep its word.
cat > "$DIR/truncated" << 'END'
#!/bin/sh
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n192.0.2.1\n192.0.2.2\n'
END
chmod +x "$DIR/truncated"
nsenter --net=/run/netns/$CLIENT socat TCP4-LISTEN:8081,fork,reuseaddr EXEC:"$DIR/truncated" &
EXTRA_PIDS="$EXTRA_PIDS $!"
server=http://$CLIENT4:8080

hosts 100 > "$DIR/feeds/good"
printf '198.51.100.0/24\n203.0.113.0/24\n2001:db8:a::/48\n192.0.2.7\n' > "$DIR/feeds/hurts"
echo '<html><body>Sign in to go on</body></html>' > "$DIR/feeds/wrong"
seq -f '10.%g.0.0/16' 0 255 > "$DIR/feeds/huge"
{ seq -f '%g.0.0.0/8' 1 9; seq -f '%g.0.0.0/8' 11 13; } > "$DIR/feeds/wide"
printf '2a00::/18\n' > "$DIR/feeds/wide6"
seq -f '# %.0f' 1000000000 1000200000 > "$DIR/feeds/long" # 2.6 MB, where 100 entries may take 1 MiB
gzip < "$DIR/feeds/long" > "$DIR/feeds/bomb"
hosts 100 > "$DIR/feeds/slow"
printf '2001:db8:a:0:1::/80\n{"cidr":"2001:db8:f::/48"}\n' > "$DIR/local.list"
feed() { # NAME URL [more]
    printf '[[feeds]]\nname = "%s"\nurl = "%s"\n%s\n' "$1" "$2" "${3:-}"
}
write_config enforce "$(feed good "$server/good"
    feed hurts "$server/hurts"
    feed moved "http://[$CLIENT6]:8080/moved"
    feed loop "$server/loop"
    feed elsewhere "$server/elsewhere"
    feed wrong "$server/wrong"
    feed huge "$server/huge" "max_entries = 100"
    feed wide "$server/wide" "widest_ipv4 = 8"
    feed wide6 "$server/wide6" "widest_ipv6 = 18"
    feed long "$server/long" "max_entries = 100"
    feed bomb "$server/bomb" "max_entries = 100"
    feed truncated "http://$CLIENT4:8081/x"
    feed missing "$server/missing"
    feed slow "$server/slow"
    feed local "$DIR/local.list")"
daemon_up
of() { xdpctl -j feed | jq -r ".feeds[] | select(.name == \"$1\") | $2"; }
eventually '[ "$(xdpctl -j feed | jq "[.feeds[] | select(.fetched == null and .problem == \"\" and .name != \"slow\")] | length")" = 0 ]'
check_equal "a slow server holds up no other" "$(of slow .fetched)" null
check_equal "a list from a server" "$(of good '.ipv4')" 100
check_equal "a redirected one over IPv6" "$(of moved '.ipv4')" 100
check_equal "one from a file" "$(of local '.ipv6')" 2
check_equal "what would hurt this host is not taken" "$(of hurts '"\(.ipv4) \(.protected)"')" "1 3"
check "and it is said aloud" grep -q "hurts: .*3 refused" "$DIR/daemon.log"
for case in "wrong page of html" "huge at most 100" "long larger than" "bomb unpacks to more than" "wide of the public ipv4" "wide6 of the public ipv6" \
    "truncated transferred a partial" \
    "missing (404)" "loop redirects" "elsewhere protocol"; do
    problem=$(of "${case%% *}" .problem)
    [[ ${problem,,} = *"${case#* }"* ]] || fail "${case%% *}: '$problem'"
done
echo "ok: every failure has its cause"

check_equal "nothing of what covers too much is in force" "$(of wide .ipv4)$(of wide6 .ipv6)" 00
xdpctl feed refresh wide --force > /dev/null
eventually '[ "$(of wide .ipv4)" = 12 ]'
echo "ok: --force takes it"
check "check warns of plain http" grep -q "good: plain http: anybody on the path" \
    <(xdpctl check "$DIR/xdpctl.toml" 2>&1)
check "so does the start" grep -q "good: plain http: anybody on the path" "$DIR/daemon.log"

# What it blocks is dropped and counted for it.
flood 500 192.0.2.120 $TARGET4 ack
eventually '[ $(dropped blocked) = 500 ]'
list_packets() { xdpctl -j status | jq "[.lists[] | select(.name == \"good\" or .name == \"moved\") | .packets] | add"; }
eventually '[ $(list_packets) = 500 ]'
echo "ok: counted for the list that spoke"
xdpctl explain 192.0.2.120 $WEB4 > "$DIR/explained"
check "explain names the list and the prefix" grep -q "192.0.2.120 is on the list good, which decides" \
    "$DIR/explained"

# Unchanged, then changed, then changed too much.
xdpctl feed refresh good > /dev/null
eventually 'grep -q "\"GET /good HTTP/1.1\" 304" "$DIR/feeds.access"'
echo "ok: an unchanged list is not sent again"
sleep 1.1 # the server's validators count seconds
hosts 120 > "$DIR/feeds/good"
xdpctl feed refresh good > /dev/null
eventually '[ "$(of good .ipv4)" = 120 ]'
sleep 1.1
hosts 10 > "$DIR/feeds/good"
xdpctl feed refresh good > /dev/null
eventually '[[ "$(of good .problem)" = *"110 entries go"* ]]'
check_equal "most of it gone: the last good copy stays" "$(of good .ipv4)" 120
xdpctl feed refresh good --force > /dev/null
eventually '[ "$(of good .ipv4)" = 10 ]'
echo "ok: --force takes it"

# What is not understood is refused with the line and the cause, and the last good copy stays.
sleep 1.1
{ hosts 10; echo "192.0.2.50 443"; } > "$DIR/feeds/good"
xdpctl feed refresh good > /dev/null
eventually '[[ "$(of good .problem)" = *"line 11: '"'192.0.2.50 443'"'"* ]]'
check_equal "a line that is not understood: the last good copy stays" "$(of good .ipv4)" 10
sleep 1.1
hosts 10 > "$DIR/feeds/good"
xdpctl feed refresh good > /dev/null
eventually '[ "$(of good .problem)" = "" ]'
echo "ok: mended, it is taken"

# Every format as it is meant, or refused.
printf 'Start\tEnd\tNetmask\tAttacks\n198.18.7.0\t198.18.7.255\t24\t1234\n' > "$DIR/dshield.list"
printf '198.18.9.0 - 198.18.9.255\n2001:db8:9:: - 2001:db8:9:ffff:ffff:ffff:ffff:ffff\n' > "$DIR/range.list"
seq -f '198.18.10.%g' 0 255 | gzip > "$DIR/gzip.list"
printf '# a\n"first_seen","dst_ip","dst_port"\n"2024-01-01","198.18.11.9","443"\n' > "$DIR/csv.list"
printf '[\n{"ip_address": "198.18.12.9", "port": 443}\n]\n' > "$DIR/json.list"
printf 'PK\003\004and more' > "$DIR/zip.list"
printf '127.0.0.1 localhost\n0.0.0.0 evil.example\n' > "$DIR/hosts.list"
printf '198.18.20.1,80\n' > "$DIR/nohead.list"
printf 'add a 198.18.21.1,tcp:80\n' > "$DIR/ports.list"
printf 'create nets hash:net family inet\nadd nets 198.18.13.0/24\nadd nets 198.18.13.128/25 nomatch\n' \
    > "$DIR/ipset.list"
if command -v ipset > /dev/null && in_host ipset create nets hash:net 2> /dev/null; then
    in_host ipset add nets 198.18.13.0/24
    in_host ipset add nets 198.18.13.128/25 nomatch
    in_host ipset save nets > "$DIR/ipset.list"
    echo "ok: the set is saved by ipset itself"
fi
write_config enforce "$(feed good "$server/good"
    for name in dshield range gzip csv json zip hosts nohead ports ipset; do
        feed $name "$DIR/$name.list"
    done)"
xdpctl apply "$DIR/xdpctl.toml" > /dev/null
eventually '[ "$(xdpctl -j feed | jq "[.feeds[] | select(.fetched == null and .problem == \"\")] | length")" = 0 ]'
reason() { xdpctl -j explain $1 ${2:-$WEB4} --dport 80 --flags S | jq -r .reason; }
for case in 198.18.7.9 198.18.9.9 198.18.10.9 198.18.11.9 198.18.12.9 198.18.13.9; do
    check_equal "$case is blocked" "$(reason $case)" blocked
done
check_equal "IPv6 ranges too" "$(reason 2001:db8:9:8::1 $WEB6)" blocked
check_equal "what nomatch names is not blocked" "$(reason 198.18.13.200 | grep -c blocked || true)" 0
for case in "zip a zip archive" "hosts host names" "nohead no header says" "ports more than an address"; do
    problem=$(of "${case%% *}" .problem)
    [[ $problem = *"${case#* }"* ]] || fail "${case%% *}: '$problem'"
    check_equal "${case%% *}: nothing of it is in force" "$(of "${case%% *}" .ipv4)" 0
done
# A file is what the operator says: it may grow, shrink and be empty.
seq -f '198.18.7.%g' 0 255 > "$DIR/dshield.list"
xdpctl feed refresh dshield > /dev/null
eventually '[ "$(of dshield .ipv4)" = 256 ]'
echo "# none" > "$DIR/dshield.list"
xdpctl feed refresh dshield > /dev/null
eventually '[ "$(of dshield .ipv4)" = 0 ]'
check_equal "without a problem" "$(of dshield .problem)" ""

# The server is gone; the daemon is killed: the copies are in force again.
kill ${EXTRA_PIDS%% *}
daemon_kill KILL
daemon_up
check_equal "the last good copy after kill -9" "$(of good .ipv4)" 10
flood 300 192.0.2.105 $TARGET4 ack
eventually '[ $(dropped blocked) = 800 ]'
daemon_kill KILL
printf 'x' >> "$DIR/state/feeds/good.feed"
daemon_up
check "a damaged copy is not used, and said" grep -q "good.feed: it is damaged" "$DIR/daemon.log"

# A large list comes and goes under a flood, of which every packet is on it.
million() { seq -f '%.0f' "$1" "$2" | awk '{printf "10.%d.%d.%d\n", $1 / 65536 % 256, $1 / 256 % 256, $1 % 256}'; }
{ echo 203.0.112.0/23; echo 203.0.113.77; } > "$DIR/always.list"
million 0 999999 > "$DIR/large.list"
echo 203.0.113.77 >> "$DIR/large.list"
write_config enforce "$(feed always "$DIR/always.list"
    feed large "$DIR/large.list" 'max_change = 100000')"
kill -HUP $DAEMON_PID
eventually '[ "$(of large .ipv4)" = 1000001 ]'
before=$(dropped blocked)
flood 100000 203.0.113.77 $TARGET4 ack 8000 &
sender=$!
EXTRA_PIDS="$EXTRA_PIDS $sender"
turns=0
while kill -0 $sender 2> /dev/null; do
    million $((turns % 2 * 1000000)) $((turns % 2 * 1000000 + 999999)) > "$DIR/large.list"
    echo 203.0.113.77 >> "$DIR/large.list"
    xdpctl feed refresh large > /dev/null
    sleep 1
    turns=$((turns + 1))
done
wait $sender
eventually "[ \$(dropped blocked) = $((before + 100000)) ]"
check "the list was exchanged while the flood went on ($turns times)" test $turns -ge 3
echo "ok: 100000 of 100000 dropped while a million entries changed $turns times"
