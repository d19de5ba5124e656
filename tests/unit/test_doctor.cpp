// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness/catch.h"
#include "host/doctor.h"

using namespace xdpctl;

namespace
{

HostReport healthy()
{
    HostReport report;
    report.kernel = "6.1.0-28-amd64";
    report.has_btf = report.has_bpffs = report.has_cgroup2 = true;
    report.cpus = 4;
    report.sysctls = {{"net.ipv4.tcp_syncookies", "1"},
                      {"net.ipv4.tcp_timestamps", "2"},
                      {"net.core.somaxconn", "4096"},
                      {"net.ipv4.tcp_max_syn_backlog", "4096"}};
    LinkFacts link;
    link.ifindex = 2;
    link.name = "eth0";
    link.mtu = 1500;
    link.receive_queues = 4;
    link.receive_queues_most = 8;
    report.facts.network.links = {link};
    report.facts.backlogs = {{443, 4096}};
    report.xdp = {{"eth0", "native"}};
    return report;
}

Config configured()
{
    Config config;
    config.interfaces = {"eth0"};
    return config;
}

Finding find(const HostReport& report, const Config& config, const std::string& check)
{
    for (const Finding& finding : diagnose(report, config)) {
        if (finding.check == check) {
            return finding;
        }
    }
    return {};
}

} // namespace

TEST_CASE("a ready host has nothing to mend")
{
    const auto findings = diagnose(healthy(), configured());
    CHECK(findings.size() >= 12);
    for (const Finding& finding : findings) {
        INFO(finding.check << ": " << finding.found);
        CHECK(finding.health == Health::good);
        CHECK(finding.why.empty());
    }
}

TEST_CASE("each weakness is found, with the reason and the command")
{
    const auto check = [](const char* name, Health health, const char* command, auto spoil) {
        HostReport report = healthy();
        Config config = configured();
        spoil(report, config);
        const Finding finding = find(report, config, name);
        INFO(name << ": " << finding.found);
        CHECK(finding.health == health);
        CHECK_FALSE(finding.why.empty());
        CHECK_THAT(finding.command, Catch::Contains(command));
        const auto all = diagnose(report, config);
        CHECK(std::count_if(all.begin(), all.end(),
                            [](const Finding& f) { return f.health != Health::good; }) == 1);
    };
    using R = HostReport&;
    using C = Config&;
    check("kernel", Health::bad, "linux-image", [](R r, C) { r.kernel = "5.10.0"; });
    check("kernel", Health::bad, "linux-image", [](R r, C) { r.has_btf = false; });
    check("bpffs", Health::warning, "mount -t bpf", [](R r, C) { r.has_bpffs = false; });
    check("cgroup2", Health::bad, "mount -t cgroup2", [](R r, C) { r.has_cgroup2 = false; });
    check("net.ipv4.tcp_syncookies", Health::bad, "net.ipv4.tcp_syncookies=1",
          [](R r, C) { r.sysctls["net.ipv4.tcp_syncookies"] = "0"; });
    check("net.ipv4.tcp_timestamps", Health::warning, "net.ipv4.tcp_timestamps=2",
          [](R r, C) { r.sysctls["net.ipv4.tcp_timestamps"] = "1"; });
    check("net.core.somaxconn", Health::warning, "net.core.somaxconn=4096",
          [](R r, C) { r.sysctls["net.core.somaxconn"] = "128"; });
    check("net.ipv4.tcp_max_syn_backlog", Health::warning, "=4096",
          [](R r, C) { r.sysctls["net.ipv4.tcp_max_syn_backlog"] = "256"; });
    check("eth0: XDP", Health::warning, "ethtool -i", [](R r, C) { r.xdp["eth0"] = "generic"; });
    check("eth0: queues", Health::warning, "ethtool -L eth0 combined 4",
          [](R r, C) { r.facts.network.links[0].receive_queues = 1; });
    check("eth0: VLAN offload", Health::bad, "rxvlan off", [](R r, C) {
        r.facts.network.links[0].has_vlans = r.facts.network.links[0].strips_vlan_tags = true;
    });
    check("eth0: LRO", Health::warning, "lro off",
          [](R r, C) { r.facts.network.links[0].merges_packets = true; });
    check("eth0: MTU", Health::warning, "mtu 1500",
          [](R r, C) { r.facts.network.links[0].mtu = 9000; });
    check("eth1", Health::bad, "ip -br link", [](R, C c) { c.interfaces.emplace_back("eth1"); });
    check("tcp/443", Health::warning, "guard set 443 auto",
          [](R, C c) { c.guard.modes[443] = XDPCTL_GUARD_OFF; });
    check("services", Health::bad, "inet_diag",
          [](R r, C) { r.facts.services_problem = "no sock_diag"; });
    check("daemon", Health::bad, "systemctl",
          [](R r, C) { r.daemon_problem = failure(ErrorKind::unreachable, "nobody answers"); });
    check("panic", Health::bad, "xdpctl panic --end", [](R r, C) { r.panic = true; });
    check("conntrack", Health::warning, "nf_conntrack_max=4000", [](R r, C) {
        r.facts.network.conntrack_entries = 500;
        r.facts.network.conntrack_max_entries = 1000;
    });
    check("conntrack", Health::bad, "nf_conntrack_max=4000", [](R r, C) {
        r.facts.network.conntrack_entries = 900;
        r.facts.network.conntrack_max_entries = 1000;
    });
    check("state_not_saved", Health::warning, "", [](R r, C) {
        r.reported = {{"state_not_saved", "No space left on device", false}};
    });
    check("policy_not_committed", Health::bad, "", [](R r, C) {
        r.reported = {{"policy_not_committed", "the kernel says no", true}};
    });
}

TEST_CASE("whoever may not look is told so, not that nothing runs")
{
    HostReport report = healthy();
    const Error forbidden = failure(ErrorKind::permission, "no permission for the socket");
    report.daemon_problem = forbidden;
    report.xdp.clear();
    report.xdp_problem = forbidden;
    report.config_problem = forbidden;
    for (const char* check : {"daemon", "eth0: XDP", "configuration"}) {
        INFO(check);
        const Finding finding = find(report, Config{}, check);
        CHECK(finding.health == Health::unknown);
        CHECK_THAT(finding.found, Catch::Contains("may not look"));
        CHECK(finding.why == forbidden.message);
    }
    for (const Finding& finding : diagnose(report, Config{})) {
        INFO(finding.check << ": " << finding.found);
        CHECK(finding.health != Health::bad);
    }
}

TEST_CASE("with the daemon dead, what the kernel filters is seen")
{
    HostReport report = healthy();
    report.daemon_problem = failure(ErrorKind::unreachable, "nobody answers");
    CHECK(find(report, configured(), "eth0: XDP").health == Health::good);
    report.xdp.clear();
    CHECK(find(report, configured(), "eth0: XDP").health == Health::bad);
    report.panic = true;
    CHECK(find(report, configured(), "eth0: XDP").command == "xdpctl panic --end");
}

TEST_CASE("only sysctls are safe to fix at once")
{
    HostReport report = healthy();
    for (auto& [name, value] : report.sysctls) {
        value = "0";
    }
    report.facts.network.links[0].merges_packets = true;
    size_t fixes = 0;
    for (const Finding& finding : diagnose(report, configured())) {
        fixes += finding.sysctl ? 1 : 0;
        CHECK((!finding.sysctl || finding.check == finding.sysctl->first));
    }
    CHECK(fixes == tuned_sysctls().size());
}
