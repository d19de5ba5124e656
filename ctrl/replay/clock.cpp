// SPDX-License-Identifier: Apache-2.0
#include "replay/clock.h"

#include <algorithm>

namespace xdpctl
{
namespace
{

constexpr size_t lines_kept = 8;
constexpr size_t pauses_searched = 16; // the latest: an older clock's return drops all
constexpr uint64_t hour_ns = 3600 * ns_per_s;

// The year 2262: later ones are no times, and sums of two must not overflow.
constexpr uint64_t stamp_ns_max = UINT64_MAX / 2;

bool is_usable(uint64_t captured_ns)
{
    return captured_ns != 0 && captured_ns < stamp_ns_max;
}

uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

} // namespace

// A line that was not seen for a while may have advanced as far as the others.
StampLines::Line* StampLines::find(uint64_t stamp_ns)
{
    Line* best = nullptr;
    for (Line& line : lines_) {
        const uint64_t meanwhile = progress_ns_ - line.seen_progress;
        const bool fits = stamp_ns + tolerance_ns >= line.greatest_ns &&
                          stamp_ns <= line.greatest_ns + meanwhile + tolerance_ns;
        if (fits && (best == nullptr || distance(stamp_ns, line.greatest_ns) <
                                            distance(stamp_ns, best->greatest_ns))) {
            best = &line;
        }
    }
    return best;
}

StampLines::Place StampLines::begin(uint64_t stamp_ns)
{
    Place place;
    place.begins = true;
    for (const Line& line : lines_) {
        if (line.greatest_ns < stamp_ns && line.greatest_ns >= place.before_ns) {
            place.has_before = true;
            place.before = line.number;
            place.before_ns = line.greatest_ns;
        }
    }
    place.line = begun_++;
    const Line fresh = {place.line, stamp_ns, progress_ns_, stamp_ns, progress_ns_, followed_};
    if (lines_.size() < lines_kept) {
        lines_.push_back(fresh);
    } else {
        *std::min_element(lines_.begin(), lines_.end(),
                          [](const Line& a, const Line& b) { return a.used < b.used; }) = fresh;
    }
    return place;
}

StampLines::Place StampLines::follow(uint64_t stamp_ns)
{
    followed_++;
    Line* line = find(stamp_ns);
    if (line == nullptr) {
        return begin(stamp_ns);
    }
    Place place;
    place.line = line->number;
    place.is_early = stamp_ns < line->greatest_ns;
    if (stamp_ns > line->begin_ns) {
        progress_ns_ = std::max(progress_ns_, line->begin_progress + (stamp_ns - line->begin_ns));
    }
    line->greatest_ns = std::max(line->greatest_ns, stamp_ns);
    line->seen_progress = progress_ns_;
    line->used = followed_;
    return place;
}

uint64_t StampSurvey::Pause::length_ns() const
{
    return std::min(end_ns - begin_ns, pause_ns_max);
}

// Drops the pauses that `stamp_ns` disproves.
void StampSurvey::reject(const StampLines::Place& place, uint64_t stamp_ns)
{
    if (!place.begins) {
        pauses_.erase(pauses_.upper_bound(place.line), pauses_.end());
    }
    auto it = pauses_.end();
    for (size_t i = 0; i < pauses_searched && it != pauses_.begin(); i++) {
        --it;
        const Pause& pause = it->second;
        if (pause.begin_ns < stamp_ns && stamp_ns + StampLines::tolerance_ns < pause.end_ns) {
            it = pauses_.erase(it);
        }
    }
}

void StampSurvey::see(uint64_t captured_ns)
{
    frames_++;
    if (!is_usable(captured_ns)) {
        return;
    }
    const StampLines::Place place = lines_.follow(captured_ns);
    if (place.begins || place.line != last_line_) {
        reject(place, captured_ns);
    }
    if (place.begins) {
        newest_line_ = place.line;
        newest_line_frames_ = 0;
        if (place.has_before) {
            pauses_.emplace(place.line, Pause{place.before, place.before_ns, captured_ns});
        }
    }
    first_line_frames_ += place.line == 0 ? 1 : 0;
    newest_line_frames_ += place.line == newest_line_ ? 1 : 0;
    last_line_ = place.line;
}

ClockPlan StampSurvey::plan() const
{
    uint64_t total = lines_.progress_ns();
    for (const auto& [line, pause] : pauses_) {
        total += pause.length_ns();
    }
    ClockPlan plan;
    for (const auto& [line, pause] : pauses_) {
        const uint64_t length_ns = pause.length_ns();
        const bool first_alone = pause.before == 0 && first_line_frames_ == 1;
        const bool last_alone =
            line == newest_line_ && line == last_line_ && newest_line_frames_ == 1;
        const bool outweighs = length_ns > hour_ns && length_ns > total - length_ns;
        if (!((first_alone || last_alone) && outweighs)) {
            plan.pauses_ns.emplace(line, length_ns);
        }
    }
    plan.has_time = frames_ <= 1 || lines_.progress_ns() > 0 || !plan.pauses_ns.empty();
    return plan;
}

void CaptureClock::begin_file(ClockPlan plan)
{
    plan_ = std::move(plan);
    lines_ = {};
    file_begin_ns_ = now_ns_;
    paused_ns_ = 0;
    frames_ = 0;
    adjusted_ = {};
}

uint64_t CaptureClock::advance(uint64_t captured_ns)
{
    constexpr uint64_t step_ns = ns_per_s / fallback_packets_per_second;
    const bool is_first = frames_++ == 0;
    if (!plan_.has_time) {
        adjusted_.no_stamp++;
        now_ns_ += is_first ? 0 : step_ns;
        return now_ns_;
    }
    if (!is_usable(captured_ns)) {
        adjusted_.no_stamp++;
        return now_ns_;
    }
    const StampLines::Place place = lines_.follow(captured_ns);
    const auto pause = plan_.pauses_ns.find(place.line);
    if (place.begins && pause != plan_.pauses_ns.end()) {
        paused_ns_ += pause->second;
        adjusted_.shortened += pause->second == StampSurvey::pause_ns_max ? 1 : 0;
    } else if (place.begins && place.line > 0) {
        adjusted_.off_line++;
    }
    adjusted_.early += place.is_early ? 1 : 0;
    now_ns_ = file_begin_ns_ + paused_ns_ + lines_.progress_ns();
    return now_ns_;
}

} // namespace xdpctl
