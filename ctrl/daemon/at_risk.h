// SPDX-License-Identifier: Apache-2.0
// Monitor mode: which clients that have used this host would lose packets if it enforced.
// Pure: time is a parameter.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <xdpctl/abi/event.h>

#include "core/prefix.h"

namespace xdpctl
{

class AtRisk
{
  public:
    // A sample of what would be dropped; others are passed over.
    void add(const xdpctl_event& event);
    // Of the last ten minutes: how many clients, for what, and one of them; empty: none.
    std::string text(uint64_t now_ns);

  private:
    struct Client {
        uint64_t last_ns = 0; // data path's clock
        uint32_t reason = 0;
    };
    std::map<Address, Client> clients_; // at most clients_most
};

} // namespace xdpctl
