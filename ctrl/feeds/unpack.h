// SPDX-License-Identifier: Apache-2.0
// Lists that are compressed, or are no text at all, by their first bytes.
#pragma once

#include <string>

#include "base/result.h"

namespace xdpctl
{

// Text as it is; gzip (RFC 1952) unpacked to at most `bytes_most`. An error that names the
// format where it is another archive or binary, or where it is damaged or cut short.
Result<std::string> unpack(std::string bytes, size_t bytes_most);

} // namespace xdpctl
