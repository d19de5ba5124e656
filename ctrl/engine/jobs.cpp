// SPDX-License-Identifier: Apache-2.0
#include "engine/jobs.h"

namespace xdpctl
{

void Jobs::start_threads(size_t count)
{
    workers_.emplace(count);
}

void Jobs::stop()
{
    stop_ = true;
    workers_.reset();
}

} // namespace xdpctl
