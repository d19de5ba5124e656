#!/usr/bin/env bash
# panic works with the daemon dead, and holds until somebody ends it.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need nginx curl jq
lab_up
web_up
write_config enforce '[lists]
block = ["198.51.100.2"]'
check_code 4 "panic without anything loaded says so" xdpctl panic
daemon_up
check_not "blocked" fetch http://$WEB4/
daemon_kill KILL
check_not "blocked with the daemon dead" fetch http://$WEB4/
check "panic with the daemon dead" xdpctl panic
check "everything passes" fetch http://$WEB4/
check_equal "nothing is attached" "$(in_host ip -j link show dev cli0 | jq '.[0].xdp')" null
daemon_up
check "a restart does not end the panic" fetch http://$WEB4/
check "status says so" grep -q PANIC <(xdpctl status)
xdpctl attach cli0 > /dev/null
check_not "attach ends it" fetch http://$WEB4/
check_code 0 "panic with the daemon alive" xdpctl panic
check "everything passes" fetch http://$WEB4/
