#!/usr/bin/env bash
# The service unit under a real systemd (systemd-nspawn over a copy of this system): it starts as
# its own account with three capabilities, filters, answers its group, changes sysctls, adopts
# pins of root, and stops. It is hardened as systemd-analyze counts.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq systemd-nspawn systemd-sysusers systemd-analyze cmake setpriv
ROOTFS=$DIR/rootfs NAME=$LAB-unit SPAWN=
unit_down() {
    [ -z "$SPAWN" ] || kill -KILL $SPAWN $PID1 2> /dev/null
    [ -z "$SPAWN" ] || wait $SPAWN 2> /dev/null
    umount "$ROOTFS" "$DIR/layer" "$DIR/bpf" 2> /dev/null
}
unit_exit() {
    local code=$?
    set +e
    [ $code = 0 ] || in_unit journalctl -q --no-pager -u xdpctld -n 30 >&2
    unit_down
    (exit $code)
    lab_exit
}
trap unit_exit EXIT
in_unit() { env -u XDPCTL_SOCKET -u XDPCTL_PINS nsenter -t $PID1 -m -u -i -p -n -C "$@"; }
unit() { timeout 60 nsenter -t $PID1 -m -u -i -p -n -C systemctl "$@"; }
property() { unit show -P "$1" xdpctld; }

lab_up
web_up
mkdir -p "$ROOTFS" "$DIR/layer" "$DIR/bpf"
mount -t bpf -o mode=700,nosuid,nodev,noexec bpf "$DIR/bpf" # as systemd does; not this machine's
mount -t tmpfs -o size=512m none "$DIR/layer"
mkdir "$DIR/layer/upper" "$DIR/layer/work"
mount -t overlay -o "lowerdir=/,upperdir=$DIR/layer/upper,workdir=$DIR/layer/work" none "$ROOTFS" ||
    skip "no overlay file system here"
DESTDIR=$ROOTFS cmake --install "$BUILD" --prefix /usr > /dev/null
systemd-sysusers --root="$ROOTFS" xdpctl.conf
sed -i 's/^interfaces = .*/interfaces = ["cli0", "atk0"]/; s/^mode = .*/mode = "enforce"/' \
    "$ROOTFS/etc/xdpctl/xdpctl.toml"
printf '[Unit]\nDescription=Nothing but what the test starts\n' > "$ROOTFS/etc/systemd/system/lab.target"
rm -f "$ROOTFS/etc/machine-id" && touch "$ROOTFS/etc/machine-id"

SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -D "$ROOTFS" \
    -M "$NAME" --register=no --keep-unit --capability=all --system-call-filter='bpf perf_event_open' \
    --network-namespace-path=/run/netns/$HOST --bind="$DIR/bpf:/sys/fs/bpf" --console=pipe \
    /lib/systemd/systemd --system --unit=lab.target systemd.log_target=console > "$DIR/console" 2>&1 &
SPAWN=$!
sleep 1
kill -0 $SPAWN 2> /dev/null || skip "systemd-nspawn cannot boot here: $(tail -n 1 "$DIR/console")"
eventually 'PID1=$(pgrep -P $SPAWN | head -n 1) && [ -n "$PID1" ] && nsenter -t $PID1 -m -p -n test -S /run/systemd/private'

unit start xdpctld
check_equal "it runs" "$(property ActiveState)" active
daemon=$(property MainPID)
status_of() { in_unit awk "/^$1/ {print \$2}" /proc/$daemon/status; }
check_equal "not as root" "$(in_unit ps -o user= -p $daemon)" xdpctl
# CAP_NET_ADMIN 12, CAP_PERFMON 38, CAP_BPF 39
check_equal "with three capabilities" "$(status_of CapEff)" 000000c000001000
check_equal "and no way to more" "$(status_of CapBnd) $(status_of NoNewPrivs)" "000000c000001000 1"
eventually 'fetch http://$WEB4/ && fetch "http://[$WEB6]/"'
echo "ok: pages are fetched"
in_unit xdpctl ban add $CLIENT4 $CLIENT6 --ttl 1h > /dev/null
check_not "who is banned fetches none" fetch http://$WEB4/
check_not "over IPv6 neither" fetch "http://[$WEB6]/"
in_unit xdpctl ban del $CLIENT4 $CLIENT6 > /dev/null
check "lifted" fetch http://$WEB4/
check "its socket is its group's" test "$(in_unit stat -c '%U:%G %a' /run/xdpctl/xdpctl.sock)" = "xdpctl:xdpctl 660"
group=$(in_unit getent group xdpctl | cut -d: -f3)
member() { in_unit setpriv --reuid 65534 --regid 65534 --groups "$1" xdpctl status > /dev/null 2>&1; }
check "a member of the group may ask" member "$group"
check_not "another may not" member 65534
in_unit xdpctl guard set 80 on > /dev/null
eventually '[ "$(in_host sysctl -n net.ipv4.tcp_syncookies)" = 2 ]'
check "clients come in by cookies that it has the sysctls for" fetch http://$WEB4/
check "it cannot write what its sysctls do not need" \
    in_unit setpriv --reuid xdpctl --regid xdpctl --clear-groups sh -c '! echo x > /proc/sys/kernel/core_pattern' 2> /dev/null
check "what is set by hand is saved" in_unit grep -q '"80"' /var/lib/xdpctl/state.json

# A crash, a reload, a stop: the data path goes on.
in_unit kill -KILL $daemon
eventually '[ "$(property MainPID)" != 0 ] && [ "$(property MainPID)" != $daemon ] && [ "$(property ActiveState)" = active ]'
check "started again after a crash, on what was pinned" grep -q "adopted the running data path" <(in_unit journalctl -q -u xdpctld -o cat)
unit reload xdpctld
check_equal "a reload" "$(property ActiveState)" active
unit stop xdpctld
# As a version that ran as root left them.
chown -R root:root "$DIR/bpf/xdpctl"
unit start xdpctld
check_equal "pins of root are taken over" "$(property ActiveState) $(in_unit journalctl -q -u xdpctld -o cat | grep -c "adopted the running data path")" "active 2"
unit stop xdpctld
check "the data path outlives a stop" grep -q xdp <(in_host ip link show dev cli0)
check "panic as root takes it off" in_unit xdpctl panic
check_not "nothing is attached" grep -q prog/xdp <(in_host ip link show dev cli0)

# How exposed it is: systemd.exec(5) says what each line costs; 0 is best.
exposure=$(systemd-analyze security --offline=yes --no-pager "$ROOTFS/lib/systemd/system/xdpctld.service" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
echo "exposure: $exposure"
check "it is hardened: at most 2.0" awk -v e="$exposure" 'BEGIN { exit !(e != "" && e <= 2.0) }'
