// SPDX-License-Identifier: Apache-2.0
// Requests to the handlers of a daemon, one a line: "PUT /v1/mode {"mode": "enforce"}". A line
// that names no route goes to one that its bytes choose. "member" in front: of the socket's group.
#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "api/codec.h"
#include "api/routes.h"
#include "base/file.h"
#include "base/hash.h"
#include "daemon/state.h"
#include "fuzz/fake_daemon.h"

namespace
{

using namespace xdpctl;

constexpr size_t requests_most = 32;

// Takes the name of the route off the line.
const Route& route_of(std::string_view& line)
{
    for (const Route& route : routes()) {
        const std::string named = route.method + " " + route.path;
        if (line.starts_with(named) && (line.size() == named.size() || line[named.size()] == ' ')) {
            line.remove_prefix(std::min(named.size() + 1, line.size()));
            return route;
        }
    }
    return routes()[hash_bytes(line) % routes().size()];
}

void check_answer(const Route& route, const ApiResponse& response)
{
    const auto body = nlohmann::json::parse(response.body, nullptr, false);
    if (!body.is_object() || response.status < 200 || response.status > 599 ||
        (response.status != 200) != body.contains("error")) {
        fmt::print(stderr, "{} {}: {} {}\n", route.method, route.path, response.status,
                   response.body);
        std::abort();
    }
}

void ask(Control& control, std::string_view line)
{
    constexpr std::string_view of_member = "member ";
    const bool is_member = line.starts_with(of_member);
    line.remove_prefix(is_member ? of_member.size() : 0);
    const Route& route = route_of(line);
    const std::string rest(line);
    check_answer(route, route.handle(control, {rest, [&rest](const char*) { return rest; },
                                               is_member ? Caller::member : Caller::root}));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    std::string_view text(reinterpret_cast<const char*>(data), size);
    testing::FakeDaemon daemon;
    for (size_t i = 0; i < requests_most && !text.empty(); i++) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        ask(daemon.control(), line);
        daemon.pass_time(ns_per_s);
    }
    // What was saved can be read at the next start.
    const auto saved = read_file(testing::FakeDaemon::directory() + "/state.json");
    if (saved) {
        if (const auto state = decode_state(*saved); !state) {
            fmt::print(stderr, "{}\n{}\n", state.error().message, *saved);
            std::abort();
        }
    }
    return 0;
}
