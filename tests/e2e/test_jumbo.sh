#!/usr/bin/env bash
# MTU 9000: the program takes frames of several buffers.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq
lab_up 9000
web_up
write_config enforce
daemon_up
for url in "http://$WEB4/large" "http://[$WEB6]/large"; do
    check "a large page over $url" fetch "$url"
    check "a large upload to $url" test \
        "$(in_client curl -s -o /dev/null -w '%{size_upload}' --max-time 5 -T "$DIR/web/large" "$url")" = 4000000
done
check "long packets arrived" test "$(xdpctl -j stats | jq '[.counters[] | select(.reason == "passed") | .bytes] | add')" -gt 8000000
check_equal "and none was dropped" "$(xdpctl -j stats | jq '.totals.dropped.packets')" 0
xdpctl status | head -2
