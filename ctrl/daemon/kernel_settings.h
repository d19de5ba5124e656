// SPDX-License-Identifier: Apache-2.0
// Sysctls that the guard needs, as long as it needs them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace xdpctl
{

// How sysctls are read and written; functions so that tests have theirs.
struct SysctlAccess {
    std::function<Result<std::string>(const std::string& name)> read;
    std::function<Result<>(const std::string& name, const std::string& value)> write;
};

using Sysctls = std::map<std::string, std::string>;

// A sysctl that is not what the administrator made it.
struct ChangedSysctl {
    std::string before;
    std::string ours;

    bool operator==(const ChangedSysctl&) const = default;
};
using ChangedSysctls = std::map<std::string, ChangedSysctl>;

class KernelSettings
{
  public:
    explicit KernelSettings(SysctlAccess access) : access_(std::move(access)) {}

    // What an earlier daemon changed since the host was booted.
    void adopt(ChangedSysctls changed) { changed_ = std::move(changed); }

    // Makes these what they are and puts back those that are not wanted any more.
    // `remember` is called before each change, so that a crash forgets nothing.
    // Returns what was done, in words.
    std::vector<std::string> want(const Sysctls& wanted,
                                  const std::function<void(const ChangedSysctls&)>& remember);

    // Why something that is wanted could not be set; else empty.
    std::string problem() const;

    const ChangedSysctls& changed() const { return changed_; }
    // What this one was; nothing where it was not changed.
    std::optional<std::string> before(const std::string& name) const;

  private:
    SysctlAccess access_;
    ChangedSysctls changed_;
    std::map<std::string, std::string> problems_;
};

} // namespace xdpctl
