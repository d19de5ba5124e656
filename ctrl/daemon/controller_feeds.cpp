// SPDX-License-Identifier: Apache-2.0
// The controller's part for block lists of others.
#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/controller.h"
#include "feeds/unpack.h"

namespace xdpctl
{

// Of feeds that are not configured any more nothing stays in force.
void Controller::configure_feeds()
{
    for (const uint16_t list : feeds_.configure(config_.feeds, hand_.lists, plane_.now_ns())) {
        const ListContent nothing{list, XDPCTL_PREFIX_BLOCK, {}};
        if (auto done = plane_.set_lists({&nothing, 1}); !done) {
            log::error("{}", done.error().message);
        }
    }
    std::erase_if(feed_prefixes_,
                  [this](const auto& feed) { return feeds_.find(feed.first) == nullptr; });
}

// Servers may be out of reach, above all during an attack.
void Controller::load_feed_copies()
{
    for (const FeedConfig& config : config_.feeds) {
        auto copy = feed_copies_.load(config.name);
        if (!copy) {
            note("feed", copy.error().message);
            continue;
        }
        if (!*copy || (*copy)->url != config.url) {
            continue;
        }
        const auto text = parse_feed((*copy)->text, config);
        const auto taken =
            text ? take_feed(*text, config, *protected_) : Result<FeedTaken>(text.error());
        auto done = taken ? Result<>(Done{}) : Result<>(taken.error());
        if (done && !(*copy)->forced) {
            done = accept_share(taken->prefixes, config);
        }
        if (done) {
            done = set_feed(config.name, taken->prefixes);
        }
        if (!done) {
            note("feed",
                 fmt::format("{}: its copy is not used: {}", config.name, done.error().message));
            continue;
        }
        feeds_.taken(config.name, *text, *taken, (*copy)->validators, (*copy)->fetched_unix_s);
    }
}

// More is protected than when the feeds were taken: nothing of them may touch that either.
void Controller::spare_from_feeds()
{
    for (auto& [name, prefixes] : feed_prefixes_) {
        std::vector<Prefix> kept;
        std::copy_if(prefixes.begin(), prefixes.end(), std::back_inserter(kept),
                     [this](const Prefix& prefix) {
                         return !protected_->refuses(prefix, Authority::automatic);
                     });
        const size_t spared = prefixes.size() - kept.size();
        if (spared == 0) {
            continue;
        }
        feeds_.forget_validators(name); // all of it is asked for again
        if (auto done = set_feed(name, kept); !done) {
            log::error("{}", done.error().message);
            return;
        }
        note("feed", fmt::format("{}: {} entries are not in force any more: they would hurt what "
                                 "this host is now",
                                 name, spared));
    }
}

Result<> Controller::set_feed(const std::string& name, const std::vector<Prefix>& prefixes)
{
    ListContent content{feeds_.list_of(name).value_or(0), XDPCTL_PREFIX_BLOCK, {}};
    content.prefixes.reserve(prefixes.size());
    for (const Prefix& prefix : prefixes) {
        content.prefixes.push_back({prefix, XDPCTL_NO_DEADLINE});
    }
    auto done = plane_.set_lists({&content, 1});
    if (done) {
        feed_prefixes_.insert_or_assign(name, prefixes);
    }
    return done;
}

std::optional<FeedJob> Controller::due_feed()
{
    const std::lock_guard lock(mutex_);
    return feeds_.due(plane_.now_ns());
}

uint64_t Controller::feed_wait_ns()
{
    const std::lock_guard lock(mutex_);
    return feeds_.wait_ns(plane_.now_ns());
}

void Controller::feed_failed(const FeedJob& job, const Error& error)
{
    const std::lock_guard lock(mutex_);
    if (feeds_.failed(job, error.message, plane_.now_ns())) {
        note("feed",
             fmt::format("{}: {}: {}", job.config.name,
                         feed_prefixes_.contains(job.config.name) ? "the last good copy stays"
                                                                  : "nothing of it is in force",
                         error.message));
    }
}

// Reading a large list takes its time: not under the lock.
void Controller::feed_fetched(const FeedJob& job, Fetched fetched)
{
    const std::string& name = job.config.name;
    const uint64_t fetched_s = unix_s();
    if (fetched.unchanged) {
        const std::lock_guard lock(mutex_);
        feeds_.fetched(job, false, plane_.now_ns(), fetched_s);
        return;
    }
    const uint64_t begin = steady_ns();
    std::unique_lock guarding(mutex_);
    const auto protected_then = protected_;
    guarding.unlock();
    auto content = unpack(std::move(fetched.text), job.config.bytes_most());
    const auto text =
        content ? parse_feed(*content, job.config) : Result<FeedText>(content.error());
    const auto taken =
        text ? take_feed(*text, job.config, *protected_then) : Result<FeedTaken>(text.error());
    const uint64_t read = steady_ns();
    std::optional<Error> problem;
    {
        const std::lock_guard lock(mutex_);
        const FeedConfig* config = feeds_.find(name);
        if (config == nullptr || !(*config == job.config)) {
            return; // configured away meanwhile
        }
        static const std::vector<Prefix> nothing;
        const auto in_force = feed_prefixes_.find(name);
        const std::vector<Prefix>& before =
            in_force == feed_prefixes_.end() ? nothing : in_force->second;
        auto done = taken ? Result<>(Done{}) : Result<>(taken.error());
        if (done && !job.force) {
            done = accept_share(taken->prefixes, *config);
        }
        if (done && !job.force) {
            done = accept_change(before, taken->prefixes, *config);
        }
        const size_t count_before = before.size();
        const uint64_t apply = steady_ns();
        if (done) {
            done = set_feed(name, taken->prefixes);
        }
        if (done && protected_ != protected_then) {
            spare_from_feeds();
        }
        if (done) {
            feeds_.took(name, read - begin, steady_ns() - apply);
            feeds_.taken(name, *text, *taken, fetched.validators, fetched_s);
            feeds_.fetched(job, true, plane_.now_ns(), fetched_s);
            save_state(); // its list's number
            note("feed",
                 fmt::format(
                     "{}: {} entries, {} before{}{}", name, taken->prefixes.size(), count_before,
                     text->faults > 0
                         ? fmt::format("; {} lines not understood, the first is "
                                       "line {}: '{}'",
                                       text->faults, text->first_fault.line, text->first_fault.text)
                         : "",
                     taken->first_refused.text.empty()
                         ? ""
                         : fmt::format("; {} refused, the first is {}: {}",
                                       taken->too_wide + taken->protected_here,
                                       taken->first_refused.text, taken->first_refused.why)));
        } else {
            problem = done.error();
        }
    }
    if (problem) {
        feed_failed(job, *problem);
        return;
    }
    const FeedCopy copy{job.config.url, fetched.validators, fetched_s, std::move(*content),
                        job.force};
    const auto saved = feed_copies_.save(name, copy);
    const std::lock_guard lock(mutex_);
    if (saved) {
        unsaved_feeds_.erase(name);
    } else {
        unsaved_feeds_[name] = saved.error().message;
    }
}

std::vector<FeedStatus> Controller::feeds_locked()
{
    std::vector<FeedStatus> all = feeds_.status(plane_.now_ns(), unix_s());
    if (const auto usage = plane_.lists()) {
        for (FeedStatus& feed : all) {
            for (const ListUsage& list : *usage) {
                if (list.list == feed.list) {
                    feed.met = list.met;
                }
            }
        }
    }
    return all;
}

std::vector<FeedStatus> Controller::feeds()
{
    const std::lock_guard lock(mutex_);
    return feeds_locked();
}

Result<> Controller::refresh_feed(const std::string& name, bool force)
{
    const std::lock_guard lock(mutex_);
    return feeds_.refresh(name, force, plane_.now_ns())
               ? Result<>(Done{})
               : failure(ErrorKind::not_found, "no feed is called {}", name);
}

} // namespace xdpctl
