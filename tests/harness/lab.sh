# SPDX-License-Identifier: Apache-2.0
# A lab of network namespaces without a route out, for the end-to-end tests and
# the demo: source it. Addresses are of the documentation ranges.
#
#   client   198.51.100.2  2001:db8:c::2 --- cli0  host  198.51.100.1  2001:db8:c::1
#   attacker 203.0.113.2   2001:db8:a::2 --- atk0  host  203.0.113.1   2001:db8:a::1

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
LAB=xl$$
HOST=$LAB-host CLIENT=$LAB-client ATTACKER=$LAB-attacker
DIR=$(mktemp -d /tmp/xdpctl-lab.XXXXXX)
PINS=/sys/fs/bpf/$LAB
CLIENT4=198.51.100.2 CLIENT6=2001:db8:c::2
ATTACKER4=203.0.113.2 ATTACKER6=2001:db8:a::2
WEB4=198.51.100.1 WEB6=2001:db8:c::1
TARGET4=203.0.113.1 TARGET6=2001:db8:a::1
export XDPCTL_SOCKET=$DIR/xdpctl.sock XDPCTL_PINS=$PINS NO_COLOR=1
DAEMON_PID= NGINX_PID= EXTRA_PIDS= EXTRA_NETNS=
ATTACH=${ATTACH:-auto} # of the configuration; "native": as on a card whose driver has XDP

# `ip netns exec` would remount /sys and hide bpffs.
in_host() { nsenter --net=/run/netns/$HOST "$@"; }
in_client() { nsenter --net=/run/netns/$CLIENT "$@"; }
in_attacker() { nsenter --net=/run/netns/$ATTACKER "$@"; }
xdpctl() { in_host "$BUILD/bin/xdpctl" "$@"; }

skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

need() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    local tool
    for tool in ip nsenter ethtool "$@"; do
        command -v "$tool" > /dev/null || skip "needs $tool"
    done
    ip netns add $LAB-probe 2> /dev/null || skip "cannot make network namespaces here"
    ip netns del $LAB-probe
}

lab_up() { # [MTU]
    local mtu=${1:-1500}
    mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
    local ns
    for ns in $HOST $CLIENT $ATTACKER; do
        ip netns add $ns
        nsenter --net=/run/netns/$ns sysctl -qw net.ipv6.conf.default.accept_dad=0 \
            net.ipv6.conf.all.accept_dad=0
        nsenter --net=/run/netns/$ns ip link set lo up
    done
    ip link add cli0 netns $HOST mtu $mtu type veth peer name eth0 netns $CLIENT mtu $mtu
    ip link add atk0 netns $HOST mtu $mtu type veth peer name eth0 netns $ATTACKER mtu $mtu
    in_host ip addr add $WEB4/24 dev cli0
    in_host ip addr add $WEB6/64 dev cli0 nodad
    in_host ip addr add $TARGET4/24 dev atk0
    in_host ip addr add $TARGET6/64 dev atk0 nodad
    # Else a veth without a program of its own takes no frames of a flood.
    in_host ethtool -K cli0 gro on
    in_host ethtool -K atk0 gro on
    in_host ip link set cli0 up
    in_host ip link set atk0 up
    in_client ip addr add $CLIENT4/24 dev eth0
    in_client ip addr add $CLIENT6/64 dev eth0 nodad
    in_client ip link set eth0 up
    in_attacker ip addr add $ATTACKER4/24 dev eth0
    in_attacker ip addr add $ATTACKER6/64 dev eth0 nodad
    in_attacker ip link set eth0 up
}

# A namespace behind the host, as a container has it; the host routes for it.
INNER=$LAB-inner
INNER4=192.0.2.2 INNER6=2001:db8:1::2
in_inner() { nsenter --net=/run/netns/$INNER "$@"; }
inner_up() {
    ip netns add $INNER
    EXTRA_NETNS=$INNER
    ip link add in0 netns $HOST type veth peer name eth0 netns $INNER
    in_host ip addr add 192.0.2.1/24 dev in0
    in_host ip addr add 2001:db8:1::1/64 dev in0 nodad
    in_host ip link set in0 up
    in_inner ip addr add $INNER4/24 dev eth0
    in_inner ip addr add $INNER6/64 dev eth0 nodad
    in_inner ip link set lo up
    in_inner ip link set eth0 up
    in_inner ip route add default via 192.0.2.1
    in_inner ip -6 route add default via 2001:db8:1::1
    in_host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

lab_down() {
    local pid
    for pid in $DAEMON_PID $NGINX_PID $EXTRA_PIDS; do
        kill "$pid" 2> /dev/null && wait "$pid" 2> /dev/null
    done
    rm -rf "$PINS" "$PINS-lab"
    for ns in $HOST $CLIENT $ATTACKER $EXTRA_NETNS; do
        # Children of those above, whose connections would never end.
        ip netns pids $ns 2> /dev/null | xargs -r kill 2> /dev/null
        ip netns del $ns 2> /dev/null
    done
    rm -rf "$DIR"
}

lab_exit() {
    local code=$?
    set +e
    if [ $code != 0 ] && [ $code != 77 ] && [ -f "$DIR/daemon.log" ]; then
        echo "--- xdpctld" >&2
        tail -n 40 "$DIR/daemon.log" >&2
    fi
    lab_down
    exit $code
}
trap lab_exit EXIT
trap 'exit 130' INT TERM

web_up() {
    mkdir -p "$DIR/web"
    echo "<h1>It works</h1>" > "$DIR/web/index.html"
    head -c 4000000 /dev/zero > "$DIR/web/large"
    chmod -R a+rX "$DIR"
    cat > "$DIR/nginx.conf" << END
daemon off;
pid $DIR/nginx.pid;
error_log $DIR/nginx.log;
worker_processes 1;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000;
    server { listen 80; listen [::]:80; root $DIR/web;
        # Takes the whole body before it answers.
        location /upload { client_max_body_size 10m; proxy_pass http://127.0.0.1/; } }
}
END
    # Not in_host: $! must be the server, not a shell around it.
    nsenter --net=/run/netns/$HOST nginx -c "$DIR/nginx.conf" 2> "$DIR/nginx.err" &
    NGINX_PID=$!
    eventually "in_host curl -sf -o /dev/null http://127.0.0.1/"
}

# write_config [MODE] [MORE TOML]: what every daemon of the lab has in common.
write_config() {
    # A lab has no ten minutes in which clients become known.
    local more=${2:-} known='[guard]
known_after = "1s"'
    case $more in
    *"[guard]"*) more=${more/"[guard]"/"$known"} ;;
    *) more="$more
$known" ;;
    esac
    cat > "$DIR/xdpctl.toml" << END
mode = "${1:-enforce}"
interfaces = ["cli0", "atk0"]
attach = "$ATTACH"
$more
[api]
socket = "$XDPCTL_SOCKET"
[paths]
state = "$DIR/state"
pins = "$PINS"
END
}

daemon_up() {
    nsenter --net=/run/netns/$HOST "$BUILD/bin/xdpctld" -c "$DIR/xdpctl.toml" \
        >> "$DIR/daemon.log" 2>&1 &
    DAEMON_PID=$!
    eventually "xdpctl status > /dev/null 2>&1 || ! kill -0 $DAEMON_PID"
    kill -0 $DAEMON_PID
}

daemon_kill() { # SIGNAL
    kill -"$1" $DAEMON_PID
    wait $DAEMON_PID 2> /dev/null || true
    DAEMON_PID=
}

fetch() { # URL [more curl options]
    in_client curl -sf -o /dev/null --connect-timeout 1 --max-time 3 "$@"
}

# --- checks -----------------------------------------------------------------

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

check() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" || fail "$what"
    echo "ok: $what"
}

check_not() {
    local what=$1
    shift
    if "$@"; then fail "$what"; fi
    echo "ok: $what"
}

check_code() { # CODE WHAT COMMAND...
    local wanted=$1 what=$2 code=0
    shift 2
    "$@" > "$DIR/out" 2> "$DIR/err" || code=$?
    [ $code = "$wanted" ] || fail "$what: exit code $code, wanted $wanted: $(cat "$DIR/err")"
    echo "ok: $what"
}

check_equal() { # WHAT IS WANTED
    [ "$2" = "$3" ] || fail "$1: $2, wanted $3"
    echo "ok: $1"
}

eventually() { # COMMAND: true within ten seconds
    local tries
    for tries in $(seq 100); do
        if eval "$1"; then return 0; fi
        sleep 0.1
    done
    fail "never became true: $1"
}

# Packets dropped for REASON, of both families and all devices.
dropped() {
    xdpctl -j stats | jq "[.counters[] | select(.disposition == \"dropped\" and .reason == \"$1\") | .packets] | add // 0"
}

# Needed once before a guard answers or spoof is used: where the host's end runs native
# XDP, a veth takes frames that it sends (XDP_TX) only where it has a program too. The
# attacker's lets answers to forged addresses end there.
answers_ready() {
    bpftool prog loadall "$BUILD/tests/harness/flood.bpf.o" "$PINS-lab"
    in_client ip link set eth0 xdpdrv pinned "$PINS-lab/pass"
    in_attacker ip link set eth0 xdpdrv pinned "$PINS-lab/answer_sink"
}

# spoof DESTINATION KIND SOURCE_PREFIX [more flood options]: spoofed packets with
# valid checksums from the attacker's namespace, thousands in a moment.
spoof() {
    local destination=$1 kind=$2 source=$3
    shift 3
    in_attacker "$BUILD/bin/flood" eth0 "$destination" "$kind" --source "$source" \
        --mac "$(target_mac)" "$@"
}
target_mac() { in_host ip -br link show atk0 | awk '{print $3}'; }

# For floods that shall reach the stack: forged sources have a way back.
route_back() { # PREFIX
    local router=$ATTACKER4
    [[ $1 != *:* ]] || router=$ATTACKER6
    in_host ip route add "$1" via $router
    in_host sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.atk0.rp_filter=0
}
received() { in_host awk '/atk0:/ {print $3}' /proc/net/dev; } # packets from the attacker

# flood COUNT SOURCE DESTINATION KIND [PPS]: from the attacker's namespace.
flood() {
    local file=$DIR/flood-$4-$1.pcap
    "$BUILD/bin/mkpcap" "$file" "$1" "$2" "$3" "$4"
    local speed=--topspeed
    [ -n "${5:-}" ] && speed=--pps=$5
    in_attacker tcpreplay -q -i eth0 $speed "$file" > "$DIR/tcpreplay.log" 2>&1
}
