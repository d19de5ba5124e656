/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Clients that completed a handshake here in peacetime, and long enough ago. */
#ifndef XDPCTL_BPF_KNOWN_H
#define XDPCTL_BPF_KNOWN_H

#include "maps.h"

/* Global, so that the verifier looks at it once. */
__noinline int xdpctl_is_known(const struct xdpctl_addr *source)
{
	const struct xdpctl_known_client *client;
	const struct xdpctl_control *words;
	const __u32 zero = 0;
	struct xdpctl_addr key;

	words = bpf_map_lookup_elem(&control, &zero);
	if (!source || !words)
		return 0;
	key = xdpctl_known_key(source);
	client = bpf_map_lookup_elem(&known_clients, &key);
	return client && client->first_ns <= words->trusted_before_ns;
}

static __always_inline bool is_known(const struct xdpctl_addr *source)
{
	return xdpctl_is_known(source);
}

#endif
