// SPDX-License-Identifier: Apache-2.0
// Verbs that show what the daemon says, once or again and again.
#pragma once

#include <memory>

#include <nlohmann/json.hpp>

#include "verbs.h"

namespace xdpctl::cli
{

struct WatchOptions {
    bool watch = false;
    double interval_s = 1;
    int count = 0; // 0: until interrupted
};

std::shared_ptr<WatchOptions> add_watch(CLI::App& app);

// Asks for `path`; JSON is one object per look.
Outcome show(const Context& context, const char* path, const WatchOptions& options,
             void (*print)(const nlohmann::json&));

} // namespace xdpctl::cli
