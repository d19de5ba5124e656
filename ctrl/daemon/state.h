// SPDX-License-Identifier: Apache-2.0
// What the operator set by hand, kept beside the configuration file so that a
// restart does not forget it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/prefix.h"

namespace xdpctl
{

struct HandBan {
    Prefix prefix;
    std::optional<uint64_t> until_unix_s; // none: permanent
};

struct HandState {
    std::optional<xdpctl_mode> mode;
    std::vector<Prefix> allow;
    std::vector<HandBan> prefix_bans;             // hosts live in the data path's own table
    std::map<uint16_t, xdpctl_guard_mode> guards; // by port
    std::map<uint16_t, bool> lockdown;            // by port
    // Not the operator's: what sysctls were before the daemon changed them.
    std::map<std::string, std::string> sysctls_before;
};

std::string encode_state(const HandState& state);
Result<HandState> decode_state(const std::string& text);

class StateFile
{
  public:
    explicit StateFile(std::string directory) : directory_(std::move(directory)) {}

    // An absent file is an empty state.
    Result<HandState> load() const;
    Result<> save(const HandState& state) const;

  private:
    std::string path() const { return directory_ + "/state.json"; }
    std::string directory_;
};

} // namespace xdpctl
