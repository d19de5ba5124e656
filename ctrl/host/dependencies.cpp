// SPDX-License-Identifier: Apache-2.0
#include "host/dependencies.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <set>
#include <sstream>
#include <system_error>

#include "base/file.h"
#include "core/asked.h"
#include "host/server_files.h"

namespace xdpctl
{
namespace
{

constexpr size_t file_bytes_most = 8UL << 20;
constexpr size_t files_most = 512; // of one kind, includes and all
constexpr int depth_most = 8;      // of includes

bool is_pattern(const std::string& path)
{
    return path.find_first_of("*?[") != std::string::npos;
}

std::string directory_of(const std::string& path)
{
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

class Reader
{
  public:
    explicit Reader(const std::string& root) : root_(root) {}

    // Calls back with the path and text of every file that matches.
    template <typename Visit> void read(const std::string& pattern, Visit visit)
    {
        for (const std::string& path : matching(pattern)) {
            std::error_code problem;
            if (!std::filesystem::is_regular_file(root_ + path, problem)) {
                if (problem == std::errc::permission_denied) {
                    found_.problems.push_back(path + ": " + problem.message());
                }
                continue;
            }
            const auto text = read_file(root_ + path, file_bytes_most);
            if (text) {
                visit(path, *text);
            } else {
                found_.problems.push_back(text.error().message);
            }
        }
    }

    void add(const std::vector<Address>& servers, Protection as, const std::string& source)
    {
        for (const Address& server : servers) {
            // What is here, and what means nobody: no one else's address.
            const bool group = server.is_ipv4() ? server.bytes[12] == 0 || server.bytes[12] >= 224
                                                : server.bytes[0] == 0xff || server == Address{};
            if (!server.is_loopback() && !group) {
                found_.entries.push_back({{server, 128}, as, source});
            }
        }
    }

    void resolv_conf(const std::string& pattern)
    {
        read(pattern, [this](const std::string& path, const std::string& text) {
            add(parse_resolvers(text), Protection::RESOLVER, path);
        });
    }

    void assigned(const std::string& pattern, const std::vector<std::string_view>& keys,
                  Protection as)
    {
        read(pattern, [&](const std::string& path, const std::string& text) {
            add(parse_assigned(text, keys), as, path);
        });
    }

    // With what they include, relative to the directory of the first.
    void included(const std::string& pattern, ServerFile (*parse)(std::string_view), Protection as)
    {
        std::set<std::string> seen;
        follow(pattern, directory_of(pattern), parse, as, 0, seen);
    }

    // What was given on a command line; with the files that it names.
    void stated(const ServerFile& file, ServerFile (*parse)(std::string_view), Protection as,
                const std::string& source)
    {
        add(file.servers, as, source);
        for (const std::string& other : file.resolv_confs) {
            resolv_conf(other);
        }
        for (const std::string& include : file.includes) {
            if (include.starts_with('/')) {
                included(include, parse, as);
            }
        }
    }

    void lease(const std::string& path, const Lease& lease)
    {
        add(lease.dhcp_servers, Protection::DHCP_SERVER, path);
        add(lease.routers, Protection::GATEWAY, path);
        add(lease.resolvers, Protection::RESOLVER, path);
        add(lease.time_servers, Protection::TIME_SERVER, path);
    }

    Dependencies take() { return std::move(found_); }

  private:
    std::vector<std::string> matching(const std::string& pattern) const
    {
        if (!is_pattern(pattern)) {
            return {pattern};
        }
        std::vector<std::string> paths;
        glob_t matches{};
        if (glob((root_ + pattern).c_str(), 0, nullptr, &matches) == 0) {
            for (size_t i = 0; i < matches.gl_pathc && i < files_most; i++) {
                paths.push_back(std::string(matches.gl_pathv[i]).substr(root_.size()));
            }
        }
        globfree(&matches);
        return paths;
    }

    void follow(const std::string& pattern, const std::string& base,
                ServerFile (*parse)(std::string_view), Protection as, int depth,
                std::set<std::string>& seen)
    {
        const std::string whole = pattern.starts_with('/') ? pattern : base + "/" + pattern;
        std::vector<std::string> includes;
        read(whole, [&](const std::string& path, const std::string& text) {
            if (seen.size() >= files_most || !seen.insert(path).second) {
                return;
            }
            const ServerFile file = parse(text);
            add(file.servers, as, path);
            for (const std::string& other : file.resolv_confs) {
                resolv_conf(other);
            }
            includes.insert(includes.end(), file.includes.begin(), file.includes.end());
        });
        for (const std::string& include : includes) {
            if (depth < depth_most) {
                follow(include, base, parse, as, depth + 1, seen);
            }
        }
    }

    const std::string& root_;
    Dependencies found_;
};

// /etc/resolv.conf often names a stub on loopback; the resolvers behind it are elsewhere.
void read_resolvers(Reader& reader)
{
    for (const char* path :
         {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf",
          "/run/systemd/resolve/stub-resolv.conf", "/run/NetworkManager/resolv.conf",
          "/run/NetworkManager/no-stub-resolv.conf", "/run/resolvconf/resolv.conf",
          "/run/resolvconf/interface/*", "/run/dnsmasq/resolv.conf", "/etc/resolv.dnsmasq",
          "/etc/resolv.dnsmasq.conf"}) {
        reader.resolv_conf(path);
    }
    for (const char* path : {"/etc/systemd/resolved.conf", "/etc/systemd/resolved.conf.d/*.conf",
                             "/run/systemd/resolved.conf.d/*.conf"}) {
        reader.assigned(path, {"DNS", "FallbackDNS"}, Protection::RESOLVER);
    }
    reader.assigned("/run/systemd/resolve/netif/*", {"SERVERS"}, Protection::RESOLVER);
    for (const char* path : {"/run/systemd/netif/state", "/run/systemd/netif/links/*"}) {
        reader.assigned(path, {"DNS"}, Protection::RESOLVER);
        reader.assigned(path, {"NTP"}, Protection::TIME_SERVER);
    }
    for (const char* path :
         {"/etc/dnsmasq.conf", "/etc/dnsmasq.d/*", "/etc/NetworkManager/dnsmasq.d/*",
          "/etc/NetworkManager/dnsmasq-shared.d/*"}) {
        reader.included(path, parse_dnsmasq, Protection::RESOLVER);
    }
    for (const char* path : {"/etc/unbound/unbound.conf", "/etc/unbound/unbound.conf.d/*.conf",
                             "/usr/local/etc/unbound/unbound.conf"}) {
        reader.included(path, parse_unbound, Protection::RESOLVER);
    }
    for (const char* path :
         {"/etc/bind/named.conf", "/etc/bind/named.conf.options", "/etc/named.conf"}) {
        reader.included(path, parse_named, Protection::RESOLVER);
    }
}

void read_time_servers(Reader& reader)
{
    for (const char* path :
         {"/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/chrony/conf.d/*.conf",
          "/etc/chrony/sources.d/*.sources", "/run/chrony-dhcp/*.sources", "/run/chrony.d/*",
          "/etc/ntp.conf", "/etc/ntpsec/ntp.conf", "/run/ntp.conf.dhcp",
          "/run/ntpsec/ntp.conf.dhcp", "/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"}) {
        reader.included(path, parse_time_servers, Protection::TIME_SERVER);
    }
    for (const char* path : {"/etc/systemd/timesyncd.conf", "/etc/systemd/timesyncd.conf.d/*.conf",
                             "/run/systemd/timesyncd.conf.d/*.conf"}) {
        reader.assigned(path, {"NTP", "FallbackNTP"}, Protection::TIME_SERVER);
    }
}

void read_leases(Reader& reader, uint64_t now_unix_s)
{
    const auto networkd = [&reader](const std::string& path, const std::string& text) {
        reader.lease(path, parse_networkd_lease(text));
    };
    reader.read("/run/systemd/netif/leases/*", networkd);
    for (const char* path : {"/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.leases",
                             "/var/lib/NetworkManager/dhclient*.lease"}) {
        reader.read(path, [&](const std::string& file, const std::string& text) {
            reader.lease(file, parse_dhclient_leases(text, now_unix_s));
        });
    }
}

// Names of programs, as /proc/PID/comm has them.
struct ServerProgram {
    std::string_view name;
    ServerFile (*parse)(std::string_view);
    Protection as;
};
constexpr std::array programs = {
    ServerProgram{"dnsmasq", parse_dnsmasq, Protection::RESOLVER},
    ServerProgram{"unbound", parse_unbound, Protection::RESOLVER},
    ServerProgram{"named", parse_named, Protection::RESOLVER},
    ServerProgram{"chronyd", parse_time_servers, Protection::TIME_SERVER},
    ServerProgram{"ntpd", parse_time_servers, Protection::TIME_SERVER},
};

std::vector<std::string> words_of(const std::string& text, char separator)
{
    std::vector<std::string> words;
    std::istringstream in(text);
    for (std::string word; std::getline(in, word, separator);) {
        words.push_back(word);
    }
    return words;
}

// By /proc/PID/status: "NSpid:" has one number more for each PID namespace.
bool is_of_the_system(const std::string& status)
{
    constexpr uint32_t nobody = 65534; // of daemons that have no account of their own
    bool known = false;
    std::istringstream lines(status);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string key;
        uint32_t first = 0;
        uint32_t second = 0;
        words >> key >> first;
        if (key == "Uid:") {
            known = is_system_account(first) || first == nobody;
        } else if (key == "NSpid:" && words >> second) {
            return false;
        }
    }
    return known;
}

} // namespace

Dependencies read_running_servers(const std::string& root)
{
    Reader reader(root);
    std::error_code problem;
    std::filesystem::directory_iterator process(root + "/proc", problem);
    for (; !problem && process != std::filesystem::directory_iterator();
         process.increment(problem)) {
        const std::string directory = process->path().string();
        if (std::isdigit(static_cast<unsigned char>(process->path().filename().string()[0])) == 0) {
            continue;
        }
        const auto name = read_file(directory + "/comm", file_bytes_most); // it may be gone
        const auto* program =
            std::find_if(programs.begin(), programs.end(), [&name](const ServerProgram& p) {
                return name && *name == std::string(p.name) + "\n";
            });
        if (program == programs.end()) {
            continue;
        }
        const auto status = read_file(directory + "/status", file_bytes_most);
        const auto command = read_file(directory + "/cmdline", file_bytes_most);
        if (status && command && is_of_the_system(*status)) {
            std::vector<std::string> arguments = words_of(*command, '\0');
            arguments.erase(arguments.begin(), arguments.begin() + (arguments.empty() ? 0 : 1));
            reader.stated(parse_server_command(program->name, arguments), program->parse,
                          program->as, fmt::format("command line of {}", program->name));
        }
    }
    return reader.take();
}

Dependencies read_dependencies(const std::string& root, uint64_t now_unix_s)
{
    Reader reader(root);
    read_resolvers(reader);
    read_time_servers(reader);
    read_leases(reader, now_unix_s);
    return reader.take();
}

} // namespace xdpctl
