// SPDX-License-Identifier: Apache-2.0
#include "api/server.h"

#include <grp.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>

#include <httplib.h>

#include "api/codec.h"
#include "api/routes.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr size_t request_bytes_max = 64UL << 20; // a million bans as text
constexpr int client_timeout_s = 10;

// Set per connection by the thread that serves it.
thread_local bool peer_allowed = false;
thread_local bool was_large = false; // its request and answer together

constexpr size_t large_bytes = 1UL << 20;

class SocketStream final : public httplib::Stream
{
  public:
    explicit SocketStream(int fd) : fd_(fd) {}
    bool is_readable() const override { return true; } // read() has the time-out
    bool is_writable() const override { return true; }
    ssize_t read(char* data, size_t size) override { return recv(fd_, data, size, 0); }
    ssize_t write(const char* data, size_t size) override
    {
        return send(fd_, data, size, MSG_NOSIGNAL);
    }
    void get_remote_ip_and_port(std::string&, int&) const override {}
    void get_local_ip_and_port(std::string&, int&) const override {}
    socket_t socket() const override { return fd_; }

  private:
    int fd_;
};

bool in_group(int fd, gid_t group, gid_t primary)
{
    if (primary == group) {
        return true;
    }
    std::vector<gid_t> groups(256);
    socklen_t length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) {
        return false;
    }
    groups.resize(length / sizeof(gid_t));
    return std::find(groups.begin(), groups.end(), group) != groups.end();
}

class UnixServer final : public httplib::Server
{
  public:
    std::optional<gid_t> group;

  private:
    bool is_allowed(int fd) const
    {
        ucred peer{};
        socklen_t length = sizeof(peer);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
            return false;
        }
        return peer.uid == 0 || peer.uid == geteuid() || (group && in_group(fd, *group, peer.gid));
    }

    bool process_and_close_socket(socket_t sock) override
    {
        peer_allowed = is_allowed(sock);
        const timeval timeout{client_timeout_s, 0};
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        SocketStream stream(sock);
        bool closed = false;
        was_large = false;
        const bool done = process_request(stream, true, closed, nullptr);
        if (was_large) {
            malloc_trim(0); // each thread's arena would keep what the largest answer took
        }
        shutdown(sock, SHUT_RDWR);
        close(sock);
        return done;
    }
};

void answer(httplib::Response& response, const ApiResponse& api)
{
    response.status = api.status;
    response.set_content(api.body + "\n", "application/json");
}

void answer(httplib::Response& response, const Error& error)
{
    answer(response, ApiResponse{http_status(error.kind), to_text(to_json(error))});
}

void add_route(httplib::Server& server, Control& control, const Route& route)
{
    const auto handler = [&control, &route](const httplib::Request& request,
                                            httplib::Response& response) {
        ApiRequest api{request.body,
                       [&request](const char* name) { return request.get_param_value(name); }};
        answer(response, route.handle(control, api));
        was_large = request.body.size() + response.body.size() > large_bytes;
    };
    if (route.method == "GET") {
        server.Get(route.path, handler);
    } else if (route.method == "POST") {
        server.Post(route.path, handler);
    } else if (route.method == "PUT") {
        server.Put(route.path, handler);
    } else {
        server.Delete(route.path, handler);
    }
}

void configure(UnixServer& server, Control& control)
{
    server.set_payload_max_length(request_bytes_max);
    server.new_task_queue = [] { return new httplib::ThreadPool(4); };
    server.set_pre_routing_handler([](const httplib::Request&, httplib::Response& response) {
        if (peer_allowed) {
            return httplib::Server::HandlerResponse::Unhandled;
        }
        answer(response, failure(ErrorKind::permission,
                                 "this user is neither root nor in the group of the socket"));
        return httplib::Server::HandlerResponse::Handled;
    });
    server.set_exception_handler(
        [](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
            log::error("the request {} {} failed unexpectedly", request.method, request.path);
            answer(response, failure("unexpected failure; see the daemon's log"));
        });
    server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
        if (response.body.empty()) {
            const ErrorKind kind = response.status == 404 ? ErrorKind::not_found : ErrorKind::usage;
            const Error error = failure(kind, "{} {}: no such route, or not HTTP; see GET /v1",
                                        request.method, request.path);
            answer(response, ApiResponse{response.status, to_text(to_json(error))});
        }
    });
    for (const Route& route : routes()) {
        add_route(server, control, route);
    }
}

bool somebody_answers(const std::string& path)
{
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

} // namespace

struct ApiServer::Impl {
    UnixServer server;
    std::string path;
    std::thread thread;
};

Result<std::unique_ptr<ApiServer>> ApiServer::bind(Control& control, const std::string& path,
                                                   const std::string& group)
{
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return failure(ErrorKind::invalid_config, "api.socket: '{}' is too long for a socket",
                       path);
    }
    struct stat about {
    };
    if (stat(path.c_str(), &about) == 0 && !S_ISSOCK(about.st_mode)) {
        return failure(ErrorKind::invalid_config, "api.socket: {} is there and is not a socket",
                       path);
    }
    if (somebody_answers(path)) {
        return failure("xdpctld is already running: {} answers", path);
    }
    auto made = make_directories(std::filesystem::path(path).parent_path().string());
    if (!made) {
        return made.error();
    }
    std::unique_ptr<ApiServer> api(new ApiServer());
    api->impl_ = std::make_unique<Impl>();
    Impl& impl = *api->impl_;
    impl.path = path;
    const struct group* entry = group.empty() ? nullptr : getgrnam(group.c_str());
    if (entry != nullptr) {
        impl.server.group = entry->gr_gid;
    }
    if (!group.empty() && entry == nullptr) {
        log::info("no group {} here: only root can use {} (groupadd -r {})", group, path, group);
    }
    configure(impl.server, control);

    unlink(path.c_str());
    const mode_t before = umask(0117); // the socket is born 0660
    const bool bound = impl.server.set_address_family(AF_UNIX).bind_to_port(path, 80);
    umask(before);
    if (!bound) {
        return system_failure(errno, path);
    }
    // Needs CAP_CHOWN or membership; without either root alone may speak.
    if (entry != nullptr && chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
        log::warning("{}: cannot be given to the group {}: only root can use it", path, group);
    }
    return api;
}

void ApiServer::serve()
{
    impl_->thread = std::thread([this] { impl_->server.listen_after_bind(); });
    while (!impl_->server.is_running()) {
        std::this_thread::yield();
    }
}

ApiServer::~ApiServer()
{
    impl_->server.stop();
    if (impl_->thread.joinable()) {
        impl_->thread.join();
    }
    unlink(impl_->path.c_str());
}

} // namespace xdpctl
