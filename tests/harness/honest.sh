# SPDX-License-Identifier: Apache-2.0
# An honest host and its peers, for tests/e2e/test_honest.sh and scripts/soak: source it
# after lab.sh. honest.py has the workloads and says how each is checked.
#
#   client --- cli0   peers of all workloads, each with an address of its own
#   client --- blk0   iperf3, on a link of its own so that its queue is nobody else's
#   attacker - atk0   the default route; floods come from there
#   inner  --- in0    a container: published ports, masqueraded, behind stateless NAT

PYTHON=/usr/bin/python3
BULK4=198.19.0.1 BULK6=2001:db8:b::1
PHASES=

honest_need() {
    need nginx curl nft jq dig bpftool iperf3 dnsmasq chronyd chronyc fping traceroute ping ssh ssh-keygen \
        fail2ban-client fail2ban-server $PYTHON /usr/sbin/sshd
}
honest_py() { LAB=$LAB DIR=$DIR PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$ROOT/tests/harness/$1" "${@:2}"; }
# begin NAMESPACE COMMAND...: in the background, ended by the lab.
begin() {
    nsenter --net=/run/netns/"$1" "${@:2}" >> "$DIR/peers.log" 2>&1 &
    EXTRA_PIDS="$EXTRA_PIDS $!"
}
peer4() { echo "198.51.100.$(jq -r ".[\"$1\"][0]" "$DIR/numbers")"; }
peer6() { echo "2001:db8:c::$(jq -r ".[\"$1\"][0]" "$DIR/numbers")"; }

honest_links() {
    lab_up
    inner_up
    ip link add blk0 netns $HOST type veth peer name eth1 netns $CLIENT
    in_host ip addr add $BULK4/24 dev blk0
    in_host ip addr add $BULK6/64 dev blk0 nodad
    in_host ip link set blk0 up
    in_client ip addr add 198.19.0.2/24 dev eth1
    in_client ip addr add 2001:db8:b::2/64 dev eth1 nodad
    in_client ip link set eth1 up
    answers_ready
    in_client ip link set eth1 xdpdrv pinned "$PINS-lab/pass"
    in_host ip route add default via $ATTACKER4
    in_host ip -6 route add default via $ATTACKER6
    in_client ip route add 192.0.2.0/24 via $WEB4
    in_client ip -6 route add 2001:db8:1::/64 via $WEB6
    local ns name
    # The kernel's own limits of ICMP answers would hide what is lost elsewhere.
    for ns in $HOST $CLIENT $INNER; do
        nsenter --net=/run/netns/$ns sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
        nsenter --net=/run/netns/$ns sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 2> /dev/null || true
    done
    for name in all cli0 blk0 atk0; do # as a router that reflects BFD echo
        in_host sysctl -qw net.ipv4.conf.$name.rp_filter=0 net.ipv4.conf.$name.send_redirects=0
    done
}

honest_nat() {
    in_host nft -f - << END
table inet published {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname "cli0" meta nfproto ipv4 tcp dport 8080 dnat ip to $INNER4:80
        iifname "cli0" meta nfproto ipv6 tcp dport 8080 dnat ip6 to [$INNER6]:80
        iifname "cli0" meta nfproto ipv4 udp dport 5301 dnat ip to $INNER4:53
        iifname "cli0" meta nfproto ipv6 udp dport 5301 dnat ip6 to [$INNER6]:53
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        iifname "in0" oifname "cli0" masquerade
    }
}
table ip stateless {
    chain pre {
        type filter hook prerouting priority raw;
        iifname "cli0" ip daddr $WEB4 tcp dport 8088 notrack ip daddr set $INNER4 accept
        iifname "in0" ip saddr $INNER4 tcp sport 8088 notrack accept
        iifname "cli0" ip daddr $WEB4 tcp dport 8090 notrack accept
        iifname "in0" ip saddr $INNER4 tcp sport 8091 notrack accept
    }
    chain post {
        type filter hook postrouting priority 300;
        oifname "cli0" ip saddr $INNER4 tcp sport 8088 ip saddr set $WEB4
    }
}
table ip6 stateless {
    chain pre {
        type filter hook prerouting priority raw;
        iifname "cli0" ip6 daddr $WEB6 tcp dport 8088 notrack ip6 daddr set $INNER6 accept
        iifname "in0" ip6 saddr $INNER6 tcp sport 8088 notrack accept
        iifname "cli0" ip6 daddr $WEB6 tcp dport 8090 notrack accept
        iifname "in0" ip6 saddr $INNER6 tcp sport 8091 notrack accept
    }
    chain post {
        type filter hook postrouting priority 300;
        oifname "cli0" ip6 saddr $INNER6 tcp sport 8088 ip6 saddr set $WEB6
    }
}
END
    # IPVS where the kernel has it.
    modprobe -q ip_vs 2> /dev/null || true
    if command -v ipvsadm > /dev/null && in_host ipvsadm -A -t $WEB4:8090 -s rr 2> /dev/null; then
        in_host ipvsadm -a -t $WEB4:8090 -r $INNER4:8091 -m
        in_host ipvsadm -A -t "[$WEB6]:8090" -s rr
        in_host ipvsadm -a -t "[$WEB6]:8090" -r "[$INNER6]:8091" -m
        : > "$DIR/ipvs"
    fi
}

# nginx_of NAMESPACE PORT... : pages, 4 MB down (/large) and up (/up), /secret for fail2ban.
nginx_of() {
    local ns=$1 name=${1#"$LAB-"} port listen=
    shift
    for port; do listen="$listen listen $port; listen [::]:$port;"; done
    cat > "$DIR/$name.nginx" << END
daemon off; user root; pid $DIR/$name.pid; error_log $DIR/$name.error;
worker_processes 1;
events { worker_connections 4096; }
http {
    access_log off;
    log_format refused '\$time_iso8601 refused \$remote_addr';
    keepalive_timeout 3600; keepalive_requests 1000000;
    client_body_temp_path $DIR/$name.body; client_max_body_size 100m;
    server { $listen root $DIR/web;
        location /secret { access_log $DIR/$name.refused refused; return 403; }
        location /up { proxy_pass http://127.0.0.1:81; } }
    server { listen 127.0.0.1:81; return 200 fine; }
}
END
    begin $ns nginx -c "$DIR/$name.nginx"
}

dnsmasq_of() { # NAMESPACE LINE...
    local name=${1#"$LAB-"}
    printf '%s\n' no-resolv no-hosts edns-packet-max=8192 cache-size=0 "${@:2}" > "$DIR/$name.dnsmasq"
    begin $1 dnsmasq --keep-in-foreground --user=root --conf-file="$DIR/$name.dnsmasq" --pid-file="$DIR/$name.dnspid"
}

honest_names() {
    local zone n records=()
    for zone in four six; do
        records+=("address=/www.$zone.example/203.0.113.80")
        for n in $(seq 24); do records+=("$(printf 'txt-record=big.%s.example,"%0200d"' $zone "$n")"); done
    done
    local listen=() name
    for name in dns-serve-large dns-ask dns-ask-large masq-dns; do
        listen+=("listen-address=$(peer4 $name),$(peer6 $name)")
    done
    dnsmasq_of $CLIENT bind-interfaces "${listen[@]}" "${records[@]}"
    dnsmasq_of $INNER "${records[@]}"
    dnsmasq_of $HOST "server=/four.example/$(peer4 dns-serve-large)" "server=/six.example/$(peer6 dns-serve-large)"
}

honest_time() {
    printf '%s\n' "local stratum 8" "allow all" "cmdport 0" "bindcmdaddress /" "pidfile $DIR/client.chrony.pid" \
        "bindaddress $(peer4 ntp-ask)" "bindaddress $(peer6 ntp-ask)" > "$DIR/client.chrony"
    printf '%s\n' "server $(peer4 ntp-ask) minpoll 0 maxpoll 0" "server $(peer6 ntp-ask) minpoll 0 maxpoll 0" \
        "local stratum 10" "allow all" "cmdport 0" "bindcmdaddress $DIR/chronyd.sock" "pidfile $DIR/host.chrony.pid" \
        "bindacqaddress $WEB4" "bindacqaddress $WEB6" > "$DIR/host.chrony"
    begin $CLIENT chronyd -x -d -u root -f "$DIR/client.chrony"
    begin $HOST chronyd -x -d -u root -f "$DIR/host.chrony"
}

honest_sshd() {
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$DIR/hostkey"
    ssh-keygen -q -t ed25519 -N '' -f "$DIR/key"
    cp "$DIR/key.pub" "$DIR/authorized"
    printf '%s\n' "Port 22" "HostKey $DIR/hostkey" "PidFile $DIR/sshd.pid" "AuthorizedKeysFile $DIR/authorized" \
        "StrictModes no" "UsePAM no" "PasswordAuthentication no" "PermitRootLogin prohibit-password" > "$DIR/sshd.conf"
    begin $HOST /usr/sbin/sshd -D -e -f "$DIR/sshd.conf"
}

f2b() { fail2ban-client -c "$DIR/f2b" -s "$DIR/f2b/socket" "$@"; }
honest_fail2ban() {
    mkdir -p "$DIR/f2b/action.d" "$DIR/f2b/filter.d"
    cp /etc/fail2ban/paths-common.conf "$DIR/f2b/" 2> /dev/null || true
    cp "$ROOT/tools/fail2ban/xdpctl.conf" "$DIR/f2b/action.d/"
    printf '%s\n' "[Definition]" "actionban = echo <ip> >> $DIR/bans" > "$DIR/f2b/action.d/note.conf"
    printf '%s\n' "[Definition]" "loglevel = INFO" "logtarget = $DIR/f2b/log" "syslogsocket = auto" \
        "socket = $DIR/f2b/socket" "pidfile = $DIR/f2b/pid" "dbfile = None" "dbpurgeage = 1d" > "$DIR/f2b/fail2ban.conf"
    printf '%s\n' "[Definition]" 'failregex = refused <HOST>$' > "$DIR/f2b/filter.d/lab.conf"
    cat > "$DIR/f2b/jail.conf" << END
[DEFAULT]
backend = polling
maxretry = 5
findtime = 600
bantime = 600
filter = lab
[web]
enabled = true
logpath = $DIR/host.refused
action = note
         xdpctl[xdpctl="$BUILD/bin/xdpctl --socket $XDPCTL_SOCKET"]
END
    : > "$DIR/host.refused"
    : > "$DIR/bans"
    begin $HOST fail2ban-server -c "$DIR/f2b" -s "$DIR/f2b/socket" -p "$DIR/f2b/pid" -f start
}

# The host and its peers, without xdpctld: only a web server and SSH, no connection tracking.
honest_idle_up() {
    honest_links
    honest_py honest.py numbers > "$DIR/numbers"
    honest_py honest.py addresses
    mkdir -p "$DIR/web"
    echo "<h1>It works</h1>" > "$DIR/web/index.html"
    head -c 4000000 /dev/zero > "$DIR/web/large"
    nginx_of $HOST 80
    honest_sshd
    eventually "in_host curl -sf -o /dev/null http://127.0.0.1/"
    honest_workloads
}

# With all its services.
honest_up() {
    local family
    honest_idle_up
    honest_nat
    nginx_of $INNER 80 8088 8091
    nginx_of $CLIENT 8000
    honest_names
    honest_time
    honest_fail2ban
    for family in 4 6; do
        begin $HOST iperf3 -s -p 520$family
        begin $HOST iperf3 -s -p 521$family
    done
    eventually "in_client curl -sf -o /dev/null http://$WEB4:8080/ && f2b ping > /dev/null 2>&1"
    eventually "in_client dig +short +time=1 +tries=1 @$WEB4 www.four.example | grep -q 203.0.113.80"
}

honest_workloads() {
    # Workloads; commands by one pipe, "done" by the other.
    mkfifo "$DIR/commands" "$DIR/answers"
    honest_py honest.py lab < "$DIR/commands" > "$DIR/answers" 2>> "$DIR/peers.log" &
    EXTRA_PIDS="$! $EXTRA_PIDS"
    exec 8> "$DIR/commands" 9< "$DIR/answers"
    local ready
    read -r -t 30 ready <&9 || fail "the workloads do not start: $(tail -n 5 "$DIR/peers.log")"
}

honest_state() { # FILE: what xdpctld counted; it may be slow where the machine is busy
    eventually "xdpctl -j stats > '$1.stats' && xdpctl -j guard > '$1.guard' && xdpctl -j ban list > '$1.bans'"
}
honest_samples() { # FILE: samples of dropped packets, until it is ended
    local child=
    trap 'kill $child 2> /dev/null; exit 0' TERM
    while :; do
        nsenter --net=/run/netns/$HOST "$BUILD/bin/xdpctl" -j events -f -k packet -n 0 >> "$1" 2>> "$DIR/peers.log" &
        child=$!
        wait $child || true
    done
}

# honest_phase NAME SECONDS: every workload, with whatever runs beside.
honest_phase() {
    local name=$1 seconds=$2 answer follow=
    echo "== $name: $seconds s (at $SECONDS s)"
    [ ! -d "$DIR/f2b" ] || f2b unban --all > /dev/null
    : > "$DIR/bans"
    if [ -n "$DAEMON_PID" ]; then
        honest_state "$DIR/$name.before"
        : > "$DIR/$name.samples"
        honest_samples "$DIR/$name.samples" &
        follow=$!
        EXTRA_PIDS="$EXTRA_PIDS $follow"
    fi
    echo "phase $name $seconds" >&8
    read -r -t $((${seconds%.*} + 150)) answer <&9 || fail "phase $name does not end: $(tail -n 5 "$DIR/peers.log")"
    [ "$answer" = "done $name" ] || fail "phase $name: $answer"
    if [ -n "$DAEMON_PID" ]; then
        kill -0 "$DAEMON_PID" || fail "xdpctld died"
        sleep 1
        kill $follow
        honest_state "$DIR/$name.after"
    fi
    PHASES="$PHASES $name"
}

# The daemon as installed: the default configuration, nothing learnt.
honest_daemon() { # MODE
    write_config "$1" 'on_stop = "detach"'
    sed -i 's/^interfaces = .*/interfaces = ["cli0", "blk0", "atk0"]/' "$DIR/xdpctl.toml"
    rm -rf "$DIR/state" "$PINS"
    daemon_up
}
honest_daemon_end() { daemon_kill TERM; }

# A mixed flood of both families, evenly spread over its kinds, at a rate that leaves two
# cores room for the work itself.
FLOODS=
honest_floods() { # SECONDS [PACKETS PER SECOND]
    local seconds=$1 pps=$((${2:-50000} / 14)) mac to from
    mac=$(target_mac)
    flood_one() { # KIND [more]
        nsenter --net=/run/netns/$ATTACKER "$BUILD/bin/flood" eth0 "$to" "$1" --source "$from" --mac "$mac" \
            --pps $pps --seconds "$seconds" "${@:2}" >> "$DIR/floods" 2>&1 &
        FLOODS="$FLOODS $!"
        EXTRA_PIDS="$EXTRA_PIDS $!"
    }
    for to in $TARGET4 $TARGET6; do
        from=198.18.0.0/16
        [ "$to" = $TARGET6 ] && from=2001:db8:f::/48
        flood_one syn --port 80
        flood_one ack --port 80
        flood_one udp --port 9
        flood_one udp --port 5353 --from-port 53
        flood_one udp --port 40000 --from-port 123
        flood_one fragment
        flood_one icmp
    done
}
honest_floods_end() { # they end by themselves
    wait $FLOODS || fail "a flood ended early: $(tail -n 3 "$DIR/floods")"
    FLOODS=
    jq -s '"flooded with \(map(.pps) | add | floor) packets/s, \(map(.sent) | add) in all"' -r "$DIR/floods"
}

# Prints the table; false where something that worked does not, or honest packets were dropped.
honest_table() { honest_py honest_report.py $PHASES; }
