// SPDX-License-Identifier: Apache-2.0
#include "daemon/feeds.h"

#include <algorithm>
#include <set>

#include "base/hash.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t first_retry_ns = 30 * ns_per_s;
constexpr int stale_tries = 3;

enum { refresh_changed, refresh_unchanged, refresh_failed };

} // namespace

std::vector<uint16_t> Feeds::configure(const std::vector<FeedConfig>& feeds,
                                       std::map<std::string, uint16_t>& lists, uint64_t now_ns)
{
    std::map<std::string, Feed> wanted;
    std::set<uint16_t> used;
    for (const FeedConfig& config : feeds) {
        auto old = feeds_.find(config.name);
        Feed& feed = wanted[config.name];
        if (old != feeds_.end()) {
            feed = old->second;
        }
        if (old == feeds_.end() || !(feed.config == config)) {
            feed.due_ns = now_ns;
            feed.in_work = false; // what is under way is for the old one, and not taken
            feed.validators = feed.config == config ? feed.validators : Validators{};
        }
        feed.config = config;
        if (const auto known = lists.find(config.name);
            known != lists.end() && known->second >= XDPCTL_LIST_FIRST_FEED &&
            known->second < XDPCTL_LIST_SLOTS && used.insert(known->second).second) {
            feed.status.list = known->second;
        } else {
            feed.status.list = 0;
        }
    }
    std::vector<uint16_t> gone;
    for (const auto& [name, feed] : feeds_) {
        if (!wanted.contains(name)) {
            gone.push_back(feed.status.list);
        }
    }
    uint16_t free = XDPCTL_LIST_FIRST_FEED;
    for (auto& [name, feed] : wanted) {
        if (feed.status.list == 0) {
            while (used.contains(free)) {
                free++;
            }
            feed.status.list = free;
            used.insert(free);
        }
        std::erase_if(
            lists, [list = feed.status.list](const auto& entry) { return entry.second == list; });
        lists[name] = feed.status.list;
    }
    feeds_ = std::move(wanted);
    return gone;
}

Feeds::Feed* Feeds::feed(const std::string& name)
{
    const auto found = feeds_.find(name);
    return found == feeds_.end() ? nullptr : &found->second;
}

const FeedConfig* Feeds::find(const std::string& name) const
{
    const auto found = feeds_.find(name);
    return found == feeds_.end() ? nullptr : &found->second.config;
}

std::optional<uint16_t> Feeds::list_of(const std::string& name) const
{
    const auto found = feeds_.find(name);
    return found == feeds_.end() ? std::nullopt : std::optional(found->second.status.list);
}

std::string Feeds::name_of(uint16_t list) const
{
    const auto found = std::find_if(feeds_.begin(), feeds_.end(), [list](const auto& entry) {
        return entry.second.status.list == list;
    });
    return found == feeds_.end() ? "" : found->first;
}

// The interval, a tenth more or less by name and try, so that a fleet does not ask at
// once; after failures sooner, doubling.
uint64_t Feeds::next_try_ns(const Feed& feed)
{
    uint64_t interval = feed.config.refresh_ns;
    for (uint64_t retry = first_retry_ns, i = feed.failures; i > 0; i--, retry *= 2) {
        interval = std::min(feed.config.refresh_ns, retry);
        if (interval == feed.config.refresh_ns) {
            break;
        }
    }
    const uint64_t spread = interval / 5;
    const uint64_t hash = hash_byte(hash_bytes(feed.config.name), static_cast<uint8_t>(feed.tries));
    return interval - spread / 2 + (spread > 0 ? hash % spread : 0);
}

std::optional<FeedJob> Feeds::due(uint64_t now_ns)
{
    for (auto& [name, feed] : feeds_) {
        if (!feed.in_work && feed.due_ns <= now_ns) {
            feed.in_work = true;
            return FeedJob{feed.config, feed.force ? Validators{} : feed.validators, feed.force};
        }
    }
    return std::nullopt;
}

bool Feeds::refresh(const std::string& name, bool force, uint64_t now_ns)
{
    Feed* found = feed(name);
    if (found != nullptr) {
        found->due_ns = now_ns;
        found->force = force;
    }
    return found != nullptr;
}

void Feeds::taken(const std::string& name, const FeedText& text, const FeedTaken& taken,
                  const Validators& validators, uint64_t fetched_unix_s)
{
    Feed* found = feed(name);
    if (found == nullptr) {
        return;
    }
    FeedStatus& status = found->status;
    const auto ipv4 = std::count_if(taken.prefixes.begin(), taken.prefixes.end(),
                                    [](const Prefix& prefix) { return prefix.is_ipv4(); });
    status.prefixes[0] = static_cast<uint64_t>(ipv4);
    status.prefixes[1] = taken.prefixes.size() - static_cast<uint64_t>(ipv4);
    status.faults = text.faults;
    status.too_wide = taken.too_wide;
    status.protected_here = taken.protected_here;
    status.refused = taken.first_refused.text.empty()
                         ? ""
                         : taken.first_refused.text + ": " + taken.first_refused.why;
    status.fetched_unix_s = fetched_unix_s;
    found->validators = validators;
}

Feeds::Feed* Feeds::end_of(const FeedJob& job, uint64_t now_ns, bool good)
{
    Feed* found = feed(job.config.name);
    if (found == nullptr || !(found->config == job.config)) {
        return nullptr;
    }
    found->failures = good ? 0 : found->failures + 1;
    found->tries++;
    found->in_work = false;
    const bool asked_again = found->force && !job.force;
    found->force = asked_again;
    found->due_ns = asked_again ? now_ns : now_ns + next_try_ns(*found);
    return found;
}

void Feeds::fetched(const FeedJob& job, bool changed, uint64_t now_ns, uint64_t unix_s)
{
    if (Feed* found = end_of(job, now_ns, true)) {
        found->status.refreshes[changed ? refresh_changed : refresh_unchanged]++;
        found->status.fetched_unix_s = unix_s;
        found->status.problem.clear();
    }
}

void Feeds::forget_validators(const std::string& name)
{
    if (Feed* found = feed(name)) {
        found->validators = {};
    }
}

void Feeds::took(const std::string& name, uint64_t read_ns, uint64_t apply_ns)
{
    if (Feed* found = feed(name)) {
        found->status.read_ns = read_ns;
        found->status.apply_ns = apply_ns;
    }
}

bool Feeds::failed(const FeedJob& job, const std::string& why, uint64_t now_ns)
{
    Feed* found = end_of(job, now_ns, false);
    if (found != nullptr) {
        found->status.refreshes[refresh_failed]++;
        found->status.problem = why;
    }
    return found != nullptr;
}

std::vector<FeedStatus> Feeds::status(uint64_t now_ns, uint64_t unix_s) const
{
    std::vector<FeedStatus> all;
    for (const auto& [name, feed] : feeds_) {
        FeedStatus& status = all.emplace_back(feed.status);
        status.name = name;
        status.url = shown_url(feed.config.url);
        status.due_in_ns = feed.due_ns > now_ns ? feed.due_ns - now_ns : 0;
        const uint64_t overdue_s = stale_tries * feed.config.refresh_ns / ns_per_s;
        status.stale = !status.fetched_unix_s || unix_s > *status.fetched_unix_s + overdue_s;
    }
    return all;
}

} // namespace xdpctl
