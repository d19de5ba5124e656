#!/usr/bin/env bash
# The data path on the kernel of Debian 12, in QEMU without KVM: its verifier takes
# it, nf_conntrack is a module there, a handshake by cookie succeeds, and panic and its end
# work behind libxdp's dispatcher. VM_LINKS=1: interfaces of all kinds, too (links.sh), which
# takes ten minutes. The packages of the kernel and of the peers are fetched once and kept
# below the build directory.
set -euo pipefail
BUILD=${BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build}
cache=$BUILD/vm
skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}
for tool in curl strip qemu-system-x86_64 busybox cpio dpkg apt-get ip timeout; do
    command -v $tool > /dev/null || skip "needs $tool"
done
mkdir -p "$cache"

# --- the kernel
package=$(apt-cache depends linux-image-amd64 2> /dev/null |
    sed -n 's/.*Depends: \(linux-image-6\.1[^ ]*amd64\)$/\1/p' | head -n 1)
[ -n "$package" ] || skip "no Debian 6.1 kernel in the package lists (apt-get update)"
fetch_package() { # NAME FILE: unpacked below the cache, of which it has FILE
    [ -e "$cache/$1/$2" ] && return
    (cd "$cache" && apt-get download -qq "$1" 2> /dev/null) || return 1
    mkdir -p "$cache/$1"
    dpkg -x "$cache/$1"_*.deb "$cache/$1"
    rm -f "$cache/$1"_*.deb
}
fetch_package "$package" boot || skip "cannot fetch $package"
kernel=$(echo "$cache/$package"/boot/vmlinuz-*)
modules=$(echo "$cache/$package"/lib/modules/*)

# --- the initial file system
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,sbin,proc,sys,dev,tmp,run,modules,www,usr/lib/x86_64-linux-gnu/bpf}
cp "$(command -v busybox)" "$root/bin/busybox"
programs=("$BUILD/bin/xdpctl" "$BUILD/bin/xdpctld" "$(command -v ip)" "$(command -v curl)")
# Peers that make WireGuard, PPP and tun interfaces; without them the guest skips these.
fetch_package wireguard-tools usr/bin/wg && programs+=("$cache/wireguard-tools/usr/bin/wg")
fetch_package ppp usr/sbin/pppd && programs+=("$cache/ppp/usr/sbin/pppd")
command -v socat > /dev/null && programs+=("$(command -v socat)")
for program in "${programs[@]}"; do
    # Without what debuggers need: the guest unpacks all of it.
    strip --strip-debug -o "$root/bin/$(basename "$program").real" "$program"
    ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -Ln "$library" "$root$library"
    done
done
cp /usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o "$root/usr/lib/x86_64-linux-gnu/bpf/" 2> /dev/null || true
# In the order of what each depends on.
declare -A files placed
while read -r file; do
    name=${file##*/} name=${name%.ko}
    files[${name//-/_}]=$file
done < <(find "$modules" -name '*.ko')
place_module() { # NAME
    local name=${1//-/_} needed
    [ -n "${files[$name]:-}" ] && [ -z "${placed[$name]:-}" ] || return 0
    placed[$name]=yes
    for needed in $(grep -aoz '^depends=.*' "${files[$name]}" | tr -d '\0' | cut -d= -f2 | tr , ' '); do
        place_module "$needed"
    done
    cp "${files[$name]}" "$root/modules/$name.ko"
    echo "$name" >> "$root/modules/order"
}
for module in crc32c_generic nf_conntrack veth tcp_diag udp_diag tun wireguard ppp_async 8021q \
    bonding bridge vrf macvlan ipvlan dummy ip_gre ip6_gre ipip ip6_tunnel sit xfrm_interface; do
    place_module $module
done
cp "$(dirname "$0")/links.sh" "$root/"
[ -z "${VM_LINKS:-}" ] || touch "$root/links.wanted"
echo "It works" > "$root/www/index.html"
cat > "$root/tmp/xdpctl.toml" << END
mode = "enforce"
interfaces = ["v0"]
attach = "generic"
[lists]
block = ["198.51.100.66", "2001:db8:5::66"]
[guard]
on = [80]
[paths]
state = "/tmp/state"
END
cat > "$root/init" << 'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
# This shell prefers its own applets to what is in the path.
ip() { /bin/ip.real "$@"; }
ln -sf /bin/xdpctl.real /bin/xdpctl
ln -sf /bin/xdpctld.real /bin/xdpctld
export PATH=/bin LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/pts /dev/net /var/run
mount -t devpts none /dev/pts
mount -t bpf none /sys/fs/bpf
mount -t cgroup2 none /sys/fs/cgroup
while read -r module; do
    [ -e /modules/$module.ko ] && insmod /modules/$module.ko
done < /modules/order
say() { echo "VM: $*"; }
end() { say "$*"; poweroff -f; }
say "kernel $(uname -r)"
ip link set lo up
ip link add v0 type veth peer name v1
unshare -n sleep 1000 &
client=$!
sleep 1
ip link set v1 netns $client
ip addr add 192.0.2.1/24 dev v0
ip addr add 2001:db8::1/64 dev v0 nodad
ip link set v0 up
inside() { nsenter -t $client -n "$@"; }
inside ip.real addr add 192.0.2.2/24 dev v1
inside ip.real addr add 2001:db8::2/64 dev v1 nodad
inside ip.real link set v1 up
httpd -p '[::]:80' -h /www
start_daemon() {
    xdpctld -c /tmp/xdpctl.toml > /tmp/log 2>&1 &
    daemon=$!
    for try in $(seq 60); do
        grep -q "^error" /tmp/log && break
        xdpctl status > /dev/null 2>&1 && break
        sleep 1
    done
    xdpctl status || { cat /tmp/log; end "FAILED: no daemon"; }
}
start_daemon
sleep 2
for url in http://192.0.2.1/ 'http://[2001:db8::1]/'; do
    inside curl.real -sg --max-time 5 $url || { xdpctl guard; xdpctl stats; cat /tmp/log; end "FAILED: $url"; }
done
# Data may overtake the ACK on the other CPU, and prove the same client again.
by_cookie() { xdpctl -j guard | tr -d ' \n' | grep -q '"cookies_accepted":[2-9],'; }
for try in $(seq 10); do # the daemon looks four times a second
    by_cookie && break
    sleep 1
done
xdpctl guard
by_cookie || end "FAILED: not by cookie"
xdpctl stats
grep -q 'adopt\|loaded' /tmp/log || end "FAILED: $(cat /tmp/log)"
# Panic and its end without the daemon, behind libxdp's dispatcher.
kill -9 $daemon
runs() { ip link show v0 | grep -q prog/xdp; }
runs || end "FAILED: nothing is attached"
xdpctl panic || end "FAILED: panic"
runs && end "FAILED: panic leaves something attached"
xdpctl panic --end || end "FAILED: the end of the panic"
runs || end "FAILED: the end of the panic attaches nothing"
inside curl.real -sg --max-time 5 http://192.0.2.1/ || end "FAILED: no connection after the panic"
xdpctl panic --end && end "FAILED: a second end"
if [ -e /links.wanted ]; then
    # From here on without libxdp's dispatcher, behind which only a start can attach.
    xdpctl panic > /dev/null
    rm -rf /sys/fs/bpf/xdpctl
    export LIBXDP_SKIP_DISPATCHER=1
    sed -i 's/^attach = .*/attach = "auto"/' /tmp/xdpctl.toml
    start_daemon
    . /links.sh
    test_links || end "FAILED"
fi
end "PASSED"
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 > "$cache/initrd.gz"

# --- the run
timeout "${VM_SECONDS:-400}" qemu-system-x86_64 -machine "${QEMU_MACHINE:-accel=tcg}" -cpu "${QEMU_CPU:-max}" -m 1024 -smp 2 -nographic -no-reboot \
    -nic none -kernel "$kernel" -initrd "$cache/initrd.gz" \
    -append "console=ttyS0 panic=-1 quiet no_timer_check" < /dev/null > "$cache/console" 2>&1 || true
tr -d '\r' < "$cache/console" | sed -n '/^VM: kernel/,$p'
grep -q "^VM: PASSED" "$cache/console"
