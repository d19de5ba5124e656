/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is known of the device that a packet came in by, and its counters. */
#ifndef XDPCTL_BPF_DEVICE_H
#define XDPCTL_BPF_DEVICE_H

#include "maps.h"

/* Global, so that the verifier does not unroll the search into every path. */
__noinline int xdpctl_find_device(__u32 ifindex)
{
	const __u32 zero = 0;
	struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	__u32 slot;

	if (!words)
		return 0;
	for (slot = 2; slot < XDPCTL_DEVICE_SLOTS; slot++)
		if (words->devices[slot].ifindex == ifindex)
			return slot;
	return 0;
}

static __always_inline __u32 device_slot(const struct xdp_md *ctx,
					 const struct xdpctl_control *words)
{
	__u32 ifindex = ctx->ingress_ifindex;

	/* Most hosts have one interface to protect. */
	return words->devices[1].ifindex == ifindex ? 1 : xdpctl_find_device(ifindex);
}

static __always_inline const struct xdpctl_device *device_of(const struct packet *pkt)
{
	return &pkt->control->devices[pkt->device & (XDPCTL_DEVICE_SLOTS - 1)];
}

#endif
