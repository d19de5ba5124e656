// SPDX-License-Identifier: Apache-2.0
// What a capture proves of sockets that it does not show: nothing, where it holds no
// packet that such a socket would have sent. Pure and deterministic.
#pragma once

#include <map>

#include <xdpctl/abi/reasons.h>

#include "core/frame.h"

namespace xdpctl
{

// Would the kernel, had it a socket or connection for the packet, have taken it?
bool rests_on_absence(xdpctl_reason reason);

class Evidence
{
  public:
    void from_protected(const FrameInfo& frame);
    // Are answers of `local` to packets of this protocol in the capture?
    bool shows_answers(const Address& local, uint8_t protocol) const;
    bool is_one_way() const { return sent_.empty(); }

  private:
    std::map<Address, uint8_t> sent_; // classes of protocols, as bits
};

} // namespace xdpctl
