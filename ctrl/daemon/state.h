// SPDX-License-Identifier: Apache-2.0
// What the operator set by hand, kept beside the configuration file so that a
// restart does not forget it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/bans.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/prefix.h"
#include "daemon/kernel_settings.h"

namespace xdpctl
{

struct HandBan {
    Prefix prefix;
    std::optional<uint64_t> until_unix_s; // none: permanent
    xdpctl_ban_origin origin = XDPCTL_BAN_OPERATOR;
    std::string reason;
    bool forced = false; // with --force
    // The same on the data path's clock, of this run: not saved.
    uint64_t deadline_ns = XDPCTL_NO_DEADLINE;

    bool operator==(const HandBan&) const = default;
};

struct HandState {
    uint64_t saved_unix_s = 0; // when it was written
    std::optional<xdpctl_mode> mode;
    std::vector<Prefix> allow;
    std::vector<Prefix> trusted;
    std::vector<HandBan> prefix_bans;             // hosts live in the data path's own table
    std::vector<HandBan> shared_bans;             // by several jails, see shared_bans.h
    std::map<uint16_t, xdpctl_guard_mode> guards; // by port
    std::map<uint16_t, bool> lockdown;            // by port
    BanReasons ban_reasons;                       // the numbers in xdpctl_ban.reason
    GeoRules geo;                                 // by port; one without codes: open
    GeoBits geo_bits;                             // that the data path goes by
    std::map<std::string, uint16_t> lists;        // numbers of feeds, by name
    // Not the operator's: the most that was seen in peacetime.
    Peaks peaks{};
    // Likewise: why an interface runs generic XDP and not native.
    std::map<std::string, std::string> native_refusals;
    // Likewise: what the daemon changed, of use until the next boot.
    ChangedSysctls sysctls;
};

// `boot` names the time since the host was booted (proc(5): boot_id); sysctls of
// another boot are forgotten.
std::string encode_state(const HandState& state, const std::string& boot = "");
Result<HandState> decode_state(const std::string& text, const std::string& boot = "");

class StateFile
{
  public:
    explicit StateFile(std::string directory) : directory_(std::move(directory)) {}

    struct Loaded {
        HandState state;
        std::string put_aside; // why the file was not used; or empty
    };
    // An absent file is an empty state. One that is damaged, or of a later version, is put
    // aside: without what was set by hand a daemon protects more than none. One that cannot be
    // read stays as it is, and nothing is saved over it.
    Loaded load();
    Result<> save(const HandState& state) const;

  private:
    std::string path() const { return directory_ + "/state.json"; }
    std::string directory_;
    bool unreadable_ = false;
    // Of all copies: two threads may save.
    std::shared_ptr<std::mutex> writing_ = std::make_shared<std::mutex>();
};

} // namespace xdpctl
