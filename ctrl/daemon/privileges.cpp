// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileges.h"

#include <cap-ng.h>
#include <sys/prctl.h>

#include <cerrno>

namespace xdpctl
{

Result<> drop_privileges()
{
    // Without PERFMON the verifier forbids pointer arithmetic that a reload of
    // the data path needs.
    capng_get_caps_process();
    const bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;
    capng_clear(CAPNG_SELECT_BOTH);
    const auto kept = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
    if (capng_updatev(CAPNG_ADD, kept, CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, -1) != 0) {
        return failure("preparing the capabilities");
    }
    // The bounding set can only be cleared by those who may; under systemd it
    // is narrow already.
    if (capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0) {
        return system_failure(errno, "giving up capabilities");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return system_failure(errno, "forbidding new privileges");
    }
    return Done{};
}

} // namespace xdpctl
