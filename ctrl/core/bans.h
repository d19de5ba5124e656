// SPDX-License-Identifier: Apache-2.0
// Who may be banned, and for how long.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <xdpctl/abi/maps.h>

#include "core/prefix.h"
#include "core/protected.h"
#include "core/units.h"

namespace xdpctl
{

inline constexpr std::array<std::string_view, XDPCTL_BAN_ORIGIN_COUNT> ban_origin_names = {
#define XDPCTL_BAN_ORIGIN_NAME(id, name, text) name,
    XDPCTL_BAN_ORIGINS(XDPCTL_BAN_ORIGIN_NAME)
#undef XDPCTL_BAN_ORIGIN_NAME
};
std::string_view ban_origin_name(uint32_t origin);
std::optional<xdpctl_ban_origin> find_ban_origin(std::string_view name);
// With what authority one of this origin stands; `forced`: with --force.
Authority authority_of(uint32_t origin, bool forced);
Authority authority_of(const xdpctl_ban& ban);

// Why somebody was banned, as told by whoever banned. The tables hold numbers.
class BanReasons
{
  public:
    static constexpr size_t text_most = 100; // bytes
    // What is too long is cut; what is not printable becomes '?'.
    static std::string clean(std::string_view text);

    BanReasons() = default;
    explicit BanReasons(std::vector<std::string> texts) : texts_(std::move(texts)) {}
    // A number for the cleaned text. Where there are too many, those that are not in use
    // give way, else it is 0.
    uint32_t number_of(std::string_view text, const std::function<std::set<uint32_t>()>& in_use);
    std::string text_of(uint32_t number) const; // "" for 0 and what is not known
    uint32_t find(std::string_view text) const; // 0: it has no number
    const std::vector<std::string>& texts() const { return texts_; }

    bool operator==(const BanReasons&) const = default;

  private:
    static constexpr size_t texts_most = 1000;
    std::vector<std::string> texts_; // number 1 first
};

using BanTable = std::unordered_map<Address, xdpctl_ban, AddressHash>;

// Offences that are still remembered: one is forgiven for every hour that passed since the
// ban ended.
inline constexpr uint64_t strike_decay_ns = 3600 * ns_per_s;
uint32_t strikes_left(const xdpctl_ban& ban, uint64_t now_ns);

// True once the ban is over and nothing of it is remembered.
bool is_forgotten(const xdpctl_ban& ban, uint64_t now_ns);

} // namespace xdpctl
