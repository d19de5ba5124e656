/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which way an answer to a SYN goes: <xdpctl/abi/maps.h>, struct xdpctl_route. The daemon
 * writes the host's routes; a lookup in the kernel's own would cost each SYN more than its
 * cookie, and is refused where the host does not forward.
 */
#ifndef XDPCTL_BPF_ROUTE_H
#define XDPCTL_BPF_ROUTE_H

#include "maps.h"

/* What xdpctl_find_route returns besides the index of a route in `answer_routes`, which
 * is XDPCTL_ROUTES * set + route. */
#define ROUTE_UNKNOWN (-1)   /* the answer goes to where the SYN came from */
#define ROUTE_ELSEWHERE (-2) /* no route leaves by the device */

static __always_inline __u32 route_set(const struct xdpctl_control *words, __u32 family)
{
	return (*(const volatile __u32 *)&words->route_set & (XDPCTL_ROUTE_SETS - 1)) *
		       XDPCTL_FAMILY_IP +
	       (family & 1);
}

static __always_inline bool route_covers(const struct xdpctl_route *route,
					 const struct xdpctl_addr *addr)
{
	return !(((addr->word[0] & route->mask.word[0]) ^ route->prefix.word[0]) |
		 ((addr->word[1] & route->mask.word[1]) ^ route->prefix.word[1]) |
		 ((addr->word[2] & route->mask.word[2]) ^ route->prefix.word[2]) |
		 ((addr->word[3] & route->mask.word[3]) ^ route->prefix.word[3]));
}

/* The route to the packet's source, from the device in this slot. Global, so that the
 * verifier looks at the loop once. */
__noinline int xdpctl_find_route(const struct headers *hdr, __u32 device)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	const struct xdpctl_routes *routes;
	__u32 set, i;

	if (!hdr || !words)
		return ROUTE_UNKNOWN;
	set = route_set(words, hdr->family);
	routes = bpf_map_lookup_elem(&answer_routes, &set);
	if (!routes || !routes->known)
		return ROUTE_UNKNOWN;
#pragma clang loop unroll(disable)
	for (i = 0; i < XDPCTL_ROUTES; i++) {
		if (i >= routes->count)
			break;
		if (route_covers(&routes->route[i], &hdr->src))
			return routes->route[i].devices >> (device & 31) & 1
				       ? (int)(set * XDPCTL_ROUTES + i)
				       : ROUTE_ELSEWHERE;
	}
	return ROUTE_ELSEWHERE;
}

/* The route of an index, or NULL. */
static __always_inline const struct xdpctl_route *route_at(int index)
{
	__u32 set = (__u32)index / XDPCTL_ROUTES, route = (__u32)index & (XDPCTL_ROUTES - 1);
	const struct xdpctl_routes *routes;

	if (index < 0)
		return NULL;
	routes = bpf_map_lookup_elem(&answer_routes, &set);
	if (!routes)
		return NULL;
	barrier_var(route);
	return route < XDPCTL_ROUTES ? &routes->route[route] : NULL;
}

#endif
