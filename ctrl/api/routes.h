// SPDX-License-Identifier: Apache-2.0
// The table of the API: method, path, verb. Printed by GET /v1.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/control.h"

namespace xdpctl
{

struct ApiRequest {
    std::string body;
    std::function<std::string(const char* name)> query; // "" where absent
    Caller caller = Caller::member;
};

struct ApiResponse {
    int status = 200;
    std::string body; // JSON
};

struct Route {
    std::string method; // GET, POST, PUT, DELETE
    std::string path;   // below the socket, "/v1/..."
    std::string does;
    std::function<ApiResponse(Control&, const ApiRequest&)> handle;
};

const std::vector<Route>& routes();

} // namespace xdpctl
