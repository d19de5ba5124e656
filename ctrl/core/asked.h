// SPDX-License-Identifier: Apache-2.0
// Servers that this host's own sockets were seen to ask for names or for the time.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "core/protected.h"

namespace xdpctl
{

// A connected socket whose peer's port is one of asked_ports.
struct Question {
    uint16_t local_port = 0;
    Address server;
    uint16_t port = 0;
    uint32_t uid = 0;
};

inline constexpr std::array<uint16_t, 3> asked_ports = {53, 853, 123};

// True for accounts of the system: root, daemons, systemd's dynamic users.
bool is_system_account(uint32_t uid);

// Remembers them for a day. A stranger must not get in: who connects to a service of ours
// from port 53 has not been asked, and of a resolver that asks whole the world, every
// name server is somebody whom strangers can name.
class AskedServers
{
  public:
    static constexpr size_t servers_of_one_most = 16; // of an account, for names or the time
    static constexpr size_t servers_most = 256;
    static constexpr uint64_t remembered_ns = 24ULL * 3600 * 1'000'000'000;

    // `served`: local ports of services now, which count for ever; `open`: of UDP sockets
    // without a peer now, whose port may soon be another one's.
    void observe(const std::vector<Question>& questions, const std::set<uint16_t>& served,
                 const std::set<uint16_t>& open, uint64_t now_ns);
    std::vector<Protected> servers() const;

  private:
    struct Key {
        uint32_t uid = 0;
        bool time = false; // else names
        Address server;
        auto operator<=>(const Key&) const = default;
    };
    struct Seen {
        uint64_t last_ns = 0;
        uint16_t port = 0;
    };
    void forget(uint64_t now_ns);

    // More than are protected, so that a resolver of the whole world is told by its number.
    static constexpr size_t counted_of_one_most = 4 * servers_of_one_most;
    static constexpr size_t counted_most = 4 * servers_most;

    std::map<Key, Seen> seen_;
    std::bitset<65536> served_; // local ports that had a listener at any time
};

} // namespace xdpctl
