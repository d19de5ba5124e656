/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the host itself is addressed by. */
#ifndef XDPCTL_BPF_OWN_ADDRESS_H
#define XDPCTL_BPF_OWN_ADDRESS_H

#include "clock.h"

/*
 * Sockets that are bound to every address answer for the host's own only, not for
 * what it forwards or bridges. Most packets go to the address of the one before,
 * which each CPU remembers.
 */
static __always_inline bool is_own(const struct packet *pkt)
{
	struct xdpctl_counters *here = pkt->counters;
	const struct xdpctl_addr *dst = &pkt->hdr.dst;
	const struct xdpctl_own *own;

	if (here->own_epoch == pkt->control->own_epoch && same_address(&here->own, dst))
		return true;
	own = bpf_map_lookup_elem(&own_addresses, dst);
	if (!own)
		return false;
	here->own = *dst;
	here->own_since_tick = own->since_tick;
	here->own_epoch = pkt->control->own_epoch;
	return true;
}

/* Of a packet to one of the host's own addresses, after is_own(). */
static __always_inline bool is_new_address(const struct packet *pkt)
{
	return (__u32)(now_ns(pkt) / XDPCTL_PEER_TICK_NS) - pkt->counters->own_since_tick <
	       XDPCTL_OWN_NEW_TICKS;
}

/* Between neighbours, whose sockets are bound to a device (RFC 4007). */
static __always_inline bool is_link_local(const struct packet *pkt)
{
	return pkt->hdr.family == XDPCTL_IPV6 && xdpctl_is_link_local(&pkt->hdr.src) &&
	       (xdpctl_is_link_local(&pkt->hdr.dst) || ipv6_multicast(&pkt->hdr.dst));
}

/* Multicast and the limited broadcast: no one's address. */
static __always_inline bool is_group(const struct packet *pkt)
{
	__u32 address = ipv4_of(&pkt->hdr.dst);

	if (pkt->hdr.family != XDPCTL_IPV4)
		return ipv6_multicast(&pkt->hdr.dst);
	return address == 0xffffffff || (address & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

#endif
