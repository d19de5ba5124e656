// SPDX-License-Identifier: Apache-2.0
// The program on the interfaces and the client learner on the cgroup.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/config.h"
#include "dataplane/bpf_object.h"

namespace xdpctl
{

struct Attachment {
    std::string interface;
    uint32_t ifindex = 0;
    bool native = false; // else generic: after the kernel made an skb
    bool shared = false; // one of several programs behind libxdp's dispatcher
    // Of one that was attached just now: why generic XDP came of it, where native XDP was
    // not forbidden by the configuration.
    std::string native_refusal;
};

Error no_interface(const std::string& name);

// Attaches with libxdp; where the kernel refuses its dispatcher, alone. An
// interface that already runs this program is left as it is; one that runs the
// previous program of the pins gets the new one without a gap. Never displaces
// a foreign program.
Result<Attachment> attach(BpfObject& object, const std::string& interface, AttachMode mode);

// Attaches a program that is in the kernel already, in this mode only.
Result<Attachment> attach_pinned(int program_fd, const std::string& interface, bool native);

// not_found where this network namespace has no such interface.
Result<> find_interface(const std::string& interface);

// Takes our program off an interface; not_found where it is not there.
Result<> detach(int program_fd, const std::string& interface);

// Id of whatever XDP program the interface runs itself: ours, a foreign one, a
// dispatcher; 0 for none. Needs no capability.
uint32_t program_on(uint32_t ifindex);

// Every interface of this network namespace that runs the program. To look
// behind a dispatcher needs CAP_SYS_ADMIN.
std::vector<Attachment> attachments(uint32_t program_id);
// Of one interface. Each call has the kernel list all links: not for each of many.
std::optional<Attachment> attachment_on(const std::string& interface, uint32_t ifindex,
                                        uint32_t program_id);

// True where an XDP program needs xdp.frags for this MTU: the frame no longer
// fits one 4 KiB page beside headroom and skb_shared_info.
bool needs_frags(const std::string& interface);

// Attaches the learner of clients to a cgroup v2 ("": the mount that is found)
// and pins the link; one that is pinned already is kept. Returns the directory.
Result<std::string> attach_clients(const BpfObject& object, const std::string& cgroup,
                                   const std::string& pin_directory);

} // namespace xdpctl
