/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Protocols other than TCP, UDP and ICMP: as the policy says of each. */
#ifndef XDPCTL_BPF_STAGE_PROTOCOL_H
#define XDPCTL_BPF_STAGE_PROTOCOL_H

#include "stage_fragment.h"

static __always_inline enum xdpctl_reason stage_protocol(struct packet *pkt)
{
	__u8 protocol = pkt->hdr.protocol;
	enum xdpctl_reason r;

	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || is_icmp(&pkt->hdr))
		return XDPCTL_NEXT;
	switch (pkt->policy->protocols[protocol]) {
	case XDPCTL_PROTOCOL_PASS:
		r = stage_reassembly(pkt);
		return r == XDPCTL_NEXT ? XDPCTL_PASSED : r;
	case XDPCTL_PROTOCOL_DROP:
		return XDPCTL_PROTOCOL_REFUSED;
	default:
		if (pkt->limit_class != XDPCTL_LIMIT_ORPHAN)
			pkt->limit_class = XDPCTL_LIMIT_PROTOCOL;
		return XDPCTL_NEXT;
	}
}

#endif
