// SPDX-License-Identifier: Apache-2.0
// Completion scripts, made from the very options that the parser has.
#include "output.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

std::vector<std::string> words_of(const CLI::App& app)
{
    std::vector<std::string> words;
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
        words.push_back(sub->get_name());
    }
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            words.push_back("--" + name);
        }
    }
    return words;
}

std::string join(const std::vector<std::string>& words)
{
    return fmt::format("{}", fmt::join(words, " "));
}

void print_bash(const CLI::App& app)
{
    fmt::print("_xdpctl() {{\n"
               "    local cur=${{COMP_WORDS[COMP_CWORD]}} verb= word\n"
               "    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
               "        [[ $word != -* ]] && verb=$word && break\n"
               "    done\n"
               "    local words\n"
               "    case $verb in\n");
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
        fmt::print("    {}) words=\"{}\" ;;\n", sub->get_name(), join(words_of(*sub)));
    }
    fmt::print("    *) words=\"{}\" ;;\n"
               "    esac\n"
               "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
               "}}\n"
               "complete -o default -F _xdpctl xdpctl\n",
               join(words_of(app)));
}

void print_zsh(const CLI::App& app)
{
    fmt::print("#compdef xdpctl\nautoload -U +X bashcompinit && bashcompinit\n");
    print_bash(app);
}

void print_fish(const CLI::App& app)
{
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
        fmt::print("complete -c xdpctl -n __fish_use_subcommand -a {} -d '{}'\n", sub->get_name(),
                   sub->get_description());
        for (const CLI::Option* option : sub->get_options()) {
            for (const std::string& name : option->get_lnames()) {
                fmt::print("complete -c xdpctl -n '__fish_seen_subcommand_from {}' -l {}\n",
                           sub->get_name(), name);
            }
        }
    }
}

} // namespace

Action setup_completion(CLI::App& app)
{
    const auto shell = std::make_shared<std::string>();
    app.add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    app.footer("For bash: xdpctl completion bash > /etc/bash_completion.d/xdpctl");
    return [shell](const Context&) -> Outcome {
        const auto program = make_program();
        if (*shell == "bash") {
            print_bash(*program->app);
        } else if (*shell == "zsh") {
            print_zsh(*program->app);
        } else {
            print_fish(*program->app);
        }
        return 0;
    };
}

} // namespace xdpctl::cli
