// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace xdpctl
{

Error system_failure(int code, std::string what)
{
    const int number = std::abs(code);
    const auto kind =
        number == EPERM || number == EACCES ? ErrorKind::permission : ErrorKind::failed;
    return {kind, fmt::format("{}: {}", what, std::strerror(number))};
}

} // namespace xdpctl
