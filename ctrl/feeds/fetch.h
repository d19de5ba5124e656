// SPDX-License-Identifier: Apache-2.0
// One request for a feed: HTTP, HTTPS or a file.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"

namespace xdpctl
{

// What the last good answer said of itself (RFC 9110: validators); of a file its time.
struct Validators {
    std::string etag;
    std::string last_modified;

    bool operator==(const Validators&) const = default;
};

struct Fetched {
    bool unchanged = false; // the validators still hold; no text
    std::string text;
    Validators validators;
};

struct FetchOptions {
    size_t bytes_most = 256UL << 20;
    long connect_seconds = 15;
    long stall_seconds = 30; // with less than 100 bytes/s
    long total_seconds = 300;
    long redirects_most = 5;
    std::vector<std::string> headers; // more lines of the request; not to be shared with others
};

// `url`: http, https, or an absolute path. Blocks; gives up where `stop` is set.
// Errors name the URL without its password.
Result<Fetched> fetch(const std::string& url, const Validators& known, const FetchOptions& options,
                      const std::atomic<bool>& stop);

} // namespace xdpctl
