// SPDX-License-Identifier: Apache-2.0
// The list of <xdpctl/abi/reasons.h> as a table.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include <xdpctl/abi/event.h>
#include <xdpctl/abi/maps.h>
#include <xdpctl/abi/reasons.h>

namespace xdpctl
{

struct ReasonInfo {
    xdpctl_reason id;
    std::string_view name;
    xdpctl_stage stage;
    xdpctl_verdict verdict;
    std::string_view text;
};

struct StageInfo {
    xdpctl_stage id;
    std::string_view name;
    std::string_view question;
};

inline constexpr std::array reasons = {
#define XDPCTL_REASON_ROW(id, name, stage, verdict, text)                                          \
    ReasonInfo{XDPCTL_##id, name, XDPCTL_STAGE_##stage, XDPCTL_VERDICT_##verdict, text},
    XDPCTL_REASONS(XDPCTL_REASON_ROW)
#undef XDPCTL_REASON_ROW
};
static_assert(XDPCTL_REASON_COUNT <= XDPCTL_REASON_SLOTS);

inline constexpr std::array stages = {
#define XDPCTL_STAGE_ROW(id, name, text) StageInfo{XDPCTL_STAGE_##id, name, text},
    XDPCTL_STAGES(XDPCTL_STAGE_ROW)
#undef XDPCTL_STAGE_ROW
};

// By enum xdpctl_verdict.
inline constexpr std::array<std::string_view, 3> verdict_names = {"pass", "drop", "answer"};

inline constexpr std::array<std::string_view, XDPCTL_FAMILY_COUNT> family_names = {"ipv4", "ipv6",
                                                                                   "non_ip"};

inline constexpr std::array session_names = {
#define XDPCTL_SESSION_ROW(id, name, text) std::string_view(name),
    XDPCTL_SESSIONS(XDPCTL_SESSION_ROW)
#undef XDPCTL_SESSION_ROW
};

// What becomes of a packet: the verdict of its reason, and whether that is enforced.
enum class Outcome { passed, answered, dropped, would_drop, would_answer };
struct OutcomeInfo {
    Outcome id;
    std::string_view name;
    std::string_view text;
};
inline constexpr std::array<OutcomeInfo, 5> outcomes = {
    {{Outcome::passed, "passed", "that were passed to the kernel"},
     {Outcome::answered, "answered", "that the data path answered itself"},
     {Outcome::dropped, "dropped", "that were dropped"},
     {Outcome::would_drop, "would_drop", "that were passed, but enforced would have been dropped"},
     {Outcome::would_answer, "would_answer",
      "that were passed, but enforced would have been answered by the data path"}}};

constexpr const OutcomeInfo& outcome_of(size_t disposition, xdpctl_verdict verdict)
{
    const bool enforced = disposition == XDPCTL_EFFECTIVE;
    const Outcome id =
        verdict == XDPCTL_VERDICT_DROP     ? enforced ? Outcome::dropped : Outcome::would_drop
        : verdict == XDPCTL_VERDICT_ANSWER ? enforced ? Outcome::answered : Outcome::would_answer
                                           : Outcome::passed;
    return outcomes[static_cast<size_t>(id)];
}

// `id` must be a reason, not XDPCTL_NEXT.
constexpr const ReasonInfo& reason_info(uint32_t id)
{
    return reasons[id - 1];
}

constexpr bool is_reason(uint32_t id)
{
    return id > XDPCTL_NEXT && id < XDPCTL_REASON_COUNT;
}

std::optional<ReasonInfo> find_reason(std::string_view name);

} // namespace xdpctl
