// SPDX-License-Identifier: Apache-2.0
// Whom this host depends on, as its files say: resolvers, time servers, DHCP servers.
#pragma once

#include <string>
#include <vector>

#include "core/protected.h"

namespace xdpctl
{

struct Dependencies {
    std::vector<Protected> entries;
    std::vector<std::string> problems; // files that are there and cannot be read, and why
};

// Of the files below `root`, which is "" but for tests.
Dependencies read_dependencies(const std::string& root, uint64_t now_unix_s);

// Of resolvers and time daemons that run with files of their own. Only those of accounts of
// the system, and none in a container: users and containers must not protect whom they like.
Dependencies read_running_servers(const std::string& root);

} // namespace xdpctl
