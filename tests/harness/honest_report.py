#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What became of the honest host's work: `honest_report.py PHASE...`, see honest.sh.

Reads DIR/PHASE.json, and for phases with xdpctld what it counted before and after, its
samples of dropped packets, bans and guards. The first phase is the one without. Prints a
table, then every fault in one line. Exit code 0: none."""
import collections
import ipaddress
import json
import sys

from honest import DIR, EXTRA, WORKLOADS, address_of, numbers

HONEST_DEVICES = ("cli0", "blk0")  # beside a flood; without one, every device is honest
SCANNERS = {address_of(n, f) for n in EXTRA["scanner"] for f in (4, 6)}
# A machine that is short of time does less, with xdpctld or without. Where not one packet
# was dropped, that is told from harm.
SLACK = 0.15
FLOOD_SLACK = 0.05  # beside a flood two cores are short of time, and queues of veth of room
BROKEN = 0.5  # of what was tried without xdpctld: less says that the workload is wrong


def load(name, lines=False):
    with open("%s/%s" % (DIR, name)) as file:
        return [json.loads(line) for line in file if line.strip()] if lines else json.load(file)


def works(row, floor):
    return row["done"] >= floor * row["tried"] - 1e-9


class Phase:
    def __init__(self, name, without):
        self.name, self.flooded = name, name.startswith("flood")
        self.rows = {(row["workload"], row["family"]): row for row in load(name + ".json")}
        self.daemon = name != without
        self.drops, self.samples = collections.Counter(), {}
        if self.daemon:
            self.drops = self.count_drops()
            self.samples = sample_reasons(load(name + ".samples", True), self.flooded)

    def honest_device(self, device):
        return device in HONEST_DEVICES or not self.flooded

    def count_drops(self):
        found = collections.Counter()
        for sign, when in ((1, "after"), (-1, "before")):
            for row in load("%s.%s.stats" % (self.name, when))["counters"]:
                if row["disposition"] in ("dropped", "would_drop") and self.honest_device(row["device"]):
                    found[row["family"], row["reason"]] += sign * row["packets"]
        return +found

    def bans(self):
        """Of others than the scanner."""
        rows = load(self.name + ".after.bans")["bans"]
        return [row for row in rows if row["prefix"].split("/")[0] not in SCANNERS]

    def attacks(self):
        """Guards that saw an attack in peace."""
        def counts(when):
            return {row["port"]: row["attacks"] for row in load("%s.%s.guard" % (self.name, when))["guards"]}
        before = counts("before")
        return {} if self.flooded else \
            {port: n - before.get(port, 0) for port, n in counts("after").items() if n > before.get(port, 0)}


def owners():
    """Address -> workload, family."""
    made = {}
    for name, many in numbers().items():
        for number in many:
            for family in (4, 6):
                made[address_of(number, family)] = (name, family)
            made["fe80::%d" % number] = (name, 6)
    made["198.19.0.2"], made["2001:db8:b::2"] = ("bulk", 4), ("bulk", 6)
    return made


def owner_of(packet, known):
    for end in ("source", "destination"):
        if packet[end] in known:
            return known[packet[end]]
    family = 4 if packet["family"] == "ipv4" else 6
    if packet["source"].startswith("fe80::5:"):
        return "neighbours", 6
    if packet["source"].startswith(("198.19.", "2001:db8:5:")):
        return "chatter", family
    if packet["source"] in ("0.0.0.0", "::"):
        return ("dhcp", 4) if family == 4 else ("router", 6)
    if ipaddress.ip_address(packet["source"]) in ipaddress.ip_network(("198.18.0.0/16", "2001:db8:f::/48")[family == 6]):
        return None  # the flood
    return packet["source"], family


def sample_reasons(events, flooded):
    """Workload, family -> reasons of its sampled packets; an example of each reason."""
    known, found = owners(), collections.defaultdict(dict)
    for event in events:
        packet = event["packet"]
        if packet["verdict"] != "drop" or packet["source"] in SCANNERS:
            continue
        owner = owner_of(packet, known)
        if owner is None or (flooded and owner[0] not in WORKLOADS):
            continue
        reason = found[owner].setdefault(packet["reason"], [0, event["text"]])
        reason[0] += 1
    return found


def said(reasons):
    return ", ".join("%s (%d sampled)" % (reason, count) for reason, (count, _) in reasons.items())


def print_table(phases):
    print("\n%-18s %-4s" % ("done of tried", "IPv") + "".join("%16s" % phase.name for phase in phases) + "   dropped, by reason")
    for name, entry in WORKLOADS.items():
        for family in entry.families:
            key = (name, family)
            if key not in phases[0].rows:
                continue
            cells = "".join("%16s" % ("%d/%d" % (p.rows[key]["done"], p.rows[key]["tried"])) for p in phases)
            reasons = "; ".join("%s: %s" % (p.name, said(p.samples[key])) for p in phases if key in p.samples)
            notes = " ".join(sorted({p.rows[key]["note"] for p in phases if p.rows[key]["note"]}))
            print(("%-18s %-4d" % key + cells + "   " + reasons + (" [%s]" % notes if notes else "")).rstrip())
    print()
    for name, entry in WORKLOADS.items():
        if any(key[0] == name for key in phases[0].rows):
            print("  %-18s %s" % (name, entry.tells))
    print()


def work_faults(phases):
    """What worked without must work with."""
    without = phases[0]
    for key, first in without.rows.items():
        entry = WORKLOADS[key[0]]
        if not works(first, BROKEN):
            yield "%s, IPv%d does not work without xdpctld: %d of %d %s" % (*key, first["done"], first["tried"], first["note"])
            continue
        floor = min(entry.floor, first["done"] / max(first["tried"], 1))
        if floor < entry.floor:
            print("%s, IPv%d: the machine is short of time: %d of %d without xdpctld" % (*key, first["done"], first["tried"]))
        for phase in phases[1:]:
            row = phase.rows[key]
            if phase.flooded and not entry.flood:
                continue
            # Where some was lost without xdpctld, the flood's own share of the CPUs loses more.
            lost = 1 - first["done"] / max(first["tried"], 1)
            slack = FLOOD_SLACK + lost if phase.flooded else 0 if phase.drops else SLACK
            if not works(row, floor - slack):
                why = said(phase.samples.get(key, {})) or "no sample"
                yield "%s: %s, IPv%d: %d of %d, without %d of %d: %s %s" % (
                    phase.name, *key, row["done"], row["tried"], first["done"], first["tried"], why, row["note"])


def drop_faults(phase):
    """In peace nothing honest is dropped, in monitor mode nothing would be."""
    banned_honest = any("banned" in reasons for reasons in phase.samples.values())
    for (family, reason), packets in sorted(phase.drops.items()):
        if reason == "banned" and not banned_honest and not phase.bans():
            continue  # the scanner, by fail2ban
        whose = ["%s %d: %s" % (*key, reasons[reason][1]) for key, reasons in phase.samples.items() if reason in reasons
                 and (key[1] == 6) == (family == "ipv6")]
        line = "%s: %d honest packets %s as %s (%s)" % (
            phase.name, packets, "would be dropped" if phase.name == "monitor" else "dropped", reason, family)
        yield "\n      ".join([line] + whose)


def faults(phases):
    yield from work_faults(phases)
    for phase in phases[1:]:
        for row in phase.bans():
            yield "%s: %s banned (%s: %s)" % (phase.name, row["prefix"], row["origin"], row["reason"])
        for port, count in phase.attacks().items():
            yield "%s: the guard of port %d saw %d attacks" % (phase.name, port, count)
        if not phase.flooded:
            yield from drop_faults(phase)
        elif phase.drops:
            print("%s: honest packets dropped: %s" % (phase.name, dict(("%s %s" % key, n) for key, n in phase.drops.items())))


def main(names):
    phases = [Phase(name, names[0]) for name in names]
    print_table(phases)
    found = list(faults(phases))
    for fault in found:
        print("RED: " + fault)
    rows = [row for phase in phases for row in phase.rows.values()]
    if not rows or not any(row["tried"] for row in rows):
        found.append("nothing was tried")
    print("honest host: %d workloads in %d phases, %d faults" % (len(phases[0].rows), len(phases), len(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
