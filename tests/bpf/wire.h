// SPDX-License-Identifier: Apache-2.0
// A network namespace with one end of a wire in our hands: what the kernel's own
// stack answers to a frame.
#pragma once

#include <chrono>
#include <optional>

#include "base/fd.h"
#include "core/frame.h"

namespace xdpctl::testing
{

// The calling thread lives in the new namespace as long as this object does.
// Frames are between the addresses below, as FrameBuilder makes them.
class Wire
{
  public:
    Wire();
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    static Address client(bool ipv6);
    static Address server(bool ipv6);

    static FrameBuilder from_client(bool ipv6) { return {client(ipv6), server(ipv6)}; }

    void send(const Bytes& frame) const;
    // The next TCP frame that the stack sends; nothing where none comes so long.
    std::optional<Bytes> receive(int wait_ms = 2000) const;
    void forget() const; // what is waiting to be received

  private:
    Fd before_; // the namespace that we came from
    Fd socket_; // at the far end of the wire
};

// A TCP listener of both families; descriptors close with the object.
class Listener
{
  public:
    struct Options {
        uint16_t port = 80;
        int backlog = 128;
        int receive_buffer = 0; // SO_RCVBUF, 0: the default
        int max_segment = 0;    // TCP_MAXSEG, likewise
        int tos = 0;            // IP_TOS and IPV6_TCLASS
    };
    explicit Listener(const Options& options);
    // The next connection; an invalid descriptor where there is none.
    Fd accept() const;

  private:
    Fd socket_;
};

} // namespace xdpctl::testing
