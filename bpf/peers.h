/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The filter in front of the socket table: struct xdpctl_peers. */
#ifndef XDPCTL_BPF_PEERS_H
#define XDPCTL_BPF_PEERS_H

#include "clock.h"

static __always_inline __u32 peer_tick(__u64 now_ns)
{
	return now_ns / XDPCTL_PEER_TICK_NS;
}

static __always_inline struct xdpctl_peers *peers_of(const struct xdpctl_addr *peer, __u64 secret)
{
	__u32 slot = xdpctl_peer_slot(peer, secret);

	return bpf_map_lookup_elem(&peers, &slot);
}

static __always_inline bool may_be_connected(const struct xdpctl_addr *peer, __u64 secret,
					     __u64 now_ns)
{
	const struct xdpctl_peers *here = peers_of(peer, secret);

	return !here || here->open ||
	       peer_tick(now_ns) - here->closed_tick < XDPCTL_PEER_LINGER_TICKS;
}

/* No connection yet, but a request socket in the kernel. */
static __always_inline void peer_asked(const struct xdpctl_addr *peer, __u64 secret, __u64 now_ns)
{
	struct xdpctl_peers *here = peers_of(peer, secret);
	__u32 tick = peer_tick(now_ns) - XDPCTL_PEER_LINGER_TICKS + XDPCTL_PEER_REQUEST_TICKS;

	if (here && (__s32)(tick - here->closed_tick) > 0)
		here->closed_tick = tick;
}

static __always_inline void peer_opened(const struct xdpctl_addr *peer, __u64 secret)
{
	struct xdpctl_peers *here = peers_of(peer, secret);

	if (here)
		__sync_fetch_and_add(&here->open, 1);
}

static __always_inline void peer_closed(const struct xdpctl_addr *peer, __u64 secret, __u64 now_ns)
{
	struct xdpctl_peers *here = peers_of(peer, secret);
	__u32 open;

	if (!here)
		return;
	here->closed_tick = peer_tick(now_ns);
	/* 0 where the entry is younger than the connection. Two at once may count as
	 * one, which errs to the safe side. */
	open = *(volatile __u32 *)&here->open;
	if (open)
		__sync_val_compare_and_swap(&here->open, open, open - 1);
}

#endif
