// SPDX-License-Identifier: Apache-2.0
// What can be asked of a running daemon, from any thread. The API carries it over the socket.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/crowdsec_status.h"
#include "api/feed_status.h"
#include "core/config.h"
#include "core/frame.h"
#include "dataplane/panic.h"
#include "host/facts.h"
#include "telemetry/conditions.h"
#include "telemetry/event_log.h"
#include "telemetry/snapshot.h"

namespace xdpctl
{

struct ListStatus {
    std::string name;
    uint64_t prefixes[2] = {0, 0}; // IPv4, IPv6
    xdpctl_cell met{};             // packets that it spoke for
};

// Whom services are for, and what says where addresses are.
struct GeoStatus {
    struct Service {
        uint16_t port = 0; // TCP and UDP
        GeoRule rule;
        bool by_hand = false;
    };
    std::vector<Service> services;
    std::vector<GeoFile> databases;
    size_t networks = 0;
    bool suspended = false; // no rule is in force
    std::string problem;    // of the databases; else empty
    xdpctl_cell refused{};  // packets, over all services
};

// Lists of sources that are not blocked: see enum xdpctl_prefix_verdict.
enum class Spared { allowed, trusted };

// An entry of such a list.
struct AllowInfo {
    Prefix prefix;
    bool from_config = false; // else set by hand
};

struct Status {
    std::string version;
    uint64_t uptime_ns = 0;
    uint64_t longest_hold_ns = 0; // of the deciding thread, in the last minutes
    xdpctl_mode mode = XDPCTL_MODE_MONITOR;
    bool mode_overridden = false; // set by hand; the configuration says otherwise
    bool bypass = false;          // panic is in force
    uint64_t generation = 0;
    std::string config_path;
    bool config_ok = true; // the last reload was taken
    std::string config_error;
    Limits limits{}; // in force
    Peaks peaks{};   // of peacetime, as learned
    std::vector<Attachment> attachments;
    std::vector<std::string> wanted_interfaces;  // that shall be attached
    std::vector<std::string> missing_interfaces; // of those, not attached
    uint64_t conntrack_entries = 0;
    uint64_t conntrack_max_entries = 0; // 0: not known
    std::vector<Service> services;
    std::vector<AllowInfo> allowed;
    std::vector<AllowInfo> trusted;
    const std::vector<AllowInfo>& of(Spared list) const
    {
        return list == Spared::allowed ? allowed : trusted;
    }
    size_t block_prefixes = 0;
    uint32_t max_bans = 0;
    std::vector<FeedStatus> feeds;
    std::optional<CrowdSecStatus> crowdsec; // none: not configured
    GeoStatus geo;
    std::vector<ListStatus> lists;
    uint64_t list_bytes = 0; // memory of all lists, here and in the kernel
    std::shared_ptr<const ProtectedSet> protected_set = std::make_shared<ProtectedSet>();
    std::vector<ActiveCondition> conditions;
    std::shared_ptr<const Snapshot> snapshot;
};

struct BanInfo {
    Prefix prefix;
    std::optional<uint64_t> remaining_ns; // none: permanent
    std::string origin;                   // of xdpctl_ban_origin, or "config"
    std::string reason;                   // as told by whoever banned
    uint32_t strikes = 0;
    std::optional<uint64_t> hits; // none: counted for the list only
};

struct BanWish {
    Prefix prefix;
    std::optional<uint64_t> ttl_ns; // none: permanent
    std::string reason;
    bool force = false; // also what is protected only by being in use
};

struct Refusal {
    Prefix prefix;
    std::string why;
};

// Which bans are lifted: those for which all of it holds that is given.
struct BanFilter {
    std::optional<std::vector<Prefix>> prefixes; // exactly these
    std::optional<Prefix> inside;                // it, and all that it contains
    std::optional<xdpctl_ban_origin> origin;
    std::optional<std::string> reason;
};

struct BanResult {
    size_t added = 0;
    std::vector<Refusal> refused;
};

struct TopLists {
    std::vector<Talker> clients;
    std::vector<DroppedSource> dropped;
};

// What would happen to a frame, and every list that its source stands on.
struct Explanation {
    struct Stand {
        std::string list;
        Prefix prefix;
        std::string why; // of a ban: who and why
    };
    xdpctl_judgement judgement{};
    std::string list; // that decided; empty: none
    std::vector<Stand> stands;
    std::set<std::string> source_codes; // its country and AS number, as geo.databases say
};

// Who asks. A member of the socket's group decides how packets are judged; which files, URLs,
// groups, sockets and addresses the daemon uses, root alone decides (host_keys_changed()).
enum class Caller { root, member };

class Control
{
  public:
    virtual ~Control() = default;

    // The last report: what no other question is needed for.
    virtual std::shared_ptr<const Status> status() = 0;
    virtual TopLists top(size_t most) = 0;
    virtual std::vector<LogEvent> events(uint64_t since) = 0;

    virtual Result<std::vector<BanInfo>> bans() = 0;
    // Parts that the guard refuses are told, the rest is done.
    virtual Result<BanResult> ban(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin) = 0;
    // How many were lifted; an error where there are none.
    virtual Result<size_t> lift(const BanFilter& filter) = 0;
    // Why what was changed is lost at the next boot, though in force now; else empty.
    virtual std::string not_saved() = 0;

    // Refused where one is too wide, unless `force`; see too_wide_to_allow().
    virtual Result<size_t> allow(Spared which, const std::vector<Prefix>& prefixes, bool force) = 0;
    virtual Result<size_t> disallow(Spared which, const std::vector<Prefix>& prefixes) = 0;

    virtual Result<> set_mode(xdpctl_mode mode) = 0;
    // Of the service on this TCP port; none: as configured.
    virtual Result<> set_guard(uint16_t port, std::optional<xdpctl_guard_mode> mode) = 0;
    virtual Result<> set_lockdown(uint16_t port, std::optional<bool> on) = 0;
    // Refused while panic is in force.
    virtual Result<Attachment> attach(const std::string& interface) = 0;
    // False where it was not attached, but waited for: it is not any more.
    virtual Result<bool> detach(const std::string& interface) = 0;
    // Attaches everything that shall be, then judges packets again.
    virtual Result<PanicEnd> end_panic() = 0;

    // What apply() would say, without a change.
    struct Checked {
        std::vector<std::string> warnings;
    };
    // These three return ErrorKind::refused, and look at nothing of the host, where a member
    // of the group names other files or URLs than those in force.
    virtual Result<Checked> check(const std::string& toml, const std::string& name,
                                  Caller caller) = 0;
    // Lines of difference between what runs and this text.
    virtual Result<std::vector<std::string>> diff(const std::string& toml, const std::string& name,
                                                  Caller caller) = 0;
    // Returns the lines that changed; warnings for what needs a restart.
    struct Applied {
        std::vector<std::string> changes;
        std::vector<std::string> warnings;
    };
    virtual Result<Applied> apply(const std::string& toml, const std::string& name,
                                  Caller caller) = 0;
    // Reads the daemon's own file again, for whoever asks.
    virtual Result<Applied> reload() = 0;

    // At once. `force`: however much changes.
    virtual Result<> refresh_feed(const std::string& name, bool force) = 0;

    // Of the services on this port; none: as configured; one without codes: open to all.
    // Refused where it would shut out who is connected by SSH, unless `force`.
    virtual Result<> set_geo(uint16_t port, const std::optional<GeoRule>& rule, bool force) = 0;

    virtual Result<Explanation> explain(const Bytes& frame) = 0;
};

} // namespace xdpctl
