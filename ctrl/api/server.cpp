// SPDX-License-Identifier: Apache-2.0
#include "api/server.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "api/codec.h"
#include "api/routes.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "core/quote.h"
#include "engine/workers.h"
#include "http/server.h"

namespace xdpctl
{
namespace
{

constexpr size_t group_bytes_most = 16UL << 20; // of all bodies of the group that are in work
constexpr size_t group_requests_most = 8;       // in work; more are told to come again
constexpr size_t workers_of_root = 4;           // apart, so that root waits for no member
constexpr size_t workers_of_group = 2;

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

// None: a stranger. Whoever has the daemon's own user can do by himself what the daemon can.
std::optional<Caller> caller_at(int fd, std::optional<gid_t> group)
{
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        return std::nullopt;
    }
    if (peer.uid == 0 || peer.uid == geteuid()) {
        return Caller::root;
    }
    return group && in_group(fd, *group, peer.gid) ? std::optional(Caller::member) : std::nullopt;
}

HttpResponse response_of(ApiResponse api)
{
    return {static_cast<unsigned int>(api.status), std::move(api.body) + "\n", "application/json"};
}

HttpResponse response_of(const Error& error, unsigned int status)
{
    return response_of({static_cast<int>(status), to_text(to_json(error))});
}

HttpResponse error_page(unsigned int status)
{
    switch (status) {
    case 408:
        return response_of(failure(ErrorKind::usage, "the request was not complete within {} s",
                                   HttpSetup{}.receive_s),
                           status);
    case 413:
        return response_of(failure(ErrorKind::usage,
                                   "the request is too large: the bodies of root may have {} MiB, "
                                   "those of the group {} MiB together",
                                   HttpSetup{}.body_bytes_most >> 20, group_bytes_most >> 20),
                           status);
    case 415:
        return response_of(failure(ErrorKind::usage, "the request body must be plain, not "
                                                     "compressed or in parts"),
                           status);
    case 503:
        return response_of(failure(ErrorKind::unreachable,
                                   "xdpctld has {} requests of the group in work: ask again",
                                   group_requests_most),
                           status);
    default:
        return response_of(failure("xdpctld failed unexpectedly, or stops; see the daemon's log"),
                           status);
    }
}

std::string argument(const HttpRequest& request, std::string_view name)
{
    const auto found = std::find_if(request.query.begin(), request.query.end(),
                                    [name](const auto& one) { return one.first == name; });
    return found != request.query.end() ? found->second : "";
}

HttpResponse no_route(const HttpRequest& request, const std::vector<std::string>& methods)
{
    if (methods.empty()) {
        return response_of(failure(ErrorKind::not_found, "{}: no such route; see GET /v1",
                                   short_quote(request.path)),
                           404);
    }
    HttpResponse response = response_of(
        failure(ErrorKind::usage, "{}: {} only", request.path, fmt::join(methods, ", ")), 405);
    response.headers = {{"Allow", fmt::format("{}", fmt::join(methods, ", "))}};
    return response;
}

HttpResponse respond(Control& control, const HttpRequest& request)
{
    const std::string& method = request.method == "HEAD" ? "GET" : request.method;
    std::vector<std::string> methods; // of the path
    for (const Route& route : routes()) {
        if (route.path != request.path) {
            continue;
        }
        if (route.method == method) {
            const ApiRequest api{request.body,
                                 [&request](const char* name) { return argument(request, name); },
                                 static_cast<Caller>(request.caller)};
            return response_of(route.handle(control, api));
        }
        methods.push_back(route.method);
    }
    return no_route(request, methods);
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
    Control& control;
    std::string path;
    std::optional<gid_t> group = std::nullopt;
    HttpQuota share = {group_requests_most, group_bytes_most};
    std::unique_ptr<HttpServer> server = nullptr;
    std::unique_ptr<Workers> root = nullptr;
    std::unique_ptr<Workers> members = nullptr;

    std::variant<HttpAdmission, HttpResponse> admit(int fd)
    {
        const auto caller = caller_at(fd, group);
        if (!caller) {
            return response_of(failure(ErrorKind::permission, "this user is neither root nor in "
                                                              "the group of the socket"),
                               403);
        }
        return HttpAdmission{static_cast<int>(*caller), *caller == Caller::root ? nullptr : &share};
    }
    void handle(HttpRequest request, HttpAnswer answer)
    {
        Workers& workers = request.caller == static_cast<int>(Caller::root) ? *root : *members;
        workers.post(Workers::Task(
            [this, request = std::move(request), answer = std::move(answer)]() mutable {
                HttpResponse response;
                try {
                    response = respond(control, request);
                } catch (const std::exception& problem) {
                    log::error("the request {} {} failed unexpectedly: {}", request.method,
                               short_quote(request.path), problem.what());
                    response = error_page(500);
                }
                request = {}; // before the memory is given back
                answer(std::move(response));
            }));
    }
};

namespace
{

Result<Fd> listen_at(const std::string& path)
{
    constexpr int backlog = 128;
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    unlink(path.c_str());
    const mode_t before = umask(0117); // the socket is born 0660
    const bool bound =
        fd.valid() && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    const int code = errno;
    umask(before);
    if (!bound) {
        return system_failure(code, path);
    }
    if (listen(fd.get(), backlog) != 0) {
        return system_failure(errno, path);
    }
    return fd;
}

// Whether `path` is free for a socket.
Result<> check_path(const std::string& path)
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
    return make_directories(std::filesystem::path(path).parent_path().string());
}

} // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::bind(Control& control, const std::string& path,
                                                   const std::string& group)
{
    if (auto done = check_path(path); !done) {
        return done.error();
    }
    std::unique_ptr<ApiServer> api(new ApiServer());
    api->impl_ = std::make_unique<Impl>(Impl{control, path});
    Impl& impl = *api->impl_;
    const struct group* entry = group.empty() ? nullptr : getgrnam(group.c_str());
    if (entry != nullptr) {
        impl.group = entry->gr_gid;
    }
    if (!group.empty() && entry == nullptr) {
        log::info("no group {} here: only root can use {} (groupadd -r {})", group, path, group);
    }
    auto listener = listen_at(path);
    if (!listener) {
        return listener.error();
    }
    // Needs CAP_CHOWN or membership; without either root alone may speak.
    if (entry != nullptr && chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
        log::warning("{}: cannot be given to the group {}: only root can use it", path, group);
    }
    HttpSetup setup;
    setup.admit = [&impl](int fd) { return impl.admit(fd); };
    setup.handle = [&impl](HttpRequest request, HttpAnswer answer) {
        impl.handle(std::move(request), std::move(answer));
    };
    setup.error_page = error_page;
    std::vector<Fd> listeners;
    listeners.push_back(std::move(*listener));
    auto server = HttpServer::create(std::move(setup), std::move(listeners));
    if (!server) {
        return server.error();
    }
    impl.server = std::move(*server);
    return api;
}

void ApiServer::serve()
{
    impl_->root = std::make_unique<Workers>(workers_of_root);
    impl_->members = std::make_unique<Workers>(workers_of_group);
    impl_->server->serve();
}

ApiServer::~ApiServer()
{
    for (const auto& workers : {impl_->root.get(), impl_->members.get()}) {
        if (workers != nullptr) {
            workers->stop();
        }
    }
    impl_->server.reset(); // sends what was answered
    unlink(impl_->path.c_str());
}

} // namespace xdpctl
