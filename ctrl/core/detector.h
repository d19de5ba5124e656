// SPDX-License-Identifier: Apache-2.0
// Which proven clients send more than they may. Pure: time is a parameter.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "core/prefix.h"

namespace xdpctl
{

// What the data path counted of a source that completed a handshake here.
struct ClientSample {
    Address source;
    uint64_t packets = 0;         // TCP from this address
    uint64_t session_packets = 0; // of those, estimated to belong to a socket
    uint32_t connections = 0;
};

struct Offender {
    Address source;
    double packets_per_second = 0;
};

// Counts session packets only, so that nobody is reported for packets that
// somebody else sent in his name. A source offends when it exceeds the rate
// over one window; it is reported once per window.
class RateDetector
{
  public:
    RateDetector(uint64_t packets_per_second, uint64_t window_ns)
        : packets_per_second_(packets_per_second), window_ns_(window_ns)
    {
    }

    std::vector<Offender> observe(const std::vector<ClientSample>& clients, uint64_t now_ns);

  private:
    struct Window {
        uint64_t start_ns;
        uint64_t session_packets; // at the start
        uint64_t seen_ns;
    };

    void forget_absent(uint64_t now_ns);

    uint64_t packets_per_second_;
    uint64_t window_ns_;
    std::unordered_map<Address, Window, AddressHash> windows_;
};

} // namespace xdpctl
