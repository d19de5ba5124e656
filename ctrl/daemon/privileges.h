// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"

namespace xdpctl
{

// Keeps CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, gives up every other capability
// for good, and forbids new ones through exec.
Result<> drop_privileges();

} // namespace xdpctl
