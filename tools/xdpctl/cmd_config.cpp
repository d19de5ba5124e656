// SPDX-License-Identifier: Apache-2.0
// check, diff, apply, mode
#include "api/codec.h"
#include "core/config.h"
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

Outcome check(const Context& context, const std::string& file)
{
    auto body = config_body(context, file);
    if (!body) {
        return body.error();
    }
    if (context.json) {
        print_json({{"ok", true}, {"schema_version", schema_version}});
    } else {
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
    for (const json& line : (*answer)["warnings"]) {
        fmt::print("{}\n", paint(Color::yellow, "warning: " + line.get<std::string>()));
    }
    if (!file.empty()) {
        fmt::print("in force until the next reload or restart of xdpctld\n");
    }
    return 0;
}

Outcome mode(const Context& context, const std::string& wanted)
{
    if (!wanted.empty()) {
        auto answer = context.api().put("/v1/mode", {{"mode", wanted}});
        if (!answer) {
            return answer.error();
        }
    }
    auto status = context.api().get("/v1/status");
    if (!status) {
        return status.error();
    }
    if (context.json) {
        print_json({{"mode", (*status)["mode"]}, {"schema_version", schema_version}});
    } else {
        fmt::print("{}{}\n", (*status)["mode"].get<std::string>(),
                   (*status)["panic"].get<bool>()
                       ? paint(Color::red, ", but panic is in force: every packet passes until "
                                           "`xdpctl attach`")
                       : "");
    }
    return 0;
}

template <Outcome (*verb)(const Context&, const std::string&)> Action with_file(CLI::App& app)
{
    const auto file = add_file(app);
    return [file](const Context& context) { return verb(context, *file); };
}

} // namespace

Action setup_check(CLI::App& app)
{
    return with_file<check>(app);
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
