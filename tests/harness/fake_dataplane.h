// SPDX-License-Identifier: Apache-2.0
// A data path in memory, for the daemon's logic.
#pragma once

#include <map>

#include "daemon/controller.h"
#include "dataplane/dataplane.h"

namespace xdpctl::testing
{

class FakeDataplane final : public Dataplane
{
  public:
    uint64_t now = 1'000'000'000;
    bool fail_commit = false;
    bool bypassed = false;
    uint32_t room = 100;
    uint64_t commits = 0;
    CompiledPolicy policy{};
    BanTable table;
    std::vector<ClientSample> samples;
    std::vector<DeviceCounters> devices{1};
    std::vector<xdpctl_event> waiting;

    uint64_t now_ns() const override { return now; }
    Result<uint64_t> commit(const CompiledPolicy& compiled) override
    {
        if (fail_commit) {
            return failure("the kernel says no");
        }
        policy = compiled;
        return ++commits;
    }
    uint64_t generation() const override { return commits; }
    std::map<uint16_t, ListContent> feeds;
    Result<> set_lists(std::span<const ListContent> lists) override
    {
        for (const ListContent& list : lists) {
            feeds[list.list] = list;
        }
        return Done{};
    }
    Result<std::vector<ListUsage>> lists() const override { return std::vector<ListUsage>{}; }
    std::vector<ListMatch> covering(const Address&) const override { return {}; }
    std::vector<ListMatch> entries_of(uint16_t list) const override
    {
        std::vector<ListMatch> matches;
        for (const ListContent& content : policy.lists) {
            for (const ListEntry& entry : content.prefixes) {
                if (content.list == list) {
                    matches.push_back({list, entry.prefix, entry.deadline_ns, 0, entry.codes});
                }
            }
        }
        return matches;
    }
    uint64_t list_bytes() const override { return 0; }
    void set_bypass(bool on) override { bypassed = on; }
    bool bypass() const override { return bypassed; }
    Result<> ban(std::span<const BanEntry> entries) override
    {
        if (table.size() + entries.size() > room) {
            return failure("the map ban_slots is full");
        }
        for (const BanEntry& entry : entries) {
            table[entry.source] = entry.ban;
        }
        return Done{};
    }
    Result<size_t> unban(std::span<const Address> sources) override
    {
        size_t removed = 0;
        for (const Address& source : sources) {
            removed += table.erase(source);
        }
        return removed;
    }
    void visit_bans(const VisitBan& visit) const override
    {
        for (const auto& [source, ban] : table) {
            visit(source, ban);
        }
    }
    BanTable find_bans(std::span<const Address> sources) const override
    {
        BanTable found;
        for (const Address& source : sources) {
            if (const auto it = table.find(source); it != table.end()) {
                found.insert(*it);
            }
        }
        return found;
    }
    bool fail_counters = false;
    Result<std::vector<DeviceCounters>> counters() const override
    {
        return fail_counters ? Result<std::vector<DeviceCounters>>(failure("no such map"))
                             : devices;
    }
    Result<std::vector<ClientSample>> clients() const override { return samples; }
    Result<> seed_client(const Address&, uint32_t) override { return Done{}; }
    void mark_peer(const Address&) override {}
    std::vector<GuardReading> readings;
    std::vector<uint8_t> resets;
    std::map<uint32_t, std::pair<uint16_t, uint16_t>> mss;
    std::vector<Address> own;
    Result<std::vector<GuardReading>> guards() const override { return readings; }
    Result<> reset_service(uint8_t slot) override
    {
        resets.push_back(slot);
        return Done{};
    }
    void set_answer_mss(uint32_t ifindex, uint16_t ipv4, uint16_t ipv6) override
    {
        mss[ifindex] = {ipv4, ipv6};
    }
    Result<> set_own_addresses(const std::vector<Address>& addresses) override
    {
        own = addresses;
        return Done{};
    }
    AnswerRoutes routes;
    void set_answer_routes(const AnswerRoutes& now) override { routes = now; }
    std::vector<Address> remembered;
    uint64_t trusted_before_ns = UINT64_MAX;
    void trust_clients_before(uint64_t time_ns) override { trusted_before_ns = time_ns; }
    Result<> remember_client(const Address& source) override
    {
        remembered.push_back(source);
        return Done{};
    }
    Result<xdpctl_judgement> judge(std::span<const uint8_t>, uint32_t) override
    {
        return xdpctl_judgement{.reason = XDPCTL_PASSED};
    }
    void drain_events(const std::function<void(const xdpctl_event&)>& on_event) override
    {
        for (const xdpctl_event& event : waiting) {
            on_event(event);
        }
        waiting.clear();
    }
    uint32_t max_bans() const override { return room; }
    uint32_t max_clients() const override { return 100; }
};

class FakeInterfaces final : public Interfaces
{
  public:
    std::map<std::string, Attachment> present;
    std::string refuses;            // the name of an interface that cannot be attached
    std::vector<std::string> freed; // by panic
    std::vector<std::string> freed_by_panic() override { return freed; }
    void forget_freed() override { freed.clear(); }

    Result<Attachment> attach(const std::string& name, AttachMode) override
    {
        if (name == refuses) {
            return failure(ErrorKind::refused, "{} already runs a foreign program", name);
        }
        present[name] = {name, static_cast<uint32_t>(present.size() + 1), true, false};
        return present[name];
    }
    Result<> detach(const std::string& name) override
    {
        if (present.erase(name) == 0) {
            return failure(ErrorKind::not_found, "{} does not run xdpctl", name);
        }
        return Done{};
    }
    std::vector<Attachment> list() override
    {
        std::vector<Attachment> all;
        for (const auto& [name, attachment] : present) {
            all.push_back(attachment);
        }
        return all;
    }
};

} // namespace xdpctl::testing
