// SPDX-License-Identifier: Apache-2.0
#include "core/policy.h"

#include <algorithm>
#include <cstring>

#include <xdpctl/abi/maps.h>

#include "core/units.h"

namespace xdpctl
{
namespace
{

uint64_t interval_of(uint32_t per_second)
{
    return per_second > 0 ? ns_per_s / per_second : 0;
}

// A listener of backlog 5 is no reason to call six clients an attack.
constexpr uint32_t capacity_least = 16;

void compile_services(const PolicySpec& spec, xdpctl_policy& policy)
{
    for (const ServiceSpec& service : spec.host.services) {
        policy.services[service.slot] = {
            .admit_interval_ns = interval_of(spec.admit_per_second),
            .capacity = std::max(service.capacity, capacity_least),
            .port = service.port,
            .guard = static_cast<uint8_t>(service.guard),
            .lockdown = static_cast<uint8_t>(service.lockdown ? 1 : 0),
        };
        if (service.present) {
            policy.service_of_port[service.port] = service.slot;
        }
    }
    policy.syn_prefix_interval_ns = interval_of(spec.syn_prefix_per_second);
    policy.syn_service_interval_ns = interval_of(spec.syn_service_per_second);
    policy.host = spec.host.flags;
    policy.rmem_max = spec.host.rmem_max;
    policy.mss_most = UINT32_MAX;
    for (const uint32_t most : {spec.mss_most, spec.host.mss_most}) {
        if (most > 0) {
            policy.mss_most = std::min(policy.mss_most, most);
        }
    }
}

void add_port(xdpctl_port_set& set, uint16_t port)
{
    set.word[port / 64] |= 1ULL << port % 64;
}

void compile_volumetric(const PolicySpec& spec, xdpctl_policy& policy)
{
    for (const auto& [ipv6, port] : spec.host.udp_services) {
        add_port(policy.udp_services[ipv6 ? XDPCTL_IPV6 : XDPCTL_IPV4], port);
    }
    for (const auto& ports : {spec.udp_services, spec.host.udp_ports}) {
        for (const uint16_t port : ports) {
            add_port(policy.udp_services[XDPCTL_IPV4], port);
            add_port(policy.udp_services[XDPCTL_IPV6], port);
        }
    }
    for (const auto& ports : {spec.tcp_services, spec.host.tcp_ports}) {
        for (const uint16_t port : ports) {
            add_port(policy.tcp_services, port);
        }
    }
    policy.ephemeral_least = spec.host.ephemeral_least;
    std::ranges::copy(spec.host.reassembly_room, policy.reassembly_room);
    policy.stray_interval_ns = interval_of(spec.strays_per_second);
    policy.stray_prefix_interval_ns = interval_of(spec.strays_prefix_per_second);
    for (const uint16_t port : spec.reflectors) {
        add_port(policy.reflectors, port);
    }
    policy.tunnels = spec.tunnels;
    for (const auto& [protocol, action] : spec.protocols) {
        policy.protocols[protocol] = static_cast<uint8_t>(action);
    }
    for (size_t c = 0; c < spec.host.limits.size(); c++) {
        for (size_t level = 0; level < spec.host.limits[c].size(); level++) {
            policy.limits[c][level] = compile_limit(spec.host.limits[c][level].rate, c);
        }
    }
}

// Ports with the same rule share it.
void compile_geo(const PolicySpec& spec, xdpctl_policy& policy)
{
    std::map<std::pair<uint64_t, uint64_t>, uint8_t> rules;
    for (const auto& [port, rule] : spec.geo) {
        const auto next = static_cast<uint8_t>(rules.size() + 1);
        const auto [known, fresh] = rules.try_emplace({rule.only, rule.closed}, next);
        policy.geo_rules[known->second] = rule;
        policy.geo_rule_of_port[port] = known->second;
    }
}

std::vector<ListEntry> for_ever(const std::vector<Prefix>& prefixes)
{
    std::vector<ListEntry> entries;
    entries.reserve(prefixes.size());
    for (const Prefix& prefix : prefixes) {
        entries.push_back({prefix, XDPCTL_NO_DEADLINE});
    }
    return entries;
}

} // namespace

PolicySpec policy_of(const Config& config)
{
    PolicySpec spec;
    spec.mode = config.mode;
    spec.allow = config.allow;
    spec.trusted = config.trusted;
    spec.block = for_ever(config.block);
    spec.observed_reasons = config.observed_reasons;
    spec.samples_per_second = config.samples_per_second;
    spec.admit_per_second = config.guard.admit_per_second;
    spec.syn_prefix_per_second = config.guard.syn_prefix_per_second;
    spec.syn_service_per_second = config.guard.syn_service_per_second;
    spec.reflectors = reflectors_of(config.reflectors);
    spec.protocols = config.protocols;
    spec.tunnels = config.tunnels;
    spec.udp_services = config.udp_services;
    spec.tcp_services = config.tcp_services;
    spec.mss_most = config.guard.mss;
    spec.strays_per_second = config.strays.per_second;
    spec.strays_prefix_per_second = config.strays.prefix_per_second;
    return spec;
}

CompiledPolicy compile_policy(const PolicySpec& spec, uint32_t cpus)
{
    CompiledPolicy compiled{};
    std::memset(&compiled.policy, 0, sizeof(compiled.policy)); // compared as bytes, with its gaps
    compiled.lists = {{XDPCTL_LIST_ALLOW, XDPCTL_PREFIX_ALLOW, for_ever(spec.allow)},
                      {XDPCTL_LIST_TRUSTED, XDPCTL_PREFIX_TRUST, for_ever(spec.trusted)},
                      {XDPCTL_LIST_BLOCK, XDPCTL_PREFIX_BLOCK, spec.block},
                      {XDPCTL_LIST_BANS, XDPCTL_PREFIX_BLOCK, spec.bans}};
    compiled.policy.observed_reasons = spec.observed_reasons;
    compiled.policy.mode = spec.mode;
    compile_services(spec, compiled.policy);
    compile_volumetric(spec, compiled.policy);
    compile_geo(spec, compiled.policy);
    if (spec.samples_per_second > 0) {
        compiled.policy.sample_interval_ns = ns_per_s * cpus / spec.samples_per_second;
    }
    return compiled;
}

} // namespace xdpctl
