// SPDX-License-Identifier: Apache-2.0
#include "core/asked.h"

#include <algorithm>
#include <tuple>

namespace xdpctl
{

bool is_system_account(uint32_t uid)
{
    constexpr uint32_t first_user = 1000;     // SYS_UID_MAX of login.defs(5), plus 1
    constexpr uint32_t dynamic_first = 61184; // DynamicUser= of systemd.exec(5)
    constexpr uint32_t dynamic_last = 65519;
    return uid < first_user || (uid >= dynamic_first && uid <= dynamic_last);
}

void AskedServers::observe(const std::vector<Question>& questions, const std::set<uint16_t>& served,
                           const std::set<uint16_t>& open, uint64_t now_ns)
{
    for (const uint16_t port : served) {
        served_.set(port);
    }
    for (const Question& question : questions) {
        if (served_.test(question.local_port) || open.contains(question.local_port) ||
            question.server.is_loopback()) {
            continue;
        }
        seen_[{question.uid, question.port == 123, question.server}] = {now_ns, question.port};
    }
    forget(now_ns);
}

// What is old; and of too many those of users first, then those seen longest ago.
void AskedServers::forget(uint64_t now_ns)
{
    std::erase_if(seen_, [now_ns](const auto& entry) {
        return entry.second.last_ns + remembered_ns < now_ns;
    });
    std::map<std::pair<uint32_t, bool>, size_t> counts;
    std::vector<std::tuple<bool, uint64_t, Key>> ages;
    for (const auto& [key, seen] : seen_) {
        counts[{key.uid, key.time}]++;
        ages.emplace_back(is_system_account(key.uid), seen.last_ns, key);
    }
    std::sort(ages.begin(), ages.end());
    for (const auto& [system, last_ns, key] : ages) {
        size_t& count = counts[{key.uid, key.time}];
        if (count > counted_of_one_most || seen_.size() > counted_most) {
            seen_.erase(key);
            count--;
        }
    }
}

std::vector<Protected> AskedServers::servers() const
{
    std::map<std::pair<uint32_t, bool>, size_t> counts;
    for (const auto& [key, seen] : seen_) {
        counts[{key.uid, key.time}]++;
    }
    std::vector<const std::pair<const Key, Seen>*> chosen;
    for (const auto& entry : seen_) {
        if (counts[{entry.first.uid, entry.first.time}] <= servers_of_one_most) {
            chosen.push_back(&entry);
        }
    }
    std::stable_sort(chosen.begin(), chosen.end(), [](const auto* a, const auto* b) {
        return is_system_account(a->first.uid) > is_system_account(b->first.uid);
    });
    std::map<std::pair<Address, bool>, const std::pair<const Key, Seen>*> distinct;
    for (const auto* entry : chosen) {
        if (distinct.size() < servers_most) {
            distinct.try_emplace({entry->first.server, entry->first.time}, entry);
        }
    }
    std::vector<Protected> servers;
    for (const auto& [server, entry] : distinct) {
        servers.push_back({{server.first, 128},
                           server.second ? Protection::TIME_SERVER : Protection::RESOLVER,
                           fmt::format("a socket of user {} asks it, port {}", entry->first.uid,
                                       entry->second.port),
                           true});
    }
    return servers;
}

} // namespace xdpctl
