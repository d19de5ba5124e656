// SPDX-License-Identifier: Apache-2.0
// geo: list, set
#include <ctime>

#include "api/codec.h"
#include "core/units.h"
#include "output.h"
#include "show.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

struct Options {
    uint16_t port = 0;
    std::vector<std::string> only;
    std::vector<std::string> closed;
    bool open = false;
    bool as_configured = false;
    bool force = false;
};

std::string words(const json& codes)
{
    return fmt::format("{}", fmt::join(codes.get<std::vector<std::string>>(), " "));
}

void print_geo(const json& answer)
{
    Table table({">PORT", "ONLY", "CLOSED", "SET"});
    const bool in_force = answer["in_force"];
    for (const json& service : answer["services"]) {
        const bool open = service["only"].empty() && service["closed"].empty();
        table.add({std::to_string(service["port"].get<uint64_t>()),
                   open ? "(open to all)" : words(service["only"]), words(service["closed"]),
                   service["by_hand"].get<bool>() ? "by hand" : "configured"},
                  in_force ? Color::none : Color::red);
    }
    if (table.empty()) {
        fmt::print("every service is open to all; `xdpctl geo set 443 --only CN` narrows one\n");
    } else {
        table.print();
    }
    const auto now = static_cast<uint64_t>(std::time(nullptr));
    for (const json& file : answer["databases"]) {
        const auto built = file["built"].get<uint64_t>();
        fmt::print("{}: {}, built {} ago\n", file["path"].get<std::string>(),
                   file["type"].get<std::string>(),
                   format_duration((now > built ? now - built : 0) * ns_per_s));
    }
    fmt::print("{} networks, {} packets refused\n", answer["networks"].get<uint64_t>(),
               format_count(answer["refused_packets"].get<double>()));
    if (const std::string problem = answer["problem"]; !problem.empty()) {
        fmt::print("{}\n", paint(Color::red, problem + (in_force ? "; what was read before stays"
                                                                 : "; NO RULE IS IN FORCE")));
    }
}

Outcome set(const Context& context, const Options& options)
{
    const bool codes = !options.only.empty() || !options.closed.empty();
    if (static_cast<int>(codes) + static_cast<int>(options.open) +
            static_cast<int>(options.as_configured) !=
        1) {
        return failure(ErrorKind::usage,
                       "say --only or --closed with codes, or --open, or --default");
    }
    const GeoRule rule{{options.only.begin(), options.only.end()},
                       {options.closed.begin(), options.closed.end()}};
    const json body =
        options.as_configured ? json() : json{{"only", options.only}, {"closed", options.closed}};
    auto answer = context.api().put(
        "/v1/geo", {{"port", options.port}, {"rule", body}, {"force", options.force}});
    if (!answer) {
        return answer.error();
    }
    return report_change(context, *answer,
                         fmt::format("port {}: {}", options.port,
                                     options.as_configured ? "as configured" : to_string(rule)));
}

} // namespace

Action setup_geo(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    const auto watch = add_watch(app);
    app.require_subcommand(0, 1);
    app.add_subcommand("list", "whom services are for");
    CLI::App* set_app = app.add_subcommand("set", "narrow or close a service");
    set_app->add_option("PORT", options->port, "of TCP and UDP")
        ->required()
        ->check(CLI::Range(1, 65535));
    set_app->add_option("--only", options->only, "refuse all but these: CN,AS4134")->delimiter(',');
    set_app->add_option("--closed", options->closed, "refuse these")->delimiter(',');
    set_app->add_flag("--open", options->open, "to all, whatever is configured");
    set_app->add_flag("--force", options->force, "also where it shuts out who is connected by SSH");
    set_app->add_flag("--default", options->as_configured, "as configured");
    app.footer(
        "Without a verb: every rule, and the databases (geo.databases). Codes are countries\n"
        "(ISO 3166-1: CN) and AS numbers (AS4134). Who is connected by TCP stays connected;\n"
        "new connections and UDP are asked. The allow list comes first; private addresses are in\n"
        "no country and stay admitted.");
    return [=](const Context& context) -> Outcome {
        return *set_app ? set(context, *options) : show(context, "/v1/geo", *watch, print_geo);
    };
}

} // namespace xdpctl::cli
