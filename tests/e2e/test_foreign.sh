#!/usr/bin/env bash
# A foreign XDP program is left alone; what is missing is said in one line.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need clang curl jq
lab_up
cat > "$DIR/foreign.c" << 'END'
__attribute__((section("xdp"), used)) int foreign(void *ctx)
{
	return 2;
}
char _license[] __attribute__((section("license"), used)) = "GPL";
END
clang -O2 -g -target bpf -Wno-everything -c "$DIR/foreign.c" -o "$DIR/foreign.o"
in_host ip link set dev atk0 xdp obj "$DIR/foreign.o" sec xdp
foreign=$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')

write_config enforce
daemon_up
check_equal "the foreign program stays" "$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')" "$foreign"
check "the log names it and says what to do" grep -q "atk0 already runs the XDP program foreign.*ip link set dev atk0 xdpdrv off" "$DIR/daemon.log"
check_equal "the other interface is protected" "$(xdpctl -j status | jq -r '.interfaces[].name')" cli0
check "status shows the missing one" grep -q "atk0 (NOT ATTACHED)" <(xdpctl status)
check_code 7 "attach is refused" xdpctl attach atk0
xdpctl panic > /dev/null
check_equal "panic leaves it alone too" "$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')" "$foreign"
check_code 1 "the end of the panic attaches the rest" xdpctl panic --end
check "and names it" grep -q "atk0 is not attached: atk0 already runs" "$DIR/err"
check_equal "as before" "$(xdpctl -j status | jq -r '.interfaces[].name')" cli0
check_code 0 "detach of what is not ours" xdpctl detach atk0
check "only ends the wait for it" grep -q "was not attached; it is not waited for any more" "$DIR/out"
check_equal "it was left alone" "$(in_host ip -j link show dev atk0 | jq '.[0].xdp.prog.id')" "$foreign"
check_code 4 "the second time there is nothing to end" xdpctl detach atk0
daemon_kill TERM
rm -rf "$PINS"
in_host ip link set dev cli0 xdpgeneric off

start() { in_host "$BUILD/bin/xdpctld" -c "$DIR/xdpctl.toml"; }
sed -i 's/"cli0", "atk0"/"atk0"/' "$DIR/xdpctl.toml"
check_code 7 "nothing else to attach to: the daemon ends" start
sed -i 's/"atk0"/"nosuch0"/' "$DIR/xdpctl.toml"
check_code 4 "a missing interface ends it" start
check "in one line" grep -q "no interface named nosuch0 (see \`ip link\`)" "$DIR/err"
echo "mode = 5" > "$DIR/xdpctl.toml"
check_code 6 "a wrong configuration ends it" start
check "with line and key" grep -q "xdpctl.toml:1: mode: must be" "$DIR/err"
chmod a+rx "$DIR"
check_code 5 "without root it says so" setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$BUILD/bin/xdpctl" replay "$DIR/foreign.c" || true

# Pins that somebody else may write to.
write_config enforce
mkdir -p "$PINS"
chown 65534 "$PINS"
check_code 7 "pins of another user are refused" start
check "with what to do" grep -q "belongs to user 65534.*chown 0" "$DIR/err"
chown 0 "$PINS"
chmod 777 "$PINS"
check_code 7 "pins that all may write to, too" start
rm -rf "$PINS"
sed -i 's|^pins = .*|pins = "/sys/fs/bpf/../../tmp"|' "$DIR/xdpctl.toml"
check_code 6 "pins elsewhere" start
