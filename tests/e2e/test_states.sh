#!/usr/bin/env bash
# Every state that matters is in status, an event and a metric: a full disk, a taken port, a
# missing interface. And who may not look is told so.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need curl jq socat setpriv
states_exit() {
    local code=$?
    mountpoint -q "$DIR/state" && umount "$DIR/state"
    (exit $code)
    lab_exit
}
trap states_exit EXIT
lab_up
holds() { xdpctl -j status | jq -e --arg name "$1" 'any(.conditions[]; .name == $name)' > /dev/null; }
metric() { in_host curl -s http://127.0.0.1:9417/metrics | awk -v name="xdpctl_condition{condition=\"$1\"" 'index($0, name) == 1 { print $2 }'; }

# --- the port of the metrics is taken at the start
nsenter --net=/run/netns/$HOST socat TCP-LISTEN:9417,bind=127.0.0.1,fork,reuseaddr SYSTEM:cat 2> /dev/null &
SOCAT_PID=$!
EXTRA_PIDS=$SOCAT_PID
eventually "in_host ss -Hltn sport = :9417 | grep -q 9417"
mkdir "$DIR/state"
mount -t tmpfs -o size=64k tmpfs "$DIR/state"
write_config enforce
check_code 0 "check warns of the port" xdpctl check "$DIR/xdpctl.toml"
check "with its cause" grep -q "metrics.listen: 127.0.0.1:9417: cannot listen: Address already in use" "$DIR/out"
daemon_up
check "the daemon starts all the same" holds metrics_unavailable
check "status says why" grep -q "warning: metrics are not exported: .*Address already in use" <(xdpctl status)
check "an event" grep -q "Address already in use" <(xdpctl events -k state)
kill $SOCAT_PID
wait $SOCAT_PID 2> /dev/null || true
EXTRA_PIDS=
eventually "! holds metrics_unavailable"
check_equal "once the port is free, metrics are there" "$(metric metrics_unavailable)" 0
check "and that is an event" grep -q "metrics are exported again" <(xdpctl events -k state)

# --- a full disk
dd if=/dev/zero of="$DIR/state/filler" bs=1k 2> /dev/null || true
check_code 1 "a change that is not saved" xdpctl mode monitor
check "is in force" grep -q "^monitor" <(xdpctl mode)
check_code 1 "under -j" xdpctl -j allow add 192.0.2.9
check "not_saved is in the answer" jq -e '.added == 1 and (.not_saved | contains("No space left"))' "$DIR/out"
check_equal "and the error is JSON" "$(jq -r .error.kind "$DIR/err")" failed
check_code 1 "removed, not saved" xdpctl allow del 192.0.2.9
check "status says it" holds state_not_saved
check "with the cause" grep -q "warning: .*not saved: .*No space left on device" <(xdpctl status)
check_equal "the metric" "$(metric state_not_saved)" 1
check "an event" grep -q "No space left" <(xdpctl events -k state)
check "doctor has it" grep -q "state_not_saved" <(xdpctl --config "$DIR/xdpctl.toml" doctor || true)
xdpctl ban add 203.0.113.9 > /dev/null || true
eventually "holds bans_not_saved"
check_equal "bans too" "$(metric bans_not_saved)" 1
rm "$DIR/state/filler"
for i in $(seq 150); do holds state_not_saved || holds bans_not_saved || break; sleep 0.1; done
check_not "once there is room, it is saved without another change" holds state_not_saved
check_not "bans too" holds bans_not_saved
check_equal "on disk" "$(jq -r .mode "$DIR/state/state.json")" monitor
check_code 0 "changes are saved again" xdpctl mode enforce

# --- an interface that goes away and comes back
in_host ip link add dum0 type veth peer name dum1
in_host ip link set dum0 up
in_host ip link set dum1 up
xdpctl attach dum0 > /dev/null
in_host ip link del dum0
eventually "holds interface_not_attached"
check "status names it with the cause" grep -q "critical: nothing is filtered on dum0 (no interface named dum0" <(xdpctl status)
wanted() { in_host curl -s http://127.0.0.1:9417/metrics | grep -c "^xdpctl_$1{device=\"$2\".*} $3$"; }
check_equal "wanted, as a metric" "$(wanted interface_wanted dum0 1)" 1
check_equal "not attached, as a metric" "$(wanted program_attached dum0 0)" 1
check "an event" grep -q "nothing is filtered on dum0" <(xdpctl events -k interface)
check_code 0 "it need not come back" xdpctl detach dum0
check_not "no longer missed" holds interface_not_attached

# --- what is too wide to allow
for wide in 0.0.0.0/0 ::/0 2000::/3; do
    check_code 7 "allow $wide is refused" xdpctl allow add $wide
done
check_code 0 "with force it is not" xdpctl allow add 0.0.0.0/0 --force
check "and stays a warning" holds allow_too_wide
check_code 0 "until it is gone" xdpctl allow del 0.0.0.0/0
check_not "again" holds allow_too_wide

# --- check, apply and the start say the same
sed 's/"cli0"/"cli9"/' "$DIR/xdpctl.toml" > "$DIR/gone.toml"
check_code 6 "check: a missing interface" xdpctl check "$DIR/gone.toml"
check "named with file and line" grep -q "gone.toml:2: interfaces: no interface named cli9" "$DIR/err"
check_code 6 "apply: the same" xdpctl apply "$DIR/gone.toml"
check "in the same words" grep -q "nothing was changed: .*gone.toml:2: interfaces: no interface named cli9" "$DIR/err"
check_code 0 "check --offline looks at the file alone" xdpctl check --offline "$DIR/gone.toml"
printf '\n[crowdsec]\nurl = "http://127.0.0.1:9"\nkey_file = "%s/none"\n' "$DIR" | cat "$DIR/xdpctl.toml" - > "$DIR/key.toml"
check_code 6 "check: no key" xdpctl check "$DIR/key.toml"
check "named" grep -q "key.toml:$(grep -n key_file "$DIR/key.toml" | cut -d: -f1): crowdsec.key_file: .*$DIR/none: no such file" "$DIR/err"
check_code 6 "as JSON" xdpctl -j check "$DIR/key.toml"
check_equal "kind" "$(jq -r .error.kind "$DIR/err")" invalid_config
printf '\n[metrics]\nlisten = "127.0.0.1:99999"\n' | cat "$DIR/xdpctl.toml" - > "$DIR/port.toml"
check_code 6 "check: no such port" xdpctl check --offline "$DIR/port.toml"
check_code 6 "the start: the same" in_host "$BUILD/bin/xdpctld" -c "$DIR/port.toml"
check_code 0 "what runs is valid, its own port too" xdpctl check "$DIR/xdpctl.toml"
check_not "without a warning" grep -q warning "$DIR/out"

# --- another user
cp "$BUILD/bin/xdpctl" "$DIR/xdpctl"
chmod 755 "$DIR" "$DIR/xdpctl"
chmod 644 "$DIR/xdpctl.toml"
stranger() { in_host setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/xdpctl" --config "$DIR/xdpctl.toml" "$@"; }
check_code 5 "status as another user" stranger status
stranger -j doctor > "$DIR/out" || true # what else this machine lacks decides the code
health() { jq -r "[.findings[] | select(.check | test(\"$1\")) | .health] | unique | join(\" \")" "$DIR/out"; }
check_equal "doctor as another user may not look" "$(health 'daemon|: XDP')" unknown
check_equal "and is not ready" "$(jq .ready "$DIR/out")" false
chmod 600 "$DIR/xdpctl.toml"
stranger -j doctor > "$DIR/out" || true
check_equal "nor read the configuration, which it says" "$(health configuration)" unknown
check_equal "rather than that none is there" "$(health '^interfaces$')" ""
chmod 644 "$DIR/xdpctl.toml"

# --- a daemon that hangs is not one that does not run
kill -STOP $DAEMON_PID
check_code 3 "a daemon that hangs" xdpctl status
check "is told as one" grep -q "no answer within 10 s" "$DIR/err"
check_not "not as one that does not run" grep -q "is it running" "$DIR/err"
kill -CONT $DAEMON_PID
eventually "xdpctl status > /dev/null"

# --- kinds of events
for kind in geo crowdsec host state; do
    check_code 0 "events -k $kind" xdpctl events -k $kind
done
check_code 2 "another kind" xdpctl events -k nonsense
umount "$DIR/state" -l
