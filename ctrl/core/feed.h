// SPDX-License-Identifier: Apache-2.0
// Block lists of others: what their text says, and how much of it is taken. A list is
// taken as it is meant or not at all: a line that is not understood refuses all of it, since
// lists are written by programs, and such a line is a sign of another format, of a page that
// stands in for the list, or of damage.
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
    std::vector<Prefix> prefixes; // sorted, without duplicates, exceptions taken out
    size_t entries = 0;           // lines that named one
    size_t faults = 0;            // lines that are not understood
    size_t host_bits = 0;         // entries with bits beyond their length, which were cleared
    size_t too_wide = 0;          // entries that are wider than configured: no part is taken
    FeedFault first_fault;
    FeedFault first_too_wide;
};

// Without the password that it may have.
std::string shown_url(const std::string& url);

// An entry on each line: a prefix, an address or a range (FIRST-LAST). Read as well:
// - Spamhaus DROP, as text ("PREFIX ; SBL") and as JSON lines ({"cidr":...});
// - tables with a header, also one in the comment above them (abuse.ch), and JSON arrays,
//   where one column or member, or the ends of a range, name addresses; see feed_columns.h;
// - DShield's START TAB END TAB LENGTH, also without its header;
// - `ipset save` of one set of addresses or networks, with `nomatch` exceptions;
// - Tor's exit-addresses.
// # begins a comment, as does ; at the begin of a line or behind a blank. An error where the
// whole is something else, or has more than max_entries, behind which nothing is read; lines
// that are not understood are counted.
Result<FeedText> parse_feed(std::string_view text, const FeedConfig& config);

struct FeedTaken {
    std::vector<Prefix> prefixes;
    size_t too_wide = 0;
    size_t protected_here = 0; // would block what this host needs
    FeedFault first_refused;
};

// What of the text is taken. An error where a line is not understood (beyond
// max_faulty_lines), or where it has fewer entries than the configuration expects.
Result<FeedTaken> take_feed(FeedText text, const FeedConfig& config,
                            const ProtectedSet& protected_set);

// Refused where sorted prefixes cover more of the public addresses than the configuration expects.
Result<> accept_share(const std::vector<Prefix>& prefixes, const FeedConfig& config);

// Of a list that others write: refused where more than config.max_change percent of `before`
// goes or as much comes, of its entries or of the addresses that they cover. A few may always go
// or come, since small lists do change so, and nothing is too much for an empty `before`. Both
// sorted.
Result<> accept_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after,
                       const FeedConfig& config);

} // namespace xdpctl
