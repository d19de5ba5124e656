// SPDX-License-Identifier: Apache-2.0
// HTTP on a Unix socket. The peer is root, the daemon's own user, or in the
// group (SO_PEERCRED, SO_PEERGROUPS); others get 403. A request has 64 KiB of
// headers, 64 MiB of body, 10 s to come in and its answer 10 s to be sent in; the group
// has 8 connections and 16 MiB of bodies at a time, and root has worker threads of its own, so
// that root is always heard.
#pragma once

#include <memory>
#include <string>

#include "api/control.h"

namespace xdpctl
{

class ApiServer
{
  public:
    // Binds the socket, mode 0660. The error says so where another daemon
    // answers there. `control` must outlive the server.
    static Result<std::unique_ptr<ApiServer>> bind(Control& control, const std::string& path,
                                                   const std::string& group);
    // Serves in threads of its own. They inherit the capabilities of the caller,
    // so give those up between bind() and this.
    void serve();
    ~ApiServer(); // stops, joins, removes the socket

  private:
    ApiServer() = default;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xdpctl
