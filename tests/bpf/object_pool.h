// SPDX-License-Identifier: Apache-2.0
// The data path in the kernel for one test after the other: the verifier takes a second or more
// for each load, and a test wants nothing of it but empty maps.
#pragma once

#include <memory>

#include "dataplane/bpf_object.h"

namespace xdpctl::testing
{

// An object that is loaded with these options (which name no pins), with all maps as after the
// load. Nobody else uses it while the pointer lives. It is one that an earlier test gave back, or
// that the processes of a run share by its pins (test_run.h), or else a new one.
Result<std::shared_ptr<BpfObject>> fresh_object(const LoadOptions& options);

} // namespace xdpctl::testing
