// SPDX-License-Identifier: Apache-2.0
// Sysctls that the guard needs, as long as it needs them.
#pragma once

#include <functional>
#include <map>
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

class KernelSettings
{
  public:
    explicit KernelSettings(SysctlAccess access) : access_(std::move(access)) {}

    // What they were before an earlier daemon changed them.
    void adopt(Sysctls before) { before_ = std::move(before); }

    // Makes these what they are and puts back those that are not wanted any
    // more. Returns what was done, in words; problems are told once.
    std::vector<std::string> want(const Sysctls& wanted);

    // To be kept over a restart: what each was before it was changed.
    const Sysctls& before() const { return before_; }

  private:
    void put_back(const std::string& name, std::vector<std::string>& said);
    void set(const std::string& name, const std::string& value, std::vector<std::string>& said);

    SysctlAccess access_;
    Sysctls before_;
    Sysctls ours_; // what we set, to see whether somebody changed it since
    std::map<std::string, std::string> problems_;
};

} // namespace xdpctl
