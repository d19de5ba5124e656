// SPDX-License-Identifier: Apache-2.0
// JSON of the API, version 1. Pure. Numbers are base units (ns become seconds),
// addresses are text; every object that leaves carries schema_version.
#pragma once

#include <nlohmann/json.hpp>

#include "api/control.h"

namespace xdpctl
{

inline constexpr int schema_version = 1;

nlohmann::json to_json(const Status& status);
nlohmann::json stats_to_json(const Snapshot& snapshot);
nlohmann::json guards_to_json(const Snapshot& snapshot);
nlohmann::json to_json(const TopLists& top);
nlohmann::json to_json(const std::vector<LogEvent>& events);
// As text: a million bans as JSON values take a gigabyte.
std::string to_text(const std::vector<BanInfo>& bans);
nlohmann::json to_json(const BanResult& result);
// `name`: of the list.
nlohmann::json to_json(const std::vector<AllowInfo>& allowed, const char* name);
nlohmann::json to_json(const Control::Applied& applied);
nlohmann::json to_json(const Control::Checked& checked);
nlohmann::json to_json(const PanicEnd& end);
nlohmann::json to_json(const Attachment& attachment);
nlohmann::json feeds_to_json(const std::vector<FeedStatus>& feeds);
nlohmann::json to_json(const GeoStatus& geo);
// False where it is missing or anything else than true.
bool parse_flag(const std::string& body, const char* member);
nlohmann::json to_json(const Explanation& explanation, uint64_t now_ns);
nlohmann::json to_json(const Error& error);

// Text of any JSON, also where a string in it is not UTF-8. indent < 0: one line.
std::string to_text(const nlohmann::json& value, int indent = -1);

std::string_view kind_name(ErrorKind kind);
ErrorKind kind_from_name(std::string_view name);
int http_status(ErrorKind kind);

// {"entries": ["192.0.2.1", ...], "ttl": "1h", "source": "fail2ban", "reason": "sshd"}; a wrong
// element is named by position.
struct PrefixRequest {
    std::vector<Prefix> prefixes;
    std::optional<uint64_t> ttl_ns;
    std::optional<xdpctl_ban_origin> origin;
    std::string reason;
    bool force = false;
    std::vector<BanWish> wishes() const;
};
Result<PrefixRequest> parse_prefix_request(const std::string& body);
// The "source", "reason" and one of "entries": [PREFIX...], "inside": PREFIX and "all": true that
// name what is lifted; at least one of them.
Result<BanFilter> parse_lift_request(const std::string& body);
// {"port": 443, "mode": "on"} or {"port": 443, "lockdown": true}; null: as configured.
struct GuardRequest {
    uint16_t port = 0;
    std::optional<xdpctl_guard_mode> mode;
    std::optional<bool> lockdown;
};
Result<GuardRequest> parse_guard_request(const std::string& body, const char* member);

// {"port": 443, "rule": {"only": ["CN"], "closed": ["AS64500"]}}; null: as configured.
struct GeoRequest {
    uint16_t port = 0;
    std::optional<GeoRule> rule;
};
Result<GeoRequest> parse_geo_request(const std::string& body);

// A member that must be a string.
Result<std::string> parse_string_member(const std::string& body, const char* member);
Result<Bytes> parse_hex(std::string_view text);
std::string to_hex(std::span<const uint8_t> bytes);

} // namespace xdpctl
