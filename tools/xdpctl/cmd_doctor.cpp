// SPDX-License-Identifier: Apache-2.0
// doctor: readiness of the host, and what mends it
#include "api/codec.h"
#include "base/file.h"
#include "host/doctor.h"
#include "host/sysctl.h"
#include "output.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

struct Options {
    bool fix = false;
};

// What the daemon would read; defaults where there is no file yet.
Result<Config> configuration(const std::string& path)
{
    const auto text = read_file(path);
    if (!text) {
        return text.error().kind == ErrorKind::not_found ? Result<Config>(Config{}) : text.error();
    }
    return parse_config(*text, path);
}

// How XDP runs on each interface, where a daemon can be asked.
void ask_daemon(const Context& context, HostReport& report)
{
    const auto status = context.api().get("/v1/status");
    if (!status) {
        return;
    }
    report.daemon = true;
    report.panic = (*status)["panic"];
    for (const json& interface : (*status)["interfaces"]) {
        report.xdp[interface["name"]] = interface["xdp"];
    }
}

json to_json(const Finding& finding)
{
    return {{"check", finding.check},
            {"health", to_string(finding.health)},
            {"found", finding.found},
            {"why", finding.why},
            {"command", finding.command}};
}

void print(const std::vector<Finding>& findings)
{
    Table table({"CHECK", "HEALTH", "FOUND"});
    for (const Finding& finding : findings) {
        table.add({finding.check, std::string(to_string(finding.health)), finding.found},
                  finding.health == Health::good      ? Color::none
                  : finding.health == Health::warning ? Color::yellow
                                                      : Color::red);
    }
    table.print();
    for (const Finding& finding : findings) {
        if (finding.health != Health::good) {
            fmt::print("\n{}: {}\n  why: {}\n", paint(Color::bold, finding.check), finding.found,
                       finding.why);
            if (!finding.command.empty()) {
                fmt::print("  run: {}\n", finding.command);
            }
        }
    }
}

// Only sysctls: they can be changed under traffic and put back as easily.
Outcome fix(const Context& context, const std::vector<Finding>& findings)
{
    json applied = json::array();
    std::string persist;
    for (const Finding& finding : findings) {
        if (!finding.sysctl) {
            continue;
        }
        const auto& [name, value] = *finding.sysctl;
        if (auto done = write_sysctl(name, value); !done) {
            return done.error();
        }
        applied.push_back({{"sysctl", name}, {"value", value}});
        persist += fmt::format("{} = {}\\n", name, value);
    }
    const std::string command =
        persist.empty() ? "" : fmt::format("printf '{}' > /etc/sysctl.d/90-xdpctl.conf", persist);
    if (context.json) {
        print_json(
            {{"applied", applied}, {"persist", command}, {"schema_version", schema_version}});
        return 0;
    }
    for (const json& row : applied) {
        fmt::print("set {} = {}\n", row["sysctl"].get<std::string>(),
                   row["value"].get<std::string>());
    }
    fmt::print("{}\n",
               applied.empty() ? "nothing to set" : "to keep it over a reboot:\n  " + command);
    return 0;
}

Outcome run(const Context& context, const Options& options)
{
    auto config = configuration(context.config);
    if (!config) {
        return config.error();
    }
    auto report = examine();
    if (!report) {
        return report.error();
    }
    ask_daemon(context, *report);
    const std::vector<Finding> findings = diagnose(*report, *config);
    if (options.fix) {
        return fix(context, findings);
    }
    bool bad = false;
    json rows = json::array();
    for (const Finding& finding : findings) {
        bad |= finding.health == Health::bad;
        rows.push_back(to_json(finding));
    }
    if (context.json) {
        print_json({{"findings", rows}, {"ready", !bad}, {"schema_version", schema_version}});
    } else {
        print(findings);
    }
    return bad ? 1 : 0;
}

} // namespace

Action setup_doctor(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    app.add_flag("--fix", options->fix,
                 "set the sysctls that are safe to set, and tell how to "
                 "keep them");
    app.footer("Looks at this host and network namespace, also without the daemon. Exit code 1 "
               "where something is bad.");
    return [options](const Context& context) { return run(context, *options); };
}

} // namespace xdpctl::cli
