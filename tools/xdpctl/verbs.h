// SPDX-License-Identifier: Apache-2.0
// The verbs of the CLI. Each adds its options to its subcommand and returns
// what to do when it is called.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "api/client.h"
#include "base/result.h"

namespace xdpctl::cli
{

// What every verb gets: the options before the verb.
struct Context {
    bool json = false;
    bool verbose = false;
    std::string socket = "/run/xdpctl/xdpctl.sock";
    std::string pins = "/sys/fs/bpf/xdpctl";
    std::string config = "/etc/xdpctl/xdpctl.toml";

    ApiClient api() const; // warns on stderr; in JSON the answer says it
};

// An exit code, or the error that decides it.
using Outcome = Result<int>;
using Action = std::function<Outcome(const Context&)>;

struct Verb {
    const char* name;
    const char* summary;
    Action (*setup)(CLI::App& app);
};

const std::vector<Verb>& verbs();
inline constexpr int exit_differs = 10; // `diff` found differences

Action setup_status(CLI::App& app);
Action setup_stats(CLI::App& app);
Action setup_top(CLI::App& app);
Action setup_events(CLI::App& app);
Action setup_check(CLI::App& app);
Action setup_apply(CLI::App& app);
Action setup_diff(CLI::App& app);
Action setup_mode(CLI::App& app);
Action setup_attach(CLI::App& app);
Action setup_detach(CLI::App& app);
Action setup_panic(CLI::App& app);
Action setup_ban(CLI::App& app);
Action setup_allow(CLI::App& app);
Action setup_trust(CLI::App& app);
Action setup_feed(CLI::App& app);
Action setup_geo(CLI::App& app);
Action setup_guard(CLI::App& app);
Action setup_doctor(CLI::App& app);
Action setup_explain(CLI::App& app);
Action setup_replay(CLI::App& app);
Action setup_completion(CLI::App& app);
Action setup_version(CLI::App& app);

// The CLI as CLI11 sees it, with every verb set up; for completion.
struct Program {
    std::unique_ptr<CLI::App> app;
    Context context;
    std::vector<Action> actions; // one per verb, in the order of verbs()
};
std::unique_ptr<Program> make_program();

// Prints a change that was made: the answer under -j, else `done`. Code 1 where a restart
// of the daemon would forget it.
Outcome report_change(const Context& context, const nlohmann::json& answer,
                      const std::string& done);

// A file, or standard input for "-".
Result<std::string> read_input(const std::string& path);

} // namespace xdpctl::cli
