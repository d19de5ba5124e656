// SPDX-License-Identifier: Apache-2.0
#include "daemon/at_risk.h"

#include <linux/bpf.h>

#include <set>
#include <vector>

#include "core/reasons.h"
#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t window_ns = 600 * ns_per_s;
constexpr size_t clients_most = 1000;

// Bans and lists are meant; what rests on the absence of a socket may be mistaken.
bool may_be_mistaken(uint32_t reason)
{
    const xdpctl_stage stage = reason_info(reason).stage;
    return stage != XDPCTL_STAGE_BLOCK && stage != XDPCTL_STAGE_GEO &&
           stage != XDPCTL_STAGE_PARSE && stage != XDPCTL_STAGE_SANITY &&
           reason_info(reason).verdict == XDPCTL_VERDICT_DROP;
}

} // namespace

void AtRisk::add(const xdpctl_event& event)
{
    const xdpctl_judgement& judgement = event.judgement;
    if (judgement.action != XDP_PASS || judgement.known_client == 0 ||
        !is_reason(judgement.reason) || !may_be_mistaken(judgement.reason)) {
        return;
    }
    const Address source = Address::from_abi(event.src);
    if (clients_.size() < clients_most || clients_.contains(source)) {
        clients_[source] = {judgement.time_ns, judgement.reason};
    }
}

std::string AtRisk::text(uint64_t now_ns)
{
    std::erase_if(clients_, [now_ns](const auto& client) {
        return now_ns > client.second.last_ns + window_ns;
    });
    if (clients_.empty()) {
        return "";
    }
    std::set<std::string_view> names;
    for (const auto& [address, client] : clients_) {
        names.insert(reason_info(client.reason).name);
    }
    const std::vector<std::string_view> reasons(names.begin(), names.end());
    return fmt::format(
        "ENFORCING WOULD DROP packets of {}{} clients that were connected here ({}), "
        "{} among them: find out why before `xdpctl mode enforce`",
        clients_.size(), clients_.size() == clients_most ? " or more" : "",
        fmt::join(reasons, ", "), to_string(clients_.begin()->first));
}

} // namespace xdpctl
