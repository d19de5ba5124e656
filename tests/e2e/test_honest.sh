#!/usr/bin/env bash
# First, do no harm: whatever an honest host does works with xdpctld in enforce mode, with
# the default configuration, as it does without: in peace, where not one of its packets is
# dropped, and beside a mixed flood. Monitor mode foretells that enforcing costs nothing.
# usage: test_honest.sh [SECONDS PER PHASE, default 30]   PHASE_LIST="without peace" limits it
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/honest.sh"
honest_need
seconds=${1:-30}
phases=${PHASE_LIST:-without monitor peace flood}
wanted() { case " $phases " in *" $1 "*) true ;; *) false ;; esac; }

honest_up
wanted without && honest_phase without "$seconds"
if wanted monitor; then
    honest_daemon monitor
    honest_phase monitor "$seconds"
    honest_daemon_end
fi
if wanted peace || wanted flood; then
    honest_daemon enforce
    if wanted peace; then honest_phase peace "$seconds"; fi
    if wanted flood; then
        honest_floods $((seconds + 10))
        sleep 2
        honest_phase flood "$seconds"
        honest_floods_end
    fi
fi
[ -z "${KEEP:-}" ] || { mkdir -p "$KEEP" && cp -r "$DIR"/*.* "$DIR/f2b" "$KEEP/"; }
honest_table
