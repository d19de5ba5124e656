// SPDX-License-Identifier: Apache-2.0
#include "telemetry/conditions.h"

namespace xdpctl
{

std::string_view to_string(Severity severity)
{
    return severity == Severity::critical ? "critical" : "warning";
}

std::optional<std::string> Conditions::set(Condition id, const std::string& text,
                                           const std::string& identity, uint64_t unix_ms)
{
    std::optional<Held>& held = held_[static_cast<size_t>(id)];
    if (text.empty()) {
        const bool was = held.has_value();
        held.reset();
        return was ? std::optional(std::string(condition_info(id).over)) : std::nullopt;
    }
    const bool same = held && held->identity == identity;
    held = Held{text, identity, held ? held->since_unix_ms : unix_ms};
    return same ? std::nullopt : std::optional(text);
}

bool Conditions::holds(Condition id) const
{
    return held_[static_cast<size_t>(id)].has_value();
}

std::vector<ActiveCondition> Conditions::active() const
{
    std::vector<ActiveCondition> all;
    for (const ConditionInfo& info : conditions) {
        if (const auto& held = held_[static_cast<size_t>(info.id)]) {
            all.push_back({info.id, held->text, held->since_unix_ms});
        }
    }
    return all;
}

} // namespace xdpctl
