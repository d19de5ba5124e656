// SPDX-License-Identifier: Apache-2.0
// Block lists of others: what their text says, and how much of it we take.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/prefix.h"
#include "core/protected.h"

namespace xdpctl
{

// One that cannot be read or taken, and why.
struct FeedFault {
    size_t line = 0; // from 1; 0: of the whole
    std::string text;
    std::string why;
};

struct FeedText {
    std::vector<Prefix> prefixes; // sorted, without duplicates
    size_t entries = 0;           // lines that named one
    size_t faults = 0;
    size_t host_bits = 0; // entries with bits beyond their length, which were cleared
    FeedFault first_fault;
};

// Without the password that it may have.
std::string shown_url(const std::string& url);

// A prefix or address on each line, as plain lists and FireHOL's netsets have them; what
// follows is a comment. Also Spamhaus DROP as text ("PREFIX ; SBL") and as JSON lines
// ({"cidr":...}), and `ipset save` ("add SET PREFIX ..."). # and ; begin comments.
FeedText parse_feed(std::string_view text);

struct FeedTaken {
    std::vector<Prefix> prefixes;
    size_t too_wide = 0;
    size_t protected_here = 0; // would block what this host needs
    FeedFault first_refused;
};

// What of the text is taken. An error where it is no list (half of it cannot be read),
// or its size is not what the configuration expects.
Result<FeedTaken> take_feed(FeedText text, const FeedConfig& config,
                            const ProtectedSet& protected_set);

// Refused where more than the configured share of `before` goes or as much comes;
// nothing is too much for an empty `before`. Both sorted.
Result<> accept_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after,
                       uint32_t percent_most);

} // namespace xdpctl
