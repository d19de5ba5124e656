// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <ctime>
#include <thread>

#include "api/codec.h"
#include "output.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

struct Options {
    bool follow = false;
    std::string kind;
    uint64_t last = 20;
};

std::string wall_clock(double seconds)
{
    const auto whole = static_cast<time_t>(seconds);
    tm local{};
    localtime_r(&whole, &local);
    return fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec,
                       static_cast<int>((seconds - static_cast<double>(whole)) * 1000));
}

void print_event(const json& event)
{
    std::string text = event["text"];
    Color color = Color::none;
    if (event.contains("packet")) {
        const json& packet = event["packet"];
        const std::string action = packet["action"];
        const std::string verdict = packet["verdict"];
        color = action == "drop" ? Color::red : action == "answer" ? Color::none : Color::yellow;
        text = fmt::format("{} {}  {}  session: {}",
                           action == "drop"     ? "dropped"
                           : action == "answer" ? "answered"
                                                : "would " + verdict,
                           packet["reason"].get<std::string>(), text,
                           packet["session"].get<std::string>());
    }
    fmt::print("{}  {:<9}  {}\n", wall_clock(event["time"]), event["kind"].get<std::string>(),
               paint(color, text));
}

void print_events(const Context& context, const Options& options, const json& events, bool all)
{
    std::vector<json> shown;
    for (const json& event : events) {
        if (options.kind.empty() || event["kind"] == options.kind) {
            shown.push_back(event);
        }
    }
    const size_t skip = all || shown.size() <= options.last ? 0 : shown.size() - options.last;
    for (size_t i = skip; i < shown.size(); i++) {
        if (context.json) {
            shown[i]["schema_version"] = schema_version;
            fmt::print("{}\n", to_text(shown[i]));
        } else {
            print_event(shown[i]);
        }
    }
    std::fflush(stdout);
}

Outcome run(const Context& context, const Options& options)
{
    uint64_t since = 0;
    for (bool first = true;; first = false) {
        auto answer = context.api().get(fmt::format("/v1/events?since={}", since));
        if (!answer) {
            return answer.error();
        }
        const json& events = (*answer)["events"];
        print_events(context, options, events, !first);
        if (!events.empty()) {
            since = events.back()["sequence"];
        }
        if (!options.follow) {
            return 0;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
}

} // namespace

Action setup_events(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    app.add_flag("-f,--follow", options->follow, "wait for more; under -j one object per line");
    app.add_option("-k,--kind", options->kind, "only this kind")
        ->check(CLI::IsMember(std::vector<std::string>(event_kinds.begin(), event_kinds.end())));
    app.add_option("-n,--last", options->last, "how many past events")
        ->capture_default_str()
        ->check(CLI::Range(0, 100000));
    return [options](const Context& context) { return run(context, *options); };
}

} // namespace xdpctl::cli
