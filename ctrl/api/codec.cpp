// SPDX-License-Identifier: Apache-2.0
#include "api/codec.h"

#include <arpa/inet.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/frame.h"
#include "core/json.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

struct KindRow {
    ErrorKind kind;
    std::string_view name;
    int http;
};

constexpr std::array kinds = {KindRow{ErrorKind::failed, "failed", 500},
                              KindRow{ErrorKind::usage, "usage", 400},
                              KindRow{ErrorKind::unreachable, "unreachable", 503},
                              KindRow{ErrorKind::not_found, "not_found", 404},
                              KindRow{ErrorKind::permission, "permission", 403},
                              KindRow{ErrorKind::invalid_config, "invalid_config", 422},
                              KindRow{ErrorKind::refused, "refused", 409},
                              KindRow{ErrorKind::unreadable, "unreadable", 422}};

double seconds(uint64_t ns)
{
    return static_cast<double>(ns) / 1e9;
}

json versioned(json object)
{
    object["schema_version"] = schema_version;
    return object;
}

json traffic_json(const Traffic& traffic)
{
    return {{"packets", traffic.packets},
            {"bytes", traffic.bytes},
            {"packets_per_second", traffic.packets_per_second},
            {"bits_per_second", traffic.bits_per_second}};
}

json totals_json(const Snapshot& snapshot)
{
    json totals = {{"received", traffic_json(snapshot.received)}};
    for (const OutcomeInfo& outcome : outcomes) {
        totals[std::string(outcome.name)] = traffic_json(snapshot.of(outcome.id));
    }
    return totals;
}

// enum xdp_action of <linux/bpf.h>
std::string_view action_name(uint32_t action)
{
    return action == XDP_DROP ? "drop" : action == XDP_TX ? "answer" : "pass";
}

json guard_json(const GuardStatus& guard)
{
    return {{"port", guard.port},
            {"mode", to_string(guard.mode)},
            {"by_hand", guard.by_hand},
            {"lockdown", guard.lockdown},
            {"state", to_string(guard.state)},
            {"attacked", guard.attacked},
            {"attacked_seconds", seconds(guard.attacked_for_ns)},
            {"cookies_off_seconds",
             guard.cookies_off_ns ? json(seconds(*guard.cookies_off_ns)) : json()},
            {"cookies_off_why", to_string(guard.doubt)},
            {"overloaded", guard.overloaded},
            {"capacity", guard.capacity},
            {"pending", guard.pending},
            {"attacks", guard.attacks},
            {"syns", guard.syns},
            {"cookies_sent", guard.cookies},
            {"cookies_accepted", guard.accepted},
            {"rejected", guard.rejected},
            {"limited", guard.limited},
            {"misrouted", guard.misrouted},
            {"established", guard.established}};
}

Result<json> parse_object(const std::string& body)
{
    auto parsed = parse_json_bounded(body);
    if (!parsed && parsed.error().kind == ErrorKind::refused) {
        return failure(ErrorKind::usage, "the request body is {}", parsed.error().message);
    }
    if (!parsed || !parsed->is_object()) {
        return failure(ErrorKind::usage, "the request body must be a JSON object");
    }
    return parsed;
}

} // namespace

std::string to_text(const json& value, int indent)
{
    return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

std::string_view kind_name(ErrorKind kind)
{
    const auto* row = std::find_if(kinds.begin(), kinds.end(),
                                   [kind](const KindRow& k) { return k.kind == kind; });
    return row == kinds.end() ? "failed" : row->name;
}

ErrorKind kind_from_name(std::string_view name)
{
    const auto* row = std::find_if(kinds.begin(), kinds.end(),
                                   [name](const KindRow& k) { return k.name == name; });
    return row == kinds.end() ? ErrorKind::failed : row->kind;
}

int http_status(ErrorKind kind)
{
    const auto* row = std::find_if(kinds.begin(), kinds.end(),
                                   [kind](const KindRow& k) { return k.kind == kind; });
    return row == kinds.end() ? 500 : row->http;
}

json to_json(const Error& error)
{
    return versioned({{"error", {{"kind", kind_name(error.kind)}, {"message", error.message}}}});
}

json to_json(const Attachment& attachment)
{
    json out = {{"name", attachment.interface},
                {"ifindex", attachment.ifindex},
                {"xdp", attachment.native ? "native" : "generic"},
                {"shared", attachment.shared}};
    if (!attachment.native_refusal.empty()) {
        out["native_refusal"] = attachment.native_refusal;
    }
    return out;
}

namespace
{

json lists_json(const std::vector<ListStatus>& lists)
{
    json rows = json::array();
    for (const ListStatus& list : lists) {
        rows.push_back({{"name", list.name},
                        {"ipv4", list.prefixes[0]},
                        {"ipv6", list.prefixes[1]},
                        {"packets", list.met.packets},
                        {"bytes", list.met.bytes}});
    }
    return rows;
}

json limits_json(const Limits& limits, const Peaks& peaks)
{
    json rows = json::array();
    for (size_t c = 0; c < limits.size(); c++) {
        json row = {{"class", limit_class_name(c)},
                    {"peak",
                     {{"packets_per_second", peaks[c].packets_per_second},
                      {"bits_per_second", peaks[c].bits_per_second}}},
                    {"levels", json::array()}};
        for (size_t level = 0; level < limits[c].size(); level++) {
            const Limit& limit = limits[c][level];
            row["levels"].push_back({{"level", limit_level_name(level)},
                                     {"packets_per_second", limit.rate.packets_per_second},
                                     {"bits_per_second", limit.rate.bits_per_second},
                                     {"origin", to_string(limit.origin)}});
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

} // namespace

json feeds_to_json(const std::vector<FeedStatus>& feeds)
{
    json rows = json::array();
    for (const FeedStatus& feed : feeds) {
        rows.push_back({{"name", feed.name},
                        {"url", feed.url},
                        {"ipv4", feed.prefixes[0]},
                        {"ipv6", feed.prefixes[1]},
                        {"not_understood", feed.faults},
                        {"too_wide", feed.too_wide},
                        {"protected", feed.protected_here},
                        {"first_refused", feed.refused},
                        {"fetched", feed.fetched_unix_s ? json(*feed.fetched_unix_s) : json()},
                        {"read_seconds", seconds(feed.read_ns)},
                        {"apply_seconds", seconds(feed.apply_ns)},
                        {"due_in_seconds", seconds(feed.due_in_ns)},
                        {"problem", feed.problem},
                        {"stale", feed.stale},
                        {"dropped_packets", feed.met.packets},
                        {"dropped_bytes", feed.met.bytes}});
    }
    return versioned({{"feeds", rows}});
}

namespace
{

json protected_json(const ProtectedSet& protected_set)
{
    json rows = json::array();
    for (const Protected& entry : protected_set.entries()) {
        rows.push_back({{"prefix", to_string(entry.prefix)},
                        {"kind", name_of(entry.as)},
                        {"text", text_of(entry.as)},
                        {"source", entry.source},
                        {"observed", entry.observed}});
    }
    return rows;
}

json crowdsec_json(const CrowdSecStatus& status)
{
    return {{"url", status.url},
            {"answered", status.answered_unix_s ? json(*status.answered_unix_s) : json()},
            {"stale", status.stale},
            {"problem", status.problem},
            {"bans", status.decisions},
            {"refused", status.refused},
            {"passed_over", status.passed_over},
            {"not_understood", status.faults},
            {"first_not_understood", status.first_fault},
            {"answers", status.answers},
            {"failures", status.failures}};
}

} // namespace

namespace
{

json conditions_json(const std::vector<ActiveCondition>& active)
{
    json rows = json::array();
    for (const ActiveCondition& condition : active) {
        const ConditionInfo& info = condition_info(condition.id);
        rows.push_back({{"name", info.name},
                        {"severity", to_string(info.severity)},
                        {"text", condition.text},
                        {"since", static_cast<double>(condition.since_unix_ms) / 1000}});
    }
    return rows;
}

} // namespace

json to_json(const Status& status)
{
    const Snapshot& snapshot = *status.snapshot;
    json interfaces = json::array();
    for (const Attachment& attachment : status.attachments) {
        interfaces.push_back(to_json(attachment));
    }
    json services = json::array();
    for (const Service& service : status.services) {
        services.push_back(to_string(service));
    }
    json warnings = json::array(); // the texts of the conditions
    for (const ActiveCondition& condition : status.conditions) {
        warnings.push_back(condition.text);
    }
    json maps = json::object();
    for (const MapUsage& map : snapshot.maps) {
        maps[map.name] = {{"entries", map.entries}, {"max_entries", map.max_entries}};
    }
    return versioned(
        {{"version", status.version},
         {"uptime_seconds", seconds(status.uptime_ns)},
         {"longest_hold_seconds", seconds(status.longest_hold_ns)},
         {"mode", to_string(status.mode)},
         {"mode_overridden", status.mode_overridden},
         {"panic", status.bypass},
         {"generation", status.generation},
         {"config",
          {{"path", status.config_path}, {"ok", status.config_ok}, {"error", status.config_error}}},
         {"interfaces", interfaces},
         {"wanted_interfaces", status.wanted_interfaces},
         {"missing_interfaces", status.missing_interfaces},
         {"conntrack",
          {{"entries", status.conntrack_entries}, {"max_entries", status.conntrack_max_entries}}},
         {"services", services},
         {"guards", guards_to_json(snapshot)["guards"]},
         {"limits", limits_json(status.limits, status.peaks)},
         {"feeds", feeds_to_json(status.feeds)["feeds"]},
         {"crowdsec", status.crowdsec ? crowdsec_json(*status.crowdsec) : json()},
         {"lists", lists_json(status.lists)},
         {"list_bytes", status.list_bytes},
         {"allow_prefixes", status.allowed.size()},
         {"trusted_prefixes", status.trusted.size()},
         {"block_prefixes", status.block_prefixes},
         {"bans",
          {{"active", snapshot.bans.active_total()},
           {"remembered", snapshot.bans.remembered},
           {"max", status.max_bans}}},
         {"maps", maps},
         {"events_lost", snapshot.events_lost},
         {"traffic", totals_json(snapshot)},
         {"protected", protected_json(*status.protected_set)},
         {"conditions", conditions_json(status.conditions)},
         {"warnings", warnings}});
}

json stats_to_json(const Snapshot& snapshot)
{
    json rows = json::array();
    for (const DeviceSnapshot& device : snapshot.devices) {
        for (size_t f = 0; f < XDPCTL_FAMILY_COUNT; f++) {
            for (size_t d = 0; d < XDPCTL_DISPOSITION_COUNT; d++) {
                for (const ReasonInfo& reason : reasons) {
                    const xdpctl_cell& cell = device.counters.cells[f][d][reason.id];
                    if (cell.packets == 0) {
                        continue;
                    }
                    rows.push_back({{"device", device.name},
                                    {"family", family_names[f]},
                                    {"disposition", outcome_of(d, reason.verdict).name},
                                    {"reason", reason.name},
                                    {"packets", cell.packets},
                                    {"bytes", cell.bytes}});
                }
            }
        }
    }
    json by_reason = json::array();
    for (size_t d = 0; d < XDPCTL_DISPOSITION_COUNT; d++) {
        for (const ReasonInfo& reason : reasons) {
            const Traffic& traffic = snapshot.by_reason[d][reason.id];
            if (traffic.packets == 0) {
                continue;
            }
            json row = traffic_json(traffic);
            row["reason"] = reason.name;
            row["stage"] = stages[reason.stage].name;
            row["disposition"] = outcome_of(d, reason.verdict).name;
            row["text"] = reason.text;
            by_reason.push_back(row);
        }
    }
    return versioned({{"totals", totals_json(snapshot)},
                      {"by_reason", by_reason},
                      {"counters", rows},
                      {"events_lost", snapshot.events_lost}});
}

json guards_to_json(const Snapshot& snapshot)
{
    json rows = json::array();
    for (const GuardStatus& guard : snapshot.guards) {
        rows.push_back(guard_json(guard));
    }
    return versioned({{"guards", rows}});
}

json to_json(const TopLists& top)
{
    json clients = json::array();
    for (const Talker& talker : top.clients) {
        clients.push_back({{"source", to_string(talker.source)},
                           {"packets_per_second", talker.packets_per_second},
                           {"connections", talker.connections},
                           {"packets", talker.packets}});
    }
    json dropped = json::array();
    for (const DroppedSource& source : top.dropped) {
        dropped.push_back({{"source", to_string(source.source)},
                           {"reason", reason_info(source.reason).name},
                           {"share", source.share},
                           {"samples", source.samples}});
    }
    return versioned({{"clients", clients}, {"dropped", dropped}});
}

namespace
{

json packet_json(const xdpctl_event& event)
{
    json packet = {{"reason", reason_info(event.judgement.reason).name},
                   {"action", action_name(event.judgement.action)},
                   {"verdict", verdict_names[reason_info(event.judgement.reason).verdict]},
                   {"family", family_names[event.judgement.family]},
                   {"session", session_names[event.judgement.session]},
                   {"source", to_string(Address::from_abi(event.src))},
                   {"destination", to_string(Address::from_abi(event.dst))},
                   {"protocol", protocol_name(event.protocol)},
                   {"generation", event.judgement.generation},
                   {"ifindex", event.ifindex},
                   {"frame_bytes", event.frame_bytes},
                   {"bytes", to_hex({event.bytes, event.captured_bytes})}};
    if (event.judgement.session != XDPCTL_SESSION_UNKNOWN) {
        packet["source_port"] = ntohs(event.sport);
        packet["destination_port"] = ntohs(event.dport);
    }
    return packet;
}

} // namespace

json to_json(const std::vector<LogEvent>& events)
{
    json rows = json::array();
    for (const LogEvent& event : events) {
        json row = {{"sequence", event.sequence},
                    {"time", static_cast<double>(event.unix_ms) / 1000},
                    {"kind", event.kind},
                    {"text", event.text}};
        if (event.packet) {
            row["packet"] = packet_json(*event.packet);
        }
        rows.push_back(row);
    }
    return versioned({{"events", rows}});
}

std::string to_text(const std::vector<BanInfo>& bans)
{
    std::string text = R"({"bans":[)";
    text.reserve(bans.size() * 128 + 64);
    for (const BanInfo& ban : bans) {
        json row = {{"prefix", to_string(ban.prefix)},
                    {"origin", ban.origin},
                    {"reason", ban.reason},
                    {"strikes", ban.strikes}};
        row["remaining_seconds"] = ban.remaining_ns ? json(seconds(*ban.remaining_ns)) : json();
        row["hits"] = ban.hits ? json(*ban.hits) : json();
        text += (text.ends_with('[') ? "" : ",") + to_text(row);
    }
    return fmt::format(R"({}],"schema_version":{}}})", text, schema_version);
}

json to_json(const BanResult& result)
{
    json refused = json::array();
    for (const Refusal& refusal : result.refused) {
        refused.push_back({{"prefix", to_string(refusal.prefix)}, {"why", refusal.why}});
    }
    return versioned({{"added", result.added}, {"refused", refused}});
}

json to_json(const std::vector<AllowInfo>& allowed, const char* name)
{
    json rows = json::array();
    for (const auto& info : allowed) {
        rows.push_back({{"prefix", to_string(info.prefix)},
                        {"origin", info.from_config ? "config" : "operator"}});
    }
    return versioned({{name, rows}});
}

json to_json(const Control::Applied& applied)
{
    return versioned({{"changes", applied.changes}, {"warnings", applied.warnings}});
}

json to_json(const Control::Checked& checked)
{
    return versioned({{"ok", true}, {"warnings", checked.warnings}});
}

json to_json(const PanicEnd& end)
{
    json attached = json::array();
    for (const Attachment& attachment : end.attached) {
        attached.push_back(to_json(attachment));
    }
    json failed = json::array();
    for (const PanicEnd::Failed& one : end.failed) {
        failed.push_back({{"name", one.interface}, {"why", one.why}});
    }
    return versioned({{"attached", attached}, {"failed", failed}, {"recorded", end.recorded}});
}

json to_json(const GeoStatus& geo)
{
    json services = json::array();
    for (const GeoStatus::Service& service : geo.services) {
        services.push_back({{"port", service.port},
                            {"only", service.rule.only},
                            {"closed", service.rule.closed},
                            {"by_hand", service.by_hand}});
    }
    json databases = json::array();
    for (const GeoFile& file : geo.databases) {
        databases.push_back(
            {{"path", file.path}, {"type", file.type}, {"built", file.built_unix_s}});
    }
    return {{"services", services},
            {"databases", databases},
            {"networks", geo.networks},
            {"in_force", !geo.suspended},
            {"problem", geo.problem},
            {"refused_packets", geo.refused.packets},
            {"schema_version", schema_version}};
}

json to_json(const Explanation& explanation, uint64_t now_ns)
{
    const xdpctl_judgement& judgement = explanation.judgement;
    const ReasonInfo& reason = reason_info(judgement.reason);
    json result = {{"reason", reason.name},
                   {"text", reason.text},
                   {"stage", stages[reason.stage].name},
                   {"verdict", verdict_names[reason.verdict]},
                   {"action", action_name(judgement.action)},
                   {"family", family_names[judgement.family]},
                   {"session", session_names[judgement.session]},
                   {"known_client", judgement.known_client == 1},
                   {"generation", judgement.generation}};
    result["list"] = explanation.list.empty() ? json() : json(explanation.list);
    result["lists"] = json::array();
    for (const Explanation::Stand& stand : explanation.stands) {
        result["lists"].push_back(
            {{"list", stand.list}, {"prefix", to_string(stand.prefix)}, {"why", stand.why}});
    }
    result["source_codes"] = explanation.source_codes;
    if (judgement.deadline_ns > now_ns && judgement.deadline_ns != XDPCTL_NO_DEADLINE) {
        result["remaining_seconds"] = seconds(judgement.deadline_ns - now_ns);
    }
    json path = json::array();
    for (const StageInfo& stage : stages) {
        const std::string_view outcome = stage.id < reason.stage    ? "next"
                                         : stage.id == reason.stage ? reason.name
                                                                    : "not reached";
        path.push_back({{"stage", stage.name}, {"question", stage.question}, {"outcome", outcome}});
    }
    result["path"] = path;
    return versioned(result);
}

bool parse_flag(const std::string& body, const char* member)
{
    const auto object = parse_object(body);
    return object && object->value(member, json()) == true;
}

namespace
{

Result<uint16_t> port_of(const json& object)
{
    const auto port = object.find("port");
    if (port == object.end() || !port->is_number_unsigned() || *port < 1 || *port >= XDPCTL_PORTS) {
        return failure(ErrorKind::usage, "port: must be a number from 1 to {}", XDPCTL_PORTS - 1);
    }
    return port->get<uint16_t>();
}

} // namespace

std::vector<BanWish> PrefixRequest::wishes() const
{
    std::vector<BanWish> all;
    for (const Prefix& prefix : prefixes) {
        all.push_back({prefix, ttl_ns, reason, force});
    }
    return all;
}

namespace
{

Result<std::vector<Prefix>> prefixes_in(const json& object)
{
    const auto entries = object.find("entries");
    if (entries == object.end() || !entries->is_array() || entries->empty()) {
        return failure(ErrorKind::usage, "entries: must be an array of at least one prefix");
    }
    std::vector<Prefix> prefixes;
    for (size_t i = 0; i < entries->size(); i++) {
        const json& entry = (*entries)[i];
        if (!entry.is_string()) {
            return failure(ErrorKind::usage, "entries[{}]: must be a string", i);
        }
        auto prefix = parse_prefix(entry.get_ref<const std::string&>());
        if (!prefix) {
            return prefix.error().in(fmt::format("entries[{}]", i));
        }
        prefixes.push_back(*prefix);
    }
    return prefixes;
}

Result<std::optional<xdpctl_ban_origin>> origin_in(const json& object)
{
    const auto source = object.find("source");
    if (source == object.end()) {
        return std::optional<xdpctl_ban_origin>();
    }
    const auto origin =
        source->is_string() ? find_ban_origin(source->get_ref<const std::string&>()) : std::nullopt;
    return origin ? Result<std::optional<xdpctl_ban_origin>>(origin)
                  : failure(ErrorKind::usage, "source: must be one of {}",
                            fmt::join(ban_origin_names, ", "));
}

Result<std::string> reason_in(const json& object)
{
    const json reason = object.value("reason", json(""));
    return reason.is_string() &&
                   reason.get_ref<const std::string&>().size() <= BanReasons::text_most
               ? Result<std::string>(reason.get<std::string>())
               : failure(ErrorKind::usage, "reason: must be a string of at most {} bytes",
                         BanReasons::text_most);
}

} // namespace

Result<BanFilter> parse_lift_request(const std::string& body)
{
    const auto object = parse_object(body);
    if (!object) {
        return object.error();
    }
    const auto origin = origin_in(*object);
    const auto reason = reason_in(*object);
    if (!origin || !reason) {
        return !origin ? origin.error() : reason.error();
    }
    BanFilter filter{{}, {}, *origin, {}};
    if (object->contains("reason")) {
        filter.reason = BanReasons::clean(*reason);
    }
    const bool all = object->value("all", json()) == true;
    const auto inside = object->find("inside");
    const bool has_entries = object->contains("entries");
    const bool has_inside = inside != object->end();
    const int named = (all ? 1 : 0) + (has_entries ? 1 : 0) + (has_inside ? 1 : 0);
    if (named > 1 || (named == 0 && !filter.origin && !filter.reason)) {
        return failure(ErrorKind::usage, "which bans: one of entries, inside and all, or a source "
                                         "or reason");
    }
    if (has_entries) {
        auto prefixes = prefixes_in(*object);
        if (!prefixes) {
            return prefixes.error();
        }
        filter.prefixes = std::move(*prefixes);
    }
    if (has_inside) {
        auto prefix = inside->is_string()
                          ? parse_prefix(inside->get_ref<const std::string&>())
                          : Result<Prefix>(failure(ErrorKind::usage, "must be a string"));
        if (!prefix) {
            return prefix.error().in("inside");
        }
        filter.inside = *prefix;
    }
    return filter;
}

Result<PrefixRequest> parse_prefix_request(const std::string& body)
{
    auto object = parse_object(body);
    if (!object) {
        return object.error();
    }
    auto prefixes = prefixes_in(*object);
    if (!prefixes) {
        return prefixes.error();
    }
    PrefixRequest request;
    request.prefixes = std::move(*prefixes);
    if (const auto ttl = object->find("ttl"); ttl != object->end()) {
        auto parsed =
            ttl->is_string()
                ? parse_duration(ttl->get_ref<const std::string&>())
                : Result<uint64_t>(failure(ErrorKind::usage, "must be a string such as 1h"));
        if (!parsed) {
            return parsed.error().in("ttl");
        }
        if (*parsed == 0) {
            return failure(ErrorKind::usage, "ttl: must be longer than 0");
        }
        request.ttl_ns = *parsed;
    }
    request.force = object->value("force", json()) == true;
    const auto origin = origin_in(*object);
    const auto reason = reason_in(*object);
    if (!origin || !reason) {
        return !origin ? origin.error() : reason.error();
    }
    request.origin = *origin;
    request.reason = *reason;
    return request;
}

Result<GuardRequest> parse_guard_request(const std::string& body, const char* member)
{
    auto object = parse_object(body);
    if (!object) {
        return object.error();
    }
    const auto port = port_of(*object);
    if (!port) {
        return port.error();
    }
    const auto value = object->find(member);
    if (value == object->end()) {
        return failure(ErrorKind::usage, "{}: is missing; null means as configured", member);
    }
    GuardRequest request{.port = *port, .mode = {}, .lockdown = {}};
    if (value->is_string() && std::string_view(member) == "mode") {
        auto mode = parse_guard_mode(value->get_ref<const std::string&>());
        if (!mode) {
            return mode.error();
        }
        request.mode = *mode;
    } else if (value->is_boolean() && std::string_view(member) == "lockdown") {
        request.lockdown = value->get<bool>();
    } else if (!value->is_null()) {
        return failure(ErrorKind::usage, "{}: is of the wrong type", member);
    }
    return request;
}

Result<GeoRequest> parse_geo_request(const std::string& body)
{
    auto object = parse_object(body);
    if (!object) {
        return object.error();
    }
    const auto port = port_of(*object);
    if (!port) {
        return port.error();
    }
    const auto value = object->find("rule");
    if (value == object->end() || !(value->is_null() || value->is_object())) {
        return failure(ErrorKind::usage, "rule: must be an object; null means as configured");
    }
    if (value->is_null()) {
        return GeoRequest{*port, std::nullopt};
    }
    GeoRule rule;
    for (const auto& [member, codes] : {std::pair("only", &rule.only), {"closed", &rule.closed}}) {
        const json list = value->value(member, json::array());
        if (!list.is_array()) {
            return failure(ErrorKind::usage, "rule.{}: must be an array", member);
        }
        for (const json& element : list) {
            auto code = element.is_string()
                            ? parse_geo_code(element.get_ref<const std::string&>())
                            : Result<std::string>(failure(ErrorKind::usage, "must hold strings"));
            if (!code) {
                return code.error().in(fmt::format("rule.{}", member));
            }
            codes->insert(*code);
        }
    }
    return GeoRequest{*port, rule};
}

Result<std::string> parse_string_member(const std::string& body, const char* member)
{
    auto object = parse_object(body);
    if (!object) {
        return object.error();
    }
    const auto value = object->find(member);
    if (value == object->end() || !value->is_string()) {
        return failure(ErrorKind::usage, "{}: must be a string", member);
    }
    return value->get<std::string>();
}

Result<Bytes> parse_hex(std::string_view text)
{
    Bytes bytes;
    std::string digits;
    for (const char c : text) {
        if (c == ' ' || c == ':' || c == '\n') {
            continue;
        }
        digits += c;
        if (digits.size() == 2) {
            uint8_t value = 0;
            const auto [end, problem] =
                std::from_chars(digits.data(), digits.data() + 2, value, 16);
            if (problem != std::errc() || end != digits.data() + 2) {
                return failure(ErrorKind::usage, "'{}' at byte {} is not hexadecimal", digits,
                               bytes.size());
            }
            bytes.push_back(value);
            digits.clear();
        }
    }
    if (!digits.empty()) {
        return failure(ErrorKind::usage, "an odd number of hexadecimal digits");
    }
    return bytes;
}

std::string to_hex(std::span<const uint8_t> bytes)
{
    std::string text;
    for (const uint8_t byte : bytes) {
        text += fmt::format("{:02x}", byte);
    }
    return text;
}

} // namespace xdpctl
