#!/usr/bin/env bash
# A real Prometheus scrapes; every expression of dashboard and rules has a value.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need prometheus promtool curl jq tcpreplay nginx
lab_up
web_up
# A feed and a CrowdSec that is not there, so that every rule has something to look at.
echo 192.0.2.9 > "$DIR/list"
write_config enforce "[[feeds]]
name = \"local\"
url = \"$DIR/list\"
[crowdsec]
url = \"http://127.0.0.1:9\"
key_file = \"$DIR/none\""
daemon_up
check "promtool check metrics" bash -c "nsenter --net=/run/netns/$HOST curl -s http://127.0.0.1:9417/metrics | promtool check metrics"
check "promtool check rules" promtool check rules "$ROOT/tools/prometheus/xdpctl.rules.yml"
check "promtool test rules" promtool test rules "$ROOT/tools/prometheus/xdpctl.rules.test.yml"
check "at most 500 series" test "$(in_host curl -s http://127.0.0.1:9417/metrics | grep -c '^xdpctl_')" -le 500

cat > "$DIR/prometheus.yml" << END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$ROOT/tools/prometheus/xdpctl.rules.yml]
scrape_configs:
  - job_name: xdpctl
    static_configs: [{ targets: ['127.0.0.1:9417'] }]
END
nsenter --net=/run/netns/$HOST prometheus --config.file="$DIR/prometheus.yml" --storage.tsdb.path="$DIR/tsdb" \
    --web.listen-address=127.0.0.1:9090 > "$DIR/prometheus.log" 2>&1 &
EXTRA_PIDS=$!
eventually "in_host curl -sf http://127.0.0.1:9090/-/ready > /dev/null"
xdpctl ban add 192.0.2.99 --ttl 1h > /dev/null
for i in 1 2 3 4; do
    flood 4000 $ATTACKER4 $TARGET4 null 4000
    flood 4000 $ATTACKER6 $TARGET6 xmas 4000
    fetch http://$WEB4/
done
xdpctl mode monitor > /dev/null
for i in 1 2 3; do
    flood 4000 $ATTACKER4 $TARGET4 null 4000
done

value() { in_host curl -s --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query | jq '.data.result | length'; }
expressions() {
    jq -r '.. | .expr? // empty' "$ROOT/tools/grafana/xdpctl.json" |
        sed 's/\$__rate_interval/10s/g; s/\$__range/1m/g; s/=~"\$device"/=~".*"/g'
    promtool_exprs
}
promtool_exprs() { in_host curl -s http://127.0.0.1:9090/api/v1/rules | jq -r '.data.groups[].rules[].query' |
    sed -E 's/ *(>|<|==|!=) *bool.*//; s/ (>|<|==|!=) [0-9.e]+$//; s/\[[0-9]+m\]/[10s]/g'; }
count=0
while read -r expression; do
    [ "$(value "$expression")" -gt 0 ] || fail "no value: $expression"
    count=$((count + 1))
done < <(expressions)
check "$count expressions have values" test $count -ge 15
check_equal "counters are the kernel's" \
    "$(in_host curl -s http://127.0.0.1:9417/metrics | awk '/^xdpctl_dropped_packets_total.*tcp_null/ { n += $2 } END { print n }')" \
    "$(dropped tcp_null)"

# --- IPv6, and every address of both families
metrics_at() { in_host curl -sg --max-time 5 "http://$1/metrics" | grep -q '^xdpctl_build_info'; }
restart_with() { # LISTEN
    kill $DAEMON_PID
    wait $DAEMON_PID || true
    write_config enforce "[metrics]
listen = \"$1\""
    daemon_up
}
check_not "IPv6 is not listened at by default" metrics_at '[::1]:9417'
restart_with '[::1]:9417'
check "IPv6 alone" metrics_at '[::1]:9417'
check_not "is not IPv4" metrics_at 127.0.0.1:9417
restart_with '127.0.0.1:9417,[::1]:9418'
check "several" metrics_at 127.0.0.1:9417
check "addresses" metrics_at '[::1]:9418'
check_not "a loopback address is warned of by nobody" grep -q "can read the metrics" "$DIR/daemon.log"
restart_with 9417
for address in 127.0.0.1 '[::1]' $WEB4 "[$WEB6]"; do
    check "a port alone is $address too" metrics_at "$address:9417"
done
check "and is warned of" grep -q "everybody who reaches port 9417 can read the metrics" "$DIR/daemon.log"
xdpctl check "$DIR/xdpctl.toml" > "$DIR/out" 2>&1 || true
check "by check as well" grep -q "xdpctl.toml:.*: metrics.listen: .*can read the metrics" "$DIR/out"
