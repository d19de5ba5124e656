// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/client.h"
#include "api/codec.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/fd.h"
#include "daemon/control_on_loop.h"
#include "harness/catch.h"
#include "harness/answer.h"
#include "harness/deciding_thread.h"
#include "harness/fake_dataplane.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;
using nlohmann::json;

namespace
{

struct Served {
    std::string directory = fmt::format("/tmp/xdpctl-test-api-{}", getpid());
    std::string socket = directory + "/s.sock";
    FakeDataplane plane;
    FakeInterfaces interfaces;
    Inbox inbox;
    Jobs jobs{inbox};
    std::unique_ptr<Controller> controller;
    std::unique_ptr<ControlOnLoop> control;
    std::optional<DecidingThread> loop;
    std::unique_ptr<ApiServer> server;

    Served()
    {
        Config config;
        config.state_directory = directory;
        controller = std::make_unique<Controller>(
            plane, interfaces, jobs,
            ControllerSetup{"1",
                            directory + "/x.toml",
                            config,
                            {},
                            [] { return Result<HostFacts>(HostFacts{}); },
                            {}});
        REQUIRE(controller->start());
        controller->tick();
        control = std::make_unique<ControlOnLoop>(*controller, inbox);
        loop.emplace(inbox);
        auto started = ApiServer::bind(*control, socket, "");
        REQUIRE(started);
        server = std::move(*started);
        server->serve();
    }
    ~Served()
    {
        server.reset();
        loop.reset();
        std::filesystem::remove_all(directory);
    }
};

} // namespace

TEST_CASE("prefix requests are checked whole, and name what is wrong")
{
    const auto parsed =
        parse_prefix_request(R"({"entries": ["192.0.2.1", "2001:db8::/32"], "ttl": "1h"})");
    REQUIRE(parsed);
    CHECK(parsed->prefixes.size() == 2);
    CHECK(parsed->ttl_ns == 3600 * ns_per_s);
    const auto why = [](const char* body) {
        const auto request = parse_prefix_request(body);
        REQUIRE_FALSE(request);
        CHECK(request.error().kind == ErrorKind::usage);
        return request.error().message;
    };
    CHECK_THAT(why(""), Catch::Contains("JSON object"));
    CHECK_THAT(why("[]"), Catch::Contains("JSON object"));
    CHECK_THAT(why("{}"), Catch::Contains("entries"));
    CHECK_THAT(why(R"({"entries": []})"), Catch::Contains("at least one"));
    CHECK_THAT(why(R"({"entries": ["192.0.2.1", 7]})"), Catch::Contains("entries[1]"));
    CHECK_THAT(why(R"({"entries": ["192.0.2.300"]})"),
               Catch::Contains("entries[0]: '192.0.2.300'"));
    CHECK_THAT(why(R"({"entries": ["192.0.2.1"], "ttl": 5})"), Catch::Contains("ttl"));
    CHECK_THAT(why(R"({"entries": ["192.0.2.1"], "ttl": "0s"})"), Catch::Contains("longer than 0"));
}

TEST_CASE("what is lifted must be said")
{
    const auto lift = [](const char* body) { return parse_lift_request(body); };
    const auto some = lift(R"({"entries": ["192.0.2.1"], "source": "fail2ban", "reason": "sshd"})");
    REQUIRE(some);
    CHECK(some->prefixes == std::vector<Prefix>{"192.0.2.1"_net});
    CHECK(some->origin == XDPCTL_BAN_FAIL2BAN);
    CHECK(some->reason == "sshd");
    CHECK(lift(R"({"inside": "2001:db8::/32"})")->inside == "2001:db8::/32"_net);
    CHECK_FALSE(lift(R"({"all": true})")->prefixes);
    CHECK(lift(R"({"source": "crowdsec"})")->origin == XDPCTL_BAN_CROWDSEC);
    for (const char* wrong : {"{}", R"({"all": false})", R"({"all": 1})", R"({"entries": []})",
                              R"({"entries": null})", R"({"all": true, "inside": "192.0.2.0/24"})",
                              R"({"entries": ["192.0.2.1"], "inside": "192.0.2.0/24"})",
                              R"({"inside": "192.0.2.1/24"})", R"({"inside": 5})",
                              R"({"source": "nobody"})", R"({"all": true, "reason": 5})"}) {
        INFO(wrong);
        REQUIRE_FALSE(lift(wrong));
        CHECK(lift(wrong).error().kind == ErrorKind::usage);
    }
}

TEST_CASE("hexadecimal frames")
{
    CHECK(*parse_hex("00 ff:0A") == Bytes{0, 255, 10});
    CHECK_FALSE(parse_hex("0"));
    CHECK_THAT(parse_hex("00zz").error().message, Catch::Contains("byte 1"));
    CHECK(to_hex(Bytes{0, 255}) == "00ff");
}

TEST_CASE("error kinds have names and HTTP statuses, and come back")
{
    for (const ErrorKind kind :
         {ErrorKind::failed, ErrorKind::usage, ErrorKind::unreachable, ErrorKind::not_found,
          ErrorKind::permission, ErrorKind::invalid_config, ErrorKind::refused}) {
        CHECK(kind_from_name(kind_name(kind)) == kind);
        CHECK(http_status(kind) >= 400);
    }
}

TEST_CASE("the socket answers, and every answer carries the schema version")
{
    Served served;
    const ApiClient client(served.socket);
    for (const Route& route : routes()) {
        if (route.method == "GET") {
            INFO(route.path);
            const auto answer = client.get(route.path);
            REQUIRE(answer);
            CHECK((*answer)["schema_version"] == schema_version);
        }
    }
    REQUIRE(client.put("/v1/mode", {{"mode", "enforce"}}));
    CHECK((*client.get("/v1/status"))["mode"] == "enforce");
    REQUIRE(client.post("/v1/bans", {{"entries", {"203.0.113.7"}}, {"ttl", "1h"}}));
    CHECK((*client.get("/v1/bans"))["bans"].size() == 1);
    CHECK((*client.get("/v1/bans"))["bans"][0]["prefix"] == "203.0.113.7");
    REQUIRE(client.remove("/v1/bans", {{"entries", {"203.0.113.7"}}}));
    struct stat info {
    };
    REQUIRE(stat(served.socket.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0660);
}

TEST_CASE("wrong requests get their kind back and change nothing")
{
    Served served;
    const ApiClient client(served.socket);
    CHECK(client.get("/v1/nonsense").error().kind == ErrorKind::not_found);
    CHECK(client.put("/v1/mode", {{"mode", "drop"}}).error().kind == ErrorKind::usage);
    CHECK(client.put("/v1/mode", json::object()).error().kind == ErrorKind::usage);
    CHECK(client.post("/v1/apply", {{"config", "x = 1"}, {"name", "n"}}).error().message ==
          "n:1: x: unknown key");
    CHECK(client.get("/v1/events?since=x").error().kind == ErrorKind::usage);
    CHECK((*client.get("/v1/status"))["generation"] == 1);
    CHECK(ApiClient("/nonexistent").get("/v1").error().kind == ErrorKind::unreachable);
}

namespace
{

// A daemon that takes connections and does with them what `then` does.
struct Listener {
    std::string path = fmt::format("/tmp/xdpctl-test-listener-{}.sock", getpid());
    Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::thread thread;

    Listener(int backlog, std::function<void(int)> then)
    {
        unlink(path.c_str());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
        REQUIRE(listen(fd.get(), backlog) == 0);
        if (then) {
            thread = std::thread([this, then] {
                const Fd peer(accept(fd.get(), nullptr, nullptr));
                char byte = 0;
                (void)!recv(peer.get(), &byte, 1, 0); // there is a request
                then(peer.get());
            });
        }
    }
    ~Listener()
    {
        if (thread.joinable()) {
            thread.join();
        }
        unlink(path.c_str());
    }
};

} // namespace

TEST_CASE("a daemon that is slow, busy or gone is told apart from one that does not run")
{
    const auto told = [](const Result<json>& answer) {
        REQUIRE_FALSE(answer);
        CHECK(answer.error().kind == ErrorKind::unreachable);
        return answer.error().message;
    };
    {
        const Listener slow(8, [](int) { std::this_thread::sleep_for(std::chrono::seconds(2)); });
        const auto words = told(ApiClient(slow.path, 1).put("/v1/mode", {{"mode", "enforce"}}));
        CHECK_THAT(words, Catch::Contains("no answer within 1 s"));
        CHECK_THAT(words, Catch::Contains("Whether the change was made is not known"));
        CHECK_THAT(words, !Catch::Contains("is it running"));
    }
    {
        const Listener gone(8, [](int peer) { shutdown(peer, SHUT_RDWR); });
        const auto words = told(ApiClient(gone.path, 5).get("/v1/status"));
        CHECK_THAT(words, Catch::Contains("closed the connection"));
        CHECK_THAT(words, !Catch::Contains("Whether the change")); // it was a question
    }
    {
        const Listener full(0, {});
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        full.path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        const Fd queued(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(connect(queued.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
        CHECK_THAT(told(ApiClient(full.path, 1).get("/v1/status")),
                   Catch::Contains("xdpctld is busy"));
    }
    CHECK_THAT(told(ApiClient("/tmp/xdpctl-test-none.sock").get("/v1/status")),
               Catch::Contains("is it running?"));
}

TEST_CASE("a file in place of the socket is left alone")
{
    Served served;
    const std::string path = served.directory + "/precious";
    std::ofstream(path) << "data";
    const auto bound = ApiServer::bind(*served.control, path, "");
    REQUIRE_FALSE(bound);
    CHECK_THAT(bound.error().message, Catch::Contains("is not a socket"));
    CHECK(std::filesystem::file_size(path) == 4);
}

TEST_CASE("a change that a restart would forget says so")
{
    Served served;
    const ApiClient client(served.socket);
    CHECK_FALSE(client.put("/v1/mode", {{"mode", "enforce"}})->contains("not_saved"));
    const std::string state = served.directory + "/state.json.new";
    std::filesystem::create_directory(state); // where it is written first
    const auto not_saved = [](const Result<json>& answer) {
        REQUIRE(answer);
        return answer->value("not_saved", "");
    };
    CHECK_THAT(not_saved(client.put("/v1/mode", {{"mode", "monitor"}})), Catch::Contains(state));
    CHECK_THAT(not_saved(client.post("/v1/allow", {{"entries", {"192.0.2.1"}}})),
               Catch::Contains(state));
    CHECK_THAT(not_saved(client.remove("/v1/allow", {{"entries", {"192.0.2.1"}}})),
               Catch::Contains(state));
    const json status = *client.get("/v1/status");
    REQUIRE(status["conditions"].size() == 1);
    CHECK(status["conditions"][0]["name"] == "state_not_saved");
    CHECK(status["conditions"][0]["severity"] == "warning");
    CHECK(status["warnings"][0] == status["conditions"][0]["text"]);
    std::filesystem::remove(state);
    CHECK(not_saved(client.put("/v1/mode", {{"mode", "enforce"}})).empty());
}

TEST_CASE("panic by the API: attach is refused, the end is an answer of its own")
{
    Served served;
    const ApiClient client(served.socket);
    CHECK(client.post("/v1/panic/end", json::object()).error().kind == ErrorKind::not_found);
    served.inbox.ask([&served] {
        served.plane.bypassed = true;
        served.interfaces.freed = {"a"};
    });
    CHECK(client.post("/v1/attach", {{"interface", "a"}}).error().kind == ErrorKind::refused);
    const auto end = client.post("/v1/panic/end", json::object());
    REQUIRE(end);
    CHECK((*end)["attached"][0]["name"] == "a");
    CHECK((*end)["failed"].empty());
    CHECK((*end)["schema_version"] == schema_version);
}

TEST_CASE("allowing nearly everybody needs force, and only true is force")
{
    Served served;
    const ApiClient client(served.socket);
    json body = {{"entries", {"0.0.0.0/0"}}};
    CHECK(client.post("/v1/allow", body).error().kind == ErrorKind::refused);
    body["force"] = "yes";
    CHECK(client.post("/v1/allow", body).error().kind == ErrorKind::refused);
    body["force"] = true;
    CHECK(client.post("/v1/allow", body));
}

TEST_CASE("a second daemon on the same socket is refused")
{
    Served served;
    const auto second = ApiServer::bind(*served.control, served.socket, "");
    REQUIRE_FALSE(second);
    CHECK_THAT(second.error().message, Catch::Contains("already running"));
    CHECK(ApiClient(served.socket).get("/v1/status"));
}

namespace
{

Fd connected(const std::string& path)
{
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    return fd;
}

void put(const Fd& fd, std::string_view text)
{
    REQUIRE(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
}

} // namespace

TEST_CASE("a body of unknown length is bounded like others")
{
    Served served;
    const Fd peer = connected(served.socket);
    put(peer, "POST /v1/bans HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
              "Transfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "100000\r\n" + std::string(1UL << 20, ' ') + "\r\n";
    for (int i = 0; i < 80; i++) { // it is read to its end, though not kept
        put(peer, chunk);
    }
    put(peer, "0\r\n\r\n");
    const std::string answer = answer_of(peer);
    CHECK(answer.starts_with("HTTP/1.1 413"));
    CHECK_THAT(answer, Catch::Contains("the request is too large"));
}

TEST_CASE("headers are bounded too, and a body may not be compressed")
{
    Served served;
    const Fd peer = connected(served.socket);
    std::string head = "GET /v1 HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < 100; i++) {
        head += fmt::format("X-{}: {}\r\n", i, std::string(1000, 'x'));
    }
    put(peer, head + "\r\n");
    shutdown(peer.get(), SHUT_WR);
    CHECK_THAT(answer_of(peer), !Catch::Contains("routes"));

    const Fd packed = connected(served.socket);
    put(packed, "POST /v1/bans HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}");
    CHECK_THAT(answer_of(packed), Catch::Contains("must be plain"));
}

TEST_CASE("a request that is nested or named to do harm is refused")
{
    Served served;
    const Fd peer = connected(served.socket);
    const std::string body(1UL << 20, '[');
    put(peer, fmt::format("POST /v1/bans HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                          "Content-Length: {}\r\n\r\n{}",
                          body.size(), body));
    const std::string answer = answer_of(peer);
    CHECK(answer.starts_with("HTTP/1.1 400"));
    CHECK_THAT(answer, Catch::Contains("nested deeper than"));

    const ApiClient client(served.socket);
    const auto forged = client.post("/v1/apply", {{"config", ""}, {"name", "a\nerror: b"}});
    REQUIRE_FALSE(forged);
    CHECK(forged.error().message == "name: must be one line of text");
}

TEST_CASE("peers that say nothing do not keep others waiting")
{
    Served served;
    std::vector<Fd> idle;
    for (int i = 0; i < 100; i++) {
        idle.push_back(connected(served.socket));
        if (i % 2 == 0) {
            put(idle.back(), "GET /v1");
        }
    }
    CHECK(ApiClient(served.socket, 20).get("/v1/status"));
}

TEST_CASE("a path that there is not, and a method that it has not")
{
    Served served;
    const auto asked = [&served](std::string_view what) {
        const Fd peer = connected(served.socket);
        put(peer, fmt::format("{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", what));
        return answer_of(peer);
    };
    CHECK_THAT(asked("GET /v2"),
               Catch::StartsWith("HTTP/1.1 404") && Catch::Contains(R"("kind":"not_found")"));
    const std::string other = asked("PATCH /v1/bans");
    CHECK_THAT(other, Catch::StartsWith("HTTP/1.1 405") && Catch::Contains(R"("kind":"usage")"));
    CHECK_THAT(other, Catch::Contains("Allow: GET, POST, DELETE\r\n"));
    const std::string head = asked("HEAD /v1/status");
    CHECK_THAT(head, Catch::StartsWith("HTTP/1.1 200") && Catch::EndsWith("\r\n\r\n"));
    CHECK_THAT(asked("GET /v1/events?since=x"), Catch::StartsWith("HTTP/1.1 400"));
}

TEST_CASE("a peer that is neither root nor in the group is refused")
{
    if (geteuid() != 0) {
        WARN("SKIPPED: needs root to become somebody else");
        return;
    }
    Served served;
    REQUIRE(chmod(served.socket.c_str(), 0666) == 0); // so that only the credentials decide
    REQUIRE(chmod(served.directory.c_str(), 0755) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const bool stranger = setgid(65534) == 0 && setuid(65534) == 0;
        const auto answer = ApiClient(served.socket).get("/v1/status");
        _exit(stranger && !answer && answer.error().kind == ErrorKind::permission ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WEXITSTATUS(status) == 0);
}
