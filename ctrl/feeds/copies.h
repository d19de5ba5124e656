// SPDX-License-Identifier: Apache-2.0
// The last good copy of each feed, on disk.
#pragma once

#include <optional>
#include <string>

#include "feeds/fetch.h"

namespace xdpctl
{

struct FeedCopy {
    std::string url; // that it is of
    Validators validators;
    uint64_t fetched_unix_s = 0;
    std::string text;
    bool forced = false; // the operator took it, however much it covers
};

class FeedCopies
{
  public:
    explicit FeedCopies(const std::string& state_directory) : directory_(state_directory + "/feeds")
    {
    }

    // Nothing where there is none; an error where it is damaged.
    Result<std::optional<FeedCopy>> load(const std::string& name) const;
    Result<> save(const std::string& name, const FeedCopy& copy) const;
    void remove(const std::string& name) const;

  private:
    std::string path(const std::string& name) const { return directory_ + "/" + name + ".feed"; }
    std::string directory_;
};

// One line of JSON about the text, with its length and hash, then the text.
std::string encode_copy(const FeedCopy& copy);
Result<FeedCopy> decode_copy(std::string_view file);

} // namespace xdpctl
