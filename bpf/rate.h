/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Rates as due times (GCRA, ITU-T I.371): one word holds the whole state. CPUs
 * that meet in the same moment may both be let through; none is held wrongly.
 */
#ifndef XDPCTL_BPF_RATE_H
#define XDPCTL_BPF_RATE_H

#include "clock.h"

#define RATE_BURST_NS 1000000000ULL /* what a quiet second has saved */

/* Different questions about one address must not share a slot of `syn_buckets`, nor of
 * `slow_buckets`. */
enum bucket_use {
	BUCKET_PREFIX = 1,
	BUCKET_KNOWN,
	BUCKET_PORT,
	BUCKET_ADMIT,
	BUCKET_NEW_KNOWN,
	BUCKET_ICMP_ERROR,
	BUCKET_STRAY, /* and what follows: one for each enum xdpctl_stray */
};

/* Takes one from the rate, or only looks; false where none is left. */
static __always_inline bool take_due(__u64 *due_ns, __u64 now, __u64 interval_ns, __u64 burst_ns,
				     bool look_only)
{
	__u64 due = *(volatile __u64 *)due_ns;

	if (due > now + burst_ns)
		return false;
	if (!look_only)
		*(volatile __u64 *)due_ns = (due < now ? now : due) + interval_ns;
	return true;
}

/* Likewise; no interval is no limit. */
static __always_inline bool take_one(const struct packet *pkt, __u64 *due_ns, __u64 interval_ns,
				     __u64 burst_ns)
{
	return !interval_ns || take_due(due_ns, now_ns(pkt), interval_ns, burst_ns, pkt->dry_run);
}

#endif
