// SPDX-License-Identifier: Apache-2.0
// What a replay found, and how CI reads it.
#pragma once

#include <array>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/bans.h"
#include "core/reasons.h"
#include "replay/expectation.h"

namespace xdpctl
{

struct ReplayReport {
    std::string file;
    bool live = false;
    std::string protects;
    std::set<std::string> services; // "tcp/80"
    std::set<std::string> assumed;  // of those,  that the capture itself does not show
    uint64_t frames = 0;            // in the file
    uint64_t judged = 0;            // towards the protected side
    uint64_t outgoing = 0;          // from it: they tell, they are not judged
    uint64_t elsewhere = 0;         // neither to it nor from it: not judged
    uint64_t dropped = 0;
    uint64_t answered = 0;           // with a cookie: kept from the kernel, not lost
    uint64_t dropped_in_session = 0; // of those, packets of an established session
    uint64_t completed = 0;          // cut by the snap length, filled with zeros
    uint64_t too_large = 0;          // skipped: larger than one buffer
    uint64_t too_short = 0;          // skipped: shorter than an Ethernet header
    uint64_t clock_adjusted = 0;     // timestamps zero or backward
    double seconds = 0;              // of the capture's clock
    std::array<uint64_t, XDPCTL_REASON_SLOTS> packets{};
    std::array<uint64_t, XDPCTL_REASON_SLOTS> drops{};
    std::vector<BanOrder> bans;

    uint64_t passed() const { return judged - dropped - answered; }
    double dropped_percent() const;
    uint64_t metric(const std::string& name) const; // of an Expectation
};

struct Check {
    std::string file;
    Expectation expectation;
    bool holds = false;
    double percent = 0;
    uint64_t count = 0;
};

Check check(const ReplayReport& report, const Expectation& expectation);

nlohmann::json to_json(const ReplayReport& report);
nlohmann::json to_json(const Check& check);
// One test case per file and expectation (the JUnit schema that CI servers read).
std::string to_junit(const std::vector<ReplayReport>& reports, const std::vector<Check>& checks);

} // namespace xdpctl
