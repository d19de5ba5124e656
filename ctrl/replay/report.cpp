// SPDX-License-Identifier: Apache-2.0
#include "replay/report.h"

#include <algorithm>
#include <numeric>

#include "api/codec.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

// XML 1.0 allows no control characters; a file's name may hold them, or no UTF-8.
std::string escape_xml(const std::string& text)
{
    // The JSON library replaces what is no UTF-8.
    const std::string valid = json::parse(to_text(json(text), -1)).get<std::string>();
    std::string out;
    for (const char c : valid) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        default:
            out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
        }
    }
    return out;
}

bool is_pass(const std::string& metric)
{
    const auto reason = find_reason(metric);
    return metric == "pass" || (reason && reason->verdict == XDPCTL_VERDICT_PASS);
}

// "udp_no_socket 12, no_session 3"
std::string by_reason(const std::array<uint64_t, XDPCTL_REASON_SLOTS>& counts)
{
    std::string text;
    for (const ReasonInfo& reason : reasons) {
        if (counts[reason.id] > 0) {
            text +=
                fmt::format("{}{} {}", text.empty() ? "" : ", ", reason.name, counts[reason.id]);
        }
    }
    return text;
}

void add_note(std::vector<std::string>& notes, uint64_t count, std::string_view what)
{
    if (count > 0) {
        notes.push_back(fmt::format("{} {}", count, what));
    }
}

} // namespace

uint64_t ReplayReport::unproven_total() const
{
    return std::accumulate(unproven.begin(), unproven.end(), uint64_t{0});
}

double ReplayReport::dropped_percent() const
{
    return judged == 0 ? 0 : static_cast<double>(dropped) * 100 / static_cast<double>(judged);
}

uint64_t ReplayReport::metric(const std::string& name) const
{
    if (name == "drop") {
        return dropped;
    }
    if (name == "held") {
        return dropped + answered;
    }
    if (name == "pass") {
        return passed();
    }
    const auto reason = find_reason(name);
    return reason ? packets[reason->id] : 0;
}

uint64_t ReplayReport::proven_metric(const std::string& name) const
{
    if (is_pass(name)) {
        return metric(name) + unproven_total();
    }
    const auto reason = find_reason(name);
    return metric(name) - (reason ? unproven[reason->id] : unproven_total());
}

std::string ReplayReport::nothing_judged() const
{
    if (frames == 0) {
        return "nothing was judged: the capture holds no packet";
    }
    const std::string counts =
        fmt::format("of {} packets {} come from the protected side ({}), {} go elsewhere, {} "
                    "cannot be read",
                    frames, outgoing, protects, elsewhere, skipped());
    return "nothing was judged: " + counts + "; --protect states another side";
}

std::string ReplayReport::unproven_text() const
{
    const std::string who =
        live           ? "no socket is here"
        : side_unknown ? "no protected side stands out whose packets would show it (--protect "
                         "names one)"
        : one_way      ? "the capture holds no packet from the protected side"
                       : "the capture holds no answer from their destination";
    return fmt::format("{} packets were dropped only because no socket or connection is known for "
                       "them ({}), and {}: state {}",
                       unproven_total(), by_reason(unproven), who,
                       live ? "--assume closed if none is on the host either"
                            : "what is served with --service, such as udp/53, or that nothing "
                              "else is with --assume closed");
}

std::vector<std::string> ReplayReport::notes() const
{
    std::vector<std::string> notes;
    if (!cut.empty()) {
        notes.push_back("cut: " + cut + "; judged as far as it goes");
    }
    if (one_way && judged > 0 && !live) {
        notes.push_back(fmt::format("one-way: no packet from the protected side is here; {}",
                                    absence_stated
                                        ? "no other sockets than stated are assumed"
                                        : "assumed: no other sockets than the services above"));
    }
    if (unproven_total() > 0) {
        notes.push_back(unproven_text());
    }
    add_note(notes, completed, "cut by the snap length were filled with zeros");
    add_note(notes, lengths_completed, "with IP length 0 (offloading sender) got their frame's");
    add_note(notes, segmented,
             fmt::format("larger than one buffer were judged as {} segments", segments));
    add_note(notes, by_headers, "larger than one buffer were judged by their headers");
    add_note(notes, too_large, "of an impossible length were skipped");
    add_note(notes, headers_cut, "whose headers the snap length cut were skipped");
    add_note(notes, too_short, "shorter than a header were skipped");
    for (const auto& [link, count] : other_links) {
        add_note(notes, count, fmt::format("of link type {} were not read", link));
    }
    add_note(notes, clock.early, "stamped earlier than one before them: time stood still");
    add_note(notes, clock.off_line, "stamped more than a second off without a pause: time went on");
    add_note(notes, clock.no_stamp, "without a usable time");
    add_note(notes, clock.shortened, "pauses of more than a day took a day");
    return notes;
}

Check check(const ReplayReport& report, const Expectation& expectation)
{
    Check check;
    check.file = report.file;
    check.expectation = expectation;
    check.count = report.metric(expectation.metric);
    check.percent = report.judged == 0 ? 0
                                       : static_cast<double>(check.count) * 100 /
                                             static_cast<double>(report.judged);
    const bool as_seen = expectation.holds(check.count, report.judged);
    const bool as_proven =
        expectation.holds(report.proven_metric(expectation.metric), report.judged);
    check.holds = as_seen && as_proven;
    if (report.judged == 0) {
        check.why = report.nothing_judged();
    } else if (as_seen != as_proven) {
        check.why = report.unproven_text();
    }
    return check;
}

json to_json(const ReplayReport& report)
{
    json by_reason = json::array();
    for (const ReasonInfo& reason : reasons) {
        if (report.packets[reason.id] > 0) {
            by_reason.push_back({{"reason", reason.name},
                                 {"packets", report.packets[reason.id]},
                                 {"dropped", report.drops[reason.id]},
                                 {"unproven", report.unproven[reason.id]}});
        }
    }
    return {{"file", report.file},
            {"live", report.live},
            {"protects", report.protects},
            {"services", report.services},
            {"assumed_services", report.assumed},
            {"held", report.dropped + report.answered},
            {"frames", report.frames},
            {"judged", report.judged},
            {"outgoing", report.outgoing},
            {"elsewhere", report.elsewhere},
            {"passed", report.passed()},
            {"dropped", report.dropped},
            {"answered", report.answered},
            {"dropped_percent", report.dropped_percent()},
            {"dropped_in_session", report.dropped_in_session},
            {"unproven", report.unproven_total()},
            {"one_way", report.one_way},
            {"absence_stated", report.absence_stated},
            {"cut", report.cut.empty() ? json() : json(report.cut)},
            {"completed", report.completed},
            {"lengths_completed", report.lengths_completed},
            {"segmented", report.segmented},
            {"segments", report.segments},
            {"by_headers", report.by_headers},
            {"skipped",
             {{"too_large", report.too_large},
              {"too_short", report.too_short},
              {"headers_cut", report.headers_cut},
              {"other_links", report.other_links}}},
            {"clock_adjusted", report.clock.total()},
            {"clock",
             {{"early", report.clock.early},
              {"off_line", report.clock.off_line},
              {"no_stamp", report.clock.no_stamp},
              {"shortened_pauses", report.clock.shortened}}},
            {"notes", report.notes()},
            {"seconds", report.seconds},
            {"by_reason", by_reason}};
}

json to_json(const Check& check)
{
    json out = {{"file", check.file},
                {"expect", check.expectation.text},
                {"holds", check.holds},
                {"count", check.count},
                {"percent", check.percent}};
    if (!check.why.empty()) {
        out["why"] = check.why;
    }
    return out;
}

json to_json(const ReplayFailure& failure)
{
    return {{"file", failure.file},
            {"kind", kind_name(failure.error.kind)},
            {"message", failure.error.message}};
}

namespace
{

constexpr const char* case_open = "  <testcase classname=\"xdpctl.replay\" name=\"{}\"{}>{}"
                                  "</testcase>\n";

std::string junit_of(const ReplayReport& report)
{
    const auto notes = report.notes();
    std::string text;
    for (const std::string& note : notes) {
        text += escape_xml(note) + "\n";
    }
    return fmt::format(case_open, escape_xml(report.file),
                       fmt::format(" time=\"{:.3f}\"", report.seconds),
                       text.empty() ? "" : "<system-out>" + text + "</system-out>");
}

std::string junit_of(const ReplayFailure& failed)
{
    return fmt::format(case_open, escape_xml(failed.file), "",
                       fmt::format("<error type=\"{}\" message=\"{}\"/>",
                                   kind_name(failed.error.kind), escape_xml(failed.error.message)));
}

std::string junit_of(const Check& check)
{
    std::string verdict;
    if (!check.holds) {
        verdict = fmt::format("<failure message=\"{} packets, {:.3f}%{}{}\"/>", check.count,
                              check.percent, check.why.empty() ? "" : "; ", escape_xml(check.why));
    }
    return fmt::format(case_open, escape_xml(check.file + ": " + check.expectation.text), "",
                       verdict);
}

} // namespace

std::string to_junit(const std::vector<ReplayReport>& reports,
                     const std::vector<ReplayFailure>& failures, const std::vector<Check>& checks)
{
    std::string cases;
    for (const ReplayReport& report : reports) {
        cases += junit_of(report);
    }
    for (const ReplayFailure& failed : failures) {
        cases += junit_of(failed);
    }
    for (const Check& check : checks) {
        cases += junit_of(check);
    }
    const auto failed = std::count_if(checks.begin(), checks.end(),
                                      [](const Check& check) { return !check.holds; });
    return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<testsuite name=\"xdpctl replay\" tests=\"{}\" failures=\"{}\" "
                       "errors=\"{}\">\n{}</testsuite>\n",
                       reports.size() + failures.size() + checks.size(), failed, failures.size(),
                       cases);
}

} // namespace xdpctl
