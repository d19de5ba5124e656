// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"
#include "harness/answer.h"
#include "harness/catch.h"
#include "http/server.h"
#include "engine/workers.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

HttpResponse page(unsigned int status)
{
    return {status, fmt::format("page {}", status), "text/plain"};
}

HttpResponse text(std::string body)
{
    return {200, std::move(body), "text/plain"};
}

// A server on a socket that the kernel names. By default it answers with method and path, and the
// size of the body.
struct Served {
    HttpSetup setup;
    sockaddr_un address{};
    socklen_t length = sizeof(sa_family_t);
    std::unique_ptr<HttpServer> server;

    Served()
    {
        setup.error_page = page;
        setup.handle = [](const HttpRequest& request, HttpAnswer answer) {
            answer(
                text(fmt::format("{} {} {};", request.method, request.path, request.body.size())));
        };
    }
    void start()
    {
        address.sun_family = AF_UNIX;
        Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
        length = sizeof(address);
        REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
        REQUIRE(listen(fd.get(), 256) == 0);
        std::vector<Fd> listeners;
        listeners.push_back(std::move(fd));
        auto made = HttpServer::create(std::move(setup), std::move(listeners));
        REQUIRE(made);
        server = std::move(*made);
        server->serve();
    }
    Fd connected() const
    {
        Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
        return fd;
    }
};

bool put(const Fd& fd, std::string_view bytes)
{
    return send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
}

bool is_closed(const Fd& fd)
{
    pollfd polled{fd.get(), POLLIN | POLLRDHUP, 0};
    return poll(&polled, 1, 0) == 1 && (polled.revents & (POLLRDHUP | POLLHUP)) != 0;
}

constexpr std::string_view get = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view get_and_close =
    "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

std::string fetched(const Served& served)
{
    const Fd peer = served.connected();
    REQUIRE(put(peer, get_and_close));
    return answer_of(peer);
}

// Answers that the test gives itself.
struct Held {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<HttpAnswer> answers;

    void hold(HttpAnswer answer)
    {
        const std::lock_guard lock(mutex);
        answers.push_back(std::move(answer));
        changed.notify_all();
    }
    HttpAnswer take()
    {
        std::unique_lock lock(mutex);
        REQUIRE(changed.wait_for(lock, std::chrono::milliseconds(patience_ms),
                                 [this] { return !answers.empty(); }));
        HttpAnswer answer = std::move(answers.front());
        answers.pop_front();
        return answer;
    }
};

} // namespace

TEST_CASE("HTTP: a handler that is slow keeps nobody else waiting")
{
    Held held;
    Served served;
    served.setup.handle = [&held](const HttpRequest& request, HttpAnswer answer) {
        if (request.path == "/slow") {
            held.hold(std::move(answer));
        } else {
            answer(text("fast"));
        }
    };
    served.start();
    std::vector<Fd> slow;
    for (int i = 0; i < 20; i++) {
        slow.push_back(served.connected());
        REQUIRE(put(slow.back(), "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    std::vector<HttpAnswer> answers;
    for (size_t i = 0; i < slow.size(); i++) {
        answers.push_back(held.take());
    }
    CHECK_THAT(fetched(served), Catch::EndsWith("fast"));
    std::thread([&answers] {
        for (HttpAnswer& answer : answers) {
            answer(text("slow at last"));
        }
    }).join();
    for (const Fd& peer : slow) {
        CHECK_THAT(answer_of(peer, "last"), Catch::EndsWith("slow at last"));
    }
}

TEST_CASE("HTTP: peers that send a byte now and then keep nobody waiting, and are bounded")
{
    constexpr size_t most = 64;
    Served served;
    served.setup.connections_most = most;
    served.start();
    std::vector<Fd> slow;
    for (int i = 0; i < 100; i++) {
        slow.push_back(served.connected());
        put(slow.back(), "G");
    }
    for (int round = 0; round < 3; round++) {
        CHECK_THAT(fetched(served), Catch::EndsWith("GET /x 0;"));
        for (const Fd& peer : slow) {
            put(peer, "E");
        }
    }
    const auto open =
        std::count_if(slow.begin(), slow.end(), [](const Fd& peer) { return !is_closed(peer); });
    CHECK(open < static_cast<long>(most)); // one of them had to make room for the last request
    CHECK(open > 0);
    CHECK(is_closed(slow.front())); // who waited for the longest
}

TEST_CASE("HTTP: bodies are bounded, chunked ones too")
{
    constexpr size_t most = 100000;
    Served served;
    served.setup.body_bytes_most = most;
    served.start();
    const auto chunked = [&served](size_t chunks, size_t size) {
        const Fd peer = served.connected();
        REQUIRE(put(peer, "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
        const std::string chunk = fmt::format("{:x}\r\n{}\r\n", size, std::string(size, 'b'));
        for (size_t i = 0; i < chunks; i++) {
            REQUIRE(put(peer, chunk));
        }
        REQUIRE(put(peer, "0\r\n\r\n"));
        REQUIRE(put(peer, get_and_close)); // the connection is whole: all was read
        return answer_of(peer);
    };
    const std::string within = chunked(10, most / 10);
    CHECK_THAT(within, Catch::Contains(fmt::format("POST /c {};", most)));
    CHECK_THAT(within, Catch::EndsWith("GET /x 0;"));
    const std::string beyond = chunked(11, most / 10);
    CHECK_THAT(beyond, Catch::StartsWith("HTTP/1.1 413") && Catch::Contains("page 413"));
    CHECK_THAT(beyond, Catch::EndsWith("GET /x 0;"));

    const Fd peer = served.connected();
    REQUIRE(put(peer, fmt::format("POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                                  most + 1, std::string(most + 1, 'b'))));
    CHECK_THAT(answer_of(peer, "page 413"), Catch::StartsWith("HTTP/1.1 413"));
}

TEST_CASE("HTTP: heads are bounded, and bodies are plain")
{
    Served served;
    served.start();
    const Fd large = served.connected();
    std::string head = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < 100; i++) {
        head += fmt::format("X-{}: {}\r\n", i, std::string(1000, 'x'));
    }
    REQUIRE(put(large, head + "\r\n"));
    CHECK_THAT(answer_of(large), Catch::StartsWith("HTTP/1.1 431"));

    for (const char* line : {"Content-Encoding: gzip", "Content-Type: Multipart/form-data; x"}) {
        INFO(line);
        const Fd packed = served.connected();
        REQUIRE(put(packed, fmt::format("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n"
                                        "Content-Length: 2\r\n\r\n{{}}",
                                        line)));
        CHECK_THAT(answer_of(packed), Catch::EndsWith("page 415"));
    }
}

TEST_CASE("HTTP: one connection carries several requests, also when they come at once")
{
    Workers workers(2);
    Served served;
    served.setup.handle = [&workers](HttpRequest request, HttpAnswer answer) {
        workers.post(
            Workers::Task([request = std::move(request), answer = std::move(answer)]() mutable {
                answer(text(request.path + ";"));
            }));
    };
    served.start();
    const Fd peer = served.connected();
    std::string requests;
    for (int i = 0; i < 50; i++) {
        requests += fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
    }
    REQUIRE(put(peer, requests));
    std::string answers = answer_of(peer, "/49;");
    size_t at = 0;
    for (int i = 0; i < 50; i++) { // in their order
        at = answers.find(fmt::format("/{};", i), at);
        REQUIRE(at != std::string::npos);
    }
    REQUIRE(put(peer, "HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n"));
    answers = answer_of(peer, "\r\n\r\n");
    CHECK_THAT(answers, Catch::StartsWith("HTTP/1.1 200") && Catch::Contains("Content-Length: 6"));
    REQUIRE(put(peer, get_and_close));
    answers = answer_of(peer);
    CHECK_THAT(answers, Catch::StartsWith("HTTP/1.1 200") && Catch::EndsWith("/x;"));
    served.server.reset();
}

TEST_CASE("HTTP: a peer that said all it has to say is answered")
{
    Held held;
    Served served;
    served.setup.handle = [&held](const HttpRequest& request, HttpAnswer answer) {
        if (request.path == "/x") {
            answer(text("at once"));
        } else {
            held.hold(std::move(answer));
        }
    };
    served.start();
    const Fd idle = served.connected();
    const Fd peer = served.connected();
    REQUIRE(put(peer, get));
    shutdown(peer.get(), SHUT_WR);
    CHECK_THAT(answer_of(peer, "once"), Catch::EndsWith("at once"));
    const Fd waiting = served.connected();
    REQUIRE(put(waiting, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
    shutdown(waiting.get(), SHUT_WR);
    HttpAnswer answer = held.take();
    CHECK_THAT(fetched(served), Catch::EndsWith("at once"));
    answer(text("later"));
    CHECK_THAT(answer_of(waiting, "later"), Catch::EndsWith("later"));
}

TEST_CASE("HTTP: arguments are decoded")
{
    Served served;
    served.setup.handle = [](const HttpRequest& request, HttpAnswer answer) {
        std::string all = request.path;
        for (const auto& [name, value] : request.query) {
            all += fmt::format("|{}={}", name, value);
        }
        answer(text(all));
    };
    served.start();
    const Fd peer = served.connected();
    REQUIRE(put(peer, "GET /a%20b?x=1%2b1&y&z= HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    CHECK_THAT(answer_of(peer), Catch::EndsWith("/a b|x=1+1|y=|z="));
}

TEST_CASE("HTTP: a request that does not come to its end is told so, however many bytes it sends")
{
    Served served;
    served.setup.receive_s = 1;
    served.start();
    const Fd head = served.connected();
    const Fd body = served.connected();
    const Fd idle = served.connected();
    REQUIRE(put(head, "G"));
    REQUIRE(put(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"));
    REQUIRE(put(idle, get));
    CHECK_THAT(answer_of(idle, ";"), Catch::EndsWith("GET /x 0;"));
    const uint64_t give_up = steady_ns() + patience_ms * 1'000'000ULL;
    while ((!is_closed(head) || !is_closed(body)) && steady_ns() < give_up) {
        put(head, "E");
        put(body, "b");
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK_THAT(answer_of(head), Catch::StartsWith("HTTP/1.1 408") && Catch::EndsWith("page 408"));
    CHECK_THAT(answer_of(body), Catch::StartsWith("HTTP/1.1 408") && Catch::EndsWith("page 408"));
    CHECK(answer_of(idle).empty()); // closed without a word: it owes nothing
}

TEST_CASE("HTTP: an answer that nobody reads ends its connection")
{
    constexpr size_t large = 8UL << 20; // more than sockets hold
    const auto handle = [](const HttpRequest& request, HttpAnswer answer) {
        answer(text(std::string(request.path == "/large" ? large : 1, 'x')));
    };
    Served served;
    served.setup.send_s = 1;
    served.setup.handle = handle;
    served.start();
    const Fd peer = served.connected();
    REQUIRE(put(peer, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK_THAT(fetched(served), Catch::EndsWith("x"));
    const uint64_t give_up = steady_ns() + patience_ms * 1'000'000ULL;
    while (!is_closed(peer) && steady_ns() < give_up) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK(is_closed(peer));
    CHECK(answer_of(peer).size() < large);

    Served patient; // who reads gets all of it
    patient.setup.handle = handle;
    patient.start();
    const Fd reader = patient.connected();
    REQUIRE(put(reader, "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    CHECK(answer_of(reader).size() > large);
}

TEST_CASE("HTTP: no answer is an answer too")
{
    Held held;
    Served served;
    served.setup.handle = [&held](const HttpRequest& request, HttpAnswer answer) {
        if (request.path == "/throws") {
            throw std::runtime_error("on purpose");
        }
        held.hold(std::move(answer));
    };
    served.start();
    const Fd thrown = served.connected();
    REQUIRE(put(thrown, "GET /throws HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK_THAT(answer_of(thrown, "page 500"), Catch::StartsWith("HTTP/1.1 500"));
    const Fd forgotten = served.connected();
    REQUIRE(put(forgotten, get));
    std::thread([&held] { const HttpAnswer answer = held.take(); }).join();
    CHECK_THAT(answer_of(forgotten, "page 500"), Catch::StartsWith("HTTP/1.1 500"));

    const Fd last = served.connected();
    REQUIRE(put(last, get));
    HttpAnswer late = held.take();
    served.server.reset(); // does not wait for it
    late(text("for nobody"));
    CHECK(answer_of(last).empty());
}

TEST_CASE("HTTP: answers that were given are sent before the server ends")
{
    Held held;
    std::atomic<bool> holds_up = true; // the server's thread, which no handler should
    Served served;
    served.setup.handle = [&](const HttpRequest& request, HttpAnswer answer) {
        held.hold(std::move(answer));
        while (request.path == "/x" && holds_up) {
            std::this_thread::yield();
        }
    };
    served.start();
    const Fd peer = served.connected();
    REQUIRE(put(peer, "GET /given HTTP/1.1\r\nHost: x\r\n\r\n"));
    HttpAnswer answer = held.take();
    const Fd other = served.connected();
    REQUIRE(put(other, get));
    const HttpAnswer never = held.take();
    answer(text("the last word"));
    std::thread release([&holds_up] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100)); // the end has begun
        holds_up = false;
    });
    served.server.reset();
    release.join();
    CHECK_THAT(answer_of(peer), Catch::EndsWith("the last word"));
}

TEST_CASE("HTTP: who is beyond its quota, or not admitted, is told before it asks")
{
    HttpQuota quota{2, 1000};
    std::atomic<bool> refuses = false;
    Served served;
    served.setup.admit = [&](int) -> std::variant<HttpAdmission, HttpResponse> {
        if (refuses) {
            return page(403);
        }
        return HttpAdmission{7, &quota};
    };
    served.setup.handle = [](const HttpRequest& request, HttpAnswer answer) {
        answer(text(fmt::format("caller {}, {} bytes", request.caller, request.body.size())));
    };
    served.start();
    Fd first = served.connected();
    Fd second = served.connected();
    const Fd third = served.connected();
    CHECK_THAT(answer_of(third), Catch::StartsWith("HTTP/1.1 503") && Catch::EndsWith("page 503"));
    refuses = true;
    const Fd stranger = served.connected();
    CHECK_THAT(answer_of(stranger), Catch::EndsWith("page 403"));
    refuses = false;

    // 1000 bytes for both together, again and again; room is given back with each answer.
    const auto head = [](size_t size) {
        return fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", size);
    };
    for (int i = 0; i < 3; i++) {
        REQUIRE(put(first, head(900) + std::string(900, 'b')));
        CHECK_THAT(answer_of(first), Catch::EndsWith("caller 7, 900 bytes"));
        first = served.connected();
    }
    CHECK(put(stranger, get)); // it is not cut off while it sends
    REQUIRE(put(first, head(901) + std::string(900, 'b')));
    std::string told;
    for (int i = 0; i < 1000 && told.empty(); i++) { // until those 900 are there
        REQUIRE(put(second, head(200) + std::string(200, 'b')));
        const std::string answer = answer_of(second);
        second = served.connected();
        told = answer.starts_with("HTTP/1.1 413") ? answer : "";
    }
    CHECK_THAT(told, Catch::StartsWith("HTTP/1.1 413"));
    REQUIRE(put(first, "b"));
    CHECK_THAT(answer_of(first), Catch::EndsWith("901 bytes"));
}

TEST_CASE("HTTP: what is not HTTP ends its connection alone")
{
    Served served;
    served.start();
    for (const std::string_view text :
         {"\r\n\r\n hello\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
          "GET / HTTP/1.1\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
          "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"}) {
        INFO(text);
        const Fd peer = served.connected();
        REQUIRE(put(peer, text));
        CHECK_THAT(answer_of(peer), !Catch::Contains("HTTP/1.1 200"));
    }
    CHECK_THAT(fetched(served), Catch::EndsWith("GET /x 0;"));
}

TEST_CASE("workers that stop do what they began, and destroy the rest")
{
    std::atomic<int> done = 0;
    std::atomic<bool> go = false;
    std::atomic<bool> began = false;
    Workers workers(1);
    const auto owned = std::make_shared<int>(1);
    workers.post(Workers::Task([&] {
        began = true;
        while (!go) {
            std::this_thread::yield();
        }
        done++;
    }));
    while (!began) {
        std::this_thread::yield();
    }
    workers.post(Workers::Task([&done, owned] { done++; }));
    CHECK(owned.use_count() == 2);
    std::thread release([&] { go = true; });
    workers.stop();
    release.join();
    workers.post(Workers::Task([&done, owned] { done++; }));
    CHECK(done >= 1);
    CHECK(owned.use_count() == 1);
}
