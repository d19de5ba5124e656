// SPDX-License-Identifier: Apache-2.0
#include "core/geo.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>

#include <xdpctl/abi/prefix_table.h>

namespace xdpctl
{

Result<std::string> parse_geo_code(std::string_view text)
{
    std::string code(text);
    std::transform(code.begin(), code.end(), code.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (code.size() == 2 && std::all_of(code.begin(), code.end(), is_letter)) {
        return code;
    }
    uint32_t number = 0;
    const char* end = code.data() + code.size();
    if (code.starts_with("AS") && code.size() > 2 && code[2] != '0' &&
        std::from_chars(code.data() + 2, end, number).ptr == end && number != 0 &&
        code == fmt::format("AS{}", number)) {
        return code;
    }
    return failure(ErrorKind::usage,
                   "'{}' is neither a country such as CN nor an AS number such as AS4134", text);
}

std::string to_string(const GeoRule& rule)
{
    std::string text;
    if (!rule.only.empty()) {
        text = fmt::format("only {}", fmt::join(rule.only, ", "));
    }
    if (!rule.closed.empty()) {
        text += fmt::format("{}closed {}", text.empty() ? "" : "; ", fmt::join(rule.closed, ", "));
    }
    return text.empty() ? "open" : text;
}

Result<> check_geo_rules(const GeoRules& rules)
{
    constexpr size_t most = XDPCTL_GEO_RULES - 1;
    if (rules.size() > most) {
        return failure(ErrorKind::refused, "more than {} ports have a rule", most);
    }
    const size_t codes = codes_of(rules).size();
    return codes > XDPCTL_GEO_CODES
               ? failure(ErrorKind::refused, "{} countries and AS numbers are named; {} can be",
                         codes, XDPCTL_GEO_CODES)
               : Result<>(Done{});
}

std::set<std::string> codes_of(const GeoRules& rules)
{
    std::set<std::string> codes;
    for (const auto& [port, rule] : rules) {
        codes.insert(rule.only.begin(), rule.only.end());
        codes.insert(rule.closed.begin(), rule.closed.end());
    }
    return codes;
}

Result<GeoBits> assign_bits(const GeoBits& before, const std::set<std::string>& codes)
{
    GeoBits bits;
    uint64_t used = 0;
    for (const auto& [code, bit] : before) {
        if (codes.contains(code)) {
            bits[code] = bit;
            used |= 1ULL << bit;
        }
    }
    for (const std::string& code : codes) {
        if (bits.contains(code)) {
            continue;
        }
        if (~used == 0) {
            return failure(ErrorKind::refused, "more than {} countries and AS numbers at once",
                           XDPCTL_GEO_CODES);
        }
        const auto bit = static_cast<unsigned>(__builtin_ctzll(~used));
        bits[code] = bit;
        used |= 1ULL << bit;
    }
    return bits;
}

uint64_t mask_of(const std::set<std::string>& codes, const GeoBits& bits)
{
    uint64_t mask = 0;
    for (const std::string& code : codes) {
        if (const auto found = bits.find(code); found != bits.end()) {
            mask |= 1ULL << found->second;
        }
    }
    return mask;
}

xdpctl_geo_rule compile_geo_rule(const GeoRule& rule, const GeoBits& bits)
{
    return {mask_of(rule.only, bits), mask_of(rule.closed, bits)};
}

std::set<std::string> codes_of(uint64_t mask, const GeoBits& bits)
{
    std::set<std::string> codes;
    for (const auto& [code, bit] : bits) {
        if ((mask >> bit & 1) != 0) {
            codes.insert(code);
        }
    }
    return codes;
}

bool admits(const xdpctl_geo_rule& rule, uint64_t codes)
{
    return (rule.only == 0 || (codes & rule.only) != 0) && (codes & rule.closed) == 0;
}

std::vector<GeoNetwork> overlay(std::vector<GeoNetwork> networks)
{
    // By family: ::/0 is before 0.0.0.0/0 and not around it.
    const auto key = [](const GeoNetwork& network) {
        return std::pair(network.prefix.is_ipv4(), network.prefix);
    };
    std::sort(networks.begin(), networks.end(),
              [&key](const GeoNetwork& a, const GeoNetwork& b) { return key(a) < key(b); });
    std::vector<GeoNetwork> out;
    std::vector<GeoNetwork> around; // the widest first
    for (auto at = networks.begin(); at != networks.end();) {
        GeoNetwork network = *at;
        for (; at != networks.end() && at->prefix == network.prefix; at++) {
            network.codes |= at->codes;
        }
        while (!around.empty() && !around.back().prefix.contains(network.prefix)) {
            around.pop_back();
        }
        const uint64_t inherited = around.empty() ? 0 : around.back().codes;
        network.codes |= inherited;
        if (network.codes != inherited) {
            out.push_back(network);
            around.push_back(network);
        }
    }
    return out;
}

uint64_t codes_at(std::span<const GeoNetwork> networks, const Address& address)
{
    uint64_t codes = 0; // inside come after those around them
    for (const GeoNetwork& network : networks) {
        codes = network.prefix.contains(address) ? network.codes : codes;
    }
    return codes;
}

} // namespace xdpctl
