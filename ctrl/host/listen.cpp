// SPDX-License-Identifier: Apache-2.0
#include "host/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "core/config.h"

namespace xdpctl
{
namespace
{

Result<Fd> listen_at(const addrinfo& address)
{
    const int yes = 1;
    Fd fd(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // Connections of an earlier server that still close are no obstacle.
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (address.ai_family == AF_INET6) { // IPv4 has a socket of its own
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    }
    if (!fd.valid() || bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 ||
        listen(fd.get(), SOMAXCONN) != 0) {
        return system_failure(errno, "cannot listen");
    }
    return fd;
}

// Whether this host has addresses of the family: its loopback address, at least.
bool has_family(int family)
{
    const char* loopback = family == AF_INET ? "127.0.0.1" : "::1";
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(loopback, "0", &hints, &found) != 0) {
        return false;
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
    const Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return fd.valid() && bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0;
}

// A name, or a port alone, may be several addresses.
Result<> listen_at(const ListenAddress& wanted, std::vector<Fd>& out)
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
    const size_t before = out.size();
    std::optional<Error> lacking;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        auto fd = listen_at(*one);
        if (fd) {
            out.push_back(std::move(*fd));
        } else if (has_family(one->ai_family)) {
            return fd.error();
        } else {
            lacking = fd.error();
        }
    }
    return out.size() > before || !lacking ? Result<>(Done{}) : *lacking;
}

} // namespace

Result<std::vector<Fd>> listen_at(const std::string& addresses)
{
    const auto wanted = parse_listen(addresses);
    if (!wanted) {
        return wanted.error();
    }
    std::vector<Fd> listeners;
    for (const ListenAddress& one : *wanted) {
        if (auto done = listen_at(one, listeners); !done) {
            const bool ipv6 = one.host.find(':') != std::string::npos;
            return done.error().in(fmt::format("{}{}{}{}{}", ipv6 ? "[" : "", one.host,
                                               ipv6 ? "]" : "", one.host.empty() ? "" : ":",
                                               one.port));
        }
    }
    return listeners;
}

Result<> can_listen(const std::string& addresses)
{
    const auto listeners = listen_at(addresses);
    return listeners ? Result<>(Done{}) : listeners.error();
}

} // namespace xdpctl
