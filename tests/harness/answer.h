// SPDX-License-Identifier: Apache-2.0
// What comes over a socket.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "harness/catch.h"

namespace xdpctl::testing
{

inline constexpr int patience_ms = 20000; // of what must not wait at all

// Until `end` was read, or the other side closes; "" and a failure where neither comes.
inline std::string answer_of(const Fd& fd, std::string_view end = "\n never")
{
    std::string answer;
    std::array<char, 65536> buffer{};
    for (size_t from = 0; answer.find(end, from) == std::string::npos;) {
        from = answer.size() - std::min(answer.size(), end.size());
        pollfd polled{fd.get(), POLLIN, 0};
        if (poll(&polled, 1, patience_ms) != 1) {
            FAIL_CHECK("no answer; until now: " << answer);
            return "";
        }
        const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            break;
        }
        answer.append(buffer.data(), static_cast<size_t>(got));
    }
    return answer;
}

} // namespace xdpctl::testing
