// SPDX-License-Identifier: Apache-2.0
// check, diff, apply, mode
#include "api/codec.h"
#include "core/config.h"
#include "core/panic.h"
#include "daemon/config_check.h"
#include "host/facts.h"
#include "output.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

std::shared_ptr<std::string> add_file(CLI::App& app)
{
    auto file = std::make_shared<std::string>();
    app.add_option("FILE", *file, "configuration file, - for standard input (default: --config)");
    return file;
}

Result<json> config_body(const Context& context, const std::string& file)
{
    const std::string path = file.empty() ? context.config : file;
    auto text = read_input(path);
    if (!text) {
        return text.error();
    }
    const std::string name = path == "-" ? "standard input" : path;
    // As it was read: JSON would mend what is not UTF-8 on the way.
    if (auto config = parse_config(*text, name); !config) {
        return config.error();
    }
    return json{{"config", *text}, {"name", name}};
}

// As the daemon would look, where none can be asked.
HostLook look_without_daemon(const Config& config, const Error& why)
{
    HostLook look = HostLook::real();
    if (why.kind == ErrorKind::permission) {
        look.can_listen = {}; // most likely it is the daemon who listens there
    }
    HostReader reader;
    if (auto facts = reader.read()) {
        std::vector<Protected> entries = facts->dependencies;
        for (const Prefix& prefix : config.allow) {
            entries.push_back({prefix, Protection::ALLOWED, "configuration"});
        }
        for (const Prefix& prefix : config.trusted) {
            entries.push_back({prefix, Protection::TRUSTED, "configuration"});
        }
        look.refuses_ban = [set = protect(std::move(entries))](const Prefix& prefix) {
            return set.refuses(prefix, Authority::configuration);
        };
    }
    return look;
}

// Of a file that parse_config() takes: what this host has against it, as warnings, or as
// an error.
Result<json> check_here(const Context& context, const json& body, bool offline)
{
    const std::string toml = body["config"];
    const std::string name = body["name"];
    HostLook look;
    const Config config = *parse_config(toml, name);
    if (!offline) {
        auto answer = context.api().post("/v1/check", body);
        const bool asked = answer || (answer.error().kind != ErrorKind::unreachable &&
                                      answer.error().kind != ErrorKind::permission);
        if (asked) {
            return answer;
        }
        look = look_without_daemon(config, answer.error());
    }
    const auto findings = check_config(config, look);
    if (const auto problem = refusal(findings, toml, name)) {
        return *problem;
    }
    Control::Checked checked;
    for (const ConfigFinding& finding : findings) {
        checked.warnings.push_back(to_string(finding, toml, name));
    }
    return to_json(checked);
}

void print_warnings(const json& answer)
{
    for (const json& line : answer["warnings"]) {
        fmt::print("{}\n", paint(Color::yellow, "warning: " + line.get<std::string>()));
    }
}

struct CheckOptions {
    std::shared_ptr<std::string> file;
    bool offline = false;
};

Outcome check(const Context& context, const CheckOptions& options)
{
    auto body = config_body(context, *options.file);
    if (!body) {
        return body.error();
    }
    auto answer = check_here(context, *body, options.offline);
    if (!answer) {
        return answer.error();
    }
    if (context.json) {
        print_json(*answer);
    } else {
        print_warnings(*answer);
        fmt::print("{}: valid\n", (*body)["name"].get<std::string>());
    }
    return 0;
}

Outcome diff(const Context& context, const std::string& file)
{
    auto body = config_body(context, file);
    if (!body) {
        return body.error();
    }
    auto answer = context.api().post("/v1/diff", *body);
    if (!answer) {
        return answer.error();
    }
    const json& changes = (*answer)["changes"];
    if (context.json) {
        print_json(*answer);
    } else {
        for (const json& line : changes) {
            fmt::print("{}\n", line.get<std::string>());
        }
    }
    return changes.empty() ? 0 : exit_differs;
}

Result<json> send_config(const Context& context, const std::string& file)
{
    if (file.empty()) {
        return context.api().post("/v1/reload", json::object());
    }
    auto body = config_body(context, file);
    return body ? context.api().post("/v1/apply", *body) : body.error();
}

Outcome apply(const Context& context, const std::string& file)
{
    auto answer = send_config(context, file);
    if (!answer) {
        return answer.error();
    }
    if (context.json) {
        print_json(*answer);
        return 0;
    }
    for (const json& line : (*answer)["changes"]) {
        fmt::print("{}\n", line.get<std::string>());
    }
    print_warnings(*answer);
    if (!file.empty()) {
        fmt::print("in force until the next reload or restart of xdpctld\n");
    }
    return 0;
}

Outcome mode(const Context& context, const std::string& wanted)
{
    json answer = json::object();
    if (!wanted.empty()) {
        auto changed = context.api().put("/v1/mode", {{"mode", wanted}});
        if (!changed) {
            return changed.error();
        }
        answer = std::move(*changed);
    }
    auto status = context.api().get("/v1/status");
    if (!status) {
        return status.error();
    }
    const bool panic = (*status)["panic"];
    answer["mode"] = (*status)["mode"];
    answer["panic"] = panic;
    answer["schema_version"] = schema_version;
    return report_change(context, answer,
                         (*status)["mode"].get<std::string>() +
                             (panic ? paint(Color::red, fmt::format(", but {}", panic_text)) : ""));
}

template <Outcome (*verb)(const Context&, const std::string&)> Action with_file(CLI::App& app)
{
    const auto file = add_file(app);
    return [file](const Context& context) { return verb(context, *file); };
}

} // namespace

Action setup_check(CLI::App& app)
{
    const auto options = std::make_shared<CheckOptions>();
    options->file = add_file(app);
    app.add_flag("--offline", options->offline,
                 "only the file: it is for another host, or for this one before it is complete");
    app.footer("Refuses what `apply` would refuse here, such as an interface that is missing; what "
               "the start\nor `apply` would only report is a warning. Asks the daemon where it "
               "runs.");
    return [options](const Context& context) { return check(context, *options); };
}

Action setup_diff(CLI::App& app)
{
    app.footer("Exit code 0: the same. 10: different.");
    return with_file<diff>(app);
}

Action setup_apply(CLI::App& app)
{
    app.footer("Without FILE the daemon reads its own configuration file again.");
    return with_file<apply>(app);
}

Action setup_mode(CLI::App& app)
{
    const auto wanted = std::make_shared<std::string>();
    app.add_option("MODE", *wanted, "monitor: count only. enforce: drop. Kept across restarts");
    return [wanted](const Context& context) { return mode(context, *wanted); };
}

} // namespace xdpctl::cli
