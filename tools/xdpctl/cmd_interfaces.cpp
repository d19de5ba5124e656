// SPDX-License-Identifier: Apache-2.0
// attach, detach, panic
#include "api/codec.h"
#include "dataplane/attachment.h"
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
        fmt::print("{}: detached\n", interface);
    }
    return 0;
}

Action setup_change(CLI::App& app, const char* path)
{
    const auto interface = std::make_shared<std::string>();
    app.add_option("INTERFACE", *interface, "network interface")->required();
    return [=](const Context& context) { return change(context, path, *interface); };
}

Outcome run_panic(const Context& context)
{
    auto freed = panic(context.pins);
    if (!freed) {
        return freed.error();
    }
    if (context.json) {
        print_json({{"detached", *freed}, {"schema_version", schema_version}});
        return 0;
    }
    fmt::print("every packet passes now\n");
    for (const std::string& interface : *freed) {
        fmt::print("{}: detached\n", interface);
    }
    fmt::print("`xdpctl attach INTERFACE` ends the panic; a restart of xdpctld does not\n");
    return 0;
}

} // namespace

Action setup_attach(CLI::App& app)
{
    app.footer("Ends a panic.");
    return setup_change(app, "/v1/attach");
}

Action setup_detach(CLI::App& app)
{
    return setup_change(app, "/v1/detach");
}

Action setup_panic(CLI::App& app)
{
    app.footer("Speaks to the kernel, not to the daemon. Maps and bans are kept.");
    return run_panic;
}

} // namespace xdpctl::cli
