/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services that are for some countries or AS numbers only. Who is connected stays: of
 * TCP only new connections are asked.
 */
#ifndef XDPCTL_BPF_STAGE_GEO_H
#define XDPCTL_BPF_STAGE_GEO_H

#include "stage_lists.h"
#include "stage_udp.h"

/* Not routed between sites: RFC 1918, 6598, 3927, 4193, 4291 (link-local). */
static __always_inline bool is_private(const struct xdpctl_addr *addr)
{
	__u32 ipv4 = bpf_ntohl(ipv4_of(addr)), high = bpf_ntohl(addr->word[0]);

	if (high || addr->word[1])
		return (high & 0xfe000000) == 0xfc000000 || (high & 0xffc00000) == 0xfe800000;
	return (ipv4 & 0xff000000) == 0x0a000000 || (ipv4 & 0xfff00000) == 0xac100000 ||
	       (ipv4 & 0xffff0000) == 0xc0a80000 || (ipv4 & 0xffc00000) == 0x64400000 ||
	       (ipv4 & 0xffff0000) == 0xa9fe0000;
}

static __always_inline const struct xdpctl_geo_rule *geo_rule_of(const struct packet *pkt)
{
	__u32 rule;

	if (!pkt->hdr.has_ports)
		return NULL;
	if (pkt->hdr.protocol == IPPROTO_TCP &&
	    (pkt->hdr.tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return NULL;
	rule = pkt->policy->geo_rule_of_port[port_index(pkt->hdr.dport)];
	return rule ? &pkt->policy->geo_rules[rule] : NULL;
}

/* What this host asked is not a question to its service: a server of names or time asks
 * others from its own port, too. */
static __always_inline bool is_udp_answer(const struct packet *pkt)
{
	__be16 dport = pkt->hdr.dport;
	bool asks = dport == bpf_htons(PORT_DNS) || dport == bpf_htons(PORT_NTP);

	return (asks && xdpctl_udp_content(pkt->ctx, &pkt->hdr) == UDP_CONTENT_ANSWER) ||
	       xdpctl_session_of(pkt->ctx, &pkt->hdr) == XDPCTL_SESSION_ESTABLISHED ||
	       (asks_conntrack(pkt) && conntrack_is_reply(pkt->ctx, &pkt->hdr));
}

static __always_inline enum xdpctl_reason stage_geo(struct packet *pkt)
{
	const struct xdpctl_geo_rule *rule = geo_rule_of(pkt);
	__u32 on = pkt->stand.leaf;
	struct xdpctl_leaf *leaf;
	__u64 codes = 0;

	if (!rule)
		return XDPCTL_NEXT;
	leaf = on ? bpf_map_lookup_elem(&leaves, &on) : NULL;
	if (leaf) {
		/* A ban that is over and not yet taken away hides what is below it. */
		if (leaf->verdict != XDPCTL_PREFIX_GEO)
			return XDPCTL_NEXT;
		codes = leaf->codes;
	}
	if ((!rule->only || codes & rule->only) && !(codes & rule->closed))
		return XDPCTL_NEXT;
	if (!codes && is_private(&pkt->hdr.src)) /* in no country: the host's own networks */
		return XDPCTL_NEXT;
	if (pkt->hdr.protocol == IPPROTO_UDP && is_udp_answer(pkt))
		return XDPCTL_NEXT;
	pkt->stand.list = XDPCTL_LIST_GEO;
	if (!pkt->dry_run)
		count_list(XDPCTL_LIST_GEO, pkt->hdr.frame_bytes);
	return XDPCTL_GEO_REFUSED;
}

#endif
