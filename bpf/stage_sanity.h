/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Contradictions that no honest stack sends. */
#ifndef XDPCTL_BPF_STAGE_SANITY_H
#define XDPCTL_BPF_STAGE_SANITY_H

#include "maps.h"

#define TCP_FLAG_BITS (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG)

/*
 * Bit f is set where the flags f, without PSH, are a combination that real
 * stacks send (the set of net/netfilter/nf_conntrack_proto_tcp.c,
 * tcp_valid_flags).
 */
#define TCP_VALID_FLAGS                                                                \
	(1ULL << TCP_SYN | 1ULL << (TCP_SYN | TCP_URG) | 1ULL << (TCP_SYN | TCP_ACK) | \
	 1ULL << TCP_RST | 1ULL << (TCP_RST | TCP_ACK) | 1ULL << (TCP_FIN | TCP_ACK) | \
	 1ULL << (TCP_FIN | TCP_ACK | TCP_URG) | 1ULL << TCP_ACK | 1ULL << (TCP_ACK | TCP_URG))

static __always_inline enum xdpctl_reason sanity_tcp_flags(__u8 flags)
{
	if (TCP_VALID_FLAGS >> (flags & TCP_FLAG_BITS & ~TCP_PSH) & 1)
		return XDPCTL_NEXT;
	if (!(flags & TCP_FLAG_BITS))
		return XDPCTL_TCP_NULL;
	if ((flags & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN))
		return XDPCTL_TCP_SYN_FIN;
	if ((flags & (TCP_SYN | TCP_RST)) == (TCP_SYN | TCP_RST))
		return XDPCTL_TCP_SYN_RST;
	if ((flags & TCP_FLAG_BITS) == (TCP_FIN | TCP_PSH | TCP_URG))
		return XDPCTL_TCP_XMAS;
	return XDPCTL_TCP_FLAGS;
}

/* From the address that it goes to: an attack where that is the host's own, BFD's echo
 * where the host is the router that sends it back (RFC 5881 section 5). */
static __always_inline enum xdpctl_reason sanity_land(const struct headers *hdr)
{
	struct xdpctl_addr address = hdr->dst; /* on the stack: 6.1 takes no key from elsewhere */

	return bpf_map_lookup_elem(&own_addresses, &address) ? XDPCTL_LAND : XDPCTL_NEXT;
}

/*
 * What the kernel's routing refuses too (net/ipv4/route.c,
 * ip_route_input_slow): multicast, broadcast, loopback, this network. It takes
 * 240.0.0.0/4, and so do we. Unspecified is honest only towards a group: DHCP
 * discovery, IGMP, duplicate address detection, MLD.
 */
static __always_inline enum xdpctl_reason sanity_ipv4(const struct headers *hdr)
{
	__u32 src = bpf_ntohl(ipv4_of(&hdr->src));
	__u32 dst = bpf_ntohl(ipv4_of(&hdr->dst));

	if (src >> 28 == 0xe || src == 0xffffffff || src >> 24 == 127)
		return XDPCTL_MARTIAN_SOURCE;
	if (src >> 24 == 0 && (src || dst < 0xe0000000))
		return XDPCTL_MARTIAN_SOURCE;
	if (dst >> 24 == 127 || dst >> 24 == 0)
		return XDPCTL_MARTIAN_DESTINATION;
	return src == dst ? sanity_land(hdr) : XDPCTL_NEXT;
}

/* ::1 and ::ffff:0:0/96; the unspecified address is told apart by word 3. */
static __always_inline bool ipv6_never_on_wire(const struct xdpctl_addr *addr)
{
	if (addr->word[0] || addr->word[1])
		return false;
	return addr->word[2] == bpf_htonl(0xffff) ||
	       (!addr->word[2] && addr->word[3] == bpf_htonl(1));
}

static __always_inline bool ipv6_unspecified(const struct xdpctl_addr *addr)
{
	return !(addr->word[0] | addr->word[1] | addr->word[2] | addr->word[3]);
}

static __always_inline enum xdpctl_reason sanity_ipv6(const struct headers *hdr)
{
	const struct xdpctl_addr *src = &hdr->src, *dst = &hdr->dst;

	if (ipv6_multicast(src) || ipv6_never_on_wire(src))
		return XDPCTL_MARTIAN_SOURCE;
	if (ipv6_unspecified(src) && !ipv6_multicast(dst))
		return XDPCTL_MARTIAN_SOURCE;
	if (ipv6_never_on_wire(dst) || ipv6_unspecified(dst))
		return XDPCTL_MARTIAN_DESTINATION;
	if (src->word[0] == dst->word[0] && src->word[1] == dst->word[1] &&
	    src->word[2] == dst->word[2] && src->word[3] == dst->word[3])
		return sanity_land(hdr);
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason judge_sanity(const struct headers *hdr)
{
	enum xdpctl_reason reason;

	reason = hdr->family == XDPCTL_IPV4 ? sanity_ipv4(hdr) : sanity_ipv6(hdr);
	if (reason != XDPCTL_NEXT || !hdr->has_ports)
		return reason;
	/* A UDP source port of 0 means that no answer is expected (RFC 768). */
	if (!hdr->dport || (!hdr->sport && hdr->protocol == IPPROTO_TCP))
		return XDPCTL_PORT_ZERO;
	if (hdr->protocol == IPPROTO_TCP)
		return sanity_tcp_flags(hdr->tcp_flags);
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason stage_sanity(const struct packet *pkt)
{
	return judge_sanity(&pkt->hdr);
}

#endif
