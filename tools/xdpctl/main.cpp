// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "api/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "core/config.h"
#include "output.h"
#include "verbs.h"

namespace xdpctl::cli
{

const std::vector<Verb>& verbs()
{
    static const std::vector<Verb> table = {
        {"status", "what runs, where, and how much is dropped", setup_status},
        {"stats", "packets by reason", setup_stats},
        {"top", "busiest clients and most dropped sources", setup_top},
        {"events", "decisions and dropped packets, as they happen", setup_events},
        {"check", "validate a configuration file", setup_check},
        {"diff", "compare a configuration file with what runs", setup_diff},
        {"apply", "make a configuration file what runs", setup_apply},
        {"mode", "show or set: monitor or enforce", setup_mode},
        {"attach", "start filtering on an interface", setup_attach},
        {"detach", "stop filtering on an interface", setup_detach},
        {"panic", "pass everything, now; works without the daemon", setup_panic},
        {"ban", "list, add, lift or import bans", setup_ban},
        {"allow", "list, add or remove who always passes: management", setup_allow},
        {"trust", "list, add or remove whom no list blocks: partners, CDNs", setup_trust},
        {"feed", "block lists of others: list, refresh", setup_feed},
        {"geo", "services for some countries or AS numbers only: list, set", setup_geo},
        {"guard", "SYN guards: list, set, lockdown", setup_guard},
        {"doctor", "is this host ready for a flood? what is wrong, and what mends it",
         setup_doctor},
        {"explain", "which stage would judge a packet, and how", setup_explain},
        {"replay", "run captures through the data path, without a daemon", setup_replay},
        {"completion", "print shell completion", setup_completion},
        {"version", "print the version", setup_version},
    };
    return table;
}

ApiClient Context::api() const
{
    return ApiClient(socket);
}

Result<std::string> read_input(const std::string& path)
{
    if (path != "-") {
        return read_file(path);
    }
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

Outcome report_change(const Context& context, const nlohmann::json& answer, const std::string& done)
{
    context.json ? print_json(answer) : fmt::print("{}\n", done);
    std::fflush(stdout);
    const auto why = answer.find("not_saved");
    return why == answer.end() ? Outcome(0)
                               : failure("it is in force, but a restart of xdpctld forgets it: {}",
                                         why->get<std::string>());
}

Action setup_version(CLI::App&)
{
    return [](const Context& context) -> Outcome {
        if (context.json) {
            print_json({{"version", XDPCTL_VERSION}, {"schema_version", schema_version}});
        } else {
            fmt::print("xdpctl {}\n", XDPCTL_VERSION);
        }
        return 0;
    };
}

std::unique_ptr<Program> make_program()
{
    auto program = std::make_unique<Program>();
    program->app = std::make_unique<CLI::App>("Drops floods at the NIC and shows why.", "xdpctl");
    CLI::App& app = *program->app;
    app.require_subcommand(1);
    app.fallthrough(); // global options may follow the verb
    app.add_flag("-j,--json", program->context.json, "JSON for scripts; errors too, on stderr");
    app.add_option("--socket", program->context.socket,
                   "the daemon's socket (default: as --config says)")
        ->envname("XDPCTL_SOCKET");
    app.add_option("--pins", program->context.pins,
                   "directory of the pinned maps (default: as --config says)")
        ->envname("XDPCTL_PINS");
    app.add_option("--config", program->context.config, "the daemon's configuration file")
        ->capture_default_str();
    app.add_flag_callback(
        "-v,--verbose",
        [&verbose = program->context.verbose] {
            verbose = true;
            log::set_level(log::Level::debug);
        },
        "more; also what the libraries say, on stderr");
    app.set_version_flag("--version", XDPCTL_VERSION);
    for (const Verb& verb : verbs()) {
        program->actions.push_back(verb.setup(*app.add_subcommand(verb.name, verb.summary)));
    }
    return program;
}

namespace
{

int report(const Context& context, const Error& error)
{
    if (context.json) {
        fmt::print(stderr, "{}\n", to_text(to_json(error)));
    } else {
        fmt::print(stderr, "xdpctl: {}\n", error.message);
    }
    return static_cast<int>(error.kind);
}

// CLI11 says "A subcommand is required" of a word that is no verb.
std::string explain(const CLI::ParseError& problem, int argc, char** argv)
{
    const bool no_verb = dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr;
    const std::string_view word = argc > 1 ? argv[1] : "";
    const bool is_verb = std::any_of(verbs().begin(), verbs().end(),
                                     [word](const Verb& verb) { return word == verb.name; });
    if (no_verb && !is_verb && !word.empty()) {
        return fmt::format("'{}' is not a verb or option; see xdpctl --help", word);
    }
    return problem.what();
}

// The daemon's socket and pins are where its configuration puts them. Options and the environment
// come first; a configuration that cannot be read leaves the defaults, since panic must work.
void read_paths(const CLI::App& app, Context& context)
{
    const auto text = read_file(context.config);
    const auto config = text ? parse_config(*text, context.config) : Result<Config>(text.error());
    if (!config) {
        return;
    }
    if (app.get_option("--socket")->empty()) {
        context.socket = config->socket_path;
    }
    if (app.get_option("--pins")->empty()) {
        context.pins = config->pin_directory;
    }
}

// The JSON library throws where an answer lacks what the verb wants to show.
Outcome run(const Action& action, const Context& context)
{
    try {
        return action(context);
    } catch (const nlohmann::json::exception& problem) {
        return failure("the daemon's answer is not understood, is it of another version? ({})",
                       problem.what());
    }
}

bool asks_for_json(int argc, char** argv)
{
    return std::any_of(argv, argv + argc,
                       [](std::string_view word) { return word == "-j" || word == "--json"; });
}

} // namespace
} // namespace xdpctl::cli

int main(int argc, char** argv)
{
    using namespace xdpctl;
    using namespace xdpctl::cli;
    const auto program = make_program();
    try {
        program->app->parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        if (problem.get_exit_code() == 0) {
            return program->app->exit(problem); // --help, --version
        }
        program->context.json = asks_for_json(argc, argv);
        return report(program->context, {ErrorKind::usage, explain(problem, argc, argv)});
    }
    read_paths(*program->app, program->context);
    for (size_t i = 0; i < verbs().size(); i++) {
        if (program->app->got_subcommand(verbs()[i].name)) {
            cli::Outcome outcome = run(program->actions[i], program->context);
            if (outcome && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
                outcome = system_failure(errno, "writing the output");
            }
            return outcome ? *outcome : report(program->context, outcome.error());
        }
    }
    return 0;
}
