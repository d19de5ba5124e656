// SPDX-License-Identifier: Apache-2.0
#include "core/event.h"

#include <cstring>

#include "core/reasons.h"

namespace xdpctl
{

std::optional<xdpctl_event> read_event(std::span<const uint8_t> bytes)
{
    xdpctl_event event{};
    if (bytes.size() < sizeof(event)) {
        return std::nullopt;
    }
    std::memcpy(&event, bytes.data(), sizeof(event));
    const xdpctl_judgement& judgement = event.judgement;
    const bool has_names = is_reason(judgement.reason) && judgement.family < family_names.size() &&
                           judgement.session < session_names.size();
    return has_names && event.captured_bytes <= sizeof(event.bytes) ? std::optional(event)
                                                                    : std::nullopt;
}

} // namespace xdpctl
