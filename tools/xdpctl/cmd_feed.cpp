// SPDX-License-Identifier: Apache-2.0
// feed: list, refresh
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
    std::string name;
    bool force = false;
};

std::string age_of(const json& feed)
{
    if (feed["fetched"].is_null()) {
        return "never";
    }
    const auto now = static_cast<uint64_t>(std::time(nullptr));
    const auto then = feed["fetched"].get<uint64_t>();
    return format_duration((now > then ? now - then : 0) * ns_per_s);
}

void print_feeds(const json& answer)
{
    if (answer["feeds"].empty()) {
        fmt::print("no feeds; [[feeds]] in the configuration adds some\n");
        return;
    }
    Table table({"FEED", ">IPV4", ">IPV6", ">AGE", ">NEXT", ">REFUSED", ">DROPPED", "STATE"});
    for (const json& feed : answer["feeds"]) {
        const std::string problem = feed["problem"];
        const auto refused = feed["not_understood"].get<uint64_t>() +
                             feed["too_wide"].get<uint64_t>() + feed["protected"].get<uint64_t>();
        const bool stale = feed["stale"];
        table.add({feed["name"], std::to_string(feed["ipv4"].get<uint64_t>()),
                   std::to_string(feed["ipv6"].get<uint64_t>()), age_of(feed),
                   fmt::format("{:.0f}s", feed["due_in_seconds"].get<double>()),
                   std::to_string(refused), format_count(feed["dropped_packets"].get<double>()),
                   problem.empty() ? (stale ? "stale" : "ok") : problem},
                  stale              ? Color::red
                  : !problem.empty() ? Color::yellow
                                     : Color::none);
    }
    table.print();
    for (const json& feed : answer["feeds"]) {
        if (const std::string refused = feed["first_refused"]; !refused.empty()) {
            fmt::print("{}: not taken: {}\n", feed["name"].get<std::string>(), refused);
        }
    }
}

Outcome refresh(const Context& context, const Options& options)
{
    auto answer =
        context.api().post("/v1/feeds/refresh", {{"name", options.name}, {"force", options.force}});
    if (!answer) {
        return answer.error();
    }
    context.json
        ? print_json(*answer)
        : fmt::print("{}: is fetched now; `xdpctl feed` shows what came of it\n", options.name);
    return 0;
}

} // namespace

Action setup_feed(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    const auto watch = add_watch(app);
    app.require_subcommand(0, 1);
    app.add_subcommand("list", "entries, age, what was refused and dropped");
    CLI::App* refresh_app = app.add_subcommand("refresh", "fetch a feed now");
    refresh_app->add_option("NAME", options->name, "of the feed")->required();
    refresh_app->add_flag("--force", options->force, "take it however much changes");
    app.footer("Without a verb: every feed. They are configured as [[feeds]].");
    return [=](const Context& context) -> Outcome {
        return *refresh_app ? refresh(context, *options)
                            : show(context, "/v1/feeds", *watch, print_feeds);
    };
}

} // namespace xdpctl::cli
