// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "core/sessions.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

struct Recorder final : SocketTable {
    std::set<SocketKey> open;
    std::set<SocketKey> half_open;
    std::map<Address, int> clients;
    Result<> open_socket(const SocketKey& key, xdpctl_session session) override
    {
        if (session == XDPCTL_SESSION_HALF_OPEN) {
            half_open.insert(key);
        } else {
            half_open.erase(key);
            open.insert(key);
        }
        return Done{};
    }
    Result<> close_socket(const SocketKey& key) override
    {
        return half_open.erase(key), open.erase(key), Done{};
    }
    Result<> client_opened(const SocketKey& key) override { return clients[key.peer]++, Done{}; }
    Result<> client_closed(const SocketKey& key) override { return clients[key.peer]--, Done{}; }
};

const Address server = "192.0.2.1"_ip;
const Address client = "198.51.100.9"_ip;
const SocketKey connection = {6, server, 80, client, 4000};

FrameInfo in(uint8_t flags, uint8_t protocol = 6)
{
    return {client, server, protocol, flags, true, 4000, 80};
}

FrameInfo out(uint8_t flags, uint8_t protocol = 6)
{
    return {server, client, protocol, flags, true, 80, 4000};
}

} // namespace

TEST_CASE("a whole handshake makes a client, less does not")
{
    Recorder table;
    SessionTracker tracker(table);
    REQUIRE(tracker.to_protected(in(tcp_syn)));
    REQUIRE(tracker.to_protected(in(tcp_ack))); // no SYN-ACK went out
    CHECK(table.clients.empty());
    REQUIRE(tracker.from_protected(out(tcp_syn | tcp_ack)));
    CHECK(table.open.empty());
    CHECK(table.half_open.contains(connection));
    REQUIRE(tracker.to_protected(in(tcp_ack)));
    CHECK(table.open.contains(connection));
    CHECK(table.half_open.empty());
    CHECK(table.clients[client] == 1);
}

TEST_CASE("both FINs, or one RST, end a connection")
{
    for (const bool reset : {false, true}) {
        Recorder table;
        SessionTracker tracker(table);
        REQUIRE(tracker.from_protected(out(tcp_syn | tcp_ack)));
        REQUIRE(tracker.to_protected(in(tcp_ack)));
        if (reset) {
            REQUIRE(tracker.to_protected(in(tcp_rst)));
        } else {
            REQUIRE(tracker.from_protected(out(tcp_fin | tcp_ack)));
            CHECK(table.clients[client] == 1);
            REQUIRE(tracker.to_protected(in(tcp_fin | tcp_ack)));
        }
        CHECK(table.open.empty());
        CHECK(table.clients[client] == 0);
    }
}

TEST_CASE("a connection from before the capture is a socket, its peer no proven client")
{
    Recorder table;
    SessionTracker tracker(table);
    REQUIRE(tracker.from_protected(out(tcp_ack | tcp_psh)));
    CHECK(table.open.contains(connection));
    CHECK(table.clients.empty());
}

TEST_CASE("UDP that the protected side sends waits for its answer")
{
    Recorder table;
    SessionTracker tracker(table);
    REQUIRE(tracker.from_protected(out(0, 17)));
    CHECK(table.open.contains({17, server, 80, client, 4000}));
}

TEST_CASE("services are the ports that answer")
{
    ServiceFinder finder;
    finder.to_protected(in(tcp_syn));
    CHECK(finder.listeners().empty());
    finder.from_protected(out(tcp_syn | tcp_ack));
    CHECK(finder.listeners().contains({6, server, 80, {}, 0}));
    finder.from_protected({server, client, 17, 0, true, 5000, 53}); // it asks: no service
    CHECK(finder.listeners().size() == 1);
    finder.to_protected({client, server, 17, 0, true, 5000, 53});
    finder.from_protected({server, client, 17, 0, true, 53, 5000});
    CHECK(finder.listeners().contains({17, server, 53, {}, 0}));
}

TEST_CASE("connections that are older than the capture are found in its first pass")
{
    ServiceFinder finder;
    finder.from_protected(out(tcp_ack));
    CHECK(finder.older_connections().contains(connection));
    ServiceFinder fresh;
    fresh.to_protected(in(tcp_syn));
    fresh.from_protected(out(tcp_syn | tcp_ack));
    fresh.from_protected(out(tcp_ack));
    CHECK(fresh.older_connections().empty());
    ServiceFinder stray;
    stray.from_protected(out(tcp_rst));
    CHECK(stray.older_connections().empty());

    Recorder table;
    SessionTracker tracker(table);
    REQUIRE(tracker.resume(connection));
    CHECK(table.open.contains(connection));
    CHECK(table.clients.empty());
}

TEST_CASE("ports that never answer are assumed to serve, with a fair part of the SYNs")
{
    ServiceFinder one_way;
    FrameInfo syn = in(tcp_syn);
    for (int i = 0; i < 97; i++) {
        one_way.to_protected(syn);
    }
    for (syn.dport = 1; syn.dport <= 3; syn.dport++) {
        one_way.to_protected(syn);
    }
    CHECK(one_way.listeners().empty());
    CHECK(one_way.assumed() == std::set<SocketKey>{{6, server, 80, {}, 0}});
    one_way.from_protected(out(tcp_rst | tcp_ack)); // it does answer: the port is closed
    CHECK(one_way.assumed().empty());
}

TEST_CASE("stated services listen where somebody asks for them")
{
    ServiceFinder finder({{17, 80}, {6, 443}});
    finder.to_protected(in(tcp_syn));
    CHECK(finder.listeners().empty());
    finder.to_protected(in(0, 17));
    CHECK(finder.listeners() == std::set<SocketKey>{{17, server, 80, {}, 0}});
}

TEST_CASE("service ports are written as a number or with their protocol")
{
    CHECK(parse_service_port("443").value() == ServicePort{6, 443});
    CHECK(parse_service_port("tcp/1").value() == ServicePort{6, 1});
    CHECK(parse_service_port("udp/65535").value() == ServicePort{17, 65535});
    CHECK(to_string(ServicePort{17, 53}) == "udp/53");
    for (const char* wrong : {"", "0", "65536", "-1", "80x", "sctp/80", "udp/", "/80", "80/udp"}) {
        INFO(wrong);
        CHECK_FALSE(parse_service_port(wrong));
    }
}
