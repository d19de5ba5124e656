#!/usr/bin/env bash
# What xdpctld itself costs: CPU time, the longest time for which the deciding thread was busy at
# once, and how long reads of the API take meanwhile, idle and with much to carry.
# usage: control.sh [SECONDS EACH, default 20] [FILE.json]
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need curl jq bpftool /usr/bin/python3
seconds=${1:-20} out=${2:-}
ROWS=

api() { in_host curl -sf --unix-socket "$XDPCTL_SOCKET" "http://x$1"; }
cpu_ms() { awk -v tick="$(getconf CLK_TCK)" '{print ($14 + $15) * 1000 / tick}' /proc/$DAEMON_PID/stat; }

# Reads until the file is gone; milliseconds of each.
reads() {
    in_host /usr/bin/python3 - "$XDPCTL_SOCKET" "$DIR/reading" > "$DIR/reads" << 'END'
import http.client, os, socket, sys, time
class Api(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
while os.path.exists(sys.argv[2]):
    begin = time.monotonic()
    api = Api("x")
    api.request("GET", "/v1/stats")
    api.getresponse().read()
    print((time.monotonic() - begin) * 1000)
    time.sleep(0.02)
END
}

# WHAT [COMMAND...]: the command runs in the middle of the measurement.
measure() {
    local what=$1 begin_cpu begin p99 hold cpu reader
    shift
    touch "$DIR/reading"
    reads &
    reader=$!
    begin_cpu=$(cpu_ms) begin=$(date +%s%N)
    sleep $((seconds / 4))
    if [ $# -gt 0 ]; then "$@"; fi
    sleep $((seconds - seconds / 4))
    cpu=$(awk -v a="$begin_cpu" -v b="$(cpu_ms)" -v ns=$(($(date +%s%N) - begin)) 'BEGIN { printf "%.2f", (b - a) * 1e8 / ns }')
    rm "$DIR/reading"
    wait $reader
    p99=$(sort -n "$DIR/reads" | awk '{ all[NR] = $1 } END { printf "%.2f", all[int(NR * 0.99)] }')
    hold=$(api /v1/status | jq '.longest_hold_seconds * 1000')
    printf '%-44s %8s %% of a core %10.1f ms held %8s ms p99 of %s reads\n' "$what" "$cpu" "$hold" "$p99" "$(wc -l < "$DIR/reads")"
    ROWS="$ROWS$(jq -cn --arg what "$what" --argjson cpu "$cpu" --argjson hold "$hold" --argjson p99 "$p99" \
        '{what: $what, cpu_percent: $cpu, longest_hold_ms: $hold, read_p99_ms: $p99}')"$'\n'
}

again() { # TOML: a daemon without the history of the last
    daemon_kill TERM
    rm -rf "$PINS" "$DIR/state"
    in_host ip link set cli0 xdpgeneric off
    in_host ip link set atk0 xdpgeneric off
    write_config enforce "$1"
    daemon_up
    sleep 2
}

prefixes() { # COUNT FIRST_OCTETS
    awk -v count="$1" -v first="$2" 'BEGIN { for (i = 0; i < count; i++) printf "%d.%d.%d.%d\n", first + i / 16777216, i / 65536 % 256, i / 256 % 256, i % 256 }'
}

lab_up
write_config enforce
daemon_up
sleep 2
measure "idle"

for i in $(seq 500); do
    in_host ip link add x$i type veth peer name y$i
done
measure "1,000 interfaces more"
for i in $(seq 500); do in_host ip link del x$i; done

again '[maps]
bans = 1000000'
prefixes 1000000 11 > "$DIR/bans"
import() { xdpctl ban import "$DIR/bans" --ttl 1d > /dev/null; }
measure "a million bans are imported" import
sleep 60
measure "a million bans"

again "[[feeds]]
name = \"large\"
url = \"$DIR/feed\"
refresh = \"1h\"
max_entries = 5000000
max_share_ipv4 = 100
max_change = 100"
prefixes 4000000 11 > "$DIR/feed"
exchange() { xdpctl feed refresh large --force > /dev/null; }
measure "a list of 4 million comes" exchange
prefixes 4000000 32 > "$DIR/feed"
measure "and is exchanged" exchange

if [ -n "$out" ]; then jq -s '{schema_version: 1, rows: .}' <<< "$ROWS" > "$out"; fi
