// SPDX-License-Identifier: Apache-2.0
// attach, detach, panic
#include "api/codec.h"
#include "core/panic.h"
#include "dataplane/panic.h"
#include "output.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

Outcome change(const Context& context, const char* path, const std::string& interface)
{
    auto answer = context.api().post(path, {{"interface", interface}});
    if (!answer) {
        return answer.error();
    }
    if (context.json) {
        print_json(*answer);
    } else if (answer->contains("xdp")) {
        fmt::print("{}: {} XDP, {}\n", interface, (*answer)["xdp"].get<std::string>(),
                   (*answer)["shared"].get<bool>() ? "shared" : "alone");
    } else {
        fmt::print("{}: {}\n", interface,
                   answer->value("was_attached", true)
                       ? "detached"
                       : "was not attached; it is not waited for any more");
    }
    return 0;
}

Action setup_change(CLI::App& app, const char* path)
{
    const auto interface = std::make_shared<std::string>();
    app.add_option("INTERFACE", *interface, "network interface")->required();
    return [=](const Context& context) { return change(context, path, *interface); };
}

Outcome begin(const Context& context)
{
    auto done = begin_panic(context.pins);
    if (!done) {
        return done.error();
    }
    if (context.json) {
        print_json({{"detached", done->freed},
                    {"record_problem", done->record_problem},
                    {"schema_version", schema_version}});
        return 0;
    }
    fmt::print("every packet passes now\n");
    for (const std::string& interface : done->freed) {
        fmt::print("{}: detached\n", interface);
    }
    if (!done->record_problem.empty()) {
        fmt::print("{}\n", paint(Color::yellow,
                                 "warning: these names are not recorded, so only xdpctld can "
                                 "attach them again: " +
                                     done->record_problem));
    }
    fmt::print("`{}` ends it; a restart of xdpctld does not\n", panic_end_command);
    return 0;
}

constexpr int daemon_seconds = 5; // one that hangs must not keep panic in force

// By the daemon, which knows all that shall be attached; without it by the pins.
Result<json> end_by_anybody(const Context& context)
{
    auto answer = ApiClient(context.socket, daemon_seconds).post("/v1/panic/end", json::object());
    if (answer) {
        (*answer)["by"] = "daemon";
        return answer;
    }
    if (answer.error().kind != ErrorKind::unreachable) {
        return answer;
    }
    auto end = end_panic(context.pins);
    if (!end) {
        return end.error();
    }
    json body = to_json(*end);
    body["by"] = "pins";
    body["daemon"] = answer.error().message;
    return body;
}

Outcome end(const Context& context)
{
    auto done = end_by_anybody(context);
    if (!done) {
        return done.error();
    }
    const json& failed = (*done)["failed"];
    const int code = failed.empty() ? 0 : 1;
    if (context.json) {
        print_json(*done);
        return code;
    }
    fmt::print("panic is over: packets are judged again\n");
    for (const json& interface : (*done)["attached"]) {
        fmt::print("{}: {} XDP\n", interface["name"].get<std::string>(),
                   interface["xdp"].get<std::string>());
    }
    for (const json& interface : failed) {
        fmt::print(stderr, "xdpctl: {} is not attached: {}\n", interface["name"].get<std::string>(),
                   interface["why"].get<std::string>());
    }
    if ((*done)["by"] == "daemon") {
        return code;
    }
    if (!(*done)["recorded"].get<bool>()) {
        fmt::print("which interfaces panic freed is not recorded: NOTHING WAS ATTACHED\n");
    }
    fmt::print("done without xdpctld ({}): the last policy is in force, but nobody attaches what "
               "else is configured,\nfollows services, bans or learns until it runs: systemctl "
               "start xdpctld\n",
               (*done)["daemon"].get<std::string>());
    return code;
}

} // namespace

Action setup_attach(CLI::App& app)
{
    app.footer(
        fmt::format("Exit code 7 while panic is in force: `{}` ends it.", panic_end_command));
    return setup_change(app, "/v1/attach");
}

Action setup_detach(CLI::App& app)
{
    return setup_change(app, "/v1/detach");
}

Action setup_panic(CLI::App& app)
{
    const auto over = std::make_shared<bool>(false);
    app.add_flag("--end", *over, "judge packets again, and attach what panic freed");
    app.footer("Speaks to the kernel, not to the daemon; maps and bans are kept. The end is the "
               "daemon's work where\nit runs: it attaches every interface that shall be filtered. "
               "Without it those that panic freed are\nattached, with the last policy. Exit code "
               "1 where one could not be attached, 4 where no panic is in force.");
    return [over](const Context& context) { return *over ? end(context) : begin(context); };
}

} // namespace xdpctl::cli
