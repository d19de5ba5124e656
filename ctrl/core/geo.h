// SPDX-License-Identifier: Apache-2.0
// Services that are for some countries or AS numbers only. A code is "CN" (ISO 3166-1
// alpha-2) or "AS4134".
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <xdpctl/abi/policy.h>

#include "core/prefix.h"

namespace xdpctl
{

struct GeoRule {
    std::set<std::string> only;   // empty: all; else who has none of them is refused
    std::set<std::string> closed; // who has one of them is refused

    bool operator==(const GeoRule&) const = default;
};
using GeoRules = std::map<uint16_t, GeoRule>; // by port, of TCP and UDP

struct GeoConfig {
    std::vector<std::string> databases; // absolute paths, MaxMind's format
    GeoRules services;

    bool operator==(const GeoConfig&) const = default;
};

// In capitals.
Result<std::string> parse_geo_code(std::string_view text);
// "only CN, HK; closed AS64500"
std::string to_string(const GeoRule& rule);
Result<> check_geo_rules(const GeoRules& rules);
std::set<std::string> codes_of(const GeoRules& rules);

// Which bit of xdpctl_leaf.codes a code has.
using GeoBits = std::map<std::string, unsigned>;
// Codes that had a bit keep it; an error where there are more than XDPCTL_GEO_CODES.
Result<GeoBits> assign_bits(const GeoBits& before, const std::set<std::string>& codes);
uint64_t mask_of(const std::set<std::string>& codes, const GeoBits& bits);
xdpctl_geo_rule compile_geo_rule(const GeoRule& rule, const GeoBits& bits);
std::set<std::string> codes_of(uint64_t mask, const GeoBits& bits);
bool admits(const xdpctl_geo_rule& rule, uint64_t codes);

// A database that was read.
struct GeoFile {
    std::string path;
    std::string type; // as it calls itself: "GeoLite2-Country"
    uint64_t built_unix_s = 0;
};

struct GeoNetwork {
    Prefix prefix;
    uint64_t codes = 0; // by GeoBits

    bool operator==(const GeoNetwork&) const = default;
};
// One over the other: each network has what those around it have too. Sorted.
std::vector<GeoNetwork> overlay(std::vector<GeoNetwork> networks);
// Of an overlay.
uint64_t codes_at(std::span<const GeoNetwork> networks, const Address& address);

} // namespace xdpctl
