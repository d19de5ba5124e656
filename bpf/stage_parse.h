/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Reads the headers into struct packet. What cannot be read safely has a reason. */
#ifndef XDPCTL_BPF_STAGE_PARSE_H
#define XDPCTL_BPF_STAGE_PARSE_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "device.h"
#include "maps.h"

#define VLAN_TAGS_MAX 2
#define IPV6_EXTENSIONS_MAX 8
#define IP_BYTES_MAX 65535
#define HEADERS_BYTES_MAX 0x7fff /* eight extensions of 2 KiB fit; the verifier wants a bound */
#define ICMP_HEADER_BYTES 8

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff /* in units of 8 bytes */
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8 /* in bytes once in host order */

struct vlan_tag {
	__be16 tci;
	__be16 encapsulated_proto;
};

/* RFC 8200 section 4: all but Fragment begin so; RFC 4302 for AH. */
struct ipv6_extension {
	__u8 nexthdr;
	__u8 length;
	__u8 body[6];
};

struct ipv6_fragment {
	__u8 nexthdr;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

/* Where the parser stands. */
struct cursor {
	void *data;
	void *data_end;
	void *pos;
};

/* What of the IP payload is left to read, and where it belongs. */
struct payload {
	__u32 bytes;	       /* by the IP length, from the cursor on */
	__u32 fragment_offset; /* bytes */
	__u32 fragment_id;
	bool more_fragments;
};

static __always_inline bool is_vlan(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

static __always_inline enum xdpctl_reason parse_tcp(struct headers *hdr, const struct cursor *cur,
						    const struct payload *l4)
{
	struct tcphdr *tcp = cur->pos;
	__u32 header;

	if (l4->bytes < sizeof(*tcp) || (void *)(tcp + 1) > cur->data_end)
		return l4->more_fragments ? XDPCTL_FRAGMENT_TINY : XDPCTL_TCP_HEADER;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp))
		return XDPCTL_TCP_HEADER;
	if (header > l4->bytes)
		return l4->more_fragments ? XDPCTL_FRAGMENT_TINY : XDPCTL_TCP_HEADER;
	hdr->sport = tcp->source;
	hdr->dport = tcp->dest;
	hdr->tcp_flags = ((__u8 *)tcp)[13];
	hdr->has_ports = 1;
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason parse_udp(struct headers *hdr, const struct cursor *cur,
						    const struct payload *l4)
{
	struct udphdr *udp = cur->pos;
	__u32 length;

	if (l4->bytes < sizeof(*udp) || (void *)(udp + 1) > cur->data_end)
		return l4->more_fragments ? XDPCTL_FRAGMENT_TINY : XDPCTL_UDP_HEADER;
	length = bpf_ntohs(udp->len);
	/* The length counts all fragments together, so a first one cannot prove it. */
	if (length < sizeof(*udp) || (length > l4->bytes && !l4->more_fragments))
		return XDPCTL_UDP_HEADER;
	hdr->sport = udp->source;
	hdr->dport = udp->dest;
	hdr->has_ports = 1;
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason parse_icmp(struct headers *hdr, const struct cursor *cur,
						     const struct payload *l4)
{
	/* ICMPv6 needs 4 bytes by RFC 4443, every defined message has 8. */
	if (l4->bytes < ICMP_HEADER_BYTES || cur->pos + ICMP_HEADER_BYTES > cur->data_end)
		return l4->more_fragments ? XDPCTL_FRAGMENT_TINY : XDPCTL_ICMP_HEADER;
	hdr->icmp_type = *(__u8 *)cur->pos;
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason
parse_transport(struct headers *hdr, const struct cursor *cur, const struct payload *l4)
{
	hdr->transport = cur->pos - cur->data;
	if (l4->fragment_offset || l4->more_fragments) {
		if (l4->fragment_offset + l4->bytes > IP_BYTES_MAX)
			return XDPCTL_FRAGMENT_OVERSIZE;
		hdr->fragment_id = l4->fragment_id;
		hdr->fragment_offset = l4->fragment_offset;
		hdr->fragment_bytes = l4->bytes;
		hdr->more_fragments = l4->more_fragments;
		if (l4->fragment_offset)
			return XDPCTL_NEXT;
	}
	if (hdr->protocol == IPPROTO_TCP)
		return parse_tcp(hdr, cur, l4);
	if (hdr->protocol == IPPROTO_UDP)
		return parse_udp(hdr, cur, l4);
	if (is_icmp(hdr))
		return parse_icmp(hdr, cur, l4);
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason parse_ipv4(struct headers *hdr, struct cursor *cur)
{
	struct iphdr *ip = cur->pos;
	struct payload l4 = {};
	__u32 header, total, frag;

	hdr->family = XDPCTL_IPV4;
	hdr->network = (void *)ip - cur->data;
	if ((void *)(ip + 1) > cur->data_end)
		return XDPCTL_IPV4_HEADER;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return XDPCTL_IPV4_HEADER;
	hdr->src.word[2] = hdr->dst.word[2] = bpf_htonl(0xffff);
	hdr->src.word[3] = ip->saddr;
	hdr->dst.word[3] = ip->daddr;
	hdr->protocol = ip->protocol;

	total = bpf_ntohs(ip->tot_len);
	if (total < header || total > hdr->frame_bytes - (__u32)((void *)ip - cur->data))
		return XDPCTL_IPV4_LENGTH;

	frag = bpf_ntohs(ip->frag_off);
	cur->pos += header;
	l4.bytes = total - header;
	l4.fragment_offset = (frag & IPV4_FRAGMENT_OFFSET) * 8;
	l4.more_fragments = frag & IPV4_MORE_FRAGMENTS;
	l4.fragment_id = ip->id;
	return parse_transport(hdr, cur, &l4);
}

static __always_inline bool is_ipv6_extension(__u8 header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING ||
	       header == IPPROTO_DSTOPTS || header == IPPROTO_AH || header == IPPROTO_MH ||
	       header == IPPROTO_FRAGMENT;
}

/* Position in a chain of extension headers, as plain values. */
struct extension_chain {
	__u32 offset; /* of the next header in the frame */
	__u32 bytes;  /* of IP payload from there on */
	__u32 fragment_offset;
	__u32 fragment_id;
	__u8 more_fragments;
	__u8 protocol; /* of the next header */
	__u8 has_fragment;
};

/*
 * Steps over one extension header; 0 where it is cut short, or a second Fragment header, which
 * the kernel refuses, too (net/ipv6/reassembly.c, IP6SKB_FRAGMENTED). Global, so that
 * the verifier looks at one step, not at all sequences of eight.
 */
__noinline int xdpctl_step_extension(struct xdp_md *ctx, struct extension_chain *chain)
{
	struct ipv6_extension *ext;
	__u32 bytes;

	if (!chain || chain->bytes < sizeof(*ext) || chain->offset > HEADERS_BYTES_MAX)
		return 0;
	ext = (void *)(long)ctx->data + chain->offset;
	if ((void *)(ext + 1) > (void *)(long)ctx->data_end)
		return 0;
	if (chain->protocol == IPPROTO_FRAGMENT) {
		__u32 offset = bpf_ntohs(((struct ipv6_fragment *)ext)->offset);

		if (chain->has_fragment)
			return 0;
		chain->has_fragment = 1;
		chain->fragment_offset = offset & IPV6_FRAGMENT_OFFSET;
		chain->more_fragments = offset & IPV6_MORE_FRAGMENTS;
		chain->fragment_id = ((struct ipv6_fragment *)ext)->id;
		bytes = sizeof(struct ipv6_fragment);
	} else if (chain->protocol == IPPROTO_AH) {
		bytes = (ext->length + 2) * 4;
	} else {
		bytes = (ext->length + 1) * 8;
	}
	if (bytes > chain->bytes)
		return 0;
	chain->protocol = ext->nexthdr;
	chain->offset += bytes;
	chain->bytes -= bytes;
	return 1;
}

/* False where the chain is cut short or longer than IPV6_EXTENSIONS_MAX. */
static __always_inline bool skip_ipv6_extensions(struct xdp_md *ctx, struct extension_chain *chain)
{
	int i;

	for (i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (!is_ipv6_extension(chain->protocol) || chain->fragment_offset)
			return true;
		if (!xdpctl_step_extension(ctx, chain))
			return false;
	}
	return !is_ipv6_extension(chain->protocol) || chain->fragment_offset;
}

/* Moves the parser behind the extension headers, if there are any. */
static __always_inline bool parse_ipv6_extensions(struct xdp_md *ctx, struct headers *hdr,
						  struct cursor *cur, struct payload *l4)
{
	struct extension_chain chain = {
		.offset = cur->pos - cur->data,
		.bytes = l4->bytes,
		.protocol = hdr->protocol,
	};

	if (!is_ipv6_extension(hdr->protocol))
		return true;
	if (!skip_ipv6_extensions(ctx, &chain) || chain.offset > HEADERS_BYTES_MAX)
		return false;
	hdr->protocol = chain.protocol;
	cur->pos = cur->data + chain.offset;
	l4->bytes = chain.bytes;
	l4->fragment_offset = chain.fragment_offset;
	l4->more_fragments = chain.more_fragments;
	l4->fragment_id = chain.fragment_id;
	return true;
}

static __always_inline enum xdpctl_reason parse_ipv6(struct xdp_md *ctx, struct headers *hdr,
						     struct cursor *cur)
{
	struct ipv6hdr *ip = cur->pos;
	struct payload l4 = {};
	__u32 room;

	hdr->family = XDPCTL_IPV6;
	hdr->network = (void *)ip - cur->data;
	if ((void *)(ip + 1) > cur->data_end || ip->version != 6)
		return XDPCTL_IPV6_HEADER;
	__builtin_memcpy(&hdr->src, &ip->saddr, sizeof(hdr->src));
	__builtin_memcpy(&hdr->dst, &ip->daddr, sizeof(hdr->dst));
	hdr->protocol = ip->nexthdr;

	room = hdr->frame_bytes - (__u32)((void *)ip - cur->data) - sizeof(*ip);
	l4.bytes = bpf_ntohs(ip->payload_len);
	/* RFC 2675: a jumbogram says 0 and carries its length in hop-by-hop. */
	if (!l4.bytes && ip->nexthdr == IPPROTO_HOPOPTS)
		l4.bytes = room;
	if (l4.bytes > room)
		return XDPCTL_IPV6_LENGTH;
	cur->pos = ip + 1;

	if (!parse_ipv6_extensions(ctx, hdr, cur, &l4))
		return XDPCTL_IPV6_EXTENSION;
	return parse_transport(hdr, cur, &l4);
}

/* Without a link header, which would name the protocol, the version tells it. */
static __always_inline __be16 protocol_of_version(const struct cursor *cur)
{
	const __u8 *first = cur->pos;

	if ((void *)(first + 1) > cur->data_end)
		return 0;
	if (*first >> 4 == 4)
		return bpf_htons(ETH_P_IP);
	return *first >> 4 == 6 ? bpf_htons(ETH_P_IPV6) : 0;
}

/* Steps over the Ethernet header and VLAN tags: XDPCTL_NEXT, or a reason. */
static __always_inline enum xdpctl_reason parse_ethernet(struct cursor *cur, __be16 *proto)
{
	struct ethhdr *eth = cur->data;
	int i;

	cur->pos = eth + 1;
	if (cur->pos > cur->data_end)
		return XDPCTL_FRAME_TRUNCATED;
	*proto = eth->h_proto;
#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = cur->pos;

		if (!is_vlan(*proto))
			break;
		cur->pos = tag + 1;
		if (cur->pos > cur->data_end)
			return XDPCTL_FRAME_TRUNCATED;
		*proto = tag->encapsulated_proto;
	}
	return is_vlan(*proto) ? XDPCTL_VLAN_DEPTH : XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason parse_frame(struct xdp_md *ctx, struct headers *hdr,
						      bool without_ethernet)
{
	struct cursor cur = {
		.data = (void *)(long)ctx->data,
		.data_end = (void *)(long)ctx->data_end,
		.pos = (void *)(long)ctx->data,
	};
	enum xdpctl_reason r = XDPCTL_NEXT;
	__be16 proto = 0;

	if (without_ethernet)
		proto = protocol_of_version(&cur);
	else
		r = parse_ethernet(&cur, &proto);
	if (r != XDPCTL_NEXT)
		return r;
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(hdr, &cur);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(ctx, hdr, &cur);
	return XDPCTL_NOT_IP;
}

static __always_inline enum xdpctl_reason stage_parse(struct packet *pkt)
{
	return parse_frame(pkt->ctx, &pkt->hdr, device_of(pkt)->flags & XDPCTL_DEVICE_NO_ETHERNET);
}

#endif
