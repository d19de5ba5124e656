// SPDX-License-Identifier: Apache-2.0
#include "api/server.h"

#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include <httplib.h>

#include "api/codec.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr size_t head_bytes_most = 64UL << 10;  // of the request line and the headers
constexpr size_t body_bytes_most = 64UL << 20;  // a million bans as text
constexpr size_t group_bytes_most = 16UL << 20; // of all requests of the group that are in work
constexpr int group_requests_most = 8;          // in work; more are told to come again
constexpr int requests_at_once = 16; // so that root finds a thread, whatever the group does
constexpr uint64_t receive_s = 10;   // from the first byte to the last
constexpr uint64_t send_s = 10;      // likewise

constexpr size_t refused_most = 64; // connections that are kept for their peers to read

constexpr size_t large_bytes = 1UL << 20;

// What the group has in work, over all connections.
struct GroupShare {
    std::atomic<int> requests = 0;
    std::atomic<size_t> bytes = 0;
};

// A connection of one request. It ends when too much was read, or too late, however the request
// is made up: the library bounds neither chunked bodies nor the time that a request takes.
class Connection final : public httplib::Stream
{
  public:
    // Takes the descriptor. `group`: what this request counts against; null: nothing, the peer is
    // root.
    Connection(int fd, GroupShare* group)
        : fd_(fd), group_(group), receive_until_ns_(steady_ns() + receive_s * ns_per_s)
    {
        is_too_many_ = group_ != nullptr && group_->requests++ >= group_requests_most;
    }
    ~Connection() override
    {
        if (group_ != nullptr) {
            group_->requests--;
            group_->bytes -= shared_;
        }
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool is_readable() const override { return true; } // read() has the time-out
    bool is_writable() const override { return true; }
    ssize_t read(char* data, size_t size) override
    {
        const size_t room = room_left();
        is_too_large_ = is_too_large_ || room == 0;
        const ssize_t got = is_too_large_ ? -1 : receive(data, std::min(size, room));
        if (got > 0) {
            count(static_cast<size_t>(got));
        }
        return got;
    }
    ssize_t write(const char* data, size_t size) override
    {
        if (send_until_ns_ == 0) {
            send_until_ns_ = steady_ns() + send_s * ns_per_s;
        }
        size_t done = 0;
        while (done < size) {
            const ssize_t put =
                steady_ns() < send_until_ns_ ? send_some(data + done, size - done) : -1;
            if (put < 0) {
                return -1;
            }
            done += static_cast<size_t>(put);
        }
        return static_cast<ssize_t>(done);
    }
    void get_remote_ip_and_port(std::string&, int&) const override {}
    void get_local_ip_and_port(std::string&, int&) const override {}
    socket_t socket() const override { return fd_.get(); }

    // The head was read and is taken: a body may follow.
    void expect_body()
    {
        most_ = taken_ + body_bytes_most;
        in_body_ = true;
    }
    // Reads what the peer still sends, so that it gets to the answer.
    void discard_rest()
    {
        shutdown(fd_.get(), SHUT_WR);
        std::array<char, 65536> rest{};
        while (receive(rest.data(), rest.size()) > 0) {
        }
    }
    // The peer has the answer, but may not have read it.
    Fd leave() { return std::move(fd_); }
    bool is_too_many() const { return is_too_many_; }
    bool is_too_large() const { return is_too_large_; }
    bool is_too_late() const { return is_too_late_; }

  private:
    size_t room_left() const
    {
        const size_t own = most_ - taken_;
        if (group_ == nullptr || !in_body_) {
            return own;
        }
        return std::min(own, group_bytes_most - std::min(group_bytes_most, group_->bytes.load()));
    }
    void count(size_t bytes)
    {
        taken_ += bytes;
        if (group_ != nullptr && in_body_) {
            shared_ += bytes;
            group_->bytes += bytes;
        }
    }
    ssize_t receive(char* data, size_t size)
    {
        while (steady_ns() < receive_until_ns_) {
            const ssize_t got = recv(fd_.get(), data, size, MSG_DONTWAIT);
            if (got >= 0 || !wait_after_failure(POLLIN, receive_until_ns_)) {
                return got;
            }
        }
        is_too_late_ = true;
        return -1;
    }
    // 0: the peer had no room for more until now.
    ssize_t send_some(const char* data, size_t size)
    {
        const ssize_t put = send(fd_.get(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        return put < 0 && wait_after_failure(POLLOUT, send_until_ns_) ? 0 : put;
    }
    // Waits for the peer where the call failed for want of it. False: it failed otherwise.
    bool wait_after_failure(short events, uint64_t until_ns) const
    {
        if (errno != EAGAIN && errno != EINTR) {
            return false;
        }
        const uint64_t now = steady_ns();
        pollfd peer{fd_.get(), events, 0};
        poll(&peer, 1, now < until_ns ? static_cast<int>((until_ns - now) / ns_per_ms) + 1 : 0);
        return true;
    }

    Fd fd_;
    GroupShare* group_;
    size_t most_ = head_bytes_most;
    size_t taken_ = 0;
    size_t shared_ = 0; // of that, what the group's share has too
    bool in_body_ = false;
    uint64_t receive_until_ns_;
    uint64_t send_until_ns_ = 0; // 0: nothing was sent yet
    bool is_too_many_ = false;
    bool is_too_large_ = false;
    bool is_too_late_ = false;
};

enum class Peer { stranger, member, root };

// Of the request that this thread serves.
struct Serving {
    Connection* connection = nullptr;
    Peer peer = Peer::stranger;
    bool is_large = false; // its request and answer together
};
thread_local Serving serving;

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
    // Whoever has the daemon's own user can do by himself what the daemon can.
    Peer peer_of(int fd) const
    {
        ucred peer{};
        socklen_t length = sizeof(peer);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
            return Peer::stranger;
        }
        if (peer.uid == 0 || peer.uid == geteuid()) {
            return Peer::root;
        }
        return group && in_group(fd, *group, peer.gid) ? Peer::member : Peer::stranger;
    }

    bool process_and_close_socket(socket_t sock) override
    {
        const Peer peer = peer_of(sock);
        Connection connection(sock, peer == Peer::root ? nullptr : &share_);
        if (connection.is_too_many()) {
            refuse(connection);
            return false;
        }
        serving = {&connection, peer, false};
        bool closed = false;
        const bool done = process_request(connection, true, closed, nullptr);
        if (connection.is_too_large()) {
            connection.discard_rest();
        }
        if (serving.is_large) {
            malloc_trim(0); // each thread's arena would keep what the largest answer took
        }
        return done;
    }

    // Without a look at what it asks for, which would take its time. The connection is kept for a
    // while: a peer that is cut off while it sends would not read the answer.
    void refuse(Connection& connection)
    {
        const Error busy =
            failure(ErrorKind::unreachable,
                    "xdpctld has {} requests of the group in work: ask again", group_requests_most);
        const std::string body = to_text(to_json(busy)) + "\n";
        const std::string text =
            fmt::format("HTTP/1.1 {} Busy\r\nContent-Type: application/json\r\nContent-Length: "
                        "{}\r\nConnection: close\r\n\r\n{}",
                        http_status(busy.kind), body.size(), body);
        (void)connection.write(text.data(), text.size()); // an empty buffer takes all of it
        const std::lock_guard lock(refused_mutex_);
        refused_.push_back(connection.leave());
        if (refused_.size() > refused_most) {
            refused_.pop_front();
        }
    }

    std::mutex refused_mutex_;
    std::deque<Fd> refused_; // the latest
    GroupShare share_;
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
                       [&request](const char* name) { return request.get_param_value(name); },
                       serving.peer == Peer::root ? Caller::root : Caller::member};
        answer(response, route.handle(control, api));
        serving.is_large = request.body.size() + response.body.size() > large_bytes;
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

// Before the body is read.
httplib::Server::HandlerResponse admit(const httplib::Request& request, httplib::Response& response)
{
    if (serving.peer == Peer::stranger) {
        answer(response, failure(ErrorKind::permission,
                                 "this user is neither root nor in the group of the socket"));
        return httplib::Server::HandlerResponse::Handled;
    }
    // Their size is not that of what is read.
    if (request.has_header("Content-Encoding") || request.is_multipart_form_data()) {
        answer(response,
               failure(ErrorKind::usage, "the request body must be plain, not compressed or in "
                                         "parts"));
        return httplib::Server::HandlerResponse::Handled;
    }
    serving.connection->expect_body();
    return httplib::Server::HandlerResponse::Unhandled;
}

// Where the library found no answer itself.
void answer_failure(const httplib::Request& request, httplib::Response& response)
{
    constexpr int late = 408;
    constexpr int large = 413;
    if (serving.connection->is_too_late()) {
        const Error error =
            failure(ErrorKind::usage, "the request was not complete within {} s", receive_s);
        answer(response, ApiResponse{late, to_text(to_json(error))});
        return;
    }
    if (serving.connection->is_too_large() || response.status == large) {
        const Error error = failure(ErrorKind::usage,
                                    "the request is too large: the bodies of root may have {} MiB, "
                                    "those of the group {} MiB together, and forms 8 KiB",
                                    body_bytes_most >> 20, group_bytes_most >> 20);
        answer(response, ApiResponse{large, to_text(to_json(error))});
        return;
    }
    const ErrorKind kind = response.status == 404 ? ErrorKind::not_found : ErrorKind::usage;
    const Error error = failure(kind, "{} {}: no such route, or not HTTP; see GET /v1",
                                request.method, request.path);
    answer(response, ApiResponse{response.status, to_text(to_json(error))});
}

void configure(UnixServer& server, Control& control)
{
    server.set_payload_max_length(body_bytes_most);
    server.new_task_queue = [] { return new httplib::ThreadPool(requests_at_once); };
    server.set_pre_routing_handler(admit);
    server.set_exception_handler(
        [](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
            log::error("the request {} {} failed unexpectedly", request.method, request.path);
            answer(response, failure("unexpected failure; see the daemon's log"));
        });
    server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
        if (response.body.empty()) {
            answer_failure(request, response);
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
