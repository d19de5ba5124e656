// SPDX-License-Identifier: Apache-2.0
// What a replay found, and how CI reads it.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/reasons.h"
#include "replay/clock.h"
#include "replay/expectation.h"

namespace xdpctl
{

struct ReplayReport {
    std::string file;
    bool live = false;
    std::string protects;
    std::set<std::string> services; // "tcp/80"
    std::set<std::string> assumed;  // of those, that the capture itself does not show
    bool side_unknown = false;      // none stands out: every packet counts as coming in
    bool one_way = false;           // no packet of the protected side is in the capture
    bool absence_stated = false;    // by --service or --assume closed
    std::string cut;                // where and why the capture ends too early; else empty
    uint64_t frames = 0;            // in the file, of links that are read
    uint64_t judged = 0;            // packets towards the protected side
    uint64_t outgoing = 0;          // from it: they tell, they are not judged
    uint64_t elsewhere = 0;         // neither to it nor from it: not judged
    uint64_t dropped = 0;
    uint64_t answered = 0;           // with a cookie: kept from the kernel, not lost
    uint64_t dropped_in_session = 0; // of those, packets of an established session
    uint64_t completed = 0;          // cut by the snap length, filled with zeros
    uint64_t lengths_completed = 0;  // IP length 0 of an offloading sender
    uint64_t segmented = 0;          // frames larger than one buffer, judged as
    uint64_t segments = 0;           // so many segments in all
    uint64_t by_headers = 0;         // frames larger than one buffer, judged by their begin
    uint64_t too_large = 0;          // skipped: of an impossible length
    uint64_t too_short = 0;          // skipped: shorter than an Ethernet header
    uint64_t headers_cut = 0;        // skipped: the snap length cut their headers
    std::map<std::string, uint64_t> other_links; // not read: frames by link type
    CaptureClock::Adjusted clock;
    double seconds = 0; // of the capture's clock
    std::array<uint64_t, XDPCTL_REASON_SLOTS> packets{};
    std::array<uint64_t, XDPCTL_REASON_SLOTS> drops{};
    // Of the drops, those that rest on a socket not being there, which the capture
    // neither shows nor is stated.
    std::array<uint64_t, XDPCTL_REASON_SLOTS> unproven{};

    uint64_t skipped() const { return too_large + too_short + headers_cut; }
    uint64_t passed() const { return judged - dropped - answered; }
    uint64_t unproven_total() const;
    double dropped_percent() const;
    uint64_t metric(const std::string& name) const; // of an Expectation
    // The same where every unproven drop had been a pass.
    uint64_t proven_metric(const std::string& name) const;
    // Why nothing was judged; and what the unproven drops are, and what would prove them.
    std::string nothing_judged() const;
    std::string unproven_text() const;
    std::vector<std::string> notes() const; // what was assumed, completed or left out
};

// A file that could not be replayed.
struct ReplayFailure {
    std::string file;
    Error error;
};

struct Check {
    std::string file;
    Expectation expectation;
    bool holds = false;
    double percent = 0;
    uint64_t count = 0;
    std::string why; // beyond the numbers; may be empty
};

Check check(const ReplayReport& report, const Expectation& expectation);

nlohmann::json to_json(const ReplayReport& report);
nlohmann::json to_json(const Check& check);
nlohmann::json to_json(const ReplayFailure& failure);
// One test case per file and expectation (the JUnit schema that CI servers read); files
// that could not be replayed are errors.
std::string to_junit(const std::vector<ReplayReport>& reports,
                     const std::vector<ReplayFailure>& failures, const std::vector<Check>& checks);

} // namespace xdpctl
