// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_check.h"

#include <grp.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "daemon/geo_sets.h"
#include "daemon/requests.h"
#include "dataplane/attachment.h"
#include "host/listen.h"

namespace xdpctl
{
namespace
{

// Gathers what is found. `root` may look everywhere; what another user may not look at
// is no fault of the configuration.
class Findings
{
  public:
    void refuse(std::string key, const Error& error)
    {
        const bool hidden = error.kind == ErrorKind::permission && geteuid() != 0;
        all_.push_back({std::move(key),
                        hidden ? error.message + " (not looked at; ask as root)" : error.message,
                        !hidden});
    }
    void warn(std::string key, std::string text)
    {
        all_.push_back({std::move(key), std::move(text), false});
    }
    std::vector<ConfigFinding> take() { return std::move(all_); }

  private:
    std::vector<ConfigFinding> all_;
};

void check_retired(const Config& config, Findings& found)
{
    for (const std::string& key : config.retired) {
        found.warn(key, fmt::format("does nothing: {}", why_retired(key)));
    }
}

void check_interfaces(const Config& config, const HostLook& look, Findings& found)
{
    if (config.interfaces.empty()) {
        found.warn("interfaces", "no interface is configured: nothing is filtered");
    }
    for (const std::string& name : config.interfaces) {
        if (look.find_interface) {
            if (auto done = look.find_interface(name); !done) {
                found.refuse("interfaces", done.error());
            }
        }
    }
}

void check_lists(const Config& config, const HostLook& look, Findings& found)
{
    for (const Prefix& prefix : config.trusted) {
        if (const auto why = too_wide_to_allow(prefix)) {
            found.warn("lists.trusted", *why);
        }
    }
    for (const Prefix& prefix : config.allow) {
        if (const auto why = too_wide_to_allow(prefix)) {
            found.warn("lists.allow", *why);
        } else if (const auto trusted = better_trusted(prefix)) {
            found.warn("lists.allow", *trusted);
        }
    }
    for (const Prefix& prefix : config.block) {
        if (const auto why = too_wide_to_block(prefix)) {
            found.warn("lists.block", *why);
        }
        if (const auto why = look.refuses_ban ? look.refuses_ban(prefix) : std::nullopt) {
            found.warn("lists.block", fmt::format("{}: {}", to_string(prefix), *why));
        }
    }
}

void check_feeds(const Config& config, Findings& found)
{
    for (size_t i = 0; i < config.feeds.size(); i++) {
        const FeedConfig& feed = config.feeds[i];
        if (feed.is_plain_http()) {
            found.warn(fmt::format("feeds[{}].url", i),
                       fmt::format("{}: plain http: anybody on the path can write your block list; "
                                   "use https where the server has it",
                                   feed.name));
        }
    }
}

// The daemon makes directories that are missing, where it may.
Result<> can_make_directory(const std::string& path)
{
    namespace fs = std::filesystem;
    fs::path there = fs::absolute(path);
    std::error_code ignored;
    while (there.has_relative_path() && !fs::exists(there, ignored)) {
        there = there.parent_path();
    }
    if (!fs::is_directory(there, ignored)) {
        return failure("{} is not a directory", there.string());
    }
    if (access(there.c_str(), W_OK | X_OK) != 0) {
        return system_failure(errno, fmt::format("{}: cannot be written", there.string()));
    }
    return Done{};
}

Result<> check_socket(const std::string& path)
{
    struct stat about {
    };
    if (stat(path.c_str(), &about) == 0 && !S_ISSOCK(about.st_mode)) {
        return failure("{} is there and is not a socket", path);
    }
    return can_make_directory(std::filesystem::path(path).parent_path().string());
}

Result<> check_cgroup(const std::string& path)
{
    struct statfs fs {
    };
    if (statfs(path.c_str(), &fs) != 0) {
        return system_failure(errno, path);
    }
    return fs.f_type == CGROUP2_SUPER_MAGIC
               ? Result<>(Done{})
               : failure("{} is not a directory of a cgroup v2 file system", path);
}

// Others than its owner and group.
bool others_may_read(const std::string& path)
{
    struct stat about {
    };
    return stat(path.c_str(), &about) == 0 && (about.st_mode & S_IROTH) != 0;
}

void check_files(const Config& config, Findings& found)
{
    const auto check = [&found](const char* key, const Result<>& done) {
        if (!done) {
            found.refuse(key, done.error());
        }
    };
    check("api.socket", check_socket(config.socket_path));
    check("paths.state", can_make_directory(config.state_directory));
    if (!config.cgroup.empty()) {
        check("paths.cgroup", check_cgroup(config.cgroup));
    }
    const bool named = config.socket_group != Config{}.socket_group; // else it is an offer
    if (named && !config.socket_group.empty() && getgrnam(config.socket_group.c_str()) == nullptr) {
        found.warn("api.group", fmt::format("no group {0} here: only root can use the socket "
                                            "(groupadd -r {0})",
                                            config.socket_group));
    }
    if (!config.crowdsec.url.empty()) {
        const std::string& path = config.crowdsec.key_file;
        const auto key = read_crowdsec_key(path);
        check("crowdsec.key_file", key ? Result<>(Done{}) : key.error());
        if (key && others_may_read(path)) {
            found.warn("crowdsec.key_file",
                       fmt::format("every user of this host may read {0} (chmod o= {0})", path));
        }
    }
    for (size_t i = 0; i < config.feeds.size(); i++) {
        const FeedConfig& feed = config.feeds[i];
        if (feed.is_file() && access(feed.url.c_str(), R_OK) != 0) {
            found.warn(fmt::format("feeds[{}].url", i),
                       system_failure(errno, fmt::format("{}: {}", feed.name, feed.url)).message);
        }
    }
}

void check_geo(const Config& config, const HostLook& look, Findings& found)
{
    if (!config.geo.services.empty()) {
        if (auto done = look.read_geo ? look.read_geo(config.geo) : Done{}; !done) {
            found.refuse("geo", done.error());
        }
        return;
    }
    for (size_t i = 0; look.files && i < config.geo.databases.size(); i++) {
        const std::string& path = config.geo.databases[i];
        if (access(path.c_str(), R_OK) != 0) {
            found.warn(fmt::format("geo.databases[{}]", i), system_failure(errno, path).message);
        }
    }
}

bool is_every_address(const std::string& host)
{
    return host.empty() || host == "0.0.0.0" || host == "::";
}

void check_metrics(const Config& config, const HostLook& look, Findings& found)
{
    if (config.metrics_listen.empty()) {
        return;
    }
    if (const auto all = parse_listen(config.metrics_listen)) {
        for (const ListenAddress& one : *all) {
            if (is_every_address(one.host)) {
                found.warn("metrics.listen",
                           fmt::format("every address of this host: everybody who reaches port {} "
                                       "can read the metrics",
                                       one.port));
            }
        }
    }
    if (auto done = look.can_listen ? look.can_listen(config.metrics_listen) : Done{}; !done) {
        found.warn("metrics.listen",
                   done.error().message + "; metrics are not exported until it is free");
    }
}

} // namespace

HostLook HostLook::real()
{
    return {xdpctl::find_interface,
            xdpctl::can_listen,
            [](const GeoConfig& geo) -> Result<> {
                const auto plan = GeoSets().plan(geo);
                return plan ? Result<>(Done{}) : plan.error();
            },
            {},
            true};
}

std::vector<ConfigFinding> check_config(const Config& config, const HostLook& look)
{
    Findings found;
    check_retired(config, found);
    check_interfaces(config, look, found);
    check_lists(config, look, found);
    check_feeds(config, found);
    if (look.files) {
        check_files(config, found);
    }
    check_geo(config, look, found);
    check_metrics(config, look, found);
    return found.take();
}

std::string to_string(const ConfigFinding& finding, const std::string& toml,
                      const std::string& name)
{
    const uint32_t line = config_line(toml, finding.key);
    return line > 0 ? fmt::format("{}:{}: {}: {}", name, line, finding.key, finding.text)
                    : fmt::format("{}: {}: {}", name, finding.key, finding.text);
}

std::optional<Error> refusal(const std::vector<ConfigFinding>& findings, const std::string& toml,
                             const std::string& name)
{
    std::vector<std::string> lines;
    for (const ConfigFinding& finding : findings) {
        if (finding.refuses) {
            lines.push_back(to_string(finding, toml, name));
        }
    }
    return lines.empty()
               ? std::nullopt
               : std::optional(failure(ErrorKind::invalid_config, "{}", fmt::join(lines, "\n")));
}

} // namespace xdpctl
