// SPDX-License-Identifier: Apache-2.0
// What stands between a configuration that is well written and this host. The start,
// `apply` and `check` ask the same function.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"

namespace xdpctl
{

struct ConfigFinding {
    std::string key; // as config_line() takes it
    std::string text;
    // `check` refuses it, and `apply` does where the running configuration has it not. The
    // start never does: it reports it and protects what it can.
    bool refuses = false;

    bool operator==(const ConfigFinding&) const = default;
};

// How the host is asked. What is empty is not asked.
struct HostLook {
    std::function<Result<>(const std::string& interface)> find_interface;
    std::function<Result<>(const std::string& addresses)> can_listen;
    std::function<Result<>(const GeoConfig& geo)> read_geo;
    std::function<std::optional<std::string>(const Prefix& prefix)> refuses_ban;
    bool files = false; // directories, sockets, groups, keys, feeds

    // This network namespace and file system.
    static HostLook real();
};

std::vector<ConfigFinding> check_config(const Config& config, const HostLook& look);

// "NAME:LINE: key: text"
std::string to_string(const ConfigFinding& finding, const std::string& toml,
                      const std::string& name);

// All that refuse, as one error of kind invalid_config.
std::optional<Error> refusal(const std::vector<ConfigFinding>& findings, const std::string& toml,
                             const std::string& name);

} // namespace xdpctl
