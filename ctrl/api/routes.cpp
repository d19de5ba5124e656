// SPDX-License-Identifier: Apache-2.0
#include "api/routes.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <climits>

#include "api/codec.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

ApiResponse reply(const json& body)
{
    return {200, to_text(body)};
}

ApiResponse reply(const Error& error)
{
    return {http_status(error.kind), to_text(to_json(error))};
}

template <typename T, typename Encode> ApiResponse reply(const Result<T>& result, Encode encode)
{
    return result ? reply(encode(*result)) : reply(result.error());
}

// What every change is answered with: where it is lost at the next boot, also why.
json changed(Control& control, json answer)
{
    if (const std::string why = control.not_saved(); !why.empty()) {
        answer["not_saved"] = why;
    }
    answer["schema_version"] = schema_version;
    return answer;
}

json counted(Control& control, const char* what, size_t count)
{
    return changed(control, {{what, count}});
}

json acknowledged(Control& control)
{
    return changed(control, {{"ok", true}});
}

ApiResponse get_events(Control& control, const ApiRequest& request)
{
    uint64_t since = 0;
    const std::string text = request.query("since");
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), since);
    if (!text.empty() && (problem != std::errc() || end != text.data() + text.size())) {
        return reply(failure(ErrorKind::usage, "since: must be a sequence number"));
    }
    return reply(to_json(control.events(since)));
}

// Body with prefixes -> verb.
template <typename Verb> ApiResponse with_prefixes(const ApiRequest& request, Verb verb)
{
    auto parsed = parse_prefix_request(request.body);
    return parsed ? verb(*parsed) : reply(parsed.error());
}

template <typename Verb>
ApiResponse with_string(const ApiRequest& request, const char* member, Verb verb)
{
    auto text = parse_string_member(request.body, member);
    return text ? verb(*text) : reply(text.error());
}

template <typename Verb>
ApiResponse with_guard(Control& control, const ApiRequest& request, const char* member, Verb verb)
{
    auto parsed = parse_guard_request(request.body, member);
    return parsed ? reply(verb(*parsed), [&control](Done) { return acknowledged(control); })
                  : reply(parsed.error());
}

// It is written to the log.
bool is_one_line(std::string_view name)
{
    return name.size() <= PATH_MAX &&
           std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c); });
}

// Body {"config": TOML, "name": what to call it in errors}.
template <typename Verb> ApiResponse with_config(const ApiRequest& request, Verb verb)
{
    return with_string(request, "config", [&](const std::string& toml) {
        return with_string(request, "name", [&](const std::string& name) {
            return is_one_line(name)
                       ? verb(toml, name)
                       : reply(failure(ErrorKind::usage, "name: must be one line of text"));
        });
    });
}

ApiResponse spare(Control& control, const ApiRequest& request, Spared list)
{
    return with_prefixes(request, [&](const PrefixRequest& p) {
        return reply(control.allow(list, p.prefixes, parse_flag(request.body, "force")),
                     [&control](size_t n) { return counted(control, "added", n); });
    });
}

ApiResponse unspare(Control& control, const ApiRequest& request, Spared list)
{
    return with_prefixes(request, [&](const PrefixRequest& p) {
        return reply(control.disallow(list, p.prefixes),
                     [&control](size_t n) { return counted(control, "removed", n); });
    });
}

ApiResponse put_mode(Control& control, const ApiRequest& request)
{
    return with_string(request, "mode", [&](const std::string& text) {
        auto mode = parse_mode(text);
        if (!mode) {
            return reply(mode.error());
        }
        return reply(control.set_mode(*mode), [&control](Done) { return acknowledged(control); });
    });
}

ApiResponse post_explain(Control& control, const ApiRequest& request)
{
    return with_string(request, "frame", [&](const std::string& hex) {
        auto frame = parse_hex(hex);
        if (!frame) {
            return reply(frame.error().in("frame"));
        }
        const uint64_t now = control.status()->snapshot->time_ns;
        return reply(control.explain(*frame),
                     [now](const Explanation& explanation) { return to_json(explanation, now); });
    });
}

ApiResponse get_index(Control&, const ApiRequest&)
{
    json rows = json::array();
    for (const Route& route : routes()) {
        rows.push_back({{"method", route.method}, {"path", route.path}, {"does", route.does}});
    }
    return reply({{"routes", rows}, {"schema_version", schema_version}});
}

} // namespace

const std::vector<Route>& routes()
{
    static const std::vector<Route> table = {
        {"GET", "/v1", "lists these routes", get_index},
        {"GET", "/v1/status", "what runs, where, and the totals",
         [](Control& c, const ApiRequest&) { return reply(to_json(*c.status())); }},
        {"GET", "/v1/stats", "packets by device, family, disposition and reason",
         [](Control& c, const ApiRequest&) { return reply(stats_to_json(*c.status()->snapshot)); }},
        {"GET", "/v1/top", "busiest clients and most dropped sources",
         [](Control& c, const ApiRequest&) { return reply(to_json(c.top(top_clients))); }},
        {"GET", "/v1/events", "events after ?since=SEQUENCE", get_events},
        {"GET", "/v1/bans", "bans in force",
         [](Control& c, const ApiRequest&) {
             const auto bans = c.bans();
             return bans ? ApiResponse{200, to_text(*bans)} : reply(bans.error());
         }},
        {"POST", "/v1/bans",
         R"(adds {"entries": [PREFIX...], "ttl": DURATION?, "source": NAME?, "reason": TEXT?, "force": BOOLEAN?})",
         [](Control& c, const ApiRequest& r) {
             return with_prefixes(r, [&c](const PrefixRequest& p) {
                 return reply(
                     c.ban(p.wishes(), p.origin.value_or(XDPCTL_BAN_OPERATOR)),
                     [&c](const BanResult& result) { return changed(c, to_json(result)); });
             });
         }},
        {"DELETE", "/v1/bans",
         R"(lifts {"entries": [PREFIX...]?, "inside": PREFIX?, "all": true?, "source": NAME?, "reason": TEXT?})",
         [](Control& c, const ApiRequest& r) {
             const auto filter = parse_lift_request(r.body);
             return filter ? reply(c.lift(*filter),
                                   [&c](size_t n) { return counted(c, "removed", n); })
                           : reply(filter.error());
         }},
        {"GET", "/v1/allow", "the allow list",
         [](Control& c, const ApiRequest&) {
             return reply(to_json(c.status()->allowed, "allow"));
         }},
        {"POST", "/v1/allow", R"(adds {"entries": [PREFIX...], "force": BOOLEAN?})",
         [](Control& c, const ApiRequest& r) { return spare(c, r, Spared::allowed); }},
        {"DELETE", "/v1/allow", R"(removes {"entries": [PREFIX...]})",
         [](Control& c, const ApiRequest& r) { return unspare(c, r, Spared::allowed); }},
        {"GET", "/v1/trusted", "whom no list blocks",
         [](Control& c, const ApiRequest&) {
             return reply(to_json(c.status()->trusted, "trusted"));
         }},
        {"POST", "/v1/trusted", R"(adds {"entries": [PREFIX...], "force": BOOLEAN?})",
         [](Control& c, const ApiRequest& r) { return spare(c, r, Spared::trusted); }},
        {"DELETE", "/v1/trusted", R"(removes {"entries": [PREFIX...]})",
         [](Control& c, const ApiRequest& r) { return unspare(c, r, Spared::trusted); }},
        {"PUT", "/v1/mode", R"(sets {"mode": "monitor" or "enforce"})", put_mode},
        {"GET", "/v1/guard", "the SYN guard of every service",
         [](Control& c, const ApiRequest&) {
             return reply(guards_to_json(*c.status()->snapshot));
         }},
        {"PUT", "/v1/guard", R"(sets {"port": PORT, "mode": MODE or null})",
         [](Control& c, const ApiRequest& r) {
             return with_guard(c, r, "mode",
                               [&c](const GuardRequest& g) { return c.set_guard(g.port, g.mode); });
         }},
        {"PUT", "/v1/lockdown", R"(sets {"port": PORT, "lockdown": BOOLEAN or null})",
         [](Control& c, const ApiRequest& r) {
             return with_guard(c, r, "lockdown", [&c](const GuardRequest& g) {
                 return c.set_lockdown(g.port, g.lockdown);
             });
         }},
        {"POST", "/v1/attach", R"(attaches {"interface": NAME})",
         [](Control& c, const ApiRequest& r) {
             return with_string(r, "interface", [&c](const std::string& name) {
                 return reply(c.attach(name), [](const Attachment& attachment) {
                     json body = to_json(attachment);
                     body["schema_version"] = schema_version;
                     return body;
                 });
             });
         }},
        {"POST", "/v1/detach", R"(detaches {"interface": NAME})",
         [](Control& c, const ApiRequest& r) {
             return with_string(r, "interface", [&c](const std::string& name) {
                 return reply(c.detach(name), [&c](bool was_attached) {
                     json body = acknowledged(c);
                     body["was_attached"] = was_attached;
                     return body;
                 });
             });
         }},
        {"POST", "/v1/panic/end", "attaches what panic freed, and judges packets again",
         [](Control& c, const ApiRequest&) {
             return reply(c.end_panic(), [](const PanicEnd& end) { return to_json(end); });
         }},
        {"POST", "/v1/check", R"(says what apply would of {"config": TOML, "name": NAME})",
         [](Control& c, const ApiRequest& r) {
             return with_config(r, [&](const std::string& toml, const std::string& name) {
                 return reply(c.check(toml, name, r.caller),
                              [](const Control::Checked& checked) { return to_json(checked); });
             });
         }},
        {"POST", "/v1/diff", R"(compares what runs with {"config": TOML, "name": NAME})",
         [](Control& c, const ApiRequest& r) {
             return with_config(r, [&](const std::string& toml, const std::string& name) {
                 return reply(
                     c.diff(toml, name, r.caller), [](const std::vector<std::string>& lines) {
                         return json{{"changes", lines}, {"schema_version", schema_version}};
                     });
             });
         }},
        {"POST", "/v1/apply", R"(makes {"config": TOML, "name": NAME} what runs)",
         [](Control& c, const ApiRequest& r) {
             return with_config(r, [&](const std::string& toml, const std::string& name) {
                 return reply(c.apply(toml, name, r.caller),
                              [](const Control::Applied& applied) { return to_json(applied); });
             });
         }},
        {"POST", "/v1/reload", "reads the daemon's own configuration file again",
         [](Control& c, const ApiRequest&) {
             return reply(c.reload(),
                          [](const Control::Applied& applied) { return to_json(applied); });
         }},
        {"GET", "/v1/feeds", "block lists of others: entries, age, what was refused",
         [](Control& c, const ApiRequest&) { return reply(feeds_to_json(c.status()->feeds)); }},
        {"POST", "/v1/feeds/refresh", R"(fetches {"name": NAME, "force": BOOLEAN?} at once)",
         [](Control& c, const ApiRequest& r) {
             return with_string(r, "name", [&](const std::string& name) {
                 return reply(c.refresh_feed(name, parse_flag(r.body, "force")),
                              [&c](Done) { return acknowledged(c); });
             });
         }},
        {"GET", "/v1/geo", "services that are for some countries or AS numbers only",
         [](Control& c, const ApiRequest&) { return reply(to_json(c.status()->geo)); }},
        {"PUT", "/v1/geo",
         R"(sets {"port": PORT, "rule": {"only": [CODE...], "closed": [CODE...]} or null, "force": BOOLEAN?})",
         [](Control& c, const ApiRequest& r) {
             const auto parsed = parse_geo_request(r.body);
             return parsed
                        ? reply(c.set_geo(parsed->port, parsed->rule, parse_flag(r.body, "force")),
                                [&c](Done) { return acknowledged(c); })
                        : reply(parsed.error());
         }},
        {"POST", "/v1/explain", R"(judges {"frame": HEX} without a trace)", post_explain},
    };
    return table;
}

} // namespace xdpctl
