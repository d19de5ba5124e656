// SPDX-License-Identifier: Apache-2.0
#include "host/listen.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "base/fd.h"
#include "core/config.h"

namespace xdpctl
{
namespace
{

Result<> can_bind(const ListenAddress& wanted)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* found = nullptr;
    const char* host = wanted.host.empty() ? nullptr : wanted.host.c_str();
    if (const int code = getaddrinfo(host, wanted.port.c_str(), &hints, &found); code != 0) {
        return failure("{}", gai_strerror(code));
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
    const Fd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1; // connections of an earlier server that still close are no obstacle
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (!fd.valid() || bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
        listen(fd.get(), 1) != 0) {
        return system_failure(errno, "cannot listen");
    }
    return Done{};
}

} // namespace

Result<> can_listen(const std::string& addresses)
{
    const auto wanted = parse_listen(addresses);
    if (!wanted) {
        return wanted.error();
    }
    for (const ListenAddress& one : *wanted) {
        if (auto done = can_bind(one); !done) {
            const bool ipv6 = one.host.find(':') != std::string::npos;
            return done.error().in(fmt::format("{}{}{}{}{}", ipv6 ? "[" : "", one.host,
                                               ipv6 ? "]" : "", one.host.empty() ? "" : ":",
                                               one.port));
        }
    }
    return Done{};
}

} // namespace xdpctl
