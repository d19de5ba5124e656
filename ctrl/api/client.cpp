// SPDX-License-Identifier: Apache-2.0
#include "api/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <httplib.h>

#include "api/codec.h"

namespace xdpctl
{

using nlohmann::json;

Result<json> ApiClient::send(const char* method, const std::string& path,
                             const std::string& body) const
{
    httplib::Client client(socket_path_);
    client.set_address_family(AF_UNIX);
    client.set_connection_timeout(3);
    client.set_read_timeout(10);
    httplib::Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.set_header("Content-Type", "application/json");
    request.set_header("Host", "xdpctl");
    const auto response = client.send(request);
    if (!response) {
        const bool forbidden =
            access(socket_path_.c_str(), F_OK) == 0 && access(socket_path_.c_str(), W_OK) != 0;
        return forbidden
                   ? failure(ErrorKind::permission,
                             "no permission for {}: run as root or join its group", socket_path_)
                   : failure(ErrorKind::unreachable,
                             "xdpctld does not answer at {}: is it running? (systemctl status "
                             "xdpctld)",
                             socket_path_);
    }
    json answer = json::parse(response->body, nullptr, false);
    if (answer.is_discarded()) {
        return failure("{} {}: the answer is not JSON", method, path);
    }
    if (response->status != 200) {
        const json error = answer.value("error", json::object());
        return Error{kind_from_name(error.value("kind", "failed")),
                     error.value("message", fmt::format("HTTP status {}", response->status))};
    }
    if (warn_ && answer.is_object() && answer.value("not_saved", json()).is_string()) {
        warn_("in force, but lost at the next boot: " + answer["not_saved"].get<std::string>());
    }
    return answer;
}

Result<json> ApiClient::get(const std::string& path) const
{
    return send("GET", path, "");
}

Result<json> ApiClient::post(const std::string& path, const json& body) const
{
    return send("POST", path, to_text(body));
}

Result<json> ApiClient::put(const std::string& path, const json& body) const
{
    return send("PUT", path, to_text(body));
}

Result<json> ApiClient::remove(const std::string& path, const json& body) const
{
    return send("DELETE", path, to_text(body));
}

} // namespace xdpctl
