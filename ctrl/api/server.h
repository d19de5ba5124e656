// SPDX-License-Identifier: Apache-2.0
// HTTP on a Unix socket. The peer is root, the daemon's own user, or in the
// group (SO_PEERCRED, SO_PEERGROUPS); others get 403.
#pragma once

#include <memory>
#include <string>

#include "api/control.h"

namespace xdpctl {

class ApiServer {
  public:
    // Binds the socket, mode 0660, and serves in threads of its own. The error
    // says so where another daemon answers there. `control` must outlive it.
    static Result<std::unique_ptr<ApiServer>> start(Control& control, const std::string& path,
                                                    const std::string& group);
    ~ApiServer(); // stops, joins, removes the socket

  private:
    ApiServer() = default;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xdpctl
