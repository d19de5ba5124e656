// SPDX-License-Identifier: Apache-2.0
// The capture's stamps as a clock that never runs back and never runs away.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/units.h"

namespace xdpctl
{

/*
 * Sorts stamps into lines: runs of stamps that one clock could have made, in which
 * neighbours are less than a second apart. A broken stamp is a line of its own, the
 * queues of a card whose clocks differ are lines side by side, and a pause ends one
 * line and begins the next. Time is the progress of the furthest line.
 */
class StampLines
{
  public:
    static constexpr uint64_t tolerance_ns = ns_per_s;

    struct Place {
        uint64_t line = 0;       // numbered in the order in which they begin
        bool begins = false;     // the first stamp of that line
        bool is_early = false;   // earlier than the greatest stamp of its line
        bool has_before = false; // a line ended before this one begins
        uint64_t before = 0;     // that line, and
        uint64_t before_ns = 0;  // its greatest stamp
    };
    Place follow(uint64_t stamp_ns);
    uint64_t progress_ns() const { return progress_ns_; } // without pauses

  private:
    struct Line {
        uint64_t number;
        uint64_t begin_ns;       // its first stamp,
        uint64_t begin_progress; // and the progress at that moment
        uint64_t greatest_ns;
        uint64_t seen_progress; // when a stamp was last put here
        uint64_t used;          // for replacement
    };

    Line* find(uint64_t stamp_ns);
    Place begin(uint64_t stamp_ns);

    std::vector<Line> lines_; // the latest few
    uint64_t begun_ = 0;
    uint64_t followed_ = 0;
    uint64_t progress_ns_ = 0;
};

// What the first pass over a file learns of its stamps.
struct ClockPlan {
    // False: all stamps are equal or absent. Packets then follow each other at
    // CaptureClock::fallback_packets_per_second.
    bool has_time = true;
    std::map<uint64_t, uint64_t> pauses_ns; // before the line of that number
};

/*
 * Tells pauses from broken stamps: a pause is real if nothing later is stamped inside
 * it, nor belongs to a line that is older. A first or last stamp alone is not believed where it is
 * more than an hour, and more than all the rest takes, away.
 */
class StampSurvey
{
  public:
    static constexpr uint64_t pause_ns_max = 24 * 3600 * ns_per_s;

    void see(uint64_t captured_ns);
    ClockPlan plan() const;

  private:
    struct Pause {
        uint64_t before; // the line that it is after
        uint64_t begin_ns;
        uint64_t end_ns;

        uint64_t length_ns() const;
    };

    void reject(const StampLines::Place& place, uint64_t stamp_ns);

    StampLines lines_;
    std::map<uint64_t, Pause> pauses_; // by the line that begins then
    uint64_t last_line_ = 0;
    uint64_t frames_ = 0;
    uint64_t first_line_frames_ = 0;
    uint64_t newest_line_ = 0;
    uint64_t newest_line_frames_ = 0;
};

class CaptureClock
{
  public:
    static constexpr uint64_t fallback_packets_per_second = 100'000;
    static constexpr uint64_t start_ns = ns_per_s; // 0 would mean "never" in the data path

    // A second file continues where the first ended.
    void begin_file(ClockPlan plan);
    // Nanoseconds on the data path's clock for the next packet.
    uint64_t advance(uint64_t captured_ns);
    uint64_t now_ns() const { return now_ns_; }

    // Since begin_file: packets whose own stamp was not what moved the clock.
    struct Adjusted {
        uint64_t early = 0;     // earlier than one before: time stood still
        uint64_t off_line = 0;  // more than a second off, back or without a pause
        uint64_t no_stamp = 0;  // or all are equal
        uint64_t shortened = 0; // pauses, not packets: taken for StampSurvey::pause_ns_max
        uint64_t total() const { return early + off_line + no_stamp; }
    };
    const Adjusted& adjusted() const { return adjusted_; }

  private:
    ClockPlan plan_;
    StampLines lines_;
    uint64_t file_begin_ns_ = start_ns;
    uint64_t paused_ns_ = 0;
    uint64_t now_ns_ = start_ns;
    uint64_t frames_ = 0;
    Adjusted adjusted_;
};

} // namespace xdpctl
