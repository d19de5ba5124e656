// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/codec.h"
#include "base/file.h"
#include "output.h"
#include "replay/live.h"
#include "replay/replay.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

struct Options {
    std::vector<std::string> files;
    std::vector<std::string> benign;
    std::vector<std::string> protect;
    std::vector<std::string> services;
    std::vector<std::string> expect;
    std::vector<std::string> expect_benign;
    std::string assume;
    std::string config;
    std::string junit;
    bool live = false;
};

struct Plan {
    Config config;
    Stated stated;
    std::vector<Expectation> expect;
    std::vector<Expectation> expect_benign;
};

Result<std::vector<Expectation>> parse_expectations(const std::vector<std::string>& texts)
{
    std::vector<Expectation> parsed;
    for (const std::string& text : texts) {
        auto expectation = parse_expectation(text);
        if (!expectation) {
            return expectation.error();
        }
        parsed.push_back(*expectation);
    }
    return parsed;
}

Result<Plan> make_plan(const Options& options)
{
    Plan plan;
    if (!options.config.empty()) {
        auto text = read_file(options.config);
        if (!text) {
            return text.error();
        }
        auto config = parse_config(*text, options.config);
        if (!config) {
            return config.error();
        }
        plan.config = *config;
    }
    for (const std::string& text : options.protect) {
        auto prefix = parse_prefix(text);
        if (!prefix) {
            return prefix.error().in("--protect");
        }
        plan.stated.protect.push_back(*prefix);
    }
    for (const std::string& text : options.services) {
        auto service = parse_service_port(text);
        if (!service) {
            return service.error().in("--service");
        }
        plan.stated.services.push_back(*service);
    }
    plan.stated.closed = options.assume == "closed";
    if (!options.assume.empty() && !plan.stated.closed) {
        return failure(ErrorKind::usage, "--assume {}: can only be closed", options.assume);
    }
    auto expect = parse_expectations(options.expect);
    auto expect_benign = parse_expectations(options.expect_benign);
    if (!expect || !expect_benign) {
        return expect ? expect_benign.error() : expect.error();
    }
    if (options.live && !options.services.empty()) {
        return failure(ErrorKind::usage, "--service says nothing with --live: there the sockets "
                                         "are the kernel's own");
    }
    if (!expect_benign->empty() && options.benign.empty()) {
        return failure(ErrorKind::usage, "--expect-benign needs --benign FILE");
    }
    const auto is_input = [](const std::string& file) { return file == "-"; };
    if (std::count_if(options.files.begin(), options.files.end(), is_input) +
            std::count_if(options.benign.begin(), options.benign.end(), is_input) >
        1) {
        return failure(ErrorKind::usage, "-: standard input can be read once only");
    }
    plan.expect = *expect;
    plan.expect_benign = *expect_benign;
    return plan;
}

Result<ReplayReport> replay_one(Replayer* replayer, const Plan& plan, const std::string& file)
{
    ProgressLine line(file);
    const Progress progress = [&line](double share) { line.show(share); };
    return replayer != nullptr ? replayer->run(file, plan.stated, progress)
                               : replay_live(plan.config, file, plan.stated, progress);
}

void print_services(const ReplayReport& report)
{
    if (report.live) {
        fmt::print(
            "  live: no sockets are there, so neither guard nor UDP lookups find a service\n");
        return;
    }
    constexpr size_t most = 12;
    std::string text;
    size_t shown = 0;
    for (const std::string& service : report.services) {
        if (++shown > most) {
            text += fmt::format(" and {} more", report.services.size() - most);
            break;
        }
        text += (text.empty() ? "" : ", ") + service;
        text += report.assumed.contains(service) ? " (assumed: it never answers here)" : "";
    }
    fmt::print("  services: {}\n", text.empty() ? "none seen (--service names one)" : text);
}

void print_report(const ReplayReport& report, bool benign)
{
    fmt::print("{}{}{}\n", paint(Color::bold, report.file), benign ? " (benign)" : "",
               report.live ? " (live)" : "");
    fmt::print("  protects {}; {} frames over {:.1f} s: {} judged, {} outgoing, {} elsewhere, "
               "{} skipped\n",
               report.protects, report.frames, report.seconds, report.judged, report.outgoing,
               report.elsewhere, report.skipped());
    print_services(report);
    for (const std::string& note : report.notes()) {
        fmt::print("  {}\n", note);
    }
    Table table({"  REASON", ">PACKETS", ">SHARE", "VERDICT", "MEANING"});
    for (const ReasonInfo& reason : reasons) {
        const uint64_t packets = report.packets[reason.id];
        if (packets == 0) {
            continue;
        }
        const uint64_t drops = report.drops[reason.id];
        table.add({fmt::format("  {}", reason.name), std::to_string(packets),
                   fmt::format("{:.2f}%", static_cast<double>(packets) * 100 /
                                              static_cast<double>(report.judged)),
                   drops == packets                          ? "drop"
                   : reason.verdict == XDPCTL_VERDICT_ANSWER ? "answer"
                   : drops == 0                              ? "pass"
                                                             : fmt::format("{} dropped", drops),
                   std::string(reason.text)},
                  drops > 0 ? Color::red : Color::none);
    }
    if (!table.empty()) {
        table.print();
    }
    if (report.judged == 0) {
        fmt::print("  {}\n\n", report.nothing_judged());
        return;
    }
    const uint64_t held = report.dropped + report.answered;
    fmt::print("  held {} of {} ({:.3f}%): dropped {}, {} of them from an established session; "
               "answered {} with a cookie\n\n",
               held, report.judged,
               static_cast<double>(held) * 100 / static_cast<double>(report.judged), report.dropped,
               report.dropped_in_session, report.answered);
}

struct Run {
    std::vector<ReplayReport> attacks;
    std::vector<ReplayReport> benign;
    std::vector<ReplayFailure> failures;
    std::vector<Check> checks;
};

void print_failure(const Context& context, const Error& error)
{
    if (context.json) {
        fmt::print(stderr, "{}\n", to_text(to_json(error)));
    } else {
        fmt::print(stderr, "xdpctl: {}\n", error.message);
    }
}

// A file that cannot be replayed does not end the others.
Result<Run> replay_all(const Context& context, const Options& options, const Plan& plan)
{
    std::unique_ptr<Replayer> replayer;
    if (!options.live) {
        auto created = Replayer::create(plan.config);
        if (!created) {
            return created.error();
        }
        replayer = std::move(*created);
    }
    Run run;
    const auto replay = [&](const std::vector<std::string>& files, auto& reports,
                            const std::vector<Expectation>& expectations) {
        for (const std::string& file : files) {
            auto report = replay_one(replayer.get(), plan, file);
            if (!report) {
                print_failure(context, report.error());
                run.failures.push_back({file, report.error()});
                continue;
            }
            for (const Expectation& expectation : expectations) {
                run.checks.push_back(check(*report, expectation));
            }
            reports.push_back(std::move(*report));
        }
    };
    replay(options.files, run.attacks, plan.expect);
    replay(options.benign, run.benign, plan.expect_benign);
    return run;
}

void print_run(const Run& run)
{
    for (const ReplayReport& report : run.attacks) {
        print_report(report, false);
    }
    for (const ReplayReport& report : run.benign) {
        print_report(report, true);
    }
    for (const Check& check : run.checks) {
        fmt::print("{}  {}  {}  ({} packets, {:.3f}%)\n",
                   check.holds ? paint(Color::green, "holds") : paint(Color::red, "FAILS"),
                   check.expectation.text, check.file, check.count, check.percent);
        if (!check.why.empty()) {
            fmt::print("       {}\n", check.why);
        }
    }
}

json run_json(const Run& run)
{
    json out = {{"files", json::array()},
                {"benign", json::array()},
                {"failures", json::array()},
                {"checks", json::array()},
                {"schema_version", schema_version}};
    for (const ReplayReport& report : run.attacks) {
        out["files"].push_back(to_json(report));
    }
    for (const ReplayReport& report : run.benign) {
        out["benign"].push_back(to_json(report));
    }
    for (const ReplayFailure& failed : run.failures) {
        out["failures"].push_back(to_json(failed));
    }
    for (const Check& check : run.checks) {
        out["checks"].push_back(to_json(check));
    }
    return out;
}

// The highest, so that one bad file is not hidden by what comes after it.
int exit_code(const Run& run)
{
    int code = 0;
    for (const ReplayFailure& failed : run.failures) {
        code = std::max(code, static_cast<int>(failed.error.kind));
    }
    const bool all_hold = std::all_of(run.checks.begin(), run.checks.end(),
                                      [](const Check& check) { return check.holds; });
    return std::max(code, all_hold ? 0 : static_cast<int>(ErrorKind::failed));
}

Result<> write_junit(const Options& options, const Run& run)
{
    if (options.junit.empty()) {
        return Done{};
    }
    std::vector<ReplayReport> all = run.attacks;
    all.insert(all.end(), run.benign.begin(), run.benign.end());
    auto done = write_file_atomic(options.junit, to_junit(all, run.failures, run.checks));
    return done ? done : done.error().in("--junit");
}

// What fails before the first file is in the JUnit file too: CI servers show only that.
Outcome fail_before(const Context& context, const Options& options, const Error& error)
{
    Run run;
    run.failures.push_back({"xdpctl replay", error});
    if (auto done = write_junit(options, run); !done) {
        print_failure(context, done.error());
    }
    return error;
}

Outcome run(const Context& context, const Options& options)
{
    auto plan = make_plan(options);
    if (!plan) {
        return fail_before(context, options, plan.error());
    }
    auto run = replay_all(context, options, *plan);
    if (!run) {
        return fail_before(context, options, run.error());
    }
    context.json ? print_json(run_json(*run)) : print_run(*run);
    if (auto done = write_junit(options, *run); !done) {
        return done.error();
    }
    return exit_code(*run);
}

} // namespace

Action setup_replay(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    app.add_option("FILE", options->files,
                   "pcap or pcapng, also gzipped; - is standard input; Ethernet, raw IP, Linux "
                   "cooked or BSD loopback")
        ->required();
    app.add_option("--benign", options->benign,
                   "legitimate traffic, replayed after the files "
                   "into the same state: the collateral");
    app.add_option("--protect", options->protect,
                   "the protected side (default: inferred from each file, and printed)");
    app.add_option("--service", options->services,
                   "a port that the protected side serves, such as 443 or udp/53 (default: what "
                   "it is seen to answer on)");
    app.add_option("--assume", options->assume,
                   "closed: nothing but the services has a socket, although the capture does not "
                   "show it");
    app.add_option("--expect", options->expect,
                   "for each file, such as 'held>=98%' or 'tcp_null>=10 packets'; else exit code "
                   "1");
    app.add_option("--expect-benign", options->expect_benign,
                   "for each benign file, such as 'drop<=0.1%'");
    app.add_option("--policy", options->config,
                   "configuration file whose lists and limits judge (default: an empty one)");
    app.add_option("--junit", options->junit, "write the results as JUnit XML");
    app.add_flag("--live", options->live,
                 "real frames through a veth pair in a namespace of its own");
    app.footer("Always judges as in enforce mode. Needs root, no daemon and no interface. An "
               "expectation does not hold where nothing was judged, nor where it rests on sockets "
               "that a capture of one direction cannot show. Exit codes: 1 an expectation does not "
               "hold, 4 no such file, 8 a file that cannot be read; the others are still "
               "replayed, and the highest code counts.");
    return [options](const Context& context) { return run(context, *options); };
}

} // namespace xdpctl::cli
