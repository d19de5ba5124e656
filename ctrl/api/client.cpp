// SPDX-License-Identifier: Apache-2.0
#include "api/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include <httplib.h>

#include "api/codec.h"
#include "base/clock.h"
#include "base/fd.h"
#include "core/units.h"

namespace xdpctl
{

using nlohmann::json;

namespace
{

constexpr int question_seconds = 10;
constexpr int change_seconds = 60; // a million bans, a large database
constexpr int connect_seconds = 3;

// A daemon that closes the connection is an error here, not the end of this program. What the
// program prints to keeps its signal.
class NoBrokenPipe
{
  public:
    NoBrokenPipe()
    {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoBrokenPipe()
    {
        const timespec now{};
        while (sigtimedwait(&pipe_, nullptr, &now) > 0) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoBrokenPipe(const NoBrokenPipe&) = delete;
    NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

  private:
    sigset_t pipe_{};
    sigset_t before_{};
};

// Why a connection cannot be made, as errno; 0: it can.
int connection_problem(const std::string& path)
{
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return ENAMETOOLONG;
    }
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? 0
                                                                                          : errno;
}

Error not_connected(const std::string& path, int code)
{
    switch (code) {
    case EACCES:
    case EPERM:
        return failure(ErrorKind::permission, "no permission for {}: run as root or join its group",
                       path);
    case EAGAIN:
    case 0: // a moment later
        return failure(ErrorKind::unreachable,
                       "xdpctld is busy: for {} s no connection to {} was free", connect_seconds,
                       path);
    default:
        return failure(ErrorKind::unreachable,
                       "xdpctld does not answer at {}: is it running? (systemctl status xdpctld)",
                       path);
    }
}

// After it was connected. A change may have been made all the same.
Error not_answered(const std::string& path, bool timed_out, int seconds, bool changes)
{
    const char* unknown =
        changes ? ". Whether the change was made is not known: look before you repeat it" : "";
    return timed_out ? failure(ErrorKind::unreachable,
                               "xdpctld took the request at {} and gave no answer within {} s: it "
                               "is busy or it hangs{}",
                               path, seconds, unknown)
                     : failure(ErrorKind::unreachable,
                               "xdpctld closed the connection at {} before it answered: did it "
                               "stop?{}",
                               path, unknown);
}

} // namespace

Result<json> ApiClient::send(const char* method, const std::string& path,
                             const std::string& body) const
{
    const NoBrokenPipe guard;
    httplib::Client client(socket_path_);
    client.set_address_family(AF_UNIX);
    const bool changes = std::string_view(method) != "GET";
    const int seconds = answer_seconds_ > 0 ? answer_seconds_
                        : changes           ? change_seconds
                                            : question_seconds;
    client.set_connection_timeout(connect_seconds);
    client.set_read_timeout(seconds);
    client.set_write_timeout(seconds);
    httplib::Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.set_header("Content-Type", "application/json");
    request.set_header("Host", "xdpctl");
    const uint64_t give_up_ns = steady_ns() + connect_seconds * ns_per_s;
    uint64_t begin_ns = steady_ns();
    auto response = client.send(request);
    while (!response && response.error() != httplib::Error::Read &&
           response.error() != httplib::Error::Write) {
        // A backlog that is full refuses at once, on a Unix socket; it may have room soon.
        const int problem = connection_problem(socket_path_);
        if ((problem != 0 && problem != EAGAIN) || steady_ns() >= give_up_ns) {
            return not_connected(socket_path_, problem);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        begin_ns = steady_ns();
        response = client.send(request);
    }
    if (!response) {
        const bool timed_out = steady_ns() - begin_ns >= static_cast<uint64_t>(seconds) * ns_per_s;
        return not_answered(socket_path_, timed_out, seconds, changes);
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
