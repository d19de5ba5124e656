#!/usr/bin/env bash
# xdpctl replay as CI jobs of users call it.
set -euo pipefail
. "$(dirname "$0")/../harness/lab.sh"
need jq tcpreplay gzip setpriv
X=$BUILD/bin/xdpctl
"$BUILD/bin/mkpcap" "$DIR/null.pcap" 3000 203.0.113.2 192.0.2.1 null
"$BUILD/bin/mkpcap" "$DIR/null6.pcap" 3000 2001:db8:a::2 2001:db8::1 null
"$BUILD/bin/mkpcap" "$DIR/good.pcap" 3000 198.51.100.2 192.0.2.1 udp
check_code 0 "expectations that hold" $X replay "$DIR/null.pcap" "$DIR/null6.pcap" --service 80 --service udp/80 --benign "$DIR/good.pcap" \
    --expect 'drop>=98%' --expect 'tcp_null>=3000 packets' --expect-benign 'drop<=0.1%' --junit "$DIR/junit.xml"
check "a table" grep -Eq "tcp_null +3000 +100.00%" "$DIR/out"
check "JUnit" grep -q 'tests="8" failures="0"' "$DIR/junit.xml"
check_code 1 "one that fails" $X replay "$DIR/good.pcap" --service udp/80 --expect 'drop>=98%'
check "is named" grep -q "FAILS  drop>=98%" "$DIR/out"
check_code 0 "JSON" $X -j replay "$DIR/null.pcap"
check_equal "counts" "$(jq '.files[0].dropped' "$DIR/out")" 3000
for wrong in 'nonsense>1' 'held>98' 'drop<=1' 'held>=198%'; do
    check_code 2 "a wrong expectation: $wrong" $X replay "$DIR/good.pcap" --expect "$wrong" --junit "$DIR/junit.xml"
    check "is in JUnit" grep -q '<error type="usage"' "$DIR/junit.xml"
done
check_code 2 "what can be assumed" $X replay "$DIR/good.pcap" --assume open

# Whatever comes in, standard input and gzip too, ends in a report or in one line.
gzip -kc "$DIR/null.pcap" > "$DIR/null.pcap.gz"
check_code 0 "gzip" $X replay "$DIR/null.pcap.gz" --expect 'tcp_null==3000 packets'
check_code 0 "standard input" $X replay - --expect 'tcp_null==3000 packets' < "$DIR/null.pcap"
check_code 0 "a pipe of gzip" bash -c "cat '$DIR/null.pcap.gz' | $X replay - --expect 'tcp_null==3000 packets'"
check_code 0 "a process's output" bash -c "$X replay <(cat '$DIR/null.pcap') --expect 'tcp_null==3000 packets'"
check_code 2 "standard input twice" $X replay - --benign - < "$DIR/null.pcap"
check_code 8 "standard input that is empty" $X replay - < /dev/null
check_code 1 "a place for the copy that is not there" env TMPDIR=/nonexistent $X replay "$DIR/null.pcap.gz"
check "is named" grep -q /nonexistent "$DIR/err"
head -c 1000 "$DIR/good.pcap" > "$DIR/short.pcap"
check_code 0 "a capture that is cut" $X -j replay "$DIR/short.pcap" --junit "$DIR/junit.xml" --service udp/80 --expect 'pass>=99%'
check_equal "says where" "$(jq -r '.files[0].cut' "$DIR/out")" "the file ends inside a record, after frame 10"
check "also in JUnit" grep -q "cut: the file ends inside a record, after frame 10" "$DIR/junit.xml"
echo "no capture" > "$DIR/text"
head -c 30 "$DIR/null.pcap.gz" > "$DIR/short.gz"
check_code 8 "files that cannot be read do not end the others" $X -j replay "$DIR/text" "$DIR/nosuch.pcap" "$DIR/null.pcap" \
    "$DIR" "$DIR/short.gz" --expect 'drop>=98%' --junit "$DIR/junit.xml"
check_equal "which are replayed" "$(jq -c '[.files[].dropped, (.failures | length), .checks[0].holds]' "$DIR/out")" "[3000,4,true]"
check_equal "each is one line" "$(wc -l < "$DIR/err") $(jq -s 'map(.error.message | length > 0) | all' "$DIR/err")" "4 true"
check "JUnit has them" grep -q 'tests="6" failures="0" errors="4"' "$DIR/junit.xml"
check_code 4 "no such file" $X replay "$DIR/nosuch.pcap" --junit "$DIR/junit.xml"
check "is in JUnit" grep -q '<error type="not_found"' "$DIR/junit.xml"
echo 'mode = 7' > "$DIR/bad.toml"
check_code 6 "a bad policy" $X replay "$DIR/null.pcap" --policy "$DIR/bad.toml" --junit "$DIR/junit.xml"
check "is in JUnit" grep -q '<error type="invalid_config"' "$DIR/junit.xml"

# Nothing judged proves nothing.
head -c 24 "$DIR/null.pcap" > "$DIR/empty.pcap"
check_code 1 "an expectation over nothing" $X replay "$DIR/empty.pcap" --expect 'drop<=1%'
check "says why" grep -q "nothing was judged: the capture holds no packet" "$DIR/out"
check_code 1 "or over what is not judged" $X replay "$DIR/null.pcap" --protect 192.0.2.200 --expect 'drop<=1%'

# One direction shows no socket, and no closed port.
for family in 203.0.113.2/192.0.2.1 2001:db8:a::2/2001:db8::1; do
    "$BUILD/bin/mkpcap" "$DIR/udp.pcap" 3000 ${family%/*} ${family#*/} udp 9999
    check_code 1 "ports of a one-way capture" $X replay "$DIR/udp.pcap" --expect 'held>=90%'
    check "are said to be unknown" grep -q "one-way: no packet from the protected side" "$DIR/out"
    check "with what to state" grep -q -- "--service, such as udp/53, or .* --assume closed" "$DIR/out"
    check_code 0 "unless stated closed" $X replay "$DIR/udp.pcap" --expect 'held>=90%' --assume closed
    check_code 0 "or by the services" $X replay "$DIR/udp.pcap" --expect 'held>=90%' --service 53
done

# Whoever may not load it is told what is missing.
for capability in bpf perfmon net_admin; do
    check_code 5 "without $capability" setpriv --bounding-set -sys_admin,-$capability --inh-caps -sys_admin,-$capability \
        $X replay "$DIR/null.pcap" --junit "$DIR/junit.xml"
    check "it is named" grep -qi "CAP_$capability is missing" "$DIR/err"
    check "in JUnit too" grep -qi "CAP_$capability is missing" "$DIR/junit.xml"
done

printf '[lists]\nblock = ["198.51.100.0/24"]\n' > "$DIR/policy.toml"
check_code 0 "a policy" $X replay "$DIR/good.pcap" --policy "$DIR/policy.toml" --expect 'blocked==3000'
check_code 0 "real frames through a veth pair" $X replay --live "$DIR/null.pcap" "$DIR/null6.pcap" --expect 'tcp_null==3000'
check_equal "leave nothing behind" "$(ip -br link | grep -c xdpctl- || true)" 0
