// SPDX-License-Identifier: Apache-2.0
// What a two-way capture says of the sockets of the protected side: the
// stand-in for the kernel's socket table and the sock_ops program in replay.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <xdpctl/abi/event.h>

#include "core/frame.h"

namespace xdpctl
{

struct SocketKey {
    uint8_t protocol = 0;
    Address local;
    uint16_t local_port = 0; // host byte order
    Address peer;            // all zero for a listener
    uint16_t peer_port = 0;

    auto operator<=>(const SocketKey&) const = default;
};

// Where the sockets go. In replay this is the data path's own table.
class SocketTable
{
  public:
    virtual ~SocketTable() = default;
    // Adds, or changes what is there.
    virtual Result<> open_socket(const SocketKey& key, xdpctl_session session) = 0;
    virtual Result<> close_socket(const SocketKey& key) = 0;
    // Of sockets that a client opened.
    virtual Result<> client_opened(const SocketKey& socket) = 0;
    virtual Result<> client_closed(const SocketKey& socket) = 0;
};

class SessionTracker
{
  public:
    explicit SessionTracker(SocketTable& table) : table_(table) {}

    // A socket that was there before the capture began.
    Result<> listen(const SocketKey& listener);
    Result<> resume(const SocketKey& connection);
    Result<> from_protected(const FrameInfo& frame);
    Result<> to_protected(const FrameInfo& frame);

  private:
    enum class State { half_open, established, closing };
    struct Connection {
        State state = State::established;
        bool passive = false; // the peer opened it: a client
    };

    Result<> opened(const SocketKey& key, Connection connection);
    Result<> closed(const SocketKey& key);

    SocketTable& table_;
    std::map<SocketKey, Connection> connections_;
};

struct ServicePort {
    uint8_t protocol = 0; // IPPROTO_TCP or IPPROTO_UDP
    uint16_t port = 0;

    auto operator<=>(const ServicePort&) const = default;
};
// "443", "tcp/443", "udp/53".
Result<ServicePort> parse_service_port(const std::string& text);
std::string to_string(const ServicePort& service);

// First pass over a capture: which ports of the protected side answer, and which
// of its connections are older than the capture.
class ServiceFinder
{
  public:
    // `stated`: services that it has, whatever the capture shows.
    explicit ServiceFinder(std::vector<ServicePort> stated = {}) : stated_(std::move(stated)) {}

    void from_protected(const FrameInfo& frame);
    void to_protected(const FrameInfo& frame);
    std::set<SocketKey> listeners() const;
    // Ports that receive a fair part of the SYNs and never say a word, as in a capture
    // of one direction: nobody can be seen to accept there.
    std::set<SocketKey> assumed() const;
    // Seen from both sides; and of one direction what sends several segments with ACK.
    std::set<SocketKey> older_connections() const;

  private:
    std::vector<ServicePort> stated_;
    std::set<SocketKey> spoke_;          // TCP ports that something came from
    std::map<SocketKey, uint64_t> syns_; // by the listener that they ask for
    std::set<SocketKey> stated_listeners_;
    std::map<SocketKey, uint64_t> heard_; // TCP with ACK that came in
    std::set<SocketKey> asked_;           // UDP that came in before anything went out
    std::set<SocketKey> listeners_;
    std::set<SocketKey> begun_; // TCP whose handshake is in the capture
    std::set<SocketKey> older_;
};

} // namespace xdpctl
