// SPDX-License-Identifier: Apache-2.0
// ban, allow and trust: list, add, del, import
#include <sstream>

#include <xdpctl/abi/maps.h>

#include "core/bans.h"
#include "core/prefix.h"
#include "core/units.h"
#include "output.h"
#include "show.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

struct ListOptions {
    std::vector<std::string> prefixes;
    std::string ttl = "1h";
    std::string source = "operator";
    // Of `del`; empty: whoever banned, why and where.
    std::string lifted_source;
    std::string lifted_reason;
    std::string inside;
    bool all = false;
    std::string reason;
    std::string file;
    bool force = false;
    CLI::App* add = nullptr;
    CLI::App* del = nullptr;
    CLI::App* import_ = nullptr;
};

// One prefix per line; `#` and `;` begin comments.
Result<std::vector<std::string>> parse_list(const std::string& text, const std::string& name)
{
    std::vector<std::string> entries;
    constexpr std::string_view utf8_mark = "\xef\xbb\xbf";
    std::istringstream lines(text.substr(text.starts_with(utf8_mark) ? utf8_mark.size() : 0));
    size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        number++;
        line = line.substr(0, line.find_first_of("#;"));
        std::istringstream words(line);
        std::string entry;
        if (!(words >> entry)) {
            continue;
        }
        if (auto prefix = parse_prefix(entry); !prefix) {
            return prefix.error().in(fmt::format("{}:{}", name, number));
        }
        entries.push_back(entry);
        if (words >> entry) {
            return failure(ErrorKind::usage, "{}:{}: one prefix per line, found '{}' too", name,
                           number, entry);
        }
    }
    if (entries.empty()) {
        return failure(ErrorKind::usage, "{}: no prefix in it", name);
    }
    return entries;
}

// A wrong word is found here, before anything is sent.
Result<> check_prefixes(const std::vector<std::string>& prefixes)
{
    for (const std::string& text : prefixes) {
        if (auto prefix = parse_prefix(text); !prefix) {
            return prefix.error();
        }
    }
    return Done{};
}

Outcome print_added(const Context& context, const json& answer)
{
    const json refused = answer.value("refused", json::array());
    if (answer.contains("not_saved")) {
        return report_change(context, answer, fmt::format("{} added", answer["added"].dump()));
    }
    if (context.json) {
        print_json(answer);
    } else {
        for (const json& row : refused) {
            fmt::print(stderr, "xdpctl: {} refused: {}\n", row["prefix"].get<std::string>(),
                       row["why"].get<std::string>());
        }
        fmt::print("{} added\n", answer["added"].get<uint64_t>());
    }
    return refused.empty() ? 0 : static_cast<int>(ErrorKind::refused);
}

Outcome add(const Context& context, const char* path, const std::vector<std::string>& prefixes,
            json body)
{
    if (auto checked = check_prefixes(prefixes); !checked) {
        return checked.error();
    }
    body["entries"] = prefixes;
    auto answer = context.api().post(path, body);
    return answer ? print_added(context, *answer) : Outcome(answer.error());
}

Outcome ban(const Context& context, const ListOptions& options,
            const std::vector<std::string>& prefixes)
{
    json body = {{"source", options.source}, {"reason", options.reason}, {"force", options.force}};
    if (options.ttl != "permanent") {
        body["ttl"] = options.ttl;
    }
    return add(context, "/v1/bans", prefixes, body);
}

Outcome remove(const Context& context, const char* path, const json& body)
{
    auto answer = context.api().remove(path, body);
    if (!answer) {
        return answer.error();
    }
    return report_change(context, *answer,
                         fmt::format("{} removed", (*answer)["removed"].get<uint64_t>()));
}

void print_bans(const json& answer)
{
    Table table({"PREFIX", "REMAINING", "ORIGIN", ">OFFENCES", ">HITS", "REASON"});
    for (const json& row : answer["bans"]) {
        const json& remaining = row["remaining_seconds"];
        table.add({row["prefix"],
                   remaining.is_null()
                       ? "permanent"
                       : format_duration(static_cast<uint64_t>(remaining.get<double>()) * ns_per_s),
                   row["origin"], std::to_string(row["strikes"].get<uint64_t>()),
                   row["hits"].is_null() ? "" : std::to_string(row["hits"].get<uint64_t>()),
                   row["reason"]});
    }
    table.print();
}

void print_spared(const json& answer)
{
    Table table({"PREFIX", "ORIGIN"});
    for (const json& row : answer.contains("allow") ? answer["allow"] : answer["trusted"]) {
        table.add({row["prefix"], row["origin"]});
    }
    table.print();
}

Result<std::vector<std::string>> read_list(const std::string& file)
{
    auto text = read_input(file);
    return text ? parse_list(*text, file == "-" ? "standard input" : file)
                : Result<std::vector<std::string>>(text.error());
}

Outcome import_bans(const Context& context, const ListOptions& options)
{
    auto entries = read_list(options.file);
    return entries ? ban(context, options, *entries) : Outcome(entries.error());
}

Outcome lift_bans(const Context& context, const ListOptions& options)
{
    std::vector<std::string> entries = options.prefixes;
    if (!options.file.empty()) {
        auto of_file = read_list(options.file);
        if (!of_file) {
            return of_file.error();
        }
        entries.insert(entries.end(), of_file->begin(), of_file->end());
    }
    if (auto checked = check_prefixes(entries); !checked) {
        return checked.error();
    }
    json body = json::object();
    if (!entries.empty()) {
        body["entries"] = entries;
    }
    if (!options.inside.empty()) {
        body["inside"] = options.inside;
    }
    if (options.all) {
        body["all"] = true;
    }
    if (body.size() > 1) {
        return failure(
            ErrorKind::usage,
            "one of PREFIX or --file, --inside and --all; --source and --reason narrow it");
    }
    if (!options.lifted_source.empty()) {
        body["source"] = options.lifted_source;
    }
    if (!options.lifted_reason.empty()) {
        body["reason"] = options.lifted_reason;
    }
    return body.empty() ? failure(ErrorKind::usage, "which bans? PREFIX..., --file, --inside, "
                                                    "--all, --source or --reason")
                        : remove(context, "/v1/bans", body);
}

CLI::App* add_prefix_verb(CLI::App& app, const char* name, const char* summary, ListOptions& o)
{
    CLI::App* verb = app.add_subcommand(name, summary);
    verb->add_option("PREFIX", o.prefixes, "ADDRESS or ADDRESS/LENGTH");
    verb->fallthrough();
    return verb;
}

std::vector<std::string> sources()
{
    return {ban_origin_names.begin(), ban_origin_names.end()};
}

void add_ban_options(CLI::App& app, ListOptions& options)
{
    app.add_option("-r,--reason", options.reason, "why, for whoever looks at it later");
    app.add_flag("--force", options.force,
                 "also wide prefixes, private networks, who is logged in, and servers that were "
                 "only seen in use");
    app.add_option("--source", options.source, "who bans")
        ->capture_default_str()
        ->check(CLI::IsMember(sources()));
    app.add_option("-t,--ttl", options.ttl, "such as 90s, 10m, 1h, 7d, or permanent")
        ->capture_default_str();
}

std::shared_ptr<ListOptions> add_common(CLI::App& app)
{
    auto options = std::make_shared<ListOptions>();
    app.require_subcommand(0, 1);
    app.add_subcommand("list", "show them (the default)")->fallthrough();
    options->add = add_prefix_verb(app, "add", "add prefixes", *options);
    options->del = add_prefix_verb(app, "del", "remove prefixes", *options);
    options->add->get_option("PREFIX")->required();
    return options;
}

Action setup_spared(CLI::App& app, const char* path)
{
    const auto options = add_common(app);
    options->add->add_flag("--force", options->force, "however wide it is");
    options->del->get_option("PREFIX")->required();
    return [options, path](const Context& context) -> Outcome {
        if (options->add->parsed()) {
            return add(context, path, options->prefixes,
                       options->force ? json{{"force", true}} : json::object());
        }
        if (options->del->parsed()) {
            if (auto checked = check_prefixes(options->prefixes); !checked) {
                return checked.error();
            }
            return remove(context, path, {{"entries", options->prefixes}});
        }
        return show(context, path, {}, print_spared);
    };
}

} // namespace

Action setup_ban(CLI::App& app)
{
    const auto options = add_common(app);
    add_ban_options(*options->add, *options);
    options->del->add_option("--file", options->file, "all of a file, as import reads it");
    options->del->add_option("--inside", options->inside, "all that this prefix covers");
    options->del->add_flag("--all", options->all, "every ban");
    options->del->add_option("--source", options->lifted_source, "only what this one banned")
        ->check(CLI::IsMember(sources()));
    options->del->add_option("-r,--reason", options->lifted_reason,
                             "only what was banned for this; of fail2ban, by this jail");
    options->import_ = app.add_subcommand("import", "add all of a file, in one go");
    options->import_->fallthrough();
    options->import_->add_option("FILE", options->file, "one prefix per line, - for standard input")
        ->required();
    add_ban_options(*options->import_, *options);
    app.footer("A ban that is renewed keeps its reason where none is given. Exit code 7: some were "
               "refused by a guard (told which), the rest was added.");
    return [options](const Context& context) -> Outcome {
        if (options->add->parsed()) {
            return ban(context, *options, options->prefixes);
        }
        if (options->del->parsed()) {
            return lift_bans(context, *options);
        }
        if (options->import_->parsed()) {
            return import_bans(context, *options);
        }
        return show(context, "/v1/bans", {}, print_bans);
    };
}

Action setup_allow(CLI::App& app)
{
    app.footer("Passes before everything: for management. Beyond " +
               std::to_string(XDPCTL_ALLOWED_PER_SECOND) +
               " TCP packets per second and CPU, which may be forged, the SYN guard holds for it, "
               "too.");
    return setup_spared(app, "/v1/allow");
}

Action setup_trust(CLI::App& app)
{
    app.footer("No ban, list or country speaks for these sources; guards and limits do, so that "
               "who forges their addresses gains nothing.");
    return setup_spared(app, "/v1/trusted");
}

} // namespace xdpctl::cli
