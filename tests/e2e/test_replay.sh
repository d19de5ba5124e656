#!/usr/bin/env bash
# xdpctl replay as CI jobs of users call it.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need jq tcpreplay
X=$BUILD/bin/xdpctl
"$BUILD/bin/mkpcap" "$DIR/null.pcap" 3000 203.0.113.2 192.0.2.1 null
"$BUILD/bin/mkpcap" "$DIR/null6.pcap" 3000 2001:db8:a::2 2001:db8::1 null
"$BUILD/bin/mkpcap" "$DIR/good.pcap" 3000 198.51.100.2 192.0.2.1 ack
check_code 0 "expectations that hold" $X replay "$DIR/null.pcap" "$DIR/null6.pcap" --service 80 --benign "$DIR/good.pcap" \
    --expect 'drop>=98%' --expect 'tcp_null>=3000' --expect-benign 'drop<=0.1%' --junit "$DIR/junit.xml"
check "a table" grep -Eq "tcp_null +3000 +100.00%" "$DIR/out"
check "JUnit" grep -q 'tests="8" failures="0"' "$DIR/junit.xml"
check_code 1 "one that fails" $X replay "$DIR/good.pcap" --service 80 --expect 'drop>=98%'
check "is named" grep -q "FAILS  drop>=98%" "$DIR/out"
check_code 0 "JSON" $X -j replay "$DIR/null.pcap"
check_equal "counts" "$(jq '.files[0].dropped' "$DIR/out")" 3000
check_code 2 "a wrong expectation" $X replay "$DIR/good.pcap" --expect 'nonsense>1'
check_code 4 "no such file" $X replay "$DIR/nosuch.pcap"
head -c 1000 "$DIR/good.pcap" > "$DIR/short.pcap"
check_code 1 "a capture that ends in the middle" $X replay "$DIR/short.pcap"
check "names file and frame" grep -Eq "short.pcap: frame [0-9]+: " "$DIR/err"
printf '[lists]\nblock = ["198.51.100.0/24"]\n' > "$DIR/policy.toml"
check_code 0 "a policy" $X replay "$DIR/good.pcap" --policy "$DIR/policy.toml" --expect 'blocked==3000'
check_code 0 "real frames through a veth pair" $X replay --live "$DIR/null.pcap" "$DIR/null6.pcap" --expect 'tcp_null==3000'
check_equal "leave nothing behind" "$(ip -br link | grep -c xdpctl- || true)" 0
