/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets that nothing here asked for. A few are honest: a late answer, a FIN after the
 * socket is gone, the last hop of a traceroute. The kernel answers those as always; what
 * exceeds a rate for the whole host and for the source's prefix ends here.
 */
#ifndef XDPCTL_BPF_STRAY_H
#define XDPCTL_BPF_STRAY_H

#include "own_address.h"
#include "peers.h"
#include "rate.h"

#define STRAY_BURST 128	      /* packets of the whole host at once */
#define STRAY_PREFIX_BURST 32 /* and of one /24 or /64: a traceroute's probes */
#define STRAY_WIDE_FACTOR 64  /* times as much where connections may have been */

static __always_inline __u64 *stray_bucket(const struct xdpctl_addr *source, __u32 kind,
					   __u64 secret)
{
	struct xdpctl_addr prefix = prefix_of(source);
	__u64 question = secret ^ (__u64)(BUCKET_STRAY + kind) << 16;
	__u32 bucket = xdpctl_ban_hash(&prefix, question) & (XDPCTL_SYN_BUCKETS - 1);

	return bpf_map_lookup_elem(&syn_buckets, &bucket);
}

/*
 * 1 where the packet passes. Under a flood the rate of the host is spent, which is asked
 * first: it is one word that is read and not written. Each kind has its own. Global, so
 * that the verifier looks at it once.
 */
__noinline int xdpctl_stray_passes(const struct headers *hdr, __u32 kind, __u32 look_only,
				   __u64 now)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	__u64 interval, prefix_interval, burst = STRAY_BURST, prefix_burst = STRAY_PREFIX_BURST;
	const struct xdpctl_policy *policy;
	__u64 *all, *prefix;
	__u32 slot;

	if (!hdr || !words)
		return 0;
	slot = active_policy_slot(words);
	policy = bpf_map_lookup_elem(&policies, &slot);
	if (!policy || !policy->stray_interval_ns)
		return 0;
	if (kind == XDPCTL_STRAY_TCP && may_be_connected(&hdr->src, words->secret, now))
		kind = XDPCTL_STRAY_TCP_PEER;
	interval = policy->stray_interval_ns;
	prefix_interval = policy->stray_prefix_interval_ns;
	if (kind == XDPCTL_STRAY_TCP_PEER || kind == XDPCTL_STRAY_TCP_NEW) {
		interval /= STRAY_WIDE_FACTOR;
		burst *= STRAY_WIDE_FACTOR;
	}
	if (kind == XDPCTL_STRAY_TCP_NEW) {
		prefix_interval /= STRAY_WIDE_FACTOR;
		prefix_burst *= STRAY_WIDE_FACTOR;
	}
	kind &= XDPCTL_STRAY_SLOTS - 1;
	all = bpf_map_lookup_elem(&strays, &kind);
	if (!all || !take_due(all, now, interval, interval * burst, true))
		return 0;
	prefix = stray_bucket(&hdr->src, kind, words->secret);
	if (prefix &&
	    !take_due(prefix, now, prefix_interval, prefix_interval * prefix_burst, look_only))
		return 0;
	return take_due(all, now, interval, interval * burst, look_only);
}

/* `kind`: enum xdpctl_stray. */
static __always_inline bool stray_passes(const struct packet *pkt, __u32 kind)
{
	if (kind == XDPCTL_STRAY_TCP && is_new_address(pkt))
		kind = XDPCTL_STRAY_TCP_NEW;
	return xdpctl_stray_passes(&pkt->hdr, kind, pkt->dry_run, now_ns(pkt));
}

#endif
