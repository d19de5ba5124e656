#!/usr/bin/env bash
# panic works with the daemon dead, and holds until somebody ends it, with or without the daemon.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq
lab_up
web_up
write_config enforce '[lists]
block = ["198.51.100.2", "2001:db8:c::2"]'
check_code 4 "panic without anything loaded says so" xdpctl panic
check_code 4 "its end too" xdpctl panic --end
attached() { in_host ip -j link | jq -r '[.[] | select(.xdp) | .ifname] | sort | join(" ")'; }
open() { fetch http://$WEB4/ && fetch "http://[$WEB6]/"; }
shut() { ! fetch http://$WEB4/ && ! fetch "http://[$WEB6]/"; }

daemon_up
check "blocked" shut
check_code 4 "no panic, no end" xdpctl panic --end
daemon_kill KILL
check "blocked with the daemon dead" shut
check "panic finds the pins by the configuration" env -u XDPCTL_PINS nsenter --net=/run/netns/$HOST \
    "$BUILD/bin/xdpctl" --config "$DIR/xdpctl.toml" panic
check "everything passes" open
check_equal "nothing is attached" "$(attached)" ""
check_code 3 "attach needs the daemon" xdpctl attach cli0
check "a second panic changes nothing" xdpctl panic
check_code 0 "its end with the daemon dead" xdpctl panic --end
check "says what is not done without the daemon" grep -q "nobody attaches what else is configured" "$DIR/out"
check_equal "what panic freed is attached again" "$(attached)" "atk0 cli0"
check "and blocked again" shut
check_code 4 "there is no second end" xdpctl panic --end

check "panic" xdpctl panic
daemon_up
check "a restart does not end the panic" open
check_equal "nor attach anything" "$(attached)" ""
check "status says so, and how it ends" grep -q "until \`xdpctl panic --end\`" <(xdpctl status)
check "doctor too" grep -q "run: xdpctl panic --end" <(xdpctl doctor --config "$DIR/xdpctl.toml" || true)
check "so does mode" grep -q "xdpctl panic --end" <(xdpctl mode)
metric() { in_host curl -s http://127.0.0.1:9417/metrics | awk -v name="$1" 'index($0, name) == 1 { print $2 }'; }
check_equal "and a metric" "$(metric 'xdpctl_condition{condition="panic"')" 1
check_code 7 "attach is refused" xdpctl attach cli0
check "and names the end" grep -q "xdpctl panic --end" "$DIR/err"
check_equal "it attached nothing" "$(attached)" ""
check_code 0 "its end by the daemon" xdpctl -j panic --end
check_equal "told" "$(jq -r '[.by, (.attached | length), (.failed | length)] | @text' "$DIR/out")" '["daemon",2,0]'
check_equal "every interface is attached" "$(attached)" "atk0 cli0"
check "blocked" shut
check_equal "the metric is back" "$(metric 'xdpctl_condition{condition="panic"')" 0
check_equal "two events" "$(xdpctl events -k panic | grep -c -e 'panic is in force' -e 'ended by the operator')" 2

check_code 0 "panic with the daemon alive" xdpctl panic
check "everything passes" open
sleep 2 # in which the daemon must not attach again
check_equal "nothing is attached" "$(attached)" ""
check_code 0 "its end" xdpctl panic --end
check "blocked" shut

# A stop that detaches and unpins does not end it either.
daemon_kill TERM
sed -i 's/^mode.*/&\non_stop = "detach"/' "$DIR/xdpctl.toml"
daemon_up
check_code 0 "panic" xdpctl panic
daemon_kill TERM
daemon_up
check "a stop with on_stop = detach does not end the panic" open
check_equal "nothing is attached" "$(attached)" ""

# One interface went away meanwhile: the others are attached, and the failure is told.
daemon_kill KILL
in_host ip link del atk0
check_code 1 "the end, with an interface gone" xdpctl panic --end
check "named" grep -q "atk0 is not attached: no interface named atk0" "$DIR/err"
check_equal "the other one is attached" "$(attached)" "cli0"
check "blocked" shut
