// SPDX-License-Identifier: Apache-2.0
#include "base/capabilities.h"

#include <cap-ng.h>

#include <algorithm>
#include <cctype>

namespace xdpctl
{

std::string missing_bpf_capabilities(std::initializer_list<int> wanted)
{
    if (capng_get_caps_process() != 0) {
        return "";
    }
    const auto has = [](int capability) {
        return capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) == 1;
    };
    std::string missing;
    for (const int capability : wanted) {
        const bool covered =
            capability == CAP_BPF || capability == CAP_PERFMON || capability == CAP_NET_ADMIN;
        if (has(capability) || (covered && has(CAP_SYS_ADMIN))) {
            continue;
        }
        std::string name = capng_capability_to_name(static_cast<unsigned>(capability));
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        missing += (missing.empty() ? "CAP_" : ", CAP_") + name;
    }
    return missing;
}

} // namespace xdpctl
