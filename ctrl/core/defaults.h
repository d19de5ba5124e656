// SPDX-License-Identifier: Apache-2.0
// What a default configuration keeps from the kernel, why that does no harm, and how to
// switch it off: the source of tools/defaults.md.
#pragma once

#include <string>

namespace xdpctl
{

// In Markdown, ends with a newline.
std::string defaults_document();

} // namespace xdpctl
