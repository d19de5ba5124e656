// SPDX-License-Identifier: Apache-2.0
#include "daemon/geo_sets.h"

#include <sys/stat.h>

#include <algorithm>

namespace xdpctl
{
namespace
{

std::string stamp_of(const std::vector<std::string>& paths)
{
    std::string stamp;
    for (const std::string& path : paths) {
        struct stat about {
        };
        const bool there = stat(path.c_str(), &about) == 0;
        stamp += there ? fmt::format("{} {} {}.{} {};", about.st_dev, about.st_ino,
                                     about.st_mtim.tv_sec, about.st_mtim.tv_nsec, about.st_size)
                       : "none;";
    }
    return stamp;
}

bool has_all(const GeoBits& bits, const std::set<std::string>& codes)
{
    return std::all_of(codes.begin(), codes.end(),
                       [&bits](const std::string& code) { return bits.contains(code); });
}

} // namespace

GeoSets::Source GeoSets::files()
{
    return {read_geo, stamp_of};
}

std::map<uint16_t, xdpctl_geo_rule> GeoSets::Plan::rules() const
{
    std::map<uint16_t, xdpctl_geo_rule> compiled;
    if (!suspended) {
        for (const auto& [port, rule] : wanted.services) {
            compiled[port] = compile_geo_rule(rule, bits);
        }
    }
    return compiled;
}

Result<GeoSets::Plan> GeoSets::read(const GeoConfig& wanted, const GeoBits& bits,
                                    bool lenient) const
{
    Plan plan{wanted, false, bits, nullptr, source_.stamp(wanted.databases), ""};
    auto data = source_.read(wanted.databases, bits);
    if (!data) {
        return data.error();
    }
    std::set<std::string> missing;
    for (const std::string& code : codes_of(wanted.services)) {
        if ((data->found >> bits.at(code) & 1) == 0) {
            missing.insert(code);
        }
    }
    if (!missing.empty()) {
        plan.missing =
            fmt::format("{} {} nowhere in {}", fmt::join(missing, ", "),
                        missing.size() == 1 ? "is" : "are", fmt::join(wanted.databases, ", "));
        // A rule for nobody would shut its service.
        const bool shut = std::any_of(
            wanted.services.begin(), wanted.services.end(), [&missing](const auto& entry) {
                const auto& only = entry.second.only;
                return !only.empty() &&
                       std::includes(missing.begin(), missing.end(), only.begin(), only.end());
            });
        if (!lenient || shut) {
            return failure(ErrorKind::not_found, "{}", plan.missing);
        }
    }
    plan.data = std::make_shared<const GeoData>(std::move(*data));
    return plan;
}

Result<GeoSets::Plan> GeoSets::plan_leniently(const GeoConfig& wanted)
{
    auto planned = plan(wanted, true);
    if (planned) {
        problem_ = planned->missing;
    }
    return planned;
}

Result<GeoSets::Plan> GeoSets::plan(const GeoConfig& wanted, bool lenient)
{
    if (suspended_ == wanted) {
        return Plan{wanted, true, {}, std::make_shared<const GeoData>(), seen_, ""};
    }
    if (wanted.services.empty()) {
        return Plan{wanted, false, current_.bits, current_.data, current_.stamp, ""};
    }
    if (auto checked = check_geo_rules(wanted.services); !checked) {
        return checked.error();
    }
    std::set<std::string> codes = codes_of(wanted.services);
    for (const Plan* known : {&current_, &last_}) {
        if (known->wanted.databases == wanted.databases && has_all(known->bits, codes) &&
            !known->suspended && !known->stamp.empty()) {
            Plan plan = *known;
            plan.wanted = wanted;
            return plan;
        }
    }
    if (wanted.databases.empty()) {
        return failure(ErrorKind::refused,
                       "geo.databases is empty: nothing says where addresses are");
    }
    // Rules that are in force keep their bits until those that follow are.
    codes.merge(codes_of(current_.wanted.services));
    auto bits = assign_bits(current_.bits, codes);
    if (!bits) {
        return bits.error();
    }
    auto plan = read(wanted, *bits, lenient);
    if (plan) {
        last_ = *plan;
    }
    return plan;
}

void GeoSets::suspend(const GeoConfig& wanted, std::string why)
{
    suspended_ = wanted;
    problem_ = std::move(why);
    seen_ = source_.stamp(wanted.databases);
}

void GeoSets::keep(Plan plan)
{
    if (!plan.suspended) {
        suspended_.reset();
        if (plan.data != current_.data || current_.suspended) { // else what failed since holds
            problem_ = plan.missing;
            seen_ = plan.stamp;
        }
    }
    current_ = std::move(plan);
    last_ = {};
}

GeoSets::Plan GeoSets::shrunk() const
{
    Plan plan = current_;
    const std::set<std::string> codes = codes_of(plan.wanted.services);
    std::erase_if(plan.bits, [&codes](const auto& bit) { return !codes.contains(bit.first); });
    if (plan.bits.size() == current_.bits.size()) {
        return plan;
    }
    const uint64_t mask = mask_of(codes, plan.bits);
    GeoData data = *plan.data;
    for (GeoNetwork& network : data.networks) {
        network.codes &= mask;
    }
    data.networks = overlay(std::move(data.networks));
    plan.data = std::make_shared<const GeoData>(std::move(data));
    return plan;
}

bool GeoSets::is_stale() const
{
    const GeoConfig& wanted = suspended_ ? *suspended_ : current_.wanted;
    return !wanted.services.empty() && stamp_now() != seen_;
}

Result<GeoSets::Plan> GeoSets::read_again() const
{
    const GeoConfig& wanted = suspended_ ? *suspended_ : current_.wanted;
    const auto bits = assign_bits(current_.bits, codes_of(wanted.services));
    return bits ? read(wanted, *bits, true) : bits.error();
}

std::string GeoSets::stamp_now() const
{
    return source_.stamp((suspended_ ? *suspended_ : current_.wanted).databases);
}

void GeoSets::failed(std::string why, std::string stamp)
{
    problem_ = std::move(why);
    seen_ = std::move(stamp);
}

ListContent content_of(const GeoData& data)
{
    ListContent content{XDPCTL_LIST_GEO, XDPCTL_PREFIX_GEO, {}};
    content.prefixes.reserve(data.networks.size());
    for (const GeoNetwork& network : data.networks) {
        content.prefixes.push_back({network.prefix, XDPCTL_NO_DEADLINE, network.codes});
    }
    return content;
}

} // namespace xdpctl
