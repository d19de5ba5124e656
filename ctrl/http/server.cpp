// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <fcntl.h>
#include <malloc.h>
#include <microhttpd.h>
#include <poll.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/log.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t ns_per_ms = 1'000'000;
constexpr uint64_t ns_per_s = 1'000'000'000;
constexpr size_t large_bytes = 1UL << 20;
constexpr int accepted_at_once = 16;
constexpr uint64_t accept_pause_ns = 100 * ns_per_ms; // after a failure, for want of descriptors
constexpr uint64_t end_s = 1;                         // for answers that are still on their way
constexpr size_t lingering_most = 64;
constexpr uint64_t linger_s = 10;
constexpr uint64_t last_words_ns = 20 * ns_per_ms; // of a peer that closed its side

enum : unsigned int {
    status_late = 408,
    status_large = 413,
    status_not_plain = 415,
    status_no_answer = 500,
    status_busy = 503,
};

enum class Phase {
    receives, // the request; or waits for the next one
    works,    // the handler has it
    sends,
    ends, // it was shut down, the library is about to close it
};

struct Connection {
    uint64_t id = 0;
    Fd peer;                          // a duplicate: valid whatever the library does with its own
    MHD_Connection* handle = nullptr; // null until the library begins with it
    HttpAdmission admission;
    Phase phase = Phase::receives;
    uint64_t until_ns = 0; // of receiving and sending
    HttpRequest request;
    size_t body_bytes = 0;               // of this request, that the quota counts
    std::optional<unsigned int> refusal; // told once the request was read
    bool suspended = false;
    bool answered = false;                // by the handler
    std::optional<HttpResponse> response; // none: it gave no answer
    bool large = false;                   // its request or response
    bool idle = false;                    // what came was answered, and nothing came after it
};

std::string to_text(const HttpResponse& response)
{
    return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
                       "Connection: close\r\n\r\n{}",
                       response.status, MHD_get_reason_phrase_for(response.status),
                       response.content_type, response.body.size(), response.body);
}

std::string header(MHD_Connection* handle, const char* name)
{
    const char* value = MHD_lookup_connection_value(handle, MHD_HEADER_KIND, name);
    return value != nullptr ? value : "";
}

// The size of such a body is not that of what it holds.
bool is_plain(MHD_Connection* handle)
{
    constexpr std::string_view parts = "multipart/";
    return header(handle, "Content-Encoding").empty() &&
           strncasecmp(header(handle, "Content-Type").c_str(), parts.data(), parts.size()) != 0;
}

MHD_Result add_argument(void* context, MHD_ValueKind, const char* key, size_t key_size,
                        const char* value, size_t value_size) noexcept
{
    try {
        static_cast<HttpRequest*>(context)->query.emplace_back(
            std::string(key, key_size), value != nullptr ? std::string(value, value_size) : "");
        return MHD_YES;
    } catch (const std::exception&) {
        return MHD_NO;
    }
}

void free_body(void* body) noexcept
{
    delete static_cast<std::string*>(body);
}

} // namespace

class HttpAnswer::Queue
{
  public:
    using Item = std::pair<uint64_t, std::optional<HttpResponse>>; // nullopt: none was given

    void push(uint64_t request, std::optional<HttpResponse> response)
    {
        const std::lock_guard lock(mutex_);
        items_.emplace_back(request, std::move(response));
        wake();
    }
    std::vector<Item> take()
    {
        uint64_t count = 0;
        (void)!read(event_.get(), &count, sizeof(count));
        const std::lock_guard lock(mutex_);
        return std::exchange(items_, {});
    }
    void wake() const
    {
        const uint64_t one = 1;
        (void)!write(event_.get(), &one, sizeof(one));
    }
    int fd() const { return event_.get(); }

  private:
    std::mutex mutex_;
    std::vector<Item> items_;
    Fd event_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

HttpAnswer::~HttpAnswer()
{
    if (queue_) {
        queue_->push(request_, std::nullopt);
    }
}

void HttpAnswer::operator()(HttpResponse response)
{
    if (const auto queue = std::move(queue_)) {
        queue->push(request_, std::move(response));
    }
}

// All of it belongs to the one thread, except `queue` and `ends`. The library is run by that
// thread too, so that nothing here has a lock.
struct HttpServer::Impl {
    HttpSetup setup;
    std::vector<Fd> listeners;
    std::shared_ptr<HttpAnswer::Queue> queue = std::make_shared<HttpAnswer::Queue>();
    std::atomic<bool> ends = false;
    std::thread thread;

    MHD_Daemon* daemon = nullptr;
    int daemon_fd = -1;
    std::map<uint64_t, std::unique_ptr<Connection>> connections;
    uint64_t next_id = 1;
    std::map<int, Connection*> added; // given to the library by this descriptor, and not begun
    uint64_t accept_from_ns = 0;
    bool trim = false; // something large was freed
    // Peers that were told something before they had sent everything: closed at once, they might
    // be cut off before they read it. The oldest first.
    std::deque<std::pair<uint64_t, Fd>> lingering;

    Result<> start();
    void run();
    void stop();

    void accept_from(const Fd& listener, uint64_t now);
    void admit(Fd peer, const sockaddr* address, socklen_t length, uint64_t now);
    void add(Fd peer, const HttpAdmission& admission, const sockaddr* address, socklen_t length,
             uint64_t now);
    bool make_room();
    void tell(Fd peer, const HttpResponse& response);
    void linger(Fd peer);
    void take_answers();
    void end_late(uint64_t now);
    void expect_end(uint64_t now);
    int wait_ms(uint64_t now, bool stopping) const;
    bool is_busy() const;

    void begin_request(Connection& connection, const char* method, const char* path);
    void take_body(Connection& connection, const char* data, size_t size);
    MHD_Result finish_request(Connection& connection);
    MHD_Result respond(Connection& connection, HttpResponse response);
    void end_request(Connection& connection, bool complete);
    void end_connection(Connection& connection);
    void give_back_body(Connection& connection);

    static MHD_Result on_request(void* self, MHD_Connection* handle, const char* path,
                                 const char* method, const char* version, const char* data,
                                 size_t* size, void** context) noexcept;
    static void on_completed(void* self, MHD_Connection* handle, void** context,
                             MHD_RequestTerminationCode code) noexcept;
    static void on_connection(void* self, MHD_Connection* handle, void** context,
                              MHD_ConnectionNotificationCode code) noexcept;
};

Result<> HttpServer::Impl::start()
{
    if (queue->fd() < 0) {
        return system_failure(errno, "HTTP: eventfd");
    }
    for (const Fd& listener : listeners) {
        if (fcntl(listener.get(), F_SETFL, fcntl(listener.get(), F_GETFL) | O_NONBLOCK) != 0) {
            return system_failure(errno, "HTTP: a socket to listen at");
        }
    }
    const auto spare = static_cast<unsigned int>(4 * setup.connections_most); // counted here
    daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr,
        &Impl::on_request, this, MHD_OPTION_CONNECTION_MEMORY_LIMIT, setup.head_bytes_most,
        MHD_OPTION_CONNECTION_LIMIT, spare, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, &Impl::on_completed, this, MHD_OPTION_NOTIFY_CONNECTION,
        &Impl::on_connection, this, MHD_OPTION_END);
    if (daemon == nullptr) {
        return system_failure(errno, "HTTP: the library does not start");
    }
    daemon_fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return Done{};
}

// --- the loop

void HttpServer::Impl::run()
{
    uint64_t give_up_ns = 0;
    while (true) {
        uint64_t now = steady_ns();
        const bool stopping = ends;
        if (stopping && give_up_ns == 0) {
            give_up_ns = now + end_s * ns_per_s;
        }
        if (stopping && (!is_busy() || now >= give_up_ns)) {
            return;
        }
        std::vector<pollfd> polled = {{daemon_fd, POLLIN, 0}, {queue->fd(), POLLIN, 0}};
        if (!stopping && now >= accept_from_ns) {
            for (const Fd& listener : listeners) {
                polled.push_back({listener.get(), POLLIN, 0});
            }
        }
        poll(polled.data(), polled.size(), wait_ms(now, stopping));
        now = steady_ns();
        try {
            take_answers();
            for (size_t i = 2; i < polled.size(); i++) {
                if (polled[i].revents != 0) {
                    accept_from(listeners[i - 2], now);
                }
            }
            end_late(now);
        } catch (const std::exception& problem) { // want of memory, which passes
            log::error("HTTP: {}", problem.what());
        }
        MHD_run(daemon);
        expect_end(steady_ns());
        if (std::exchange(trim, false)) {
            malloc_trim(0); // arenas would keep what the largest request and answer took
        }
    }
}

int HttpServer::Impl::wait_ms(uint64_t now, bool stopping) const
{
    MHD_UNSIGNED_LONG_LONG library_ms = 0;
    uint64_t until = UINT64_MAX;
    if (MHD_get_timeout(daemon, &library_ms) == MHD_YES) {
        until = now + library_ms * ns_per_ms;
    }
    for (const auto& [id, connection] : connections) {
        if (connection->phase == Phase::receives || connection->phase == Phase::sends) {
            until = std::min(until, connection->until_ns);
        }
    }
    if (!lingering.empty()) {
        until = std::min(until, lingering.front().first);
    }
    if (accept_from_ns > now) {
        until = std::min(until, accept_from_ns);
    }
    if (stopping) {
        until = std::min(until, now + 10 * ns_per_ms);
    }
    if (until == UINT64_MAX) {
        return -1;
    }
    return until <= now ? 0 : static_cast<int>((until - now) / ns_per_ms) + 1;
}

bool HttpServer::Impl::is_busy() const
{
    return std::any_of(connections.begin(), connections.end(), [](const auto& one) {
        return one.second->phase == Phase::works || one.second->phase == Phase::sends;
    });
}

void HttpServer::Impl::take_answers()
{
    for (auto& [id, response] : queue->take()) {
        const auto found = connections.find(id);
        if (found == connections.end()) {
            continue;
        }
        Connection& connection = *found->second;
        connection.answered = true;
        connection.response = std::move(response);
        if (std::exchange(connection.suspended, false)) {
            MHD_resume_connection(connection.handle);
        }
    }
}

void HttpServer::Impl::end_late(uint64_t now)
{
    for (auto next = connections.begin(); next != connections.end();) {
        const auto& one = (next++)->second;
        const bool waits = one->phase == Phase::receives || one->phase == Phase::sends;
        if (!waits || now < one->until_ns) {
            continue;
        }
        if (one->phase == Phase::receives && !one->idle) {
            const std::string text = to_text(setup.error_page(status_late));
            send(one->peer.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        one->phase = Phase::ends;
        shutdown(one->peer.get(), SHUT_RDWR);
        if (one->handle == nullptr) { // the library could not begin with it, for want of memory
            std::erase_if(added, [&one](const auto& a) { return a.second == one.get(); });
            end_connection(*one);
        }
    }
    while (!lingering.empty() && now >= lingering.front().first) {
        lingering.pop_front();
    }
}

// Of a peer that closed its side nothing more comes: what the library has of a request by now is
// all of it. It gets a moment more, since requests that came together are read one by one.
void HttpServer::Impl::expect_end(uint64_t now)
{
    for (const auto& [id, one] : connections) {
        char next = 0;
        if (one->phase == Phase::receives && one->until_ns > now + last_words_ns &&
            recv(one->peer.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            one->until_ns = now + last_words_ns;
        }
    }
}

void HttpServer::Impl::stop()
{
    for (auto& [id, connection] : connections) {
        connection->phase = Phase::ends;
        if (std::exchange(connection->suspended, false)) {
            MHD_resume_connection(connection->handle);
        }
    }
    MHD_stop_daemon(daemon);
}

// --- new connections

void HttpServer::Impl::accept_from(const Fd& listener, uint64_t now)
{
    for (int i = 0; i < accepted_at_once; i++) {
        sockaddr_storage address{};
        socklen_t length = sizeof(address);
        Fd peer(accept4(listener.get(), reinterpret_cast<sockaddr*>(&address), &length,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!peer.valid()) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                accept_from_ns = now + accept_pause_ns;
            }
            return;
        }
        admit(std::move(peer), reinterpret_cast<sockaddr*>(&address), length, now);
    }
}

// False where all connections are in work.
bool HttpServer::Impl::make_room()
{
    size_t count = 0;
    Connection* oldest = nullptr;
    for (auto& [id, one] : connections) {
        count += one->phase != Phase::ends ? 1 : 0;
        if (one->phase == Phase::receives &&
            (oldest == nullptr || one->until_ns < oldest->until_ns)) {
            oldest = one.get();
        }
    }
    if (count < setup.connections_most) {
        return true;
    }
    if (oldest == nullptr) {
        return false;
    }
    oldest->phase = Phase::ends;
    shutdown(oldest->peer.get(), SHUT_RDWR);
    return true;
}

void HttpServer::Impl::admit(Fd peer, const sockaddr* address, socklen_t length, uint64_t now)
{
    const auto admitted = setup.admit(peer.get());
    if (const auto* refusal = std::get_if<HttpResponse>(&admitted)) {
        tell(std::move(peer), *refusal);
        return;
    }
    const auto& admission = std::get<HttpAdmission>(admitted);
    const HttpQuota* quota = admission.quota;
    const bool beyond = quota != nullptr && quota->connections >= quota->connections_most;
    if (beyond || !make_room()) {
        tell(std::move(peer), setup.error_page(status_busy));
        return;
    }
    add(std::move(peer), admission, address, length, now);
}

void HttpServer::Impl::add(Fd peer, const HttpAdmission& admission, const sockaddr* address,
                           socklen_t length, uint64_t now)
{
    const int library_fd = fcntl(peer.get(), F_DUPFD_CLOEXEC, 0);
    if (library_fd < 0) {
        accept_from_ns = now + accept_pause_ns;
        return;
    }
    auto connection = std::make_unique<Connection>();
    connection->id = next_id++;
    connection->peer = std::move(peer);
    connection->admission = admission;
    connection->until_ns = now + setup.receive_s * ns_per_s;
    added[library_fd] = connection.get();
    const uint64_t id = connection->id;
    connections.emplace(id, std::move(connection));
    if (admission.quota != nullptr) {
        admission.quota->connections++;
    }
    // Calls on_connection(), now or later; where it fails it closes the descriptor.
    if (MHD_add_connection(daemon, library_fd, address, length) != MHD_YES) {
        added.erase(library_fd);
        if (const auto found = connections.find(id); found != connections.end()) {
            end_connection(*found->second);
        }
    }
}

// Without a look at the request, which would take its time. An empty buffer takes all of it.
void HttpServer::Impl::tell(Fd peer, const HttpResponse& response)
{
    const std::string text = to_text(response);
    send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    linger(std::move(peer));
}

void HttpServer::Impl::linger(Fd peer)
{
    shutdown(peer.get(), SHUT_WR);
    lingering.emplace_back(steady_ns() + linger_s * ns_per_s, std::move(peer));
    if (lingering.size() > lingering_most) {
        lingering.pop_front();
    }
}

// --- one request

void HttpServer::Impl::begin_request(Connection& connection, const char* method, const char* path)
{
    connection.idle = false;
    connection.request.method = method;
    connection.request.path = path;
    connection.request.caller = connection.admission.caller;
    MHD_get_connection_values_n(connection.handle, MHD_GET_ARGUMENT_KIND, add_argument,
                                &connection.request);
    if (!is_plain(connection.handle)) {
        connection.refusal = status_not_plain;
    }
}

void HttpServer::Impl::take_body(Connection& connection, const char* data, size_t size)
{
    if (connection.refusal) {
        return; // read, so that the peer gets to the answer; not kept
    }
    std::string& body = connection.request.body;
    HttpQuota* quota = connection.admission.quota;
    if (size > setup.body_bytes_most - body.size() ||
        (quota != nullptr && size > quota->body_bytes_most - quota->body_bytes)) {
        connection.refusal = status_large;
        give_back_body(connection);
        std::string().swap(body);
        return;
    }
    body.append(data, size);
    if (quota != nullptr) {
        quota->body_bytes += size;
        connection.body_bytes += size;
    }
}

MHD_Result HttpServer::Impl::finish_request(Connection& connection)
{
    if (connection.refusal) {
        return respond(connection, setup.error_page(*connection.refusal));
    }
    if (connection.phase == Phase::receives) {
        connection.phase = Phase::works;
        connection.large = connection.request.body.size() > large_bytes;
        HttpAnswer answer(queue, connection.id);
        try {
            setup.handle(std::exchange(connection.request, {}), std::move(answer));
        } catch (const std::exception& problem) {
            log::error("HTTP: a request failed unexpectedly: {}", problem.what());
        }
        take_answers();
    }
    if (connection.answered) {
        return respond(connection, connection.response ? std::move(*connection.response)
                                                       : setup.error_page(status_no_answer));
    }
    connection.suspended = true; // until take_answers() resumes it
    MHD_suspend_connection(connection.handle);
    return MHD_YES;
}

MHD_Result HttpServer::Impl::respond(Connection& connection, HttpResponse response)
{
    auto body = std::make_unique<std::string>(std::move(response.body));
    connection.large = connection.large || body->size() > large_bytes;
    MHD_Response* made = MHD_create_response_from_buffer_with_free_callback_cls(
        body->size(), body->data(), free_body, body.get());
    if (made == nullptr) {
        return MHD_NO;
    }
    (void)body.release();
    MHD_add_response_header(made, "Content-Type", response.content_type.c_str());
    if (connection.admission.quota != nullptr) { // whose room is for requests
        MHD_add_response_header(made, "Connection", "close");
    }
    for (const auto& [name, value] : response.headers) {
        MHD_add_response_header(made, name.c_str(), value.c_str());
    }
    connection.phase = Phase::sends;
    connection.until_ns = steady_ns() + setup.send_s * ns_per_s;
    const MHD_Result queued = MHD_queue_response(connection.handle, response.status, made);
    MHD_destroy_response(made);
    return queued;
}

void HttpServer::Impl::give_back_body(Connection& connection)
{
    if (connection.admission.quota != nullptr) {
        connection.admission.quota->body_bytes -= std::exchange(connection.body_bytes, 0);
    }
}

void HttpServer::Impl::end_request(Connection& connection, bool complete)
{
    give_back_body(connection);
    trim = trim || connection.large;
    connection.request = {};
    connection.refusal.reset();
    connection.answered = false;
    connection.response.reset();
    connection.large = false;
    connection.idle = complete;
    if (connection.phase != Phase::ends) {
        connection.phase = Phase::receives;
        connection.until_ns = steady_ns() + setup.receive_s * ns_per_s;
    }
}

void HttpServer::Impl::end_connection(Connection& connection)
{
    give_back_body(connection);
    if (connection.admission.quota != nullptr) {
        connection.admission.quota->connections--;
    }
    if (!connection.idle) {
        linger(std::move(connection.peer));
    }
    connections.erase(connection.id);
}

// --- what the library calls

MHD_Result HttpServer::Impl::on_request(void* self, MHD_Connection* handle, const char* path,
                                        const char* method, const char*, const char* data,
                                        size_t* size, void** context) noexcept
{
    try {
        Impl& server = *static_cast<Impl*>(self);
        auto& connection = *static_cast<Connection*>(
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
        if (connection.phase == Phase::ends) {
            return MHD_NO;
        }
        if (std::exchange(*context, &connection) == nullptr) { // the head alone
            server.begin_request(connection, method, path);
            return MHD_YES;
        }
        if (*size > 0) {
            server.take_body(connection, data, std::exchange(*size, 0));
            return MHD_YES;
        }
        return server.finish_request(connection);
    } catch (const std::exception& problem) {
        log::error("HTTP: {}", problem.what());
        return MHD_NO; // closes the connection
    }
}

void HttpServer::Impl::on_completed(void* self, MHD_Connection*, void** context,
                                    MHD_RequestTerminationCode code) noexcept
{
    if (*context != nullptr) {
        static_cast<Impl*>(self)->end_request(*static_cast<Connection*>(*context),
                                              code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    }
}

void HttpServer::Impl::on_connection(void* self, MHD_Connection* handle, void** context,
                                     MHD_ConnectionNotificationCode code) noexcept
{
    Impl& server = *static_cast<Impl*>(self);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const int fd =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        Connection* connection = server.added.extract(fd).mapped();
        connection->handle = handle;
        *context = connection;
        // Longer than the deadlines here. The library goes on with what has a time-out of its own
        // before it reads more: else the answer to a peer that ended its side would be lost.
        MHD_set_connection_option(
            handle, MHD_CONNECTION_OPTION_TIMEOUT,
            static_cast<unsigned int>(server.setup.receive_s + server.setup.send_s));
    } else {
        server.end_connection(*static_cast<Connection*>(*context));
    }
}

// --- the server

Result<std::unique_ptr<HttpServer>> HttpServer::create(HttpSetup setup, std::vector<Fd> listeners)
{
    std::unique_ptr<HttpServer> server(new HttpServer());
    server->impl_ = std::make_unique<Impl>();
    server->impl_->setup = std::move(setup);
    server->impl_->listeners = std::move(listeners);
    if (auto done = server->impl_->start(); !done) {
        return done.error();
    }
    return server;
}

void HttpServer::serve()
{
    impl_->thread = std::thread([this] { impl_->run(); });
}

HttpServer::~HttpServer()
{
    if (impl_->thread.joinable()) {
        impl_->ends = true;
        impl_->queue->wake();
        impl_->thread.join();
    }
    if (impl_->daemon != nullptr) {
        impl_->stop();
    }
}

} // namespace xdpctl
