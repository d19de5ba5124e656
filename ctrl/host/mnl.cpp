// SPDX-License-Identifier: Apache-2.0
#include "host/mnl.h"

#include <cerrno>
#include <memory>
#include <vector>

namespace xdpctl
{
namespace
{

constexpr size_t dump_bytes = 32768; // NLMSG_GOODSIZE of the kernel: the most of one piece

int on_message(const nlmsghdr* message, void* context)
{
    (*static_cast<const std::function<void(const nlmsghdr&)>*>(context))(*message);
    return MNL_CB_OK;
}

} // namespace

Result<> mnl_dump_bytes(int protocol, uint16_t type, std::span<const uint8_t> body,
                        const std::function<void(const nlmsghdr&)>& visit)
{
    const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(
        mnl_socket_open2(protocol, SOCK_CLOEXEC), mnl_socket_close);
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
        return system_failure(errno, "opening a netlink socket");
    }
    std::vector<char> buffer(dump_bytes);
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = type;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    std::memcpy(mnl_nlmsg_put_extra_header(request, body.size()), body.data(), body.size());
    if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) {
        return system_failure(errno, "asking netlink");
    }
    int code = MNL_CB_OK;
    while (code > MNL_CB_STOP) {
        const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        code = got < 0 ? MNL_CB_ERROR
                       : mnl_cb_run(buffer.data(), static_cast<size_t>(got), 0,
                                    mnl_socket_get_portid(socket.get()), on_message,
                                    const_cast<std::function<void(const nlmsghdr&)>*>(&visit));
    }
    return code == MNL_CB_STOP ? Result<>(Done{}) : system_failure(errno, "reading netlink");
}

} // namespace xdpctl
