// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>

namespace xdpctl
{

// Of these (CAP_*, linux/capability.h), what this process does not have in effect:
// "CAP_BPF, CAP_PERFMON"; empty where it has all. CAP_SYS_ADMIN stands for CAP_BPF,
// CAP_PERFMON and, where BPF programs are loaded, CAP_NET_ADMIN, as in the kernel.
std::string missing_bpf_capabilities(std::initializer_list<int> wanted);

} // namespace xdpctl
