// SPDX-License-Identifier: Apache-2.0
#include "core/reasons.h"

namespace xdpctl
{

std::optional<ReasonInfo> find_reason(std::string_view name)
{
    for (const ReasonInfo& reason : reasons) {
        if (reason.name == name) {
            return reason;
        }
    }
    return std::nullopt;
}

} // namespace xdpctl
