// SPDX-License-Identifier: Apache-2.0
// The last things that happened: decisions, changes, and sampled packets.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <xdpctl/abi/event.h>

#include "core/prefix.h"

namespace xdpctl
{

inline constexpr std::array event_kinds = {"packet",    "ban",     "unban", "mode",  "config",
                                           "interface", "service", "guard", "feed",  "crowdsec",
                                           "geo",       "panic",   "host",  "state", "protected"};

// One of event_kinds; another word does not compile.
class EventKind
{
  public:
    consteval EventKind(const char* name) : name_(name)
    {
        for (const std::string_view kind : event_kinds) {
            if (kind == name_) {
                return;
            }
        }
        throw "not in event_kinds";
    }
    constexpr std::string_view name() const { return name_; }

  private:
    std::string_view name_;
};

struct LogEvent {
    uint64_t sequence = 0; // from 1
    uint64_t unix_ms = 0;
    std::string kind; // one of event_kinds
    std::string text;
    std::optional<xdpctl_event> packet; // of kind "packet"
};

struct DroppedSource {
    Address source;
    uint32_t reason = 0;
    double share = 0; // of the sampled drops in the window
    uint64_t samples = 0;
};

// Written by the deciding thread, read by any.
class EventLog
{
  public:
    explicit EventLog(size_t capacity) : capacity_(capacity) {}

    void add(uint64_t unix_ms, EventKind kind, std::string text);
    void add(uint64_t unix_ms, const xdpctl_event& packet);

    // Events after `sequence`, oldest first.
    std::vector<LogEvent> since(uint64_t sequence) const;
    uint64_t last_sequence() const;

    // Who was dropped most among the samples since `from_ns` (of the packets' clock).
    std::vector<DroppedSource> top_dropped(uint64_t from_ns, size_t most) const;

  private:
    void append(std::deque<LogEvent>& events, LogEvent event);

    mutable std::mutex mutex_;
    size_t capacity_; // of each of the two
    uint64_t next_ = 1;
    std::deque<LogEvent> decisions_; // apart, so that a flood does not push them out
    std::deque<LogEvent> packets_;
};

// One line: "tcp 192.0.2.1:4711 > 198.51.100.2:80 [S] 60 bytes".
std::string describe_packet(const xdpctl_event& event);

} // namespace xdpctl
