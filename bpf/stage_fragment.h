/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments: the first carries the ports, so its verdict holds for the rest of the
 * datagram. In IPv6 an atomic fragment (RFC 6946) is a whole packet.
 */
#ifndef XDPCTL_BPF_STAGE_FRAGMENT_H
#define XDPCTL_BPF_STAGE_FRAGMENT_H

#include "known.h"
#include "own_address.h"
#include "reassembly.h"

/* Here, by the sockets' layer or by connection tracking; a router does not. */
static __always_inline bool is_reassembled(const struct packet *pkt)
{
	return is_own(pkt) || is_group(pkt) || pkt->policy->host & XDPCTL_HOST_CONNTRACK;
}

/* Once the whole pipeline has let it pass. */
static __always_inline void note_fragment(const struct packet *pkt)
{
	if (pkt->hdr.fragment_bytes && is_reassembled(pkt))
		xdpctl_note_fragment(&pkt->hdr, pkt->holder, now_ns(pkt));
}

static __always_inline enum xdpctl_reason stage_fragment(struct packet *pkt)
{
	const struct xdpctl_datagram *datagram = NULL;
	struct xdpctl_datagrams *set;
	__u64 tag;

	if (!pkt->hdr.fragment_offset)
		return XDPCTL_NEXT;
	if (!is_reassembled(pkt)) {
		pkt->limit_class = XDPCTL_LIMIT_FORWARDED;
		return XDPCTL_NEXT;
	}
	tag = datagram_tag(&pkt->hdr, pkt->control->secret);
	set = datagram_set(tag);
	if (set)
		datagram = find_datagram(set, tag, now_ns(pkt));
	/* Fragments that change places on the way leave a gap, never an overlap. */
	if (datagram && overlaps(&pkt->hdr, datagram))
		return XDPCTL_FRAGMENT_OVERLAP;
	if (!datagram || !(datagram->has & XDPCTL_DATAGRAM_FIRST))
		pkt->limit_class = XDPCTL_LIMIT_ORPHAN;
	pkt->holder = datagram ? datagram->holder : XDPCTL_HOLDER_STRANGER;
	return XDPCTL_NEXT;
}

/* Of fragments for which nothing spoke so far. */
static __always_inline enum xdpctl_reason stage_reassembly(struct packet *pkt)
{
	if (!pkt->hdr.fragment_bytes || !is_reassembled(pkt))
		return XDPCTL_NEXT;
	if (!pkt->hdr.fragment_offset)
		pkt->holder = XDPCTL_HOLDER_STRANGER;
	if (pkt->holder == XDPCTL_HOLDER_STRANGER && is_known(&pkt->hdr.src))
		pkt->holder = XDPCTL_HOLDER_KNOWN;
	if (pkt->holder == XDPCTL_HOLDER_NONE ||
	    xdpctl_reassembly_has_room(&pkt->hdr, pkt->holder, now_ns(pkt)))
		return XDPCTL_NEXT;
	return XDPCTL_FRAGMENT_UNFINISHED;
}

#endif
