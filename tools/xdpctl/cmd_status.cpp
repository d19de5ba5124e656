// SPDX-License-Identifier: Apache-2.0
// status, stats, top
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/limits.h"
#include "core/units.h"
#include "api/codec.h"
#include "output.h"
#include "show.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

std::string traffic_line(const json& traffic)
{
    return fmt::format("{:>9}  {:>12}  {:>13} packets", rate(traffic["packets_per_second"]),
                       bit_rate(traffic["bits_per_second"]), traffic["packets"].get<uint64_t>());
}

std::string interfaces_line(const json& status)
{
    std::string text;
    for (const json& interface : status["interfaces"]) {
        const std::string refusal = interface.value("native_refusal", "");
        text += fmt::format(
            "{}{} ({} XDP{}{})", text.empty() ? "" : ", ", interface["name"].get<std::string>(),
            interface["xdp"].get<std::string>(), interface["shared"].get<bool>() ? ", shared" : "",
            refusal.empty() ? "" : ", not native because " + refusal);
    }
    for (const json& name : status["missing_interfaces"]) {
        text += (text.empty() ? "" : ", ") +
                paint(Color::red, name.get<std::string>() + " (NOT ATTACHED)");
    }
    return text.empty() ? paint(Color::red, "none: nothing is filtered") : text;
}

std::string level_text(const json& level)
{
    return fmt::format("{} {} ({})", level["level"].get<std::string>(),
                       to_string(Rate{level["packets_per_second"].get<uint64_t>(),
                                      level["bits_per_second"].get<uint64_t>()}),
                       level["origin"].get<std::string>());
}

// All levels of what people come for, and of the rest what one source may; -j has all.
void print_limits(const json& limits)
{
    for (const json& row : limits) {
        const std::string name = row["class"];
        const bool whole = name == "udp" || name == "protocol";
        std::string text;
        for (const json& level : row["levels"]) {
            if (whole || level["level"] == "source" || level["origin"] == "configured") {
                text += (text.empty() ? "" : ", ") + level_text(level);
            }
        }
        fmt::print("limits      {}: {}\n", name, text);
    }
}

// Only what is not at rest; `xdpctl guard` shows all.
void print_attacks(const json& guards)
{
    for (const json& guard : guards) {
        const auto port = guard["port"].get<uint64_t>();
        if (!guard["attacked"].get<bool>() && !guard["lockdown"].get<bool>()) {
            continue;
        }
        const std::string state = guard["state"];
        fmt::print(
            "{}\n",
            paint(Color::red,
                  fmt::format(
                      "{}{}: {}{}{}", guard["attacked"].get<bool>() ? "ATTACK  " : "",
                      port == 0 ? "ports without a listener" : fmt::format("tcp/{}", port), state,
                      guard["attacked"].get<bool>()
                          ? fmt::format(" for {:.0f} s", guard["attacked_seconds"].get<double>())
                          : "",
                      guard["lockdown"].get<bool>() ? ", lockdown" : "")));
    }
}

// Only lists that hold something.
void print_lists(const json& status)
{
    for (const json& list : status["lists"]) {
        const auto ipv4 = list["ipv4"].get<uint64_t>();
        const auto ipv6 = list["ipv6"].get<uint64_t>();
        if (ipv4 + ipv6 > 0) {
            fmt::print("list        {}: {} IPv4, {} IPv6 prefixes, met by {} packets\n",
                       list["name"].get<std::string>(), ipv4, ipv6,
                       list["packets"].get<uint64_t>());
        }
    }
    if (!status["lists"].empty()) {
        fmt::print("lists       {:.1f} MiB of memory\n",
                   status["list_bytes"].get<double>() / (1 << 20));
    }
    for (const json& feed : status["feeds"]) {
        if (feed["stale"].get<bool>()) {
            fmt::print("{}\n", paint(Color::red, fmt::format("feed        {} is STALE: {}",
                                                             feed["name"].get<std::string>(),
                                                             feed["problem"].get<std::string>())));
        }
    }
}

void print_crowdsec(const json& crowdsec)
{
    if (crowdsec.is_null()) {
        return;
    }
    const std::string problem = crowdsec["problem"];
    const std::string text = fmt::format(
        "crowdsec    {} bans; {} refused, {} of other kinds, {} not understood{}{}",
        crowdsec["bans"].get<uint64_t>(), crowdsec["refused"].get<uint64_t>(),
        crowdsec["passed_over"].get<uint64_t>(), crowdsec["not_understood"].get<uint64_t>(),
        crowdsec["stale"].get<bool>() ? "; STALE" : "", problem.empty() ? "" : ": " + problem);
    fmt::print("{}\n", paint(crowdsec["stale"].get<bool>() ? Color::red
                             : !problem.empty()            ? Color::yellow
                                                           : Color::none,
                             text));
}

void print_status(const json& status)
{
    const bool enforcing = status["mode"] == "enforce";
    std::string mode =
        paint(enforcing ? Color::green : Color::yellow, status["mode"].get<std::string>());
    if (!enforcing) {
        mode += " (nothing is dropped; `xdpctl mode enforce` begins)";
    }
    if (status["mode_overridden"].get<bool>()) {
        mode += " (set by hand; the configuration says otherwise)";
    }
    if (status["panic"].get<bool>()) {
        mode = paint(Color::red, fmt::format("PANIC, not {}", status["mode"].get<std::string>()));
    }
    const json& bans = status["bans"];
    const json& traffic = status["traffic"];
    fmt::print("mode        {}\n", mode);
    fmt::print("interfaces  {}\n", interfaces_line(status));
    fmt::print("received    {}\n", traffic_line(traffic["received"]));
    fmt::print("passed      {}\n", traffic_line(traffic["passed"]));
    fmt::print("dropped     {}\n", traffic_line(traffic["dropped"]));
    if (traffic["answered"]["packets"].get<uint64_t>() > 0) {
        fmt::print("answered    {}\n", traffic_line(traffic["answered"]));
    }
    if (traffic["would_drop"]["packets"].get<uint64_t>() > 0) {
        fmt::print("would drop  {}\n", traffic_line(traffic["would_drop"]));
    }
    if (traffic["would_answer"]["packets"].get<uint64_t>() > 0) {
        fmt::print("would answer {}\n", traffic_line(traffic["would_answer"]));
    }
    fmt::print("bans        {} in force, {} remembered, room for {}\n",
               bans["active"].get<uint64_t>(), bans["remembered"].get<uint64_t>(),
               bans["max"].get<uint64_t>());
    fmt::print("lists       {} prefixes allowed, {} trusted, {} blocked\n",
               status["allow_prefixes"].get<uint64_t>(), status["trusted_prefixes"].get<uint64_t>(),
               status["block_prefixes"].get<uint64_t>());
    std::string services;
    for (const json& service : status["services"]) {
        services += (services.empty() ? "" : ", ") + service.get<std::string>();
    }
    fmt::print("services    {}\n", services.empty() ? "none found" : services);
    if (const json& conntrack = status["conntrack"]; conntrack["entries"].get<uint64_t>() > 0) {
        fmt::print("conntrack   {} connections, room for {}\n",
                   conntrack["entries"].get<uint64_t>(), conntrack["max_entries"].get<uint64_t>());
    }
    print_lists(status);
    print_crowdsec(status["crowdsec"]);
    print_limits(status["limits"]);
    print_attacks(status["guards"]);
    fmt::print(
        "daemon      {}, up {}, policy generation {}, {}\n", status["version"].get<std::string>(),
        format_duration(static_cast<uint64_t>(status["uptime_seconds"].get<double>()) * ns_per_s),
        status["generation"].get<uint64_t>(), status["config"]["path"].get<std::string>());
    if (!status["config"]["ok"].get<bool>()) {
        fmt::print("{}\n", paint(Color::red, "last reload refused: " +
                                                 status["config"]["error"].get<std::string>()));
    }
    if (status["events_lost"].get<uint64_t>() > 0) {
        fmt::print("{}\n",
                   paint(Color::yellow, fmt::format("{} packet events were lost",
                                                    status["events_lost"].get<uint64_t>())));
    }
    for (const json& condition : status["conditions"]) {
        const std::string severity = condition["severity"];
        fmt::print("{}\n", paint(severity == "critical" ? Color::red : Color::yellow,
                                 severity + ": " + condition["text"].get<std::string>()));
    }
}

void print_verbose_status(const json& status)
{
    print_status(status);
    Table table({"PROTECTED", "AS", "KNOWN FROM"});
    for (const json& row : status["protected"]) {
        table.add({row["prefix"], row["text"], row["source"]});
    }
    table.print();
}

void print_stats(const json& stats)
{
    Table table({"REASON", "STAGE", "DISPOSITION", ">PACKETS", ">RATE", ">BITS", "MEANING"});
    for (const json& row : stats["by_reason"]) {
        const std::string disposition = row["disposition"];
        table.add({row["reason"], row["stage"], disposition,
                   std::to_string(row["packets"].get<uint64_t>()), rate(row["packets_per_second"]),
                   bit_rate(row["bits_per_second"]), row["text"]},
                  disposition == "dropped"      ? Color::red
                  : disposition == "would_drop" ? Color::yellow
                                                : Color::none);
    }
    table.print();
}

void print_top(const json& top)
{
    Table clients({"CLIENT", ">RATE", ">CONNECTIONS", ">PACKETS"});
    for (const json& row : top["clients"]) {
        clients.add({row["source"], rate(row["packets_per_second"]),
                     std::to_string(row["connections"].get<uint64_t>()),
                     std::to_string(row["packets"].get<uint64_t>())});
    }
    Table dropped({"DROPPED SOURCE", "REASON", ">SHARE", ">SAMPLES"});
    for (const json& row : top["dropped"]) {
        dropped.add({row["source"], row["reason"],
                     fmt::format("{:.1f}%", row["share"].get<double>() * 100),
                     std::to_string(row["samples"].get<uint64_t>())});
    }
    clients.print();
    fmt::print("\n");
    dropped.print();
    fmt::print("{}\n", paint(Color::dim, "clients proved real by a TCP handshake; drops are "
                                         "sampled over the last 10 s"));
}

Action setup_view(CLI::App& app, const char* path, void (*print)(const json&))
{
    const auto options = add_watch(app);
    return [=](const Context& context) { return show(context, path, *options, print); };
}

} // namespace

Action setup_status(CLI::App& app)
{
    const auto options = add_watch(app);
    app.footer("-v also lists what nothing may block, and where that is known from.");
    return [=](const Context& context) {
        return show(context, "/v1/status", *options,
                    context.verbose ? print_verbose_status : print_status);
    };
}

Action setup_stats(CLI::App& app)
{
    return setup_view(app, "/v1/stats", print_stats);
}

Action setup_top(CLI::App& app)
{
    return setup_view(app, "/v1/top", print_top);
}

} // namespace xdpctl::cli
