#!/usr/bin/env bash
# The verbs: exit codes, JSON, errors, batches.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need curl jq tcpreplay
lab_up
check_code 3 "no daemon" xdpctl status
check "one line" test "$(wc -l < "$DIR/err")" = 1
check_code 3 "no daemon, as JSON" xdpctl -j status
check "an error object" test "$(jq -r .error.kind "$DIR/err")" = unreachable
check_code 2 "no such verb" xdpctl nonsense
check "named" grep -q "'nonsense' is not a verb" "$DIR/err"
check_code 2 "no verb" xdpctl
check_code 2 "daemon, no such option" "$BUILD/bin/xdpctld" --nonsense
check_code 0 "help" xdpctl --help
check_code 0 "version" xdpctl version

write_config monitor
daemon_up
second() { in_host "$BUILD/bin/xdpctld" -c "$DIR/second.toml"; }
sed 's/monitor/enforce/; s/xdpctl.sock/second.sock/' "$DIR/xdpctl.toml" > "$DIR/second.toml"
check_code 7 "a second daemon on the same pins is refused" second
check "and changed nothing" grep -q "monitored only" <(xdpctl explain $CLIENT4 $WEB4 --flags .)
printf '# \xff\n' > "$DIR/latin1.toml"
check_code 6 "a file that is not UTF-8" xdpctl diff "$DIR/latin1.toml"
check_code 2 "a word that is not UTF-8" xdpctl -j mode "$(printf '\xff')"
check_code 1 "an endless file" xdpctl check /dev/zero
check_code 1 "no room for the output" bash -c "$BUILD/bin/xdpctl version > /dev/full"
for verb in status stats top "ban list" "allow list" "trust list" "mode" "explain --reasons" "explain --reflectors" version; do
    check_code 0 "$verb" xdpctl $verb
    check_code 0 "$verb -j" xdpctl -j $verb
    check "$verb has a schema version" test "$(jq .schema_version "$DIR/out")" = 1
done
check_code 0 "events -j" xdpctl -j events
check "one object per line" jq -e .sequence "$DIR/out"

check_code 0 "check" xdpctl check "$DIR/xdpctl.toml"
check_code 0 "diff, the same" xdpctl diff "$DIR/xdpctl.toml"
sed 's/monitor/enforce/' "$DIR/xdpctl.toml" > "$DIR/new.toml"
check_code 10 "diff, different" xdpctl diff "$DIR/new.toml"
check "says what" grep -q "mode: monitor -> enforce" "$DIR/out"
check_code 0 "apply" xdpctl apply "$DIR/new.toml"
check "enforces" grep -q "^enforce" <(xdpctl mode)
echo "x = 1" > "$DIR/wrong.toml"
check_code 6 "check, wrong" xdpctl check "$DIR/wrong.toml"
check "line and key" grep -q "wrong.toml:1: x: unknown key" "$DIR/err"
check_code 6 "apply, wrong" xdpctl apply "$DIR/wrong.toml"
check_code 4 "check, absent" xdpctl check "$DIR/nosuch.toml"
check_code 0 "apply, the daemon's own file" xdpctl apply
check "back to monitor" grep -q "^monitor" <(xdpctl mode)
check_code 2 "mode, wrong" xdpctl mode drop
check_code 0 "mode" xdpctl mode enforce

awk 'BEGIN { for (i = 0; i < 100000; i++) printf "10.%d.%d.%d # n\n", i / 65536, i / 256 % 256, i % 256 }' > "$DIR/list"
check_code 0 "ban import of 100000" xdpctl ban import - --ttl 1h < "$DIR/list"
check_equal "all of them" "$(cat "$DIR/out")" "100000 added"
check_equal "listed" "$(xdpctl -j ban | jq '.bans | length')" 100000
check_code 2 "import, wrong line" xdpctl ban import - < <(printf '192.0.2.1\n192.0.2.300\n')
check "named" grep -q "standard input:2: '192.0.2.300'" "$DIR/err"
check_code 1 "import beyond the size" xdpctl ban import - < <(awk 'BEGIN { for (i = 0; i < 300000; i++) printf "11.%d.%d.%d\n", i / 65536, i / 256 % 256, i % 256 }')
check "names the key" grep -q "maps.bans" "$DIR/err"
check_equal "nothing of it was added" "$(xdpctl -j ban | jq '.bans | length')" 100000
rss() { awk '/VmRSS/ { print $2 }' /proc/$DAEMON_PID/status; }
xdpctl -j ban list > /dev/null
before=$(rss)
for _ in 1 2 3 4 5; do xdpctl -j ban list > /dev/null; done
eventually '[ $(($(rss) - before)) -lt 8000 ]' # the allocator's pages are given back at a tick
echo "ok: memory returns after large answers ($before kB, $(rss) kB)"
check_code 0 "an import is taken back" xdpctl ban del --file "$DIR/list"
check_equal "all of it" "$(xdpctl -j ban | jq '.bans | length')" 0
check_code 2 "host bits" xdpctl ban add 192.0.2.7/24
check_code 4 "lifting what is not banned" xdpctl ban del 192.0.2.77
check_code 2 "lifting without saying what" xdpctl ban del
check_code 2 "lifting two ways" xdpctl ban del 192.0.2.77 --all
check_code 2 "lifting a file with a wrong line" xdpctl ban del --file <(printf '192.0.2.1\nx\n')
check "named" grep -q ":2: 'x'" "$DIR/err"
printf '\xef\xbb\xbf192.0.2.1\r\n2001:db8:77::/48\n192.0.2.128/25\n' > "$DIR/few"
check_code 0 "import" xdpctl ban import "$DIR/few" --source fail2ban --reason few
xdpctl ban add 192.0.2.1 --ttl 1h > /dev/null
check_equal "a renewed ban keeps its reason" \
    "$(xdpctl -j ban list | jq -r '.bans[] | select(.prefix == "192.0.2.1") | .reason')" few
check_code 0 "lifting inside a prefix" xdpctl ban del --inside 192.0.2.0/24
check_equal "two of them" "$(cat "$DIR/out")" "2 removed"
check_code 4 "of a source that banned nobody" xdpctl ban del --source crowdsec
check_code 0 "of a source" xdpctl ban del --source fail2ban
check_code 0 "import again" xdpctl ban import "$DIR/few"
check_code 0 "all" xdpctl ban del --all
check_equal "is all" "$(xdpctl -j ban | jq '.bans | length')" 0

# The disk is full, or cannot be written: bans act, and the answer says that they are not saved.
unmount_exit() {
    local code=$?
    set +e
    umount -l "$DIR/state" 2> /dev/null
    (exit $code)
    lab_exit
}
trap unmount_exit EXIT
mount -t tmpfs -o size=64k tmpfs "$DIR/state"
dd if=/dev/zero of="$DIR/state/fill" bs=4k 2> /dev/null || true
check_code 1 "a ban on a full disk" xdpctl ban add 192.0.2.5
check "says why" grep -q "not saved: .*No space left" "$DIR/err"
mount -o remount,ro "$DIR/state"
check_code 1 "a ban that cannot be saved" xdpctl ban add 192.0.2.5
check "says that it is in force" grep -q "it is in force, but a restart of xdpctld forgets it" "$DIR/err"
check "as JSON" test "$(xdpctl -j ban add 2001:db8::5 2> /dev/null | jq 'has("not_saved") and .not_saved != null')" = true
check "status shows it" grep -q "bans are not saved" <(xdpctl status)
not_saved() { xdpctl -j status | jq -e 'any(.conditions[]; .name == "bans_not_saved")' > /dev/null; }
check "and as JSON" not_saved
check "an event tells it" grep -q "bans are not saved" <(xdpctl events)
check "a metric too" sh -c "nsenter --net=/run/netns/$HOST curl -s http://127.0.0.1:9417/metrics |
    grep -q '^xdpctl_condition{condition=.bans_not_saved.,.*} 1'"
umount "$DIR/state"
eventually '! not_saved'
check "and the file has them" grep -q "^2001:db8::5 " "$DIR/state/bans"
xdpctl ban add 10.0.0.5 > /dev/null

check_code 0 "explain" xdpctl explain 10.0.0.5 $WEB4 --dport 80
check "banned, in the block stage" grep -q "^drop: banned" "$DIR/out"
check "later stages not reached" grep -Eq "sanity .*not reached" "$DIR/out"
check_code 0 "explain, IPv6, null flags" xdpctl explain $CLIENT6 $WEB6 --flags .
check "sanity" grep -q "^drop: tcp_null" "$DIR/out"
"$BUILD/bin/mkpcap" "$DIR/one.pcap" 1 $CLIENT4 $WEB4 xmas
check_code 0 "explain a capture" xdpctl explain --pcap "$DIR/one.pcap"
check "xmas" grep -q tcp_xmas "$DIR/out"
check_code 4 "explain a frame that is not there" xdpctl explain --pcap "$DIR/one.pcap" --number 2
check_code 2 "explain, mixed families" xdpctl explain $CLIENT4 $WEB6
check_code 2 "explain, not hex" xdpctl explain --hex zz

for shell in bash zsh fish; do
    check_code 0 "completion $shell" xdpctl completion $shell
done
xdpctl completion bash > "$DIR/completion"
check "completes verbs" bash -c ". $DIR/completion; COMP_WORDS=(xdpctl sta); COMP_CWORD=1; _xdpctl; [[ \${COMPREPLY[*]} == *status* ]]"

check "curl speaks to the socket" test "$(curl -s --unix-socket "$XDPCTL_SOCKET" http://x/v1/status | jq .schema_version)" = 1
check "and lists the routes" test "$(curl -s --unix-socket "$XDPCTL_SOCKET" http://x/v1 | jq '.routes | length')" -gt 10
check_equal "three capabilities are left, in every thread" \
    "$(cat /proc/$DAEMON_PID/task/*/status | awk '/CapEff/ { print $2 }' | sort -u)" 000000c000001000
check_code 0 "detach" xdpctl detach atk0
check_code 4 "detach again" xdpctl detach atk0
check_code 0 "attach" xdpctl attach atk0

# --- doctor
in_host sysctl -qw net.ipv4.tcp_syncookies=0
check_code 1 "doctor finds what is bad" xdpctl doctor
check "and names it with its command" grep -q "sysctl -w net.ipv4.tcp_syncookies=1" "$DIR/out"
check_code 0 "doctor --fix" xdpctl doctor --fix
check "tells how to keep it" grep -q "/etc/sysctl.d/90-xdpctl.conf" "$DIR/out"
check_equal "and it is set" "$(in_host sysctl -n net.ipv4.tcp_syncookies)" 1
check_equal "doctor -j" "$(xdpctl -j doctor | jq '[.findings[] | select(.check == "net.ipv4.tcp_syncookies")][0].health')" '"ok"'
