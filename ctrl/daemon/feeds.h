// SPDX-License-Identifier: Apache-2.0
// Which feeds there are, when each is due, and what came of the last try. Pure: time is
// a parameter, and fetching is somebody else's work.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/feed_status.h"
#include "core/feed.h"
#include "feeds/copies.h"

namespace xdpctl
{

// What to ask for.
struct FeedJob {
    FeedConfig config;
    Validators known;
    bool force = false; // take any change
};

class Feeds
{
  public:
    // Feeds that are new are due at once; of those that go the number is free again.
    // `lists` are the numbers of an earlier run, by name. Returns the lists that are gone.
    std::vector<uint16_t> configure(const std::vector<FeedConfig>& feeds,
                                    std::map<std::string, uint16_t>& lists, uint64_t now_ns);

    // The one that is due; nothing where none is.
    std::optional<FeedJob> due(uint64_t now_ns);
    // False where there is no such feed.
    bool refresh(const std::string& name, bool force, uint64_t now_ns);

    // A copy of an earlier run, or an answer that was taken.
    void taken(const std::string& name, const FeedText& text, const FeedTaken& taken,
               const Validators& validators, uint64_t fetched_unix_s);
    // What came of a job; nothing where the feed is another one by now.
    void fetched(const FeedJob& job, bool changed, uint64_t now_ns, uint64_t unix_s);
    bool failed(const FeedJob& job, const std::string& why, uint64_t now_ns);
    void forget_validators(const std::string& name);
    void took(const std::string& name, uint64_t read_ns, uint64_t apply_ns);

    const FeedConfig* find(const std::string& name) const;
    std::optional<uint16_t> list_of(const std::string& name) const;
    std::string name_of(uint16_t list) const; // empty: none
    std::vector<FeedStatus> status(uint64_t now_ns, uint64_t unix_s) const;

  private:
    struct Feed {
        FeedConfig config;
        FeedStatus status;
        Validators validators;
        uint64_t due_ns = 0;
        uint32_t failures = 0; // one after the other
        uint32_t tries = 0;
        bool force = false;
        bool in_work = false;
    };
    Feed* feed(const std::string& name);
    Feed* end_of(const FeedJob& job, uint64_t now_ns, bool good);
    static uint64_t next_try_ns(const Feed& feed);

    std::map<std::string, Feed> feeds_;
};

} // namespace xdpctl
