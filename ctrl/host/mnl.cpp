// SPDX-License-Identifier: Apache-2.0
#include "host/mnl.h"

#include <cerrno>
#include <exception>
#include <memory>
#include <vector>

namespace xdpctl
{
namespace
{

constexpr size_t dump_bytes = 32768; // NLMSG_GOODSIZE of the kernel: the most of one piece
constexpr int looks_most = 5;        // at a table that changes meanwhile

using Message = std::vector<char>; // one nlmsghdr and what follows it

// Called by C: nothing may be thrown through it.
int on_message(const nlmsghdr* message, void* context) noexcept
try {
    const auto* bytes = reinterpret_cast<const char*>(message);
    static_cast<std::vector<Message>*>(context)->emplace_back(bytes, bytes + message->nlmsg_len);
    return MNL_CB_OK;
} catch (const std::exception&) {
    errno = ENOMEM;
    return MNL_CB_ERROR;
}

// 0, or the errno.
int look(mnl_socket* socket, const NetlinkQuestion& question, unsigned sequence,
         std::vector<Message>& messages)
{
    std::vector<char> buffer(dump_bytes);
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = question.type;
    request->nlmsg_flags = NLM_F_REQUEST | question.flags;
    request->nlmsg_seq = sequence;
    std::memcpy(mnl_nlmsg_put_extra_header(request, question.body.size()), question.body.data(),
                question.body.size());
    if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) {
        return errno;
    }
    int code = MNL_CB_OK;
    while (code > MNL_CB_STOP) {
        const ssize_t got = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
        code = got < 0 ? MNL_CB_ERROR
                       : mnl_cb_run(buffer.data(), static_cast<size_t>(got), sequence,
                                    mnl_socket_get_portid(socket), on_message, &messages);
    }
    return code == MNL_CB_STOP ? 0 : errno;
}

} // namespace

Result<> ask_netlink(const NetlinkQuestion& question,
                     const std::function<void(const nlmsghdr&)>& visit)
{
    std::vector<Message> messages;
    int code = EINTR;
    for (int tries = 0; tries < looks_most && code == EINTR; tries++) {
        // The rest of a look that was interrupted is left in its socket.
        const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(
            mnl_socket_open2(question.protocol, SOCK_CLOEXEC), mnl_socket_close);
        if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
            return system_failure(errno, "opening a netlink socket");
        }
        messages.clear();
        code = look(socket.get(), question, static_cast<unsigned>(tries) + 1, messages);
    }
    if (code != 0) {
        return system_failure(code, "reading netlink");
    }
    for (const Message& message : messages) {
        visit(*reinterpret_cast<const nlmsghdr*>(message.data()));
    }
    return Done{};
}

} // namespace xdpctl
