/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who is real: clients that completed a handshake here, and how much they send in
 * their connections.
 */
#ifndef XDPCTL_BPF_STAGE_SESSION_H
#define XDPCTL_BPF_STAGE_SESSION_H

#include "clock.h"
#include "conntrack.h"
#include "session.h"

/*
 * True for one packet in XDPCTL_CLIENT_SAMPLE. The distance to the next one
 * varies, else senders that take turns could stay in step with it.
 */
static __always_inline bool is_sampled(struct xdpctl_counters *here)
{
	if (here->client_countdown) {
		here->client_countdown--;
		return false;
	}
	/* A linear congruential generator (Numerical Recipes): 0..2n-2, mean n-1. */
	here->client_random = here->client_random * 1664525 + 1013904223;
	here->client_countdown = (here->client_random >> 16) % (2 * XDPCTL_CLIENT_SAMPLE - 1);
	return true;
}

/* To a socket here, or to a connection that is forwarded or translated. */
static __always_inline bool belongs_to_connection(const struct packet *pkt)
{
	return xdpctl_session_of(pkt->ctx, &pkt->hdr) == XDPCTL_SESSION_ESTABLISHED ||
	       (pkt->policy->host & XDPCTL_HOST_CONNTRACK && conntrack_knows(pkt->ctx, &pkt->hdr));
}

/*
 * Judges nobody; counts what clients send. An attacker may forge the address of a real
 * client, but hits its connections by chance only: so their packets alone are counted.
 */
static __always_inline enum xdpctl_reason stage_session(struct packet *pkt)
{
	struct xdpctl_client *client;

	if (pkt->hdr.protocol != IPPROTO_TCP || !pkt->hdr.has_ports)
		return XDPCTL_NEXT;
	pkt->is_sampled = !pkt->dry_run && is_sampled(pkt->counters);
	if (!pkt->dry_run && !pkt->is_sampled)
		return XDPCTL_NEXT;
	client = bpf_map_lookup_elem(&clients, &pkt->hdr.src);
	pkt->known_client = client;
	if (pkt->dry_run || !client)
		return XDPCTL_NEXT;
	if (belongs_to_connection(pkt))
		__sync_fetch_and_add(&client->packets, XDPCTL_CLIENT_SAMPLE);
	return XDPCTL_NEXT;
}

#endif
