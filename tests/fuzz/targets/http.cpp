// SPDX-License-Identifier: Apache-2.0
// The bytes of a connection to the socket of a daemon, until its answer has come.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>

#include "api/server.h"
#include "base/fd.h"
#include "fuzz/fake_daemon.h"

namespace
{

using namespace xdpctl;

class Served
{
  public:
    Served()
    {
        auto server = ApiServer::bind(daemon_.control(), path(), "");
        if (!server) {
            fmt::print(stderr, "no server: {}\n", server.error().message);
            std::abort();
        }
        server_ = std::move(*server);
        server_->serve();
    }
    static std::string path() { return testing::FakeDaemon::directory() + "/socket"; }

  private:
    testing::FakeDaemon daemon_;
    std::unique_ptr<ApiServer> server_;
};

Fd connect_to(const std::string& path)
{
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        std::perror("connecting to the server");
        std::abort();
    }
    return fd;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const Served served;
    const Fd fd = connect_to(Served::path());
    // It may answer before it has read everything.
    for (size_t done = 0; done < size;) {
        const ssize_t put = send(fd.get(), data + done, size - done, MSG_NOSIGNAL);
        if (put < 0) {
            break;
        }
        done += static_cast<size_t>(put);
    }
    shutdown(fd.get(), SHUT_WR);
    std::string answer;
    char buffer[65536];
    for (ssize_t got = 0; (got = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;) {
        answer.append(buffer, static_cast<size_t>(got));
    }
    if (!answer.empty() && !answer.starts_with("HTTP/1.1 ")) {
        fmt::print(stderr, "{}\n", answer);
        std::abort();
    }
    return 0;
}
