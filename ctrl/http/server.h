// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 on sockets that the caller bound. One thread serves all connections with epoll; no
// handler and no peer holds it up. A request has a time to come and its answer a time to be taken,
// from the first byte to the last; connections, heads and bodies are bounded.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace xdpctl
{

struct HttpRequest {
    std::string method;
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;
    std::string body;
    int caller = 0; // as `admit` said
};

struct HttpResponse {
    unsigned int status = 200;
    std::string body;
    std::string content_type;
    std::vector<std::pair<std::string, std::string>> headers = {};
};

// Answers one request, once, from any thread and at any time, also after the server's end.
// Destroyed without a call it answers with the error page of status 500.
class HttpAnswer
{
  public:
    class Queue; // to the server's thread

    HttpAnswer(std::shared_ptr<Queue> queue, uint64_t request)
        : queue_(std::move(queue)), request_(request)
    {
    }
    HttpAnswer(HttpAnswer&&) noexcept = default;
    HttpAnswer& operator=(HttpAnswer&& other) noexcept
    {
        std::swap(queue_, other.queue_);
        std::swap(request_, other.request_);
        return *this;
    }
    HttpAnswer(const HttpAnswer&) = delete;
    HttpAnswer& operator=(const HttpAnswer&) = delete;
    ~HttpAnswer();

    void operator()(HttpResponse response);

  private:
    std::shared_ptr<Queue> queue_; // null: answered, or moved from
    uint64_t request_;
};

// What a kind of callers has together, over all connections.
struct HttpQuota {
    size_t connections_most;
    size_t body_bytes_most;
    size_t connections = 0; // the server counts these two
    size_t body_bytes = 0;
};

struct HttpAdmission {
    int caller = 0;
    HttpQuota* quota = nullptr; // null: none; else it must outlive the server
};

struct HttpSetup {
    size_t head_bytes_most = 64UL << 10; // of the request line and the headers, as they are stored
    size_t body_bytes_most = 64UL << 20; // also of chunked bodies
    // Where there are more, the one whose request is awaited for the longest is closed.
    size_t connections_most = 64;
    uint64_t receive_s = 10;
    uint64_t send_s = 10;

    // The three hooks run in the server's thread and must not wait.
    //
    // Who connects, by the socket; or what it is told, before its request is read.
    std::function<std::variant<HttpAdmission, HttpResponse>(int fd)> admit = [](int) {
        return HttpAdmission{};
    };
    std::function<void(HttpRequest request, HttpAnswer answer)> handle;
    // For requests that do not get to the handler: 408 (late), 413 (large), 415 (compressed or in
    // parts), 500 (no answer), 503 (beyond the quota, or all connections are in work).
    std::function<HttpResponse(unsigned int status)> error_page;
};

class HttpServer
{
  public:
    static Result<std::unique_ptr<HttpServer>> create(HttpSetup setup, std::vector<Fd> listeners);
    // Starts the thread. It inherits the capabilities of the caller.
    void serve();
    // Answers that were given are sent; then all connections are closed.
    ~HttpServer();

  private:
    HttpServer() = default;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xdpctl
