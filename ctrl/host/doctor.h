// SPDX-License-Identifier: Apache-2.0
// Is this host ready to withstand a flood? What is wrong, why it matters, and the
// command that mends it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "host/facts.h"

namespace xdpctl
{

// What the diagnosis looks at; read by examine().
struct HostReport {
    std::string kernel; // "6.1.0-28-amd64"
    bool has_btf = false;
    bool has_bpffs = false;
    bool has_cgroup2 = false;
    uint32_t cpus = 1;
    std::map<std::string, std::string> sysctls; // those of tuned_sysctls()
    HostFacts facts;
    // Why the daemon does not say anything; none: it answers.
    std::optional<Error> daemon_problem;
    bool panic = false; // every packet passes
    // What the daemon reports as wrong and nothing else here looks at.
    struct Reported {
        std::string name;
        std::string text;
        bool critical = false;
    };
    std::vector<Reported> reported;
    std::map<std::string, std::string> xdp; // interface -> "native" or "generic", where attached
    // Why that is not known; none: it is.
    std::optional<Error> xdp_problem;
    std::optional<Error> config_problem; // the configuration may not be read
};

enum class Health { good, warning, bad, unknown };
std::string_view to_string(Health health);

struct Finding {
    std::string check; // "tcp_syncookies", "eth0: queues"
    Health health = Health::good;
    std::string found;
    std::string why;     // it matters, or it is not known; empty where all is well
    std::string command; // that mends it; empty where none can
    // Safe to apply at once: sysctl name and value.
    std::optional<std::pair<std::string, std::string>> sysctl;
};

// Pure. Without interfaces in the configuration those of the host are looked at.
std::vector<Finding> diagnose(const HostReport& report, const Config& config);

// Names of the sysctls that the diagnosis wants to know.
std::vector<std::string> tuned_sysctls();

Result<HostReport> examine();

} // namespace xdpctl
