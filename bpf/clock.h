/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The only reader of time. */
#ifndef XDPCTL_BPF_CLOCK_H
#define XDPCTL_BPF_CLOCK_H

#include "maps.h"

/*
 * CLOCK_MONOTONIC in nanoseconds at the resolution of a jiffy, which is all
 * that deadlines need, for a tenth of the cost of the exact clock.
 */
static __always_inline __u64 now_ns(const struct packet *pkt)
{
	if (xdpctl_replay)
		return pkt->control->replay_now_ns;
	return bpf_ktime_get_coarse_ns();
}

#endif
