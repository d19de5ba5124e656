/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who is real: clients that completed a handshake here, and how much of what
 * comes from their addresses belongs to their sockets.
 */
#ifndef XDPCTL_BPF_STAGE_SESSION_H
#define XDPCTL_BPF_STAGE_SESSION_H

#include "clock.h"
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

/*
 * Judges nobody; counts what clients send. An attacker may forge the address of
 * a real client, but hits its sockets by chance only: so packets that belong to
 * a socket are counted apart.
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
	__sync_fetch_and_add(&client->packets, XDPCTL_CLIENT_SAMPLE);
	if (session_of(pkt) == XDPCTL_SESSION_ESTABLISHED)
		__sync_fetch_and_add(&client->session_packets, XDPCTL_CLIENT_SAMPLE);
	return XDPCTL_NEXT;
}

#endif
