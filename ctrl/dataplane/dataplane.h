// SPDX-License-Identifier: Apache-2.0
// The data path in domain verbs. Everything above speaks to this interface;
// bpf_dataplane.h is the real one, the tests have a fake.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <xdpctl/abi/maps.h>

#include "base/result.h"
#include "core/bans.h"
#include "core/client_sample.h"
#include "core/limits.h"
#include "core/policy.h"

namespace xdpctl
{

// The kernel's absolute counts of one device, over all CPUs.
struct DeviceCounters {
    uint32_t ifindex = 0; // 0: devices that nobody registered
    uint64_t events_lost = 0;
    std::array<std::array<std::array<xdpctl_cell, XDPCTL_REASON_SLOTS>, XDPCTL_DISPOSITION_COUNT>,
               XDPCTL_FAMILY_COUNT>
        cells{};
    Baseline::Counts offered{};
};

struct MapUsage {
    std::string name;
    uint64_t entries = 0;
    uint64_t max_entries = 0;
};

struct BanEntry {
    Address source;
    xdpctl_ban ban;
};

// What one service's guard does and counts; slot 0 is every other port.
struct GuardReading {
    uint8_t slot = 0;
    bool present = false; // a listener is there now
    bool enforced = true; // else what the guard does is only counted
    xdpctl_service service{};
    xdpctl_guard state{};
    xdpctl_service_counters counters{}; // over all CPUs
};

// What is known of one list.
struct ListUsage {
    uint16_t list = XDPCTL_LIST_NONE;
    uint64_t prefixes[2] = {0, 0}; // IPv4, IPv6
    xdpctl_cell met{};             // packets that it spoke for, since the maps were made
};

// A prefix of a list that covers an address.
struct ListMatch {
    uint16_t list = XDPCTL_LIST_NONE;
    Prefix prefix;
    uint64_t deadline_ns = XDPCTL_NO_DEADLINE;
    std::optional<uint64_t> hits; // of a ban, not exact
    uint64_t codes = 0;           // of XDPCTL_LIST_GEO
};

// A route by which SYN-ACKs leave.
struct AnswerRoute {
    Prefix prefix;
    std::vector<uint32_t> ifindexes;                // that it leaves by, as the data path sees them
    std::optional<std::array<uint8_t, 6>> next_hop; // MAC; none: to where the SYN came from

    bool operator==(const AnswerRoute&) const = default;
};
// Nothing: the routes are not known; answers go to where the SYN came from.
using AnswerRoutes = std::optional<std::vector<AnswerRoute>>;

class Dataplane
{
  public:
    virtual ~Dataplane() = default;

    // The data path's clock: advances by jiffies, or with the capture in replay.
    virtual uint64_t now_ns() const = 0;

    // Builds the policy beside the active one and flips; returns its generation.
    // On an error the active policy is untouched.
    virtual Result<uint64_t> commit(const CompiledPolicy& policy) = 0;
    // Replaces what these lists hold; the others stay. In force at once, after the
    // first commit; each packet sees a prefix as it was or as it is. On an error the
    // data path keeps what it had, and the next call or commit tries again.
    virtual Result<> set_lists(std::span<const ListContent> lists) = 0;
    virtual Result<std::vector<ListUsage>> lists() const = 0;
    // Widest first.
    virtual std::vector<ListMatch> covering(const Address& address) const = 0;
    virtual std::vector<ListMatch> entries_of(uint16_t list) const = 0;
    virtual uint64_t list_bytes() const = 0; // of memory, here and in the kernel
    virtual uint64_t generation() const = 0;

    // Panic: pass every packet, whatever the policy says.
    virtual void set_bypass(bool on) = 0;
    virtual bool bypass() const = 0;

    // Adds or replaces. Where they do not all fit, none is written and the
    // error names the map and its size.
    virtual Result<> ban(std::span<const BanEntry> entries) = 0;
    // How many of them were there.
    virtual Result<size_t> unban(std::span<const Address> sources) = 0;
    // Of all of them, also those that are over and remembered.
    using VisitBan = std::function<void(const Address&, const xdpctl_ban&)>;
    virtual void visit_bans(const VisitBan& visit) const = 0;
    virtual BanTable find_bans(std::span<const Address> sources) const = 0;

    virtual Result<std::vector<DeviceCounters>> counters() const = 0;
    virtual Result<std::vector<ClientSample>> clients() const = 0;
    // A client that the kernel already holds a connection of.
    virtual Result<> seed_client(const Address& source, uint32_t connections) = 0;
    // It may have a connection that the data path did not see begin: holds for two
    // minutes.
    virtual void mark_peer(const Address& source) = 0;

    virtual Result<std::vector<GuardReading>> guards() const = 0;
    // Before a slot is given to another service.
    virtual Result<> reset_service(uint8_t slot) = 0;
    // What a SYN-ACK on this interface may advertise, bytes; 0: do not answer there.
    virtual void set_answer_mss(uint32_t ifindex, uint16_t ipv4, uint16_t ipv6) = 0;
    // The guard answers for these only.
    virtual Result<> set_own_addresses(const std::vector<Address>& addresses) = 0;
    // Which way SYN-ACKs leave; in force at once, as a whole.
    virtual void set_answer_routes(const AnswerRoutes& routes) = 0;
    // A gateway or a neighbour in use: it has room where others have none left.
    virtual Result<> remember_client(const Address& source) = 0;
    // Known clients that came first before this time are trusted; until it is called, all.
    virtual void trust_clients_before(uint64_t time_ns) = 0;

    // What would happen to this Ethernet frame now. Leaves no trace.
    virtual Result<xdpctl_judgement> judge(std::span<const uint8_t> frame, uint32_t ifindex) = 0;

    // Calls back for every waiting event; returns without blocking.
    virtual void drain_events(const std::function<void(const xdpctl_event&)>& on_event) = 0;

    virtual uint32_t max_bans() const = 0;
    virtual uint32_t max_clients() const = 0;
};

} // namespace xdpctl
