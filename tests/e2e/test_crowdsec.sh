#!/usr/bin/env bash
# Decisions of the real CrowdSec become bans: both families, ranges, kinds that are none,
# ends and deletions; over restarts of either, with a wrong key, and with decisions that
# would hurt this host.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
PATH=$PATH:/var/cache/xdpctl/crowdsec/usr/bin # where scripts/bootstrap unpacks it
need nginx curl jq tcpreplay crowdsec cscli
lab_up
web_up

C=$DIR/crowdsec
mkdir -p "$C/data" "$C/hub"
cat > "$C/config.yaml" << END
common: { daemonize: false, log_media: stdout, log_level: info }
config_paths:
  config_dir: $C
  data_dir: $C/data
  simulation_path: $C/simulation.yaml
  hub_dir: $C/hub
  index_path: $C/hub/.index.json
  notification_dir: $C/notifications
  plugin_dir: $C/plugins
crowdsec_service: { enable: false }
db_config: { type: sqlite, db_path: $C/data/crowdsec.db, use_wal: true }
api:
  client: { credentials_path: $C/credentials.yaml }
  server:
    listen_uri: 127.0.0.1:8080
    profiles_path: $C/profiles.yaml
    console_path: $C/console.yaml
prometheus: { enabled: false }
END
cat > "$C/profiles.yaml" << 'END'
name: default_ip_remediation
filters: [ "Alert.Remediation == true" ]
decisions: [ { type: ban, duration: 4h } ]
on_success: break
END
echo 'simulation: false' > "$C/simulation.yaml"
: > "$C/credentials.yaml"
cs() { in_host "$(command -v cscli)" -c "$C/config.yaml" --error "$@"; }
crowdsec_up() {
    nsenter --net=/run/netns/$HOST "$(command -v crowdsec)" -c "$C/config.yaml" -no-cs >> "$C/log" 2>&1 &
    CROWDSEC_PID=$!
    EXTRA_PIDS="$EXTRA_PIDS $CROWDSEC_PID"
    eventually 'in_host curl -fsm1 -o /dev/null http://127.0.0.1:8080/health'
}
crowdsec_down() { kill $CROWDSEC_PID && wait $CROWDSEC_PID 2> /dev/null || true; }
cs machines add lab --password lab --force -f "$C/credentials.yaml" --url http://127.0.0.1:8080
key=$(cs -o raw bouncers add xdpctl)
crowdsec_up
cs decisions add --ip $ATTACKER4 --duration 4h --reason "ssh brute force"

echo wrong > "$C/key"
write_config enforce "[crowdsec]
url = \"http://127.0.0.1:8080\"
key_file = \"$C/key\"
interval = \"1s\""
daemon_up
status() { xdpctl -j status | jq -r ".crowdsec | $1"; }
ban() { xdpctl -j ban list | jq -r ".bans[] | select(.prefix == \"$1\") | $2"; }
eventually 'status .problem | grep -q 403'
check_equal "a wrong key bans nobody" "$(xdpctl -j ban list | jq '.bans | length')" 0
check "a key that every user may read is told at the start" \
    grep -q "every user of this host may read $C/key" "$DIR/daemon.log"
echo "$key" > "$C/key"
chmod 600 "$C/key"
check_equal "one that is kept close is not" \
    "$(xdpctl check "$DIR/xdpctl.toml" 2>&1 | grep -c "every user" || true)" 0
eventually '[ "$(status .bans)" = 1 ]'
check_equal "a decision of before the start is a ban" "$(ban $ATTACKER4 '.origin + ": " + .reason')" \
    "crowdsec: ssh brute force"
left=$(ban $ATTACKER4 '.remaining_seconds | floor')
check "for what is left of its time ($left s)" test "$left" -le 14400 -a "$left" -gt 14300
flood 200 $ATTACKER4 $TARGET4 ack
eventually '[ $(dropped banned) = 200 ]'
echo "ok: dropped at the NIC"
check_equal "explain says who banned" "$(xdpctl -j explain $ATTACKER4 $TARGET4 --dport 80 --flags S |
    jq -r '.lists[0].why')" "by crowdsec: ssh brute force"

cs decisions add --ip 2001:DB8:A::0002 --duration 4h --reason six
cs decisions add --range 192.0.2.77/25 --duration 4h --reason "a range with host bits"
cs decisions add --range 2001:db8:f::/48 --duration 4h --reason "a range"
cs decisions add --ip 192.0.2.200 --duration 4h --type captcha
cs decisions add --range 203.0.0.0/9 --duration 4h --reason "too wide"
cs decisions add --range 0.0.0.0/0 --duration 4h --reason "a mistake"
cs decisions add --ip $TARGET4 --duration 4h --reason "our own address"
cs decisions add --ip 192.0.2.201 --duration 5s --reason short
eventually '[ "$(status .refused)" = 1 ]'
echo "ok: nobody bans this host"
check_equal "an address in another spelling" "$(ban $ATTACKER6 .reason)" six
check_equal "a range is a network" "$(ban 192.0.2.0/25 .reason)" "a range with host bits"
check_equal "of IPv6 too" "$(ban 2001:db8:f::/48 .origin)" crowdsec
check_equal "a captcha is no ban" "$(ban 192.0.2.200 .reason)" ""
check_equal "it is counted" "$(status .passed_over)" 1
check_equal "nobody bans the world" "$(status .not_understood)" 2
check "and it is said" grep -q "wider than" <<< "$(status .first_not_understood)"
eventually '[ -z "$(ban 192.0.2.201 .reason)" ]'
echo "ok: a short one ends"

# What was decided here stays what it is.
xdpctl ban add 192.0.2.202 --ttl 1h --reason "by hand" > /dev/null
cs decisions add --ip 192.0.2.202 --duration 4h
cs decisions delete --ip $ATTACKER4 > /dev/null
cs decisions delete --range 192.0.2.0/25 > /dev/null 2>&1 || cs decisions delete --range 192.0.2.77/25 > /dev/null
eventually '[ -z "$(ban $ATTACKER4 .reason)" ] && [ -z "$(ban 192.0.2.0/25 .reason)" ]'
echo "ok: deleted ones are lifted"
check_equal "a ban by hand is not taken over" "$(ban 192.0.2.202 '.origin + ": " + .reason')" \
    "operator: by hand"
cs decisions delete --ip 192.0.2.202 > /dev/null
cs decisions add --ip 192.0.2.203 --duration 4h
eventually '[ -n "$(ban 192.0.2.203 .reason)" ]'
check_equal "nor lifted" "$(ban 192.0.2.202 .origin)" operator

# CrowdSec is away: its bans hold. Back, it says what changed meanwhile.
crowdsec_down
eventually '[ "$(status .problem)" != "" ]'
check_equal "bans outlive CrowdSec" "$(ban $ATTACKER6 .reason)" six
crowdsec_up
cs decisions delete --ip 192.0.2.203 > /dev/null
eventually '[ -z "$(ban 192.0.2.203 .reason)" ] && [ "$(status .problem)" = "" ]'
echo "ok: what changed while it was away is known"

# The daemon is away: bans hold in the data path; what was deleted is lifted at its return.
daemon_kill KILL
cs decisions delete --ip $ATTACKER6 > /dev/null
cs decisions add --ip $ATTACKER4 --duration 4h --reason again
daemon_up
eventually '[ -z "$(ban $ATTACKER6 .reason)" ] && [ "$(ban $ATTACKER4 .reason)" = again ]'
echo "ok: a new daemon learns what is in force"

# Five thousand at once.
{
    echo value
    seq 1 5000 | awk '{ print "198.18." int($1 / 250) "." $1 % 250 + 1 }'
} > "$C/many.csv"
cs decisions import -i "$C/many.csv" --duration 4h > /dev/null 2>&1
eventually '[ "$(status .bans)" -ge 5000 ]'
cs decisions delete --all > /dev/null
eventually '[ "$(status .bans)" = 0 ]'
echo "ok: five thousand come and go"
check_equal "what is by hand stays" "$(ban 192.0.2.202 .origin)" operator
check "metrics" sh -c "nsenter --net=/run/netns/$HOST curl -s http://127.0.0.1:9417/metrics |
    grep -q 'xdpctl_crowdsec_requests_total{result=\"answered\"}'"

# Taken out of the configuration: its bans go.
cs decisions add --ip $ATTACKER4 --duration 4h
eventually '[ -n "$(ban $ATTACKER4 .reason)" ]'
write_config enforce
xdpctl apply "$DIR/xdpctl.toml" > /dev/null
eventually '[ -z "$(ban $ATTACKER4 .reason)" ]'
echo "ok: without it nothing of it stays"
