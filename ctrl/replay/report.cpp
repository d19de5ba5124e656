// SPDX-License-Identifier: Apache-2.0
#include "replay/report.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

std::string escape_xml(std::string_view text)
{
    std::string out;
    for (const char c : text) {
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
            out += c;
        }
    }
    return out;
}

} // namespace

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

Check check(const ReplayReport& report, const Expectation& expectation)
{
    const uint64_t count = report.metric(expectation.metric);
    const double percent =
        report.judged == 0 ? 0
                           : static_cast<double>(count) * 100 / static_cast<double>(report.judged);
    return {report.file, expectation, expectation.holds(count, report.judged), percent, count};
}

json to_json(const ReplayReport& report)
{
    json by_reason = json::array();
    for (const ReasonInfo& reason : reasons) {
        if (report.packets[reason.id] > 0) {
            by_reason.push_back({{"reason", reason.name},
                                 {"packets", report.packets[reason.id]},
                                 {"dropped", report.drops[reason.id]}});
        }
    }
    json bans = json::array();
    for (const BanOrder& order : report.bans) {
        bans.push_back({{"source", to_string(order.source)},
                        {"at_seconds", static_cast<double>(order.ban.added_ns) / 1e9},
                        {"packets_per_second", order.packets_per_second}});
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
            {"completed", report.completed},
            {"skipped", {{"too_large", report.too_large}, {"too_short", report.too_short}}},
            {"clock_adjusted", report.clock_adjusted},
            {"seconds", report.seconds},
            {"by_reason", by_reason},
            {"bans", bans}};
}

json to_json(const Check& check)
{
    return {{"file", check.file},
            {"expect", check.expectation.text},
            {"holds", check.holds},
            {"count", check.count},
            {"percent", check.percent}};
}

std::string to_junit(const std::vector<ReplayReport>& reports, const std::vector<Check>& checks)
{
    size_t failures = 0;
    std::string cases;
    for (const ReplayReport& report : reports) {
        cases +=
            fmt::format("  <testcase classname=\"xdpctl.replay\" name=\"{}\" time=\"{:.3f}\"/>\n",
                        escape_xml(report.file), report.seconds);
    }
    for (const Check& check : checks) {
        cases += fmt::format("  <testcase classname=\"xdpctl.replay\" name=\"{}: {}\">",
                             escape_xml(check.file), escape_xml(check.expectation.text));
        if (!check.holds) {
            failures++;
            cases += fmt::format("<failure message=\"{} packets, {:.3f}%\"/>", check.count,
                                 check.percent);
        }
        cases += "</testcase>\n";
    }
    return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<testsuite name=\"xdpctl replay\" tests=\"{}\" failures=\"{}\">\n{}"
                       "</testsuite>\n",
                       reports.size() + checks.size(), failures, cases);
}

} // namespace xdpctl
