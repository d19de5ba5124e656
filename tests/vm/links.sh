# Sourced by the guest of test_debian_kernel.sh: the kinds of interfaces. Each is made
# between the host and a client's namespace, attached, and must pass and drop the right
# packets; or attaching must be refused with the word that says where instead.
#
#   host v0 192.0.2.1 2001:db8::1 --- v1 client    what carries the tunnels
#   host w0 (no address) ------------ w1 client    what VLANs, bonds and bridges are made on
INNER4=198.51.100.1 INNER6=2001:db8:5::1
GOOD4=198.51.100.2 GOOD6=2001:db8:5::2
BLOCKED4=198.51.100.66 BLOCKED6=2001:db8:5::66
# Where an IPv4 header is taken for an Ethernet header, its source is the EtherType:
# 8.0 means IPv4, 129.0 a VLAN tag, 134.221 IPv6.
ODD4="8.0.1.2 129.0.1.2 134.221.1.2"
links_failed=0
peers=

wrong() {
    say "FAILED: $*"
    links_failed=1
}

# Waits until a COMMAND succeeds, some seconds at most.
soon() {
    for try in $(seq 50); do
        "$@" > /dev/null 2>&1 && return 0
        usleep 100000
    done
    return 1
}

answers() { # SOURCE DESTINATION: is a ping from the client answered?
    inside ping -c 1 -W 1 -I "$1" "$2" > /dev/null 2>&1
}

# Addresses on l0 here and l1 there; false where no packet passes.
address() {
    soon ip link show l0 && soon inside ip.real link show l1 || return 1
    ip addr add $INNER4/24 dev l0
    ip addr add $INNER6/64 dev l0 nodad
    ip link set l0 up
    for source in $GOOD4 $BLOCKED4; do inside ip.real addr add $source/24 dev l1; done
    for source in $GOOD6 $BLOCKED6; do inside ip.real addr add $source/64 dev l1 nodad; done
    for source in $ODD4; do inside ip.real addr add $source/32 dev l1; done
    inside ip.real link set l1 up
    for source in $ODD4; do ip route replace $source/32 dev l0; done
    soon answers $GOOD4 $INNER4 && soon answers $GOOD6 $INNER6
}

# judges WHAT native|generic: attached to l0, the right packets are passed and dropped.
judges() {
    what=$1
    if ! xdpctl attach l0 > /tmp/out 2>&1; then
        wrong "$what: $(cat /tmp/out)"
        return
    fi
    grep -q "l0: $2 XDP" /tmp/out || wrong "$what: $(cat /tmp/out), wanted $2 XDP"
    for source in $GOOD4 $ODD4; do
        answers $source $INNER4 || wrong "$what: no answer to $source"
    done
    answers $GOOD6 $INNER6 || wrong "$what: no answer to $GOOD6"
    answers $BLOCKED4 $INNER4 && wrong "$what: $BLOCKED4 is blocked and was answered"
    answers $BLOCKED6 $INNER6 && wrong "$what: $BLOCKED6 is blocked and was answered"
    say "judged: $what ($2 XDP)"
}

sent() { xdpctl -j guard | tr -d ' \n' | sed 's/.*"cookies_sent":\([0-9]*\).*/\1/'; }
# Not from the blocked address, which the kernel may prefer.
fetched() { inside curl.real -sg --max-time 8 --interface "$1" "$2" | grep -q "It works"; }

# serves WHAT yes|no: the page comes over l0, by a cookie or with SYNs only limited.
serves() {
    before=$(sent)
    fetched $GOOD4 http://$INNER4/ || wrong "$1: no page by IPv4"
    fetched $GOOD6 "http://[$INNER6]/" || wrong "$1: no page by IPv6"
    by_cookies() { [ "$(sent)" -ge $((before + 2)) ]; }
    if [ "$2" = yes ]; then
        soon by_cookies || wrong "$1: the page did not come by cookie"
    else
        [ "$(sent)" = "$before" ] || wrong "$1: cookies, where no answer can leave"
        xdpctl events 2>&1 | grep -q "l0: NO COOKIES.*no Ethernet header" ||
            wrong "$1: nothing says why there are no cookies"
    fi
}

clean() {
    xdpctl detach l0 > /dev/null 2>&1
    [ -z "$peers" ] || kill $peers 2> /dev/null
    peers=
    for link in l0 "$@"; do ip link del $link 2> /dev/null; done
    inside ip.real link del l1 2> /dev/null
    usleep 200000
}

# refused INTERFACE WORD: attaching ends with code 7 and says WORD.
refused() {
    code=0
    xdpctl attach "$1" > /tmp/out 2>&1 || code=$?
    if [ $code = 7 ] && grep -q "$2" /tmp/out; then
        say "refused: $(head -n 1 /tmp/out)"
    else
        wrong "attach $1: exit code $code: $(cat /tmp/out); wanted 7 and: $2"
    fi
}

# have [link LOWER] type KIND [OPTIONS]: can the kernel make it?
have() {
    ip link add probe0 "$@" 2> /tmp/probe && ip link del probe0 && return
    say "SKIPPED: no $* here: $(cat /tmp/probe)"
    return 1
}

tunnel() { # KIND OPTIONS-HERE OPTIONS-THERE
    have type $1 $2 || return
    ip link add l0 type $1 $2
    inside ip.real link add l1 type $1 $3
    address || wrong "$1: no way between its ends without xdpctl"
    judges "$1 $2" generic
    serves "$1" no
    clean
}

tunnels() {
    tunnel gre "local 192.0.2.1 remote 192.0.2.2" "local 192.0.2.2 remote 192.0.2.1"
    tunnel gre "local 192.0.2.1 remote 192.0.2.2 key 7 csum seq" \
        "local 192.0.2.2 remote 192.0.2.1 key 7 csum seq"
    tunnel ip6gre "local 2001:db8::1 remote 2001:db8::2" "local 2001:db8::2 remote 2001:db8::1"
    tunnel ip6tnl "mode any local 2001:db8::1 remote 2001:db8::2" \
        "mode any local 2001:db8::2 remote 2001:db8::1"
}

# These carry one family each.
ipip_and_sit() {
    here="local 192.0.2.1 remote 192.0.2.2" there="local 192.0.2.2 remote 192.0.2.1"
    have type ipip $here && have type sit $here || return
    ip link add l0 type ipip $here
    inside ip.real link add l1 type ipip $there
    ip link add l6 type sit $here
    inside ip.real link add l6 type sit $there
    ip link set l6 up
    inside ip.real link set l6 up
    ip addr add $INNER6/64 dev l6 nodad
    for source in $GOOD6 $BLOCKED6; do inside ip.real addr add $source/64 dev l6 nodad; done
    address
    ip addr del $INNER6/64 dev l0
    for source in $GOOD6 $BLOCKED6; do inside ip.real addr del $source/64 dev l1; done
    soon answers $GOOD6 $INNER6 || wrong "sit: no way between its ends without xdpctl"
    xdpctl attach l6 > /tmp/out 2>&1 || wrong "sit: $(cat /tmp/out)"
    judges "ipip, and sit beside it" generic
    serves "ipip and sit" no
    xdpctl detach l6 > /dev/null
    inside ip.real link del l6
    clean l6
}

wireguard() {
    [ -x /bin/wg.real ] || { say "SKIPPED: no wg here"; return; }
    have type wireguard || return
    umask 077
    wg.real genkey > /tmp/key0
    wg.real genkey > /tmp/key1
    ip link add l0 type wireguard
    inside ip.real link add l1 type wireguard
    wg.real set l0 listen-port 51820 private-key /tmp/key0 peer "$(wg.real pubkey < /tmp/key1)" \
        endpoint 192.0.2.2:51820 allowed-ips 0.0.0.0/0,::/0
    inside wg.real set l1 listen-port 51820 private-key /tmp/key1 \
        peer "$(wg.real pubkey < /tmp/key0)" endpoint 192.0.2.1:51820 allowed-ips 0.0.0.0/0,::/0
    address || wrong "wireguard: no way between its ends without xdpctl"
    judges wireguard generic
    serves wireguard no
    clean
}

tun() {
    [ -x /bin/socat.real ] && [ -c /dev/net/tun ] || { say "SKIPPED: no tun here"; return; }
    socat.real TUN,tun-name=l0,tun-type=tun,iff-no-pi,iff-up \
        UDP4:192.0.2.2:5000,bind=192.0.2.1:5000 2> /tmp/socat0 &
    peers=$!
    inside socat.real TUN,tun-name=l1,tun-type=tun,iff-no-pi,iff-up \
        UDP4:192.0.2.1:5000,bind=192.0.2.2:5000 2> /tmp/socat1 &
    peers="$peers $!"
    address || wrong "tun: no way without xdpctl: $(cat /tmp/socat0 /tmp/socat1)"
    judges tun generic
    serves tun no
    clean
}

ppp() {
    [ -x /bin/pppd.real ] && [ -c /dev/ppp ] || { say "SKIPPED: no ppp here"; return; }
    options="nodetach noauth nolock local noccp nodefaultroute noipdefault +ipv6"
    pppd.real $options ifname l0 $INNER4:$GOOD4 pty \
        "nsenter -t $client -n pppd.real $options notty ifname l1 $GOOD4:$INNER4" > /tmp/ppp 2>&1 &
    peers=$!
    running() { inside ip.real addr show dev l1 | grep -q "$GOOD4 peer"; }
    soon running
    address || wrong "ppp: no way between its ends without xdpctl: $(cat /tmp/ppp)"
    judges ppp generic
    serves ppp no
    clean
}

# on_w0 WHAT KIND OPTIONS yes|no: stacked on w0, with the same on w1; `yes`: cookies leave by
# it as by any other.
on_w0() {
    have link w0 type $2 $3 || return
    ip link add l0 link w0 type $2 $3
    inside ip.real link add l1 link w1 type $2 $3
    address || wrong "$1: no way between its ends without xdpctl"
    judges "$1" generic
    [ "$4" = no ] || serves "$1" yes
    clean
}

stacked() {
    on_w0 "VLAN interface" vlan "id 5" yes
    on_w0 "VLAN interface that keeps the tag" vlan "id 5 reorder_hdr off" yes
    on_w0 macvlan macvlan "mode bridge" yes
    on_w0 "ipvlan l2" ipvlan "mode l2" yes
    on_w0 "ipvlan l3" ipvlan "mode l3" yes
}

bridge() {
    have type bridge || return
    ip link add l0 type bridge
    ip link set w0 master l0
    inside ip.real link add l1 link w1 type macvlan mode bridge
    address || wrong "bridge: no way between its ends without xdpctl"
    judges bridge generic
    serves bridge yes
    clean
}

bond() { # MODE native|generic
    have type bond || return
    ip link add l0 type bond mode "$1" miimon 100
    ip link set w0 down
    ip link set w0 master l0
    inside ip.real link add l1 link w1 type macvlan mode bridge
    address || wrong "bond $1: no way between its ends without xdpctl"
    refused w0 "w0 is a port of l0: attach to l0"
    judges "bond $1" "$2"
    [ "$2" = native ] || serves "bond $1" yes
    clean
    ip link set w0 up
}

refusals() {
    refused lo "lo carries only what this host sends to itself.*v0"
    if have type dummy; then
        ip link add l0 type dummy
        refused l0 "nothing is received on a dummy.*w0"
        clean
    fi
    if have type vrf table 9; then
        ip link add l0 type vrf table 9
        ip link set w0 master l0
        refused l0 "l0 is a VRF: .*attach to w0"
        clean
    fi
    if have type gre local 192.0.2.1; then
        ip link add l0 type gre local 192.0.2.1
        refused l0 "gre tunnel without one remote address.*v0"
        clean
        ip link add l0 type gre local 192.0.2.1 dev v0
        refused l0 "attach to v0"
        clean
    fi
    if have type xfrm dev v0 if_id 5; then
        ip link add l0 type xfrm dev v0 if_id 5
        refused l0 "no Ethernet header.*xfrm.*attach to v0"
        clean
    fi
    if have link w0 type ipvlan mode l3s; then
        ip link add l0 link w0 type ipvlan mode l3s
        refused l0 "ipvlan of mode l3s.*attach to w0"
        clean
    fi
}

# The kernel's own words, where native XDP is not to be had.
words() {
    have link w0 type vlan id 5 || return
    ip link add l0 link w0 type vlan id 5
    ip link set l0 up
    xdpctl attach l0 > /tmp/out
    for shows in "xdpctl status" "xdpctl -j status" "xdpctl events" "cat /tmp/log"; do
        $shows | grep -q "Underlying driver does not support XDP in native mode" ||
            wrong "$shows does not show the kernel's words"
    done
    clean
}

test_links() {
    say "interfaces of all kinds"
    xdpctl detach v0 > /dev/null
    ip link add w0 type veth peer name w1
    ip link set w1 netns $client
    ip link set w0 up
    inside ip.real link set w1 up
    tunnels
    ipip_and_sit
    wireguard
    tun
    ppp
    stacked
    bridge
    bond active-backup native
    bond balance-tlb generic
    refusals
    words
    return $links_failed
}
