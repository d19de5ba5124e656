// SPDX-License-Identifier: Apache-2.0
// What jobs ask of other hosts: feeds, and decisions of CrowdSec. They block.
#pragma once

#include <string>

#include "core/crowdsec.h"
#include "daemon/bouncer.h"
#include "daemon/feeds.h"
#include "engine/jobs.h"
#include "feeds/fetch.h"

namespace xdpctl
{

Result<Fetched> fetch_feed(const FeedJob& job, const Stop& stop);

// The key is read each time, so that a new one is taken.
Result<Decisions> ask_crowdsec(const BouncerJob& job, const Stop& stop);

// The first word of the file.
Result<std::string> read_crowdsec_key(const std::string& path);

} // namespace xdpctl
