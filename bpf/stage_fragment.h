/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments: the first carries the ports, so its verdict holds for the rest of the
 * datagram. In IPv6 an atomic fragment (RFC 6946) is a whole packet.
 */
#ifndef XDPCTL_BPF_STAGE_FRAGMENT_H
#define XDPCTL_BPF_STAGE_FRAGMENT_H

#include "ban_table.h"
#include "own_address.h"

/* As long as the kernel keeps fragments (ipfrag_time, IPV6_FRAG_TIMEOUT). */
#define DATAGRAM_NS (30 * NS_PER_S)

static __always_inline __u64 datagram_tag(const struct packet *pkt)
{
	const struct headers *hdr = &pkt->hdr;
	/* In IPv6 only the first fragment shows its transport behind other headers. */
	__u64 protocol = hdr->family == XDPCTL_IPV4 ? hdr->protocol : 0;
	__u64 id = protocol << 32 | hdr->fragment_id;
	__u64 source = xdpctl_ban_hash(&hdr->src, pkt->control->secret ^ id);

	return xdpctl_ban_hash(&hdr->dst, source) | 1;
}

static __always_inline struct xdpctl_datagrams *datagram_set(__u64 tag)
{
	__u32 set = tag >> 32 & (XDPCTL_DATAGRAM_SETS - 1);

	return bpf_map_lookup_elem(&datagrams, &set);
}

static __always_inline struct xdpctl_datagram *find_datagram(const struct packet *pkt, __u64 tag)
{
	struct xdpctl_datagrams *set = datagram_set(tag);
	int i;

	if (!set)
		return NULL;
#pragma unroll
	for (i = 0; i < XDPCTL_DATAGRAM_WAYS; i++)
		if (set->way[i].tag == tag &&
		    (__s64)(now_ns(pkt) - set->way[i].time_ns) < (__s64)DATAGRAM_NS)
			return &set->way[i];
	return NULL;
}

static __always_inline bool is_first_fragment(const struct headers *hdr)
{
	return hdr->more_fragments && !hdr->fragment_offset;
}

/* Once the whole pipeline has let a first fragment pass. */
static __always_inline void remember_first_fragment(const struct packet *pkt)
{
	__u64 tag = datagram_tag(pkt);
	struct xdpctl_datagrams *set = datagram_set(tag);
	struct xdpctl_datagram *oldest;
	int i;

	if (!set)
		return;
	oldest = &set->way[0];
#pragma unroll
	for (i = 0; i < XDPCTL_DATAGRAM_WAYS; i++) {
		if (set->way[i].tag == tag) {
			oldest = &set->way[i];
			break;
		}
		if (set->way[i].time_ns < oldest->time_ns)
			oldest = &set->way[i];
	}
	oldest->tag = 0; /* nobody reads half of it */
	oldest->time_ns = now_ns(pkt);
	oldest->end = pkt->hdr.fragment_bytes;
	oldest->tag = tag;
}

static __always_inline enum xdpctl_reason stage_fragment(struct packet *pkt)
{
	struct xdpctl_datagram *datagram;
	__u32 end;

	if (!pkt->hdr.fragment_offset)
		return XDPCTL_NEXT;
	if (!is_own(pkt) && !is_group(pkt) && !(pkt->policy->host & XDPCTL_HOST_CONNTRACK)) {
		pkt->limit_class = XDPCTL_LIMIT_FORWARDED; /* a router does not put it together */
		return XDPCTL_NEXT;
	}
	datagram = find_datagram(pkt, datagram_tag(pkt));
	if (!datagram) {
		pkt->limit_class = XDPCTL_LIMIT_ORPHAN;
		return XDPCTL_NEXT;
	}
	/* Fragments that change places on the way leave a gap, never an overlap. */
	if (pkt->hdr.fragment_offset < datagram->end)
		return XDPCTL_FRAGMENT_OVERLAP;
	end = pkt->hdr.fragment_offset + pkt->hdr.fragment_bytes;
	if (pkt->dry_run || pkt->hdr.fragment_offset != datagram->end)
		return XDPCTL_NEXT;
	datagram->end = end;
	if (!pkt->hdr.more_fragments)
		datagram->tag = 0; /* whole: its identification may come again soon */
	return XDPCTL_NEXT;
}

#endif
