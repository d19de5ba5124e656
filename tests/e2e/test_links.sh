#!/usr/bin/env bash
# Interfaces without an Ethernet header, and those on which XDP sees nothing: what is attached
# passes and drops the right packets, what is refused says where instead. Kinds that this
# kernel lacks are tried by tests/vm.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq socat ping
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
lab_up
web_up
TUN4=192.0.2.1 TUN6=2001:db8:5::1
GOOD4=192.0.2.2 GOOD6=2001:db8:5::2 BLOCKED4=192.0.2.66 BLOCKED6=2001:db8:5::66
# Where an IPv4 header is taken for an Ethernet header, its source is the EtherType.
ODD4="8.0.1.2 129.0.1.2 134.221.1.2"

answers() { # SOURCE DESTINATION
    in_client ping -c 1 -W 1 -I "$1" "$2" > /dev/null 2>&1
}

# A tunnel between the client and the host, as VPN daemons make one.
tunnel_up() {
    local source
    nsenter --net=/run/netns/$HOST socat TUN,tun-name=tun9,tun-type=tun,iff-no-pi,iff-up \
        UDP4-DATAGRAM:$CLIENT4:5000,bind=$WEB4:5000 2> "$DIR/socat" &
    EXTRA_PIDS="$EXTRA_PIDS $!"
    nsenter --net=/run/netns/$CLIENT socat TUN,tun-name=tun9,tun-type=tun,iff-no-pi,iff-up \
        UDP4-DATAGRAM:$WEB4:5000,bind=$CLIENT4:5000 2>> "$DIR/socat" &
    EXTRA_PIDS="$EXTRA_PIDS $!"
    eventually "in_host ip link show tun9 > /dev/null 2>&1 && in_client ip link show tun9 > /dev/null 2>&1"
    in_host ip addr add $TUN4/24 dev tun9
    in_host ip addr add $TUN6/64 dev tun9 nodad
    for source in $GOOD4/24 $BLOCKED4/24 $GOOD6/64 $BLOCKED6/64; do
        in_client ip addr add $source dev tun9 nodad
    done
    in_client ip addr change $BLOCKED6/64 dev tun9 preferred_lft 0 # never chosen by itself
    for source in $ODD4; do
        in_client ip addr add $source/32 dev tun9
        in_host ip route add $source/32 dev tun9
    done
}

right_packets() { # WHAT
    local source
    for source in $GOOD4 $ODD4; do check "$1: $source is answered" answers $source $TUN4; done
    check "$1: $GOOD6 is answered" answers $GOOD6 $TUN6
    check_not "$1: the blocked $BLOCKED4 is not" answers $BLOCKED4 $TUN4
    check_not "$1: the blocked $BLOCKED6 is not" answers $BLOCKED6 $TUN6
}

tunnel_up
eventually "answers $BLOCKED4 $TUN4 && answers $BLOCKED6 $TUN6"
echo "ok: without xdpctl the tunnel passes everything"
write_config enforce "[lists]
block = [\"$BLOCKED4\", \"$BLOCKED6\"]
[guard]
on = [80]"
sed -i 's/"cli0", "atk0"/"cli0"/' "$DIR/xdpctl.toml"
daemon_up

# --- a veth: native XDP would take segmentation offload from its other end
check "a veth runs generic XDP" grep -q "cli0: generic XDP.*segmentation offload" "$DIR/daemon.log"
check "the other end keeps its offload" grep -q "^tcp-segmentation-offload: on" <(in_client ethtool -k eth0)

# --- a tun: from the IP header on
words="Underlying driver does not support XDP in native mode"
check "a tun is attached" xdpctl attach tun9
right_packets tun
check_equal "what was dropped was blocked" "$(dropped blocked)" 2
check "status has the kernel's words" grep -q "tun9 (generic XDP.*$words" <(xdpctl status)
check_equal "so has its JSON" "$(xdpctl -j status |
    jq -r '.interfaces[] | select(.name == "tun9") | .native_refusal')" "the kernel says: $words"
check "so has the event" grep -q "tun9: generic XDP.*$words" <(xdpctl events)
check "so has the log" grep -q "tun9: generic XDP.*$words" "$DIR/daemon.log"

# --- no cookie can leave it, so SYNs are limited
for url in "http://$TUN4/" "http://[$TUN6]/"; do check "a page over the tun: $url" fetch "$url"; done
check_equal "no cookies there" "$(xdpctl -j stats | jq '[.counters[] | select(.reason == "syn_answered") | .packets] | add // 0')" 0
check "said aloud" grep -q "tun9: NO COOKIES.*no Ethernet header" <(xdpctl events)
sed -i 's/"cli0"/"cli0", "tun9"/' "$DIR/xdpctl.toml"
check "doctor says so too" grep -q "no Ethernet header" <(xdpctl doctor --config "$DIR/xdpctl.toml" || true)

# --- a restart finds it attached and knows it still
daemon_kill KILL
daemon_up
right_packets "tun after a restart"
check_equal "the words are known" "$(xdpctl -j status |
    jq -r '.interfaces[] | select(.name == "tun9") | .native_refusal')" "the kernel says: $words"
check "detached, everybody passes" xdpctl detach tun9
check "the blocked one too" answers $BLOCKED4 $TUN4

# --- where XDP sees nothing
check_code 7 "lo is refused" xdpctl attach lo
check "with the interfaces to use" grep -q "lo carries only.*attach to .*cli0" "$DIR/err"
in_host ip link add vlan9 link cli0 type vlan id 9 2> /dev/null ||
    echo "SKIPPED here: VLAN, bond, WireGuard (tests/vm has them)" >&2
if in_host ip link add ifb9 type ifb 2> /dev/null; then
    check_code 7 "an ifb is refused" xdpctl attach ifb9
    check "with the interfaces to use" grep -q "ifb.*cli0" "$DIR/err"
fi

# --- native XDP only: the kernel's words are the error
daemon_kill TERM
sed -i 's/^interfaces.*/interfaces = ["cli0"]/; s/^attach.*/attach = "native"/' "$DIR/xdpctl.toml"
daemon_up
check_code 1 "native XDP on a tun fails" xdpctl attach tun9
check "in the kernel's words" grep -q "attaching to tun9: .*$words" "$DIR/err"
check_equal "and leaves nothing behind" "$(xdpctl -j stats | jq '[.devices[]? | select(.name == "tun9")] | length')" 0
check "the blocked one still passes" answers $BLOCKED4 $TUN4
