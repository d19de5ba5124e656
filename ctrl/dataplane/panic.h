// SPDX-License-Identifier: Apache-2.0
// Panic and its end, by the pins alone: no daemon is needed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/attachment.h"

namespace xdpctl
{

struct Panicked {
    std::vector<std::string> freed; // interfaces
    std::string record_problem;     // why panic_end() will not know them; else empty
};

// Passes every packet, records which interfaces run the program, takes it off all of
// them, and keeps the pinned maps. not_found where nothing is pinned.
Result<Panicked> begin_panic(const std::string& pin_directory);

struct PanicEnd {
    std::vector<Attachment> attached;
    struct Failed {
        std::string interface;
        std::string why;
    };
    std::vector<Failed> failed;
    bool recorded = true; // false: it is not known which interfaces panic freed
};

// Attaches the pinned program to the interfaces that panic freed, then judges packets
// again. What could not be attached stays recorded. not_found where no panic is in force.
Result<PanicEnd> end_panic(const std::string& pin_directory);

// Where the pinned program runs, as the kernel says; none where nothing is pinned.
Result<std::vector<Attachment>> attachments_of_pins(const std::string& pin_directory);

// False also where nothing is pinned.
bool is_panic_in_force(const std::string& pin_directory);

// The interfaces that panic freed; empty where none was.
std::vector<std::string> freed_by_panic(const std::string& pin_directory);
void forget_freed(const std::string& pin_directory);

} // namespace xdpctl
