// SPDX-License-Identifier: Apache-2.0
#include "core/sessions.h"

#include <netinet/in.h>

namespace xdpctl
{
namespace
{

SocketKey key_of_outgoing(const FrameInfo& frame)
{
    return {frame.protocol, frame.src, frame.sport, frame.dst, frame.dport};
}

SocketKey key_of_incoming(const FrameInfo& frame)
{
    return {frame.protocol, frame.dst, frame.dport, frame.src, frame.sport};
}

SocketKey listener_of(const SocketKey& key)
{
    return {key.protocol, key.local, key.local_port, {}, 0};
}

bool is_only(const FrameInfo& frame, uint8_t wanted)
{
    return (frame.tcp_flags & (tcp_syn | tcp_ack | tcp_rst | tcp_fin)) == wanted;
}

} // namespace

Result<> SessionTracker::listen(const SocketKey& listener)
{
    return table_.open_socket(listener, XDPCTL_SESSION_LISTENER);
}

Result<> SessionTracker::resume(const SocketKey& connection)
{
    return opened(connection, {});
}

Result<> SessionTracker::opened(const SocketKey& key, Connection connection)
{
    connections_[key] = connection;
    if (auto done = table_.open_socket(key, XDPCTL_SESSION_ESTABLISHED); !done) {
        return done;
    }
    return connection.passive ? table_.client_opened(key) : Done{};
}

Result<> SessionTracker::closed(const SocketKey& key)
{
    const auto found = connections_.find(key);
    if (found == connections_.end()) {
        return Done{};
    }
    const Connection connection = found->second;
    connections_.erase(found);
    if (auto done = table_.close_socket(key); !done) {
        return done;
    }
    return connection.passive && connection.state != State::half_open ? table_.client_closed(key)
                                                                      : Done{};
}

Result<> SessionTracker::from_protected(const FrameInfo& frame)
{
    if (!frame.has_ports) {
        return Done{};
    }
    const SocketKey key = key_of_outgoing(frame);
    const auto known = connections_.find(key);
    if (frame.protocol == IPPROTO_UDP) {
        return known == connections_.end() ? opened(key, {}) : Done{};
    }
    if (is_only(frame, tcp_syn | tcp_ack)) {
        const bool fresh = connections_.try_emplace(key, Connection{State::half_open, true}).second;
        return fresh ? table_.open_socket(key, XDPCTL_SESSION_HALF_OPEN) : Done{};
    }
    if (frame.tcp_flags & tcp_rst) {
        return closed(key);
    }
    if (known == connections_.end()) {
        // An active open, or a connection older than the capture.
        return opened(key, {});
    }
    if (frame.tcp_flags & tcp_fin) {
        known->second.state = State::closing;
    }
    return Done{};
}

Result<> SessionTracker::to_protected(const FrameInfo& frame)
{
    if (!frame.has_ports || frame.protocol != IPPROTO_TCP) {
        return Done{};
    }
    const SocketKey key = key_of_incoming(frame);
    const auto known = connections_.find(key);
    if (known == connections_.end()) {
        return Done{};
    }
    if (frame.tcp_flags & tcp_rst) {
        return closed(key);
    }
    if (known->second.state == State::half_open && is_only(frame, tcp_ack)) {
        return opened(key, {State::established, true});
    }
    if (known->second.state == State::closing && frame.tcp_flags & tcp_fin) {
        return closed(key);
    }
    return Done{};
}

void ServiceFinder::from_protected(const FrameInfo& frame)
{
    const SocketKey listener = listener_of(key_of_outgoing(frame));
    if (frame.has_ports && frame.protocol == IPPROTO_TCP) {
        const SocketKey key = key_of_outgoing(frame);
        if (frame.tcp_flags & tcp_syn) {
            begun_.insert(key);
        } else if (!(frame.tcp_flags & tcp_rst) && !begun_.contains(key)) {
            older_.insert(key); // a reset is also the answer to a stray packet
        }
    }
    const bool accepts = frame.protocol == IPPROTO_TCP && is_only(frame, tcp_syn | tcp_ack);
    if (frame.has_ports && (accepts || asked_.contains(listener))) {
        listeners_.insert(listener);
    }
    asked_.erase(listener);
}

void ServiceFinder::to_protected(const FrameInfo& frame)
{
    if (frame.has_ports && frame.protocol == IPPROTO_UDP) {
        asked_.insert(listener_of(key_of_incoming(frame)));
    }
}

} // namespace xdpctl
