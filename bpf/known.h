/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Clients that completed a handshake here in peacetime. */
#ifndef XDPCTL_BPF_KNOWN_H
#define XDPCTL_BPF_KNOWN_H

#include "maps.h"

static __always_inline bool is_known(const struct xdpctl_addr *source)
{
	struct xdpctl_addr key = xdpctl_known_key(source);

	return bpf_map_lookup_elem(&known_clients, &key);
}

#endif
