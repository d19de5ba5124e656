// SPDX-License-Identifier: Apache-2.0
// Lasting states that the operator must know of. Each of them is in `xdpctl status`, in
// an event when it begins and when it ends, and in the metric xdpctl_condition.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/event_log.h"

namespace xdpctl
{

enum class Severity { warning, critical };

// X(id, name in JSON and metrics, kind of its events, severity, text of the event when it is over)
#define XDPCTL_CONDITIONS(X)                                                                       \
    X(panic, "panic", "panic", critical, "panic is over: packets are judged again")                \
    X(interface_not_attached, "interface_not_attached", "interface", critical,                     \
      "every interface that shall be filtered is filtered")                                        \
    X(policy_not_committed, "policy_not_committed", "config", critical,                            \
      "the data path has the policy that is wanted again")                                         \
    X(data_path_unreadable, "data_path_unreadable", "state", critical,                             \
      "the data path can be read again")                                                           \
    X(conntrack_full, "conntrack_full", "host", critical,                                          \
      "the connection tracking table has room again")                                              \
    X(state_put_aside, "state_put_aside", "state", warning, "what is set by hand is known")        \
    X(state_not_saved, "state_not_saved", "state", warning, "the state is saved again")            \
    X(bans_not_saved, "bans_not_saved", "state", warning, "bans are saved again")                  \
    X(feed_not_saved, "feed_not_saved", "feed", warning, "copies of feeds are saved again")        \
    X(host_unknown, "host_unknown", "host", warning, "the host can be read again")                 \
    X(services_unknown, "services_unknown", "host", warning, "services are known again")           \
    X(metrics_unavailable, "metrics_unavailable", "state", warning, "metrics are exported again")  \
    X(geo_problem, "geo_problem", "geo", warning, "the databases of geo can be used again")        \
    X(limit_reached, "limit_reached", "config", warning, "everything fits into its table again")   \
    X(protection, "protection", "protected", warning,                                              \
      "the lists and what this host depends on agree")                                             \
    X(sockets_unseen, "sockets_unseen", "host", warning,                                           \
      "nothing takes packets without a socket here any more")                                      \
    X(known_clients_at_risk, "known_clients_at_risk", "mode", warning,                             \
      "no packet of a known client would be dropped any more")                                     \
    X(no_cookies, "no_cookies", "guard", warning, "cookies can be sent on every interface")        \
    X(handshakes_unseen, "handshakes_unseen", "guard", warning, "handshakes are seen")             \
    X(sysctl_not_set, "sysctl_not_set", "guard", warning, "sysctls can be set again")              \
    X(map_size_kept, "map_size_kept", "config", warning, "maps have the configured size")          \
    X(allow_too_wide, "allow_too_wide", "config", warning,                                         \
      "no prefix of the allow list is too wide")

enum class Condition {
#define XDPCTL_CONDITION_ID(id, name, kind, severity, over) id,
    XDPCTL_CONDITIONS(XDPCTL_CONDITION_ID)
#undef XDPCTL_CONDITION_ID
};

struct ConditionInfo {
    Condition id;
    std::string_view name;
    EventKind kind;
    Severity severity;
    std::string_view over;
};

inline constexpr std::array conditions = {
#define XDPCTL_CONDITION_ROW(id, name, kind, severity, over)                                       \
    ConditionInfo{Condition::id, name, EventKind(kind), Severity::severity, over},
    XDPCTL_CONDITIONS(XDPCTL_CONDITION_ROW)
#undef XDPCTL_CONDITION_ROW
};

constexpr const ConditionInfo& condition_info(Condition id)
{
    return conditions[static_cast<size_t>(id)];
}

std::string_view to_string(Severity severity);

struct ActiveCondition {
    Condition id;
    std::string text; // what is wrong, what follows, what mends it
    uint64_t since_unix_ms = 0;
};

// Those that hold now.
class Conditions
{
  public:
    // An empty text: it does not hold. Returns what an event shall say: where it begins,
    // where it is over, and where `identity` changed while it held.
    std::optional<std::string> set(Condition id, const std::string& text,
                                   const std::string& identity, uint64_t unix_ms);
    // Of a text without numbers that change all the time.
    std::optional<std::string> set(Condition id, const std::string& text, uint64_t unix_ms)
    {
        return set(id, text, text, unix_ms);
    }
    bool holds(Condition id) const;
    std::vector<ActiveCondition> active() const; // in the order of the table

  private:
    struct Held {
        std::string text;
        std::string identity;
        uint64_t since_unix_ms = 0;
    };
    std::array<std::optional<Held>, conditions.size()> held_;
};

} // namespace xdpctl
