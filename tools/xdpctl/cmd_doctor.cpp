// SPDX-License-Identifier: Apache-2.0
// doctor: readiness of the host, and what mends it
#include <set>

#include "api/codec.h"
#include "base/file.h"
#include "dataplane/panic.h"
#include "host/doctor.h"
#include "host/sysctl.h"
#include "telemetry/conditions.h"
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

// What the program that outlives a daemon does, from its pins.
void ask_kernel(const Context& context, HostReport& report)
{
    const auto found = attachments_of_pins(context.pins);
    if (!found) {
        report.xdp_problem = found.error();
        return;
    }
    report.panic = is_panic_in_force(context.pins);
    for (const Attachment& attachment : *found) {
        report.xdp[attachment.interface] = attachment.native ? "native" : "generic";
    }
}

// How XDP runs on each interface, and what is wrong that only the daemon knows.
void ask_daemon(const Context& context, HostReport& report)
{
    const auto status = context.api().get("/v1/status");
    if (!status) {
        report.daemon_problem = status.error();
        ask_kernel(context, report);
        return;
    }
    report.panic = (*status)["panic"];
    for (const json& interface : (*status)["interfaces"]) {
        report.xdp[interface["name"]] = interface["xdp"];
    }
    for (const json& condition : (*status)["conditions"]) {
        const std::string name = condition["name"];
        const std::set<std::string_view> looked_at = {
            condition_info(Condition::panic).name,
            condition_info(Condition::interface_not_attached).name,
            condition_info(Condition::conntrack_full).name,
            condition_info(Condition::services_unknown).name};
        if (!looked_at.contains(name)) {
            report.reported.push_back(
                {name, condition["text"], condition["severity"] == "critical"});
        }
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
                  finding.health == Health::good  ? Color::none
                  : finding.health == Health::bad ? Color::red
                                                  : Color::yellow);
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
    auto report = examine();
    if (!report) {
        return report.error();
    }
    if (!config && config.error().kind == ErrorKind::permission) {
        report->config_problem = config.error();
        config = Config{};
    } else if (!config) {
        return config.error();
    }
    ask_daemon(context, *report);
    const std::vector<Finding> findings = diagnose(*report, *config);
    if (options.fix) {
        return fix(context, findings);
    }
    bool bad = false;
    bool unknown = false;
    json rows = json::array();
    for (const Finding& finding : findings) {
        bad |= finding.health == Health::bad;
        unknown |= finding.health == Health::unknown;
        rows.push_back(to_json(finding));
    }
    if (context.json) {
        print_json(
            {{"findings", rows}, {"ready", !bad && !unknown}, {"schema_version", schema_version}});
    } else {
        print(findings);
    }
    return bad ? 1 : unknown ? static_cast<int>(ErrorKind::permission) : 0;
}

} // namespace

Action setup_doctor(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    app.add_flag("--fix", options->fix,
                 "set the sysctls that are safe to set, and tell how to "
                 "keep them");
    app.footer("Looks at this host and network namespace, also without the daemon. Exit code 1 "
               "where something is bad,\n5 where this user may not look at everything.");
    return [options](const Context& context) { return run(context, *options); };
}

} // namespace xdpctl::cli
