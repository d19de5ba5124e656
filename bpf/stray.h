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
#define STRAY_NEW_FACTOR 64   /* times as much while the address is new */

#define STRAY_LOOK_ONLY 1 /* flags of xdpctl_stray_passes */
#define STRAY_NEW 2

/* Takes one packet from the rate, or only looks. */
static __always_inline bool take_stray(__u64 *due_ns, __u64 now, __u64 interval_ns, __u64 burst,
				       bool look_only)
{
	__u64 due = *(volatile __u64 *)due_ns;

	if (due > now + interval_ns * burst)
		return false;
	if (!look_only)
		*(volatile __u64 *)due_ns = (due < now ? now : due) + interval_ns;
	return true;
}

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
 * first: it is one word that is read and not written. Who had a connection here lately
 * is bound by the rate of its prefix alone. Global, so that the verifier looks at it
 * once.
 */
__noinline int xdpctl_stray_passes(const struct headers *hdr, __u32 kind, __u32 flags, __u64 now)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	__u64 factor = flags & STRAY_NEW ? STRAY_NEW_FACTOR : 1;
	bool look_only = flags & STRAY_LOOK_ONLY, was_connected;
	const struct xdpctl_policy *policy;
	__u64 *all, *prefix;
	__u32 slot;

	if (!hdr || !words)
		return 0;
	slot = active_policy_slot(words);
	kind &= XDPCTL_STRAY_SLOTS - 1;
	policy = bpf_map_lookup_elem(&policies, &slot);
	all = bpf_map_lookup_elem(&strays, &kind);
	if (!policy || !all || !policy->stray_interval_ns)
		return 0;
	was_connected = kind == XDPCTL_STRAY_TCP && may_be_connected(&hdr->src, words->secret, now);
	if (!was_connected &&
	    !take_stray(all, now, policy->stray_interval_ns / factor, STRAY_BURST, true))
		return 0;
	prefix = stray_bucket(&hdr->src, kind, words->secret);
	if (prefix && !take_stray(prefix, now, policy->stray_prefix_interval_ns / factor,
				  STRAY_PREFIX_BURST, look_only))
		return 0;
	return was_connected ||
	       take_stray(all, now, policy->stray_interval_ns / factor, STRAY_BURST, look_only);
}

/* `kind`: enum xdpctl_stray. */
static __always_inline bool stray_passes(const struct packet *pkt, __u32 kind)
{
	__u32 flags = pkt->dry_run ? STRAY_LOOK_ONLY : 0;

	if (kind == XDPCTL_STRAY_TCP && is_new_address(pkt))
		flags |= STRAY_NEW;
	return xdpctl_stray_passes(&pkt->hdr, kind, flags, now_ns(pkt));
}

#endif
