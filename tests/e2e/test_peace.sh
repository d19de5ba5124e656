#!/usr/bin/env bash
# In peace it is invisible: a host that does next to nothing, without connection tracking,
# in enforce mode with the default configuration. Not one packet of a quiet network is
# dropped, and the kernel answers as always what comes to closed ports or too late.
# Native XDP here, as on a card; test_honest.sh has what a veth gets by default.
# usage: test_peace.sh [SECONDS, default 30]
set -euo pipefail
ATTACH=native
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/honest.sh"
honest_need
export HONEST_ONLY="chatter router groups routing dhcp closed-tcp closed-udp stray-tcp late
    trace-udp trace-icmp trace-tcp fping-in web ssh-session idle"
honest_idle_up
honest_phase without "${1:-30}"
honest_daemon enforce
honest_phase peace "${1:-30}"
honest_table
