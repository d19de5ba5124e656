// SPDX-License-Identifier: Apache-2.0
// Which column of a table, or member of an object, names the addresses of an entry.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

// Positions among the names. Either `address`, with or without `length`, or both ends of a
// range.
struct FeedColumns {
    std::optional<size_t> address;
    std::optional<size_t> first;
    std::optional<size_t> last;
    std::optional<size_t> length; // a netmask or a number of bits
};

// An error where no name, or more than one, may hold the addresses, or where a column may
// say that an entry is not to be blocked ("action"). It tells the names.
Result<FeedColumns> find_columns(const std::vector<std::string>& names);

// The entry of a row; cell(i) is the text under the i-th name.
Result<AddressRange> range_of_row(const FeedColumns& columns,
                                  const std::function<Result<std::string>(size_t)>& cell);

// The cells of a line. Commas and semicolons may stand in quoted cells (RFC 4180).
Result<std::vector<std::string>> split_cells(std::string_view line, char delimiter);
// The one of comma, semicolon, tab and bar that is most often there; none: 0.
char delimiter_of(std::string_view line);

} // namespace xdpctl
