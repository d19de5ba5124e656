// SPDX-License-Identifier: Apache-2.0
// Which side of a capture is the protected one. Pure and deterministic.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/frame.h"

namespace xdpctl
{

// Prefixes of the protected side; empty: every packet counts as coming in.
struct Orientation {
    std::vector<Prefix> protect;
    bool inferred = false;

    bool is_protected(const Address& address) const;
    // A packet from the protected side tells, but is not judged.
    bool is_outgoing(const FrameInfo& frame) const;
    // Reaches the protected side: to one of its addresses or to a group. Where
    // a family has no prefix by inference, all of it counts.
    bool is_incoming(const FrameInfo& frame) const;
    std::string describe() const;
};

// Guesses from the traffic, per family: the one address that receives the most,
// where that is at least a quarter of it; of two ends that talk to each other, the
// one that is connected to. Where no address stands out, all are protected.
class OrientationGuess
{
  public:
    void see(const FrameInfo& frame);
    Orientation result() const;

  private:
    struct Score {
        uint64_t received = 0;
        uint64_t served = 0; // SYNs received, SYN-ACKs sent, UDP asked at a lower port
    };
    static void vote(const std::map<Address, Score>& scores, uint64_t total, Orientation& out);

    std::map<Address, Score> ipv4_;
    std::map<Address, Score> ipv6_;
    uint64_t ipv4_total_ = 0;
    uint64_t ipv6_total_ = 0;
};

} // namespace xdpctl
