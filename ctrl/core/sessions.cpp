// SPDX-License-Identifier: Apache-2.0
#include "core/sessions.h"

#include <netinet/in.h>

#include <algorithm>
#include <charconv>

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

Result<ServicePort> parse_service_port(const std::string& text)
{
    ServicePort service{IPPROTO_TCP, 0};
    std::string number = text;
    if (const size_t slash = text.find('/'); slash != std::string::npos) {
        const std::string protocol = text.substr(0, slash);
        if (protocol != "tcp" && protocol != "udp") {
            return failure(ErrorKind::usage, "{}: before the slash must be tcp or udp", text);
        }
        service.protocol = protocol == "udp" ? IPPROTO_UDP : IPPROTO_TCP;
        number = text.substr(slash + 1);
    }
    const char* end = number.data() + number.size();
    const auto parsed = std::from_chars(number.data(), end, service.port);
    if (parsed.ec != std::errc{} || parsed.ptr != end || service.port == 0) {
        return failure(ErrorKind::usage, "{}: not a port from 1 to 65535", text);
    }
    return service;
}

std::string to_string(const ServicePort& service)
{
    return fmt::format("{}/{}", service.protocol == IPPROTO_UDP ? "udp" : "tcp", service.port);
}

void ServiceFinder::from_protected(const FrameInfo& frame)
{
    const SocketKey listener = listener_of(key_of_outgoing(frame));
    if (frame.has_ports && frame.protocol == IPPROTO_TCP) {
        spoke_.insert(listener);
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
    if (!frame.has_ports) {
        return;
    }
    const SocketKey listener = listener_of(key_of_incoming(frame));
    const ServicePort service = {frame.protocol, frame.dport};
    if (std::find(stated_.begin(), stated_.end(), service) != stated_.end()) {
        stated_listeners_.insert(listener);
    }
    if (frame.protocol == IPPROTO_UDP) {
        asked_.insert(listener);
    } else if (is_only(frame, tcp_syn)) {
        syns_[listener]++;
    } else if (is_only(frame, tcp_ack)) {
        heard_[key_of_incoming(frame)]++;
    }
}

std::set<SocketKey> ServiceFinder::listeners() const
{
    std::set<SocketKey> all = listeners_;
    all.insert(stated_listeners_.begin(), stated_listeners_.end());
    return all;
}

std::set<SocketKey> ServiceFinder::older_connections() const
{
    constexpr uint64_t several = 3;
    std::set<SocketKey> found = older_;
    for (const auto& [connection, count] : heard_) {
        const SocketKey listener = listener_of(connection);
        if (count >= several && !spoke_.contains(listener) && !syns_.contains(listener)) {
            found.insert(connection);
        }
    }
    return found;
}

std::set<SocketKey> ServiceFinder::assumed() const
{
    constexpr uint64_t fair_part = 20; // 5 %, so 20 services at most
    std::set<SocketKey> found;
    uint64_t total = 0;
    for (const auto& [listener, count] : syns_) {
        total += count;
    }
    for (const auto& [listener, count] : syns_) {
        if (count * fair_part >= total && !spoke_.contains(listener)) {
            found.insert(listener);
        }
    }
    return found;
}

} // namespace xdpctl
