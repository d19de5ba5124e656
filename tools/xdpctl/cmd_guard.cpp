// SPDX-License-Identifier: Apache-2.0
// guard: list, set, lockdown
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
    std::string word;
};

std::string count(const json& value)
{
    return format_count(value.get<double>());
}

Color color_of(const json& guard)
{
    return guard["attacked"].get<bool>() || !guard["cookies_off_seconds"].is_null() ? Color::red
           : guard["lockdown"].get<bool>()                                          ? Color::yellow
                                                                                    : Color::none;
}

std::string state_of(const json& guard)
{
    std::string text = guard["state"];
    if (guard["attacked"].get<bool>()) {
        text += fmt::format(" {:.0f}s", guard["attacked_seconds"].get<double>());
    }
    if (!guard["cookies_off_seconds"].is_null()) {
        text +=
            fmt::format(", cookies off for {:.0f}s", guard["cookies_off_seconds"].get<double>());
    }
    if (guard["overloaded"].get<bool>() && guard["state"] != "overloaded") {
        text += ", overloaded";
    }
    return text;
}

void print_guards(const json& answer)
{
    Table table({"SERVICE", "GUARD", "LOCKDOWN", "STATE", ">PENDING", ">ROOM", ">SYNS", ">COOKIES",
                 ">PROVEN", ">REJECTED", ">LIMITED", ">CONNECTIONS"});
    for (const json& guard : answer["guards"]) {
        const bool other = guard["port"] == 0;
        table.add(
            {other ? "other ports" : fmt::format("tcp/{}", guard["port"].get<uint64_t>()),
             other ? "limit" : guard["mode"].get<std::string>() + (guard["by_hand"] ? "*" : ""),
             guard["lockdown"] ? "yes" : "no", state_of(guard), count(guard["pending"]),
             count(guard["capacity"]), count(guard["syns"]), count(guard["cookies_sent"]),
             count(guard["cookies_accepted"]), count(guard["rejected"]), count(guard["limited"]),
             count(guard["established"])},
            color_of(guard));
    }
    table.print();
    fmt::print("{}\n", paint(Color::dim, "PENDING: handshakes not completed, of those that the "
                                         "listener has ROOM for; * set by hand"));
}

Outcome put(const Context& context, const char* path, const json& body, const std::string& done)
{
    auto answer = context.api().put(path, body);
    if (!answer) {
        return answer.error();
    }
    return report_change(context, *answer, done);
}

Outcome set(const Context& context, const Options& options)
{
    const json mode = options.word == "default" ? json() : json(options.word);
    return put(context, "/v1/guard", {{"port", options.port}, {"mode", mode}},
               fmt::format("tcp/{}: guard {}", options.port, options.word));
}

Outcome lockdown(const Context& context, const Options& options)
{
    const json on = options.word == "default" ? json() : json(options.word == "on");
    return put(context, "/v1/lockdown", {{"port", options.port}, {"lockdown", on}},
               fmt::format("tcp/{}: lockdown {}", options.port, options.word));
}

// The words of XDPCTL_GUARD_MODES, and "default".
std::vector<std::string> mode_words()
{
    return {
#define XDPCTL_GUARD_WORD(id, name, text) name,
        XDPCTL_GUARD_MODES(XDPCTL_GUARD_WORD)
#undef XDPCTL_GUARD_WORD
            "default"};
}

std::string mode_help()
{
    std::string text;
#define XDPCTL_GUARD_HELP(id, name, what) text += fmt::format("  {:<8} {}\n", name, what);
    XDPCTL_GUARD_MODES(XDPCTL_GUARD_HELP)
#undef XDPCTL_GUARD_HELP
    return text + "  default  as configured";
}

} // namespace

Action setup_guard(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    const auto watch = add_watch(app);
    app.require_subcommand(0, 1);
    app.add_subcommand("list", "the SYN guard of every service");
    CLI::App* set_app = app.add_subcommand("set", "what the guard of a service may do");
    set_app->add_option("PORT", options->port, "TCP port")->required()->check(CLI::Range(1, 65535));
    set_app->add_option("MODE", options->word, "mode")
        ->required()
        ->check(CLI::IsMember(mode_words()));
    set_app->footer(mode_help());
    CLI::App* lock_app =
        app.add_subcommand("lockdown", "who was here in peacetime connects, new clients at a rate");
    lock_app->add_option("PORT", options->port, "TCP port")
        ->required()
        ->check(CLI::Range(1, 65535));
    lock_app->add_option("WORD", options->word, "on, off or default")
        ->required()
        ->check(CLI::IsMember({"on", "off", "default"}));
    app.footer("Without a verb: the guard of every service.");
    return [=](const Context& context) -> Outcome {
        return *set_app    ? set(context, *options)
               : *lock_app ? lockdown(context, *options)
                           : show(context, "/v1/guard", *watch, print_guards);
    };
}

} // namespace xdpctl::cli
