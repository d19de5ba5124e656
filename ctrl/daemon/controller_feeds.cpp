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

// A few at a time, so that a slow server holds up no other.
void Controller::fetch_feeds()
{
    constexpr size_t feeds_at_once = 4;
    // Texts that wait to be read count, too: they may be large.
    while (setup_.fetch_feed &&
           feeds_in_work_ + feeds_to_read_.size() + (feed_in_read_ ? 1 : 0) < feeds_at_once) {
        const auto job = feeds_.due(plane_.now_ns());
        if (!job) {
            return;
        }
        feeds_in_work_++;
        start_job(
            [fetch = setup_.fetch_feed, job = *job](const Stop& stop) { return fetch(job, stop); },
            [this, job = *job](Result<Fetched>&& fetched) {
                feeds_in_work_--;
                if (fetched) {
                    feed_fetched(job, std::move(*fetched));
                } else {
                    feed_failed(job, fetched.error());
                }
            });
    }
}

void Controller::feed_failed(const FeedJob& job, const Error& error)
{
    if (feeds_.failed(job, error.message, plane_.now_ns())) {
        note("feed",
             fmt::format("{}: {}: {}", job.config.name,
                         feed_prefixes_.contains(job.config.name) ? "the last good copy stays"
                                                                  : "nothing of it is in force",
                         error.message));
    }
}

// What a job made of an answer.
struct Controller::FeedRead {
    std::shared_ptr<const ProtectedSet> spared; // what it was read with
    std::string content;
    FeedText text;
    FeedTaken taken;
    Validators validators;
    uint64_t fetched_unix_s = 0;
    uint64_t read_ns = 0; // that reading took
};

void Controller::feed_fetched(const FeedJob& job, Fetched fetched)
{
    if (fetched.unchanged) {
        feeds_.fetched(job, false, plane_.now_ns(), unix_s());
        return;
    }
    feeds_to_read_.push_back({job, std::move(fetched), unix_s()});
    read_next_feed();
}

void Controller::read_next_feed()
{
    if (feed_in_read_ || feeds_to_read_.empty()) {
        return;
    }
    feed_in_read_ = true;
    ToRead next = std::move(feeds_to_read_.front());
    feeds_to_read_.pop_front();
    const FeedJob job = next.job;
    start_job(
        [next = std::move(next), spared = protected_](const Stop&) mutable -> Result<FeedRead> {
            const uint64_t begin = steady_ns();
            FeedRead read{spared, {}, {}, {}, next.fetched.validators, next.fetched_unix_s};
            auto content = unpack(std::move(next.fetched.text), next.job.config.bytes_most());
            if (!content) {
                return content.error();
            }
            read.content = std::move(*content);
            auto text = parse_feed(read.content, next.job.config);
            if (!text) {
                return text.error();
            }
            read.text = std::move(*text);
            auto taken = take_feed(read.text, next.job.config, *spared);
            if (!taken) {
                return taken.error();
            }
            read.taken = std::move(*taken);
            read.read_ns = steady_ns() - begin;
            return read;
        },
        [this, job](Result<FeedRead>&& read) {
            if (!read) {
                feed_failed(job, read.error());
                end_read();
                return;
            }
            const auto kept = std::make_shared<const FeedRead>(std::move(*read));
            if (const auto done = take_read(job, *kept); done) {
                save_feed_copy(job, kept);
            } else {
                feed_failed(job, done.error());
                end_read();
            }
        });
}

void Controller::end_read()
{
    feed_in_read_ = false;
    read_next_feed();
}

// What is thrown, where there is no memory for so many, must not keep the feed in work.
Result<> Controller::take_read(const FeedJob& job, const FeedRead& read)
{
    try {
        return feed_read(job, read);
    } catch (const std::exception& problem) {
        return failure("{}: {}", job.config.name, problem.what());
    }
}

// Is it what one expects of a list, and what one expects of a change?
Result<> Controller::accept_feed(const FeedJob& job, const FeedRead& read,
                                 const FeedConfig& config) const
{
    if (job.force) {
        return Done{};
    }
    static const std::vector<Prefix> nothing;
    const auto in_force = feed_prefixes_.find(job.config.name);
    if (auto done = accept_share(read.taken.prefixes, config); !done) {
        return done;
    }
    return accept_change(in_force == feed_prefixes_.end() ? nothing : in_force->second,
                         read.taken.prefixes, config);
}

Result<> Controller::feed_read(const FeedJob& job, const FeedRead& read)
{
    const std::string& name = job.config.name;
    const FeedConfig* config = feeds_.find(name);
    if (config == nullptr || !(*config == job.config)) {
        return failure("{} is configured otherwise by now", name);
    }
    const auto before = feed_prefixes_.find(name);
    const size_t count_before = before == feed_prefixes_.end() ? 0 : before->second.size();
    const uint64_t begin = steady_ns();
    auto done = accept_feed(job, read, *config);
    if (done) {
        done = set_feed(name, read.taken.prefixes);
    }
    if (!done) {
        return done;
    }
    if (protected_ != read.spared) {
        spare_from_feeds();
    }
    feeds_.took(name, read.read_ns, steady_ns() - begin);
    feeds_.taken(name, read.text, read.taken, read.validators, read.fetched_unix_s);
    feeds_.fetched(job, true, plane_.now_ns(), read.fetched_unix_s);
    save_state(); // its list's number
    note_feed(job, read, count_before);
    large_work_done_ = true;
    return Done{};
}

void Controller::note_feed(const FeedJob& job, const FeedRead& read, size_t count_before)
{
    const FeedText& text = read.text;
    const FeedTaken& taken = read.taken;
    std::string told = fmt::format("{}: {} entries, {} before", job.config.name,
                                   taken.prefixes.size(), count_before);
    if (text.faults > 0) {
        told += fmt::format("; {} lines not understood, the first is line {}: '{}'", text.faults,
                            text.first_fault.line, text.first_fault.text);
    }
    if (!taken.first_refused.text.empty()) {
        told +=
            fmt::format("; {} refused, the first is {}: {}", taken.too_wide + taken.protected_here,
                        taken.first_refused.text, taken.first_refused.why);
    }
    note("feed", std::move(told));
}

// One at a time, as reading: a disk that hangs holds up feeds alone.
void Controller::save_feed_copy(const FeedJob& job, const std::shared_ptr<const FeedRead>& read)
{
    start_job(
        [job, copies = feed_copies_, read](const Stop&) {
            return copies.save(job.config.name, {job.config.url, read->validators,
                                                 read->fetched_unix_s, read->content, job.force});
        },
        [this, name = job.config.name](const Result<>& saved) {
            if (saved) {
                unsaved_feeds_.erase(name);
            } else {
                unsaved_feeds_[name] = saved.error().message;
            }
            end_read();
        });
}

std::vector<FeedStatus> Controller::feeds() const
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

Result<> Controller::refresh_feed(const std::string& name, bool force)
{
    return feeds_.refresh(name, force, plane_.now_ns())
               ? Result<>(Done{})
               : failure(ErrorKind::not_found, "no feed is called {}", name);
}

} // namespace xdpctl
