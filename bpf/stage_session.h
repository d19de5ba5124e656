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
 * Judges nobody; counts for the detector. An attacker may forge the address of
 * a real client, but hits its sockets by chance only: so one packet in
 * XDPCTL_CLIENT_SAMPLE is looked up, and only those that belong count.
 */
static __always_inline enum xdpctl_reason stage_session(struct packet *pkt)
{
	struct xdpctl_client *client;
	__u64 before;

	if (pkt->hdr.protocol != IPPROTO_TCP || !pkt->hdr.has_ports)
		return XDPCTL_NEXT;
	client = bpf_map_lookup_elem(&clients, &pkt->hdr.src);
	if (!client)
		return XDPCTL_NEXT;
	pkt->known_client = true;
	if (pkt->dry_run)
		return XDPCTL_NEXT;
	before = __sync_fetch_and_add(&client->packets, 1);
	if (before % XDPCTL_CLIENT_SAMPLE == 0 &&
	    session_of(pkt) == XDPCTL_SESSION_ESTABLISHED)
		__sync_fetch_and_add(&client->session_packets, XDPCTL_CLIENT_SAMPLE);
	return XDPCTL_NEXT;
}

#endif
