// SPDX-License-Identifier: Apache-2.0
#include "host/doctor.h"

#include <linux/magic.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <thread>

#include "base/file.h"
#include "core/panic.h"
#include "host/sysctl.h"

namespace xdpctl
{
namespace
{

// Where a number below `least` is a weakness.
struct Tuned {
    std::string_view name;
    uint64_t least;
    Health health;
    std::string_view why;
};

constexpr std::array tuned = {
    Tuned{"net.ipv4.tcp_syncookies", 1, Health::bad,
          "without cookies a SYN flood fills the listener's queue and nobody connects; the guard "
          "cannot answer either"},
    Tuned{"net.ipv4.tcp_timestamps", 2, Health::warning,
          "a cookie carries window scale, SACK and ECN in the timestamp, which must be without the "
          "secret offset that 1 adds (xdpctld sets it unless guard.sysctls = false)"},
    Tuned{"net.core.somaxconn", 1024, Health::warning,
          "caps every listener's queue of completed connections: a crowd overflows it"},
    Tuned{"net.ipv4.tcp_max_syn_backlog", 1024, Health::warning,
          "caps unfinished handshakes: bursts of honest clients are answered with cookies or "
          "dropped"},
};
constexpr std::string_view recommended_queue = "4096"; // the kernel's own default since 5.4

constexpr uint32_t backlog_least = 128;
constexpr uint64_t conntrack_crowded = 50; // percent: a flood fills the rest in seconds
constexpr uint64_t conntrack_full = 90;
constexpr uint32_t one_buffer_mtu = 3498; // a page less headroom and shared info, with VLAN tags

uint64_t number(const std::string& text)
{
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void check_sysctls(const HostReport& report, std::vector<Finding>& findings)
{
    for (const Tuned& check : tuned) {
        const auto known = report.sysctls.find(std::string(check.name));
        if (known == report.sysctls.end()) {
            continue;
        }
        Finding finding;
        finding.check = check.name;
        finding.found = known->second;
        if (number(known->second) < check.least) {
            const std::string value =
                check.least >= 1024 ? std::string(recommended_queue) : std::to_string(check.least);
            finding.health = check.health;
            finding.why = check.why;
            finding.command = fmt::format("sysctl -w {}={}", check.name, value);
            finding.sysctl = {std::string(check.name), value};
        }
        findings.push_back(finding);
    }
}

Finding check_kernel(const HostReport& report)
{
    Finding finding{"kernel", Health::good, report.kernel, "", "", {}};
    const char* text = report.kernel.c_str();
    char* rest = nullptr;
    const unsigned long major = std::strtoul(text, &rest, 10);
    const unsigned long minor = *rest == '.' ? std::strtoul(rest + 1, nullptr, 10) : 0;
    if (major < 6 || (major == 6 && minor < 1)) {
        finding.health = Health::bad;
        finding.why = "the data path needs Linux 6.1 or newer";
        finding.command = "apt-get install linux-image-amd64";
    } else if (!report.has_btf) {
        finding.health = Health::bad;
        finding.found += ", no BTF";
        finding.why = "the data path finds the kernel's structures by its BTF "
                      "(/sys/kernel/btf/vmlinux)";
        finding.command = "apt-get install linux-image-amd64";
    }
    return finding;
}

void check_mounts(const HostReport& report, std::vector<Finding>& findings)
{
    Finding bpffs{"bpffs", Health::good, "mounted", "", "", {}};
    if (!report.has_bpffs) {
        bpffs = {"bpffs",
                 Health::warning,
                 "not mounted at /sys/fs/bpf",
                 "programs and maps are pinned there, so that filtering outlives the daemon "
                 "(xdpctld mounts it where it may)",
                 "mount -t bpf bpf /sys/fs/bpf",
                 {}};
    }
    findings.push_back(bpffs);
    Finding cgroup{"cgroup2", Health::good, "mounted", "", "", {}};
    if (!report.has_cgroup2) {
        cgroup = {"cgroup2",
                  Health::bad,
                  "not mounted",
                  "known clients and the guard's own proof are learned from sockets of the root "
                  "cgroup",
                  "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none "
                  "/sys/fs/cgroup/unified",
                  {}};
    }
    findings.push_back(cgroup);
}

Finding good(std::string check, std::string found)
{
    return {std::move(check), Health::good, std::move(found), "", "", {}};
}

// Whoever may not look cannot say that something is missing.
Finding not_known(std::string check, const Error& why)
{
    const bool forbidden = why.kind == ErrorKind::permission;
    return {std::move(check),
            Health::unknown,
            forbidden ? "not known: this user may not look" : "not known",
            why.message,
            forbidden ? "sudo xdpctl doctor" : "",
            {}};
}

Finding check_mode(const HostReport& report, const LinkFacts& link, const Config& config)
{
    const auto attached = report.xdp.find(link.name);
    if (report.xdp_problem && attached == report.xdp.end()) {
        return not_known(link.name + ": XDP", *report.xdp_problem);
    }
    Finding finding =
        good(link.name + ": XDP", attached != report.xdp.end() ? attached->second : "not attached");
    const auto& wanted = config.interfaces;
    if (attached == report.xdp.end() &&
        std::find(wanted.begin(), wanted.end(), link.name) != wanted.end()) {
        finding.health = Health::bad;
        finding.why = "it is configured, and nothing is filtered on it";
        finding.command = report.panic            ? std::string(panic_end_command)
                          : report.daemon_problem ? "systemctl start xdpctld"
                                                  : fmt::format("xdpctl attach {}", link.name);
    }
    if (!link.refusal.empty()) {
        finding.health = Health::bad;
        finding.why = link.refusal;
        finding.command = "editor /etc/xdpctl/xdpctl.toml # interfaces = [...]";
    } else if (finding.found == "generic" && link.has_ethernet && link.native_costs.empty()) {
        finding.health = Health::warning;
        finding.why = "generic XDP runs after the kernel made a buffer for each packet: several "
                      "times slower than in the driver";
        finding.command =
            fmt::format("ethtool -i {} # is there a driver with native XDP?", link.name);
    }
    return finding;
}

Finding check_queues(const HostReport& report, const LinkFacts& link)
{
    Finding finding =
        good(link.name + ": queues",
             link.receive_queues > 0 ? std::to_string(link.receive_queues) : "unknown");
    const uint32_t possible = std::min(link.receive_queues_most, report.cpus);
    if (link.receive_queues > 0 && link.receive_queues < possible) {
        finding.health = Health::warning;
        finding.why = fmt::format("{} CPUs share the work of {} receive queues: a flood meets only "
                                  "so many of them",
                                  report.cpus, link.receive_queues);
        finding.command = fmt::format("ethtool -L {} {} {}", link.name,
                                      link.queues_are_combined ? "combined" : "rx", possible);
    }
    return finding;
}

Finding check_vlan(const LinkFacts& link)
{
    Finding finding = good(link.name + ": VLAN offload", link.strips_vlan_tags ? "on" : "off");
    if (link.loses_vlan_tags()) {
        finding.health = Health::bad;
        finding.why = "the tag is stripped before XDP sees the packet, so a cookie would leave "
                      "without it: none are sent on this interface";
        finding.command = fmt::format("ethtool -K {} rxvlan off", link.name);
    }
    return finding;
}

Finding check_answers(const LinkFacts& link)
{
    Finding finding = good(link.name + ": cookies", link.no_answers.empty() ? "possible" : "none");
    if (!link.no_answers.empty()) {
        finding.health = Health::warning;
        finding.why = link.no_answers + ": while a guard is active, SYNs are limited instead";
    }
    return finding;
}

Finding check_lro(const LinkFacts& link)
{
    Finding finding = good(link.name + ": LRO", link.merges_packets ? "on" : "off");
    if (link.merges_packets) {
        finding.health = Health::warning;
        finding.why = "packets that the card merged cannot be judged one by one; drivers refuse "
                      "native XDP";
        finding.command = fmt::format("ethtool -K {} lro off", link.name);
    }
    return finding;
}

Finding check_mtu(const LinkFacts& link)
{
    Finding finding = good(link.name + ": MTU", std::to_string(link.mtu));
    if (link.mtu > one_buffer_mtu) {
        finding.health = Health::warning;
        finding.why = "frames larger than a page need a driver with multi-buffer XDP, else "
                      "attaching falls back to generic XDP";
        finding.command =
            fmt::format("ip link set {} mtu 1500 # where jumbo frames are not needed", link.name);
    }
    return finding;
}

bool is_looked_at(const LinkFacts& link, const Config& config)
{
    if (!config.interfaces.empty()) {
        return std::find(config.interfaces.begin(), config.interfaces.end(), link.name) !=
               config.interfaces.end();
    }
    return link.name != "lo" && link.refusal.empty();
}

void check_links(const HostReport& report, const Config& config, std::vector<Finding>& findings)
{
    for (const LinkFacts& link : report.facts.network.links) {
        if (is_looked_at(link, config)) {
            for (const Finding& finding :
                 {check_mode(report, link, config), check_queues(report, link), check_vlan(link),
                  check_answers(link), check_lro(link), check_mtu(link)}) {
                findings.push_back(finding);
            }
        }
    }
    for (const std::string& name : config.interfaces) {
        const auto& links = report.facts.network.links;
        if (std::none_of(links.begin(), links.end(),
                         [&name](const LinkFacts& link) { return link.name == name; })) {
            findings.push_back({name,
                                Health::bad,
                                "no such interface",
                                "it is configured, and nothing is filtered on it",
                                "ip -br link # then mend interfaces = [...]",
                                {}});
        }
    }
    if (report.config_problem) {
        findings.push_back(not_known("configuration", *report.config_problem));
    } else if (config.interfaces.empty()) {
        findings.push_back({"interfaces",
                            Health::bad,
                            "none is configured",
                            "nothing is filtered",
                            "editor /etc/xdpctl/xdpctl.toml",
                            {}});
    }
}

void check_services(const HostReport& report, const Config& config, std::vector<Finding>& findings)
{
    if (!report.facts.services_problem.empty()) {
        findings.push_back({"services",
                            Health::bad,
                            "not known: " + report.facts.services_problem,
                            "only services that are known are guarded",
                            "modprobe inet_diag",
                            {}});
    }
    for (const auto& [port, backlog] : report.facts.backlogs) {
        Finding finding{fmt::format("tcp/{}", port),
                        Health::good,
                        fmt::format("backlog {}", backlog),
                        "",
                        "",
                        {}};
        const auto mode = config.guard.modes.find(port);
        const auto guard = mode != config.guard.modes.end() ? mode->second : config.guard.mode;
        if (guard == XDPCTL_GUARD_OFF) {
            finding.health = Health::warning;
            finding.found += ", guard off";
            finding.why = "a SYN flood on this port reaches the kernel";
            finding.command = fmt::format("xdpctl guard set {} auto", port);
        } else if (backlog < backlog_least) {
            finding.health = Health::warning;
            finding.why = fmt::format("a queue of {} completed connections overflows in any burst; "
                                      "the service itself asks for it (listen(2))",
                                      backlog);
        }
        findings.push_back(finding);
    }
}

Finding check_daemon(const HostReport& report)
{
    if (report.daemon_problem && report.daemon_problem->kind == ErrorKind::permission) {
        return not_known("daemon", *report.daemon_problem);
    }
    if (report.daemon_problem) {
        return {"daemon",
                Health::bad,
                "does not answer",
                report.daemon_problem->message +
                    "; what is loaded goes on filtering, but nobody follows services and links, "
                    "learns, bans, or exports counters",
                "systemctl enable --now xdpctld",
                {}};
    }
    return good("daemon", "answers");
}

void check_panic(const HostReport& report, std::vector<Finding>& findings)
{
    if (report.panic) {
        findings.push_back({"panic",
                            Health::bad,
                            "in force",
                            std::string(panic_text),
                            std::string(panic_end_command),
                            {}});
    }
}

void check_conntrack(const HostReport& report, std::vector<Finding>& findings)
{
    const uint64_t entries = report.facts.network.conntrack_entries;
    const uint64_t most = report.facts.network.conntrack_max_entries;
    if (most == 0) {
        return; // nothing is tracked here
    }
    Finding finding = good("conntrack", fmt::format("{} of {} connections", entries, most));
    const uint64_t percent = entries * 100 / most;
    if (percent >= conntrack_crowded) {
        finding.health = percent >= conntrack_full ? Health::bad : Health::warning;
        finding.why = "when the table is full, netfilter drops what begins a new connection, "
                      "behind the data path";
        finding.command = fmt::format("sysctl -w net.netfilter.nf_conntrack_max={}", most * 4);
    }
    findings.push_back(finding);
}

void check_reported(const HostReport& report, std::vector<Finding>& findings)
{
    for (const HostReport::Reported& one : report.reported) {
        findings.push_back({one.name,
                            one.critical ? Health::bad : Health::warning,
                            "reported by the daemon",
                            one.text,
                            "",
                            {}});
    }
}

bool is_mounted(const char* path, long magic)
{
    struct statfs fs {
    };
    return statfs(path, &fs) == 0 && fs.f_type == magic;
}

} // namespace

std::string_view to_string(Health health)
{
    switch (health) {
    case Health::good:
        return "ok";
    case Health::warning:
        return "warning";
    case Health::bad:
        return "bad";
    case Health::unknown:
        break;
    }
    return "unknown";
}

std::vector<std::string> tuned_sysctls()
{
    std::vector<std::string> names;
    for (const Tuned& check : tuned) {
        names.emplace_back(check.name);
    }
    return names;
}

std::vector<Finding> diagnose(const HostReport& report, const Config& config)
{
    std::vector<Finding> findings = {check_kernel(report), check_daemon(report)};
    check_panic(report, findings);
    check_reported(report, findings);
    check_mounts(report, findings);
    check_sysctls(report, findings);
    check_links(report, config, findings);
    check_services(report, config, findings);
    check_conntrack(report, findings);
    return findings;
}

Result<HostReport> examine()
{
    HostReport report;
    utsname name{};
    uname(&name);
    report.kernel = name.release;
    report.has_btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    report.has_bpffs = is_mounted("/sys/fs/bpf", BPF_FS_MAGIC);
    if (const auto mounts = read_file("/proc/self/mounts")) {
        report.has_cgroup2 = mounts->find(" cgroup2 ") != std::string::npos;
    }
    report.cpus = std::max(1U, std::thread::hardware_concurrency());
    for (const std::string& sysctl : tuned_sysctls()) {
        if (const auto value = read_sysctl(sysctl)) {
            report.sysctls[sysctl] = *value;
        }
    }
    auto facts = read_host_facts();
    if (!facts) {
        return facts.error();
    }
    report.facts = std::move(*facts);
    for (LinkFacts& link : report.facts.network.links) {
        read_driver_facts(link);
    }
    return report;
}

} // namespace xdpctl
