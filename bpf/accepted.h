/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connections whose cookie was accepted a moment ago: struct xdpctl_accepted. */
#ifndef XDPCTL_BPF_ACCEPTED_H
#define XDPCTL_BPF_ACCEPTED_H

#include "maps.h"

static __always_inline __u64 connection_hash(const struct xdpctl_addr *peer, __be16 peer_port,
					     const struct xdpctl_addr *local, __be16 local_port,
					     __u64 secret)
{
	__u64 ports = (__u64)peer_port << 16 | local_port;

	return xdpctl_ban_hash(peer, secret ^ ports) ^ xdpctl_ban_hash(local, secret + ports);
}

static __always_inline struct xdpctl_accepted *accepted_slot(__u64 connection)
{
	__u32 slot = connection & (XDPCTL_ACCEPTED - 1);

	return bpf_map_lookup_elem(&accepted, &slot);
}

static __always_inline bool was_accepted(__u64 connection, __u64 now, __u64 within_ns)
{
	const struct xdpctl_accepted *slot = accepted_slot(connection);

	return slot && slot->connection == connection &&
	       (__s64)(now - slot->time_ns) < (__s64)within_ns;
}

#endif
