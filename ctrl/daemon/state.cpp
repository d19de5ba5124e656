// SPDX-License-Identifier: Apache-2.0
#include "daemon/state.h"

#include <cstdio>

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/file.h"
#include "core/json.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

Result<Prefix> prefix_of(const json& value)
{
    if (!value.is_string()) {
        return failure("a prefix must be a string");
    }
    return parse_prefix(value.get_ref<const std::string&>());
}

Result<> decode_bans(const json& in, const char* member, std::vector<HandBan>& out)
{
    for (const json& row : in.value(member, json::array())) {
        if (!row.is_object()) {
            return failure("{} must hold objects", member);
        }
        auto prefix = prefix_of(row.value("prefix", json()));
        if (!prefix) {
            return prefix.error().in(member);
        }
        HandBan ban;
        ban.prefix = *prefix;
        if (const json until = row.value("until", json()); until.is_number_unsigned()) {
            ban.until_unix_s = until.get<uint64_t>();
        } else if (!until.is_null()) {
            return failure("{}: until must be a time in seconds", member);
        }
        const json origin = row.value("origin", json("operator"));
        const json reason = row.value("reason", json(""));
        const auto known = origin.is_string()
                               ? find_ban_origin(origin.get_ref<const std::string&>())
                               : std::nullopt;
        if (!known || !reason.is_string()) {
            return failure("{}: origin or reason is not understood", member);
        }
        ban.origin = *known;
        ban.forced = row.value("forced", json()) == true;
        ban.reason = BanReasons::clean(reason.get_ref<const std::string&>());
        out.push_back(ban);
    }
    return Done{};
}

// A JSON object with ports as names.
template <typename T, typename Decode>
Result<> decode_ports(const json& in, const char* member, std::map<uint16_t, T>& out, Decode decode)
{
    const json rows = in.value(member, json::object());
    if (!rows.is_object()) {
        return failure("{} must be an object", member);
    }
    for (const auto& [key, value] : rows.items()) {
        uint16_t port = 0;
        const auto [end, problem] = std::from_chars(key.data(), key.data() + key.size(), port);
        auto decoded = decode(value);
        if (problem != std::errc() || end != key.data() + key.size() || !decoded) {
            return failure("{}: '{}' is not understood", member, key);
        }
        out[port] = *decoded;
    }
    return Done{};
}

Result<> decode_sysctls(const json& in, const std::string& boot, HandState& state)
{
    const json sysctls = in.value("sysctls", json::object());
    if (!sysctls.is_object()) {
        return failure("sysctls must be an object");
    }
    for (const auto& [name, value] : sysctls.items()) {
        const json before = value.is_object() ? value.value("before", json()) : json();
        const json ours = value.is_object() ? value.value("ours", json()) : json();
        if (!before.is_string() || !ours.is_string()) {
            return failure("sysctls: {} must tell before and ours", name);
        }
        if (in.value("boot", json()) == boot) {
            state.sysctls[name] = {before.get<std::string>(), ours.get<std::string>()};
        }
    }
    return Done{};
}

Result<> decode_peaks(const json& in, HandState& state)
{
    const json peaks = in.value("peaks", json::object());
    if (!peaks.is_object()) {
        return failure("peaks must be an object");
    }
    for (size_t c = 0; c < state.peaks.size(); c++) {
        const std::string name(limit_class_name(c));
        const json peak = peaks.value(name, json::object());
        const json packets = peak.is_object() ? peak.value("packets_per_second", json(0U)) : json();
        const json bits = peak.is_object() ? peak.value("bits_per_second", json(0U)) : json();
        if (!packets.is_number_unsigned() || !bits.is_number_unsigned()) {
            return failure("peaks: {} must tell packets_per_second and bits_per_second", name);
        }
        state.peaks[c] = {packets.get<uint64_t>(), bits.get<uint64_t>()};
    }
    return Done{};
}

json prefixes_json(const std::vector<Prefix>& prefixes)
{
    json out = json::array();
    for (const Prefix& prefix : prefixes) {
        out.push_back(to_string(prefix));
    }
    return out;
}

Result<> decode_prefixes(const json& in, const char* key, std::vector<Prefix>& prefixes)
{
    for (const json& value : in.value(key, json::array())) {
        auto prefix = prefix_of(value);
        if (!prefix) {
            return prefix.error().in(key);
        }
        prefixes.push_back(*prefix);
    }
    return Done{};
}

Result<> decode_native_refusals(const json& in, HandState& state)
{
    const json refusals = in.value("native_refusals", json::object());
    if (!refusals.is_object()) {
        return failure("native_refusals must be an object");
    }
    for (const auto& [name, words] : refusals.items()) {
        if (!words.is_string()) {
            return failure("native_refusals: {} must have a text", name);
        }
        state.native_refusals[name] = words.get<std::string>();
    }
    return Done{};
}

Result<> decode_lists(const json& in, HandState& state)
{
    const json lists = in.value("lists", json::object());
    if (!lists.is_object()) {
        return failure("lists must be an object");
    }
    for (const auto& [name, number] : lists.items()) {
        if (!number.is_number_unsigned() || number.get<uint64_t>() >= XDPCTL_LIST_SLOTS) {
            return failure("lists: {} must have a number below {}", name, XDPCTL_LIST_SLOTS);
        }
        state.lists[name] = number.get<uint16_t>();
    }
    return Done{};
}

std::string boot_id()
{
    const auto text = read_file("/proc/sys/kernel/random/boot_id");
    return text ? *text : "";
}

Result<> decode_guards(const json& in, HandState& state)
{
    auto done = decode_ports(
        in, "guards", state.guards, [](const json& value) -> Result<xdpctl_guard_mode> {
            return value.is_string() ? parse_guard_mode(value.get_ref<const std::string&>())
                                     : failure("not a string");
        });
    if (!done) {
        return done;
    }
    done = decode_ports(in, "lockdown", state.lockdown, [](const json& value) -> Result<bool> {
        return value.is_boolean() ? Result<bool>(value.get<bool>()) : failure("not a boolean");
    });
    if (!done) {
        return done;
    }
    return Done{};
}

Result<> decode_ban_reasons(const json& in, HandState& state)
{
    std::vector<std::string> texts;
    for (const json& text : in.value("ban_reasons", json::array())) {
        if (!text.is_string()) {
            return failure("ban_reasons must be strings");
        }
        texts.push_back(BanReasons::clean(text.get_ref<const std::string&>()));
    }
    state.ban_reasons = BanReasons(std::move(texts));
    return Done{};
}

Result<std::set<std::string>> codes_in(const json& rule, const char* member)
{
    std::set<std::string> codes;
    for (const json& value : rule.value(member, json::array())) {
        auto code = value.is_string() ? parse_geo_code(value.get_ref<const std::string&>())
                                      : Result<std::string>(failure("not a string"));
        if (!code) {
            return code.error();
        }
        codes.insert(*code);
    }
    return codes;
}

Result<> decode_geo(const json& in, HandState& state)
{
    const json bits = in.value("geo_bits", json::object());
    if (!bits.is_object()) {
        return failure("geo_bits must be an object");
    }
    std::set<unsigned> taken;
    for (const auto& [code, bit] : bits.items()) {
        if (!parse_geo_code(code) || !bit.is_number_unsigned() || bit >= XDPCTL_GEO_CODES ||
            !taken.insert(bit.get<unsigned>()).second) {
            return failure("geo_bits: {} is not understood", code);
        }
        state.geo_bits[code] = bit.get<unsigned>();
    }
    return decode_ports(in, "geo", state.geo, [](const json& value) -> Result<GeoRule> {
        if (!value.is_object()) {
            return failure("not an object");
        }
        auto only = codes_in(value, "only");
        auto closed = codes_in(value, "closed");
        return !only     ? Result<GeoRule>(only.error())
               : !closed ? Result<GeoRule>(closed.error())
                         : GeoRule{*only, *closed};
    });
}

json bans_json(const std::vector<HandBan>& bans)
{
    json rows = json::array();
    for (const HandBan& ban : bans) {
        rows.push_back({{"prefix", to_string(ban.prefix)},
                        {"origin", ban_origin_name(ban.origin)},
                        {"reason", ban.reason},
                        {"forced", ban.forced},
                        {"until", ban.until_unix_s ? json(*ban.until_unix_s) : json()}});
    }
    return rows;
}

} // namespace

std::string encode_state(const HandState& state, const std::string& boot)
{
    json out = {{"version", 1},
                {"saved", state.saved_unix_s},
                {"allow", prefixes_json(state.allow)},
                {"trusted", prefixes_json(state.trusted)}};
    if (state.mode) {
        out["mode"] = to_string(*state.mode);
    }
    out["prefix_bans"] = bans_json(state.prefix_bans);
    out["shared_bans"] = bans_json(state.shared_bans);
    out["guards"] = json::object();
    for (const auto& [port, mode] : state.guards) {
        out["guards"][std::to_string(port)] = to_string(mode);
    }
    out["lockdown"] = json::object();
    for (const auto& [port, on] : state.lockdown) {
        out["lockdown"][std::to_string(port)] = on;
    }
    out["ban_reasons"] = state.ban_reasons.texts();
    out["geo"] = json::object();
    for (const auto& [port, rule] : state.geo) {
        out["geo"][std::to_string(port)] = {{"only", rule.only}, {"closed", rule.closed}};
    }
    out["geo_bits"] = state.geo_bits;
    out["boot"] = boot;
    out["sysctls"] = json::object();
    for (const auto& [name, changed] : state.sysctls) {
        out["sysctls"][name] = {{"before", changed.before}, {"ours", changed.ours}};
    }
    out["lists"] = state.lists;
    out["native_refusals"] = state.native_refusals;
    for (size_t c = 0; c < state.peaks.size(); c++) {
        out["peaks"][std::string(limit_class_name(c))] = {
            {"packets_per_second", state.peaks[c].packets_per_second},
            {"bits_per_second", state.peaks[c].bits_per_second}};
    }
    return out.dump(2) + "\n";
}

Result<HandState> decode_state(const std::string& text, const std::string& boot)
{
    const auto parsed = parse_json_bounded(text);
    if (!parsed || !parsed->is_object() || parsed->value("version", json()) != 1) {
        return failure("not a state file of version 1");
    }
    const json& in = *parsed;
    HandState state;
    if (const json saved = in.value("saved", json(0U)); saved.is_number_unsigned()) {
        state.saved_unix_s = saved.get<uint64_t>();
    } else {
        return failure("saved must be a time in seconds");
    }
    if (const json mode = in.value("mode", json()); mode.is_string()) {
        auto parsed = parse_mode(mode.get_ref<const std::string&>());
        if (!parsed) {
            return parsed.error();
        }
        state.mode = *parsed;
    }
    if (auto done = decode_prefixes(in, "allow", state.allow); !done) {
        return done.error();
    }
    if (auto done = decode_prefixes(in, "trusted", state.trusted); !done) {
        return done.error();
    }
    if (auto done = decode_bans(in, "prefix_bans", state.prefix_bans); !done) {
        return done.error();
    }
    if (auto done = decode_bans(in, "shared_bans", state.shared_bans); !done) {
        return done.error();
    }
    if (auto done = decode_guards(in, state); !done) {
        return done.error();
    }
    if (auto done = decode_ban_reasons(in, state); !done) {
        return done.error();
    }
    if (auto done = decode_geo(in, state); !done) {
        return done.error();
    }
    if (auto done = decode_sysctls(in, boot, state); !done) {
        return done.error();
    }
    if (auto done = decode_peaks(in, state); !done) {
        return done.error();
    }
    if (auto done = decode_native_refusals(in, state); !done) {
        return done.error();
    }
    if (auto done = decode_lists(in, state); !done) {
        return done.error();
    }
    return state;
}

StateFile::Loaded StateFile::load()
{
    constexpr std::string_view lost =
        "what was set by hand is not known, and the configuration alone holds";
    const auto text = read_file(path());
    if (!text && text.error().kind == ErrorKind::not_found) {
        return {};
    }
    if (!text) {
        unreadable_ = true;
        return {{}, fmt::format("{}: {}", lost, text.error().message)};
    }
    auto state = decode_state(*text, boot_id());
    if (state) {
        return {std::move(*state), ""};
    }
    const std::string kept = path() + ".bad";
    const bool moved = std::rename(path().c_str(), kept.c_str()) == 0;
    unreadable_ = !moved;
    return {{},
            fmt::format("{}: {}: {}; {}", lost, path(), state.error().message,
                        moved ? "it is kept as state.json.bad" : "it cannot be put aside")};
}

Result<> StateFile::save(const HandState& state) const
{
    const std::lock_guard lock(*writing_);
    if (unreadable_) {
        return failure("{}: it could not be read at the start, and is not written over", path());
    }
    if (auto made = make_directories(directory_); !made) {
        return made;
    }
    HandState saved = state;
    saved.saved_unix_s = time_or_saved(unix_s(), state.saved_unix_s);
    return write_file_atomic(path(), encode_state(saved, boot_id()));
}

} // namespace xdpctl
