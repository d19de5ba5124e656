// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace xdpctl::testing
{

// Each test program says here what it cannot do without, if that is missing.
std::optional<std::string> skip_all_because();

} // namespace xdpctl::testing
