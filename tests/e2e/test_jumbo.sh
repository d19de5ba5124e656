#!/usr/bin/env bash
# MTU 9000: the program takes frames of several buffers.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq
lab_up 9000
web_up
write_config enforce
daemon_up
for url in "http://$WEB4" "http://[$WEB6]"; do
    check "a large page over $url" fetch "$url/large"
    check "a large upload to $url" test \
        "$(in_client curl -s -o /dev/null -w '%{size_upload}' --max-time 5 -X POST -H Expect: --data-binary "@$DIR/web/large" "$url/upload")" = 4000000
done
passed_bytes() { xdpctl -j stats | jq '[.counters[] | select(.reason == "passed") | .bytes] | add // 0'; }
eventually "[ \$(passed_bytes) -gt 8000000 ]"
echo "ok: every byte of both uploads was counted"
check_equal "and none was dropped" "$(xdpctl -j stats | jq '.totals.dropped.packets')" 0
xdpctl status | head -2
