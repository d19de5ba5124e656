// SPDX-License-Identifier: Apache-2.0
#include "core/protected.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace xdpctl
{
namespace
{

struct ProtectionRow {
    std::string_view name;
    std::string_view text;
};
constexpr std::array rows = {
#define XDPCTL_PROTECTION_ROW(id, name, text) ProtectionRow{name, text},
    XDPCTL_PROTECTIONS(XDPCTL_PROTECTION_ROW)
#undef XDPCTL_PROTECTION_ROW
};

std::string described(const Protected& entry)
{
    return fmt::format("{}{}", text_of(entry.as),
                       entry.source.empty() ? "" : fmt::format(" ({})", entry.source));
}

Prefix half_of(const Prefix& prefix, bool upper)
{
    Prefix half{prefix.address, static_cast<uint8_t>(prefix.length + 1)};
    if (upper) {
        half.address.bytes[prefix.length / 8] |= static_cast<uint8_t>(0x80 >> prefix.length % 8);
    }
    return half;
}

} // namespace

std::string_view name_of(Protection protection)
{
    return rows[static_cast<size_t>(protection)].name;
}

std::string_view text_of(Protection protection)
{
    return rows[static_cast<size_t>(protection)].text;
}

bool is_spared(const Protected& entry)
{
    return entry.as == Protection::ALLOWED || entry.as == Protection::TRUSTED;
}

ProtectedSet::Strength ProtectedSet::strength_of(const Protected& entry)
{
    switch (entry.as) {
    case Protection::ALLOWED:
    case Protection::TRUSTED:
        return allowed;
    case Protection::SSH_PEER:
        return session;
    case Protection::PRIVATE_NETWORK:
        return in_use;
    default:
        return entry.observed ? in_use : never;
    }
}

bool ProtectedSet::holds(Strength strength, Authority who)
{
    switch (strength) {
    case session:
        return who != Authority::operator_force;
    case in_use:
        return who == Authority::automatic || who == Authority::operator_hand;
    default:
        return true;
    }
}

ProtectedSet::ProtectedSet(std::vector<Protected> entries) : entries_(std::move(entries))
{
    std::sort(entries_.begin(), entries_.end());
    entries_.erase(std::unique(entries_.begin(), entries_.end()), entries_.end());
    for (size_t i = 0; i < entries_.size(); i++) {
        const Prefix& prefix = entries_[i].prefix;
        Index& index = indexes_[strength_of(entries_[i])][prefix.is_ipv4() ? 0 : 1];
        index.at.emplace(prefix, i);
        index.lengths.set(prefix.length);
    }
}

// The widest entry that the prefix is in.
const Protected* ProtectedSet::around(const Index& index, const Prefix& prefix) const
{
    for (unsigned length = 0; length <= prefix.length; length++) {
        if (!index.lengths.test(length)) {
            continue;
        }
        const auto found = index.at.find(network_of(prefix.address, static_cast<uint8_t>(length)));
        if (found != index.at.end()) {
            return &entries_[found->second];
        }
    }
    return nullptr;
}

// The first entry that is in the prefix.
const Protected* ProtectedSet::within(const Index& index, const Prefix& prefix) const
{
    const auto found = index.at.lower_bound(prefix);
    return found != index.at.end() && prefix.contains(found->first) ? &entries_[found->second]
                                                                    : nullptr;
}

std::optional<std::string> ProtectedSet::refuses(const Prefix& prefix, Authority who) const
{
    const size_t family = prefix.is_ipv4() ? 0 : 1;
    for (size_t s = 0; s < strengths; s++) {
        const auto strength = static_cast<Strength>(s);
        if (!holds(strength, who)) {
            continue;
        }
        const Index& index = indexes_[s][family];
        const char* force = holds(strength, Authority::operator_force) ? "" : "; --force bans it";
        if (who != Authority::operator_hand) {
            force = "";
        }
        if (const Protected* entry = around(index, prefix)) {
            return entry->prefix == prefix
                       ? fmt::format("it is {}{}", described(*entry), force)
                       : fmt::format("it is inside {}, {}{}", to_string(entry->prefix),
                                     described(*entry), force);
        }
        // An allow comes before every block in the data path: a wider one does no harm.
        if (strength == allowed) {
            continue;
        }
        if (const Protected* entry = within(index, prefix)) {
            return fmt::format("it contains {}, {}{}", to_string(entry->prefix), described(*entry),
                               force);
        }
    }
    return std::nullopt;
}

std::vector<Prefix> ProtectedSet::blockable(const Prefix& prefix, Authority who) const
{
    const size_t family = prefix.is_ipv4() ? 0 : 1;
    bool cut = false;
    for (size_t s = never; s < strengths; s++) {
        const Index& index = indexes_[s][family];
        if (!holds(static_cast<Strength>(s), who)) {
            continue;
        }
        if (around(index, prefix) != nullptr) {
            return {};
        }
        cut = cut || within(index, prefix) != nullptr;
    }
    if (!cut) {
        return {prefix};
    }
    std::vector<Prefix> parts = blockable(half_of(prefix, false), who);
    const std::vector<Prefix> upper = blockable(half_of(prefix, true), who);
    parts.insert(parts.end(), upper.begin(), upper.end());
    return parts;
}

const std::vector<Protected>& metadata_services()
{
    struct Row {
        const char* address;
        const char* source;
    };
    // Of the documentation of each cloud. What resolvers and time servers they offer at
    // fixed addresses is here too: hosts use them without being told of them.
    static constexpr std::array services = {
        Row{"169.254.169.254", "AWS, Azure, Google, Oracle, OpenStack and others: metadata"},
        Row{"fd00:ec2::254", "AWS: metadata"},
        Row{"169.254.169.253", "AWS: resolver"},
        Row{"fd00:ec2::253", "AWS: resolver"},
        Row{"169.254.169.123", "AWS: time"},
        Row{"fd00:ec2::123", "AWS: time"},
        Row{"169.254.169.250", "AWS: licences (KMS)"},
        Row{"169.254.169.251", "AWS: licences (KMS)"},
        Row{"169.254.170.2", "AWS: ECS task metadata"},
        Row{"169.254.170.23", "AWS: EKS pod identity"},
        Row{"fd00:ec2::23", "AWS: EKS pod identity"},
        Row{"168.63.129.16", "Azure: agent, DHCP, resolver, health probes"},
        Row{"fd20:ce::254", "Google: metadata"},
        Row{"fe80::a9fe:a9fe", "OpenStack: metadata"},
        Row{"fd00:c1::a9fe:a9fe", "Oracle: metadata"},
        Row{"100.100.100.200", "Alibaba: metadata"},
        Row{"169.254.0.23", "Tencent: metadata"},
        Row{"169.254.42.42", "Scaleway: metadata"},
        Row{"fd00:42::42", "Scaleway: metadata"},
        Row{"fd00:a9fe:a9fe::1", "Akamai (Linode): metadata"},
    };
    static const std::vector<Protected> entries = [] {
        std::vector<Protected> all;
        for (const Row& row : services) {
            all.push_back({{*parse_address(row.address), 128}, Protection::METADATA, row.source});
        }
        return all;
    }();
    return entries;
}

ProtectedSet protect(std::vector<Protected> entries)
{
    const std::vector<Protected>& metadata = metadata_services();
    entries.insert(entries.end(), metadata.begin(), metadata.end());
    return ProtectedSet(std::move(entries));
}

std::vector<Protected> added_protection(const ProtectedSet& before, const ProtectedSet& now)
{
    std::vector<Protected> added;
    const auto less = [](const Protected& a, const Protected& b) {
        return std::tie(a.prefix, a.as) < std::tie(b.prefix, b.as);
    };
    std::set_difference(now.entries().begin(), now.entries().end(), before.entries().begin(),
                        before.entries().end(), std::back_inserter(added), less);
    // The same from several sources is one.
    added.erase(std::unique(added.begin(), added.end(),
                            [&less](const Protected& a, const Protected& b) {
                                return !less(a, b) && !less(b, a);
                            }),
                added.end());
    return added;
}

} // namespace xdpctl
