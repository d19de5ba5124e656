/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Tunnels that end here: the packet inside meets the lists, the sanity checks and the
 * limits too. What carries it was judged before. Connections inside are left alone: an
 * answer would have to go back through the tunnel.
 */
#ifndef XDPCTL_BPF_STAGE_TUNNEL_H
#define XDPCTL_BPF_STAGE_TUNNEL_H

#include "own_address.h"
#include "stage_icmp.h"
#include "stage_limit.h"
#include "stage_lists.h"
#include "stage_parse.h"
#include "stage_sanity.h"

#define PORT_VXLAN bpf_htons(4789) /* RFC 7348 */
#define VXLAN_HEADER_BYTES 8
#define GRE_HEADER_BYTES 4
#define GRE_WORD_BYTES 4
#define GRE_CHECKSUM 0x8000 /* RFC 2784, 2890: each adds a word */
#define GRE_KEY 0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_UNKNOWN 0x4fff /* of the flags: reserved ones and the version */

/* What a tunnel's header says of what follows it. */
struct tunnelled {
	__u32 offset; /* in the frame, bytes */
	__be16 proto; /* ethertype of what is there */
};

static __always_inline bool open_gre(const struct xdp_md *ctx, struct tunnelled *in)
{
	const __be16 *gre = (void *)(long)ctx->data + in->offset;
	__u32 flags;

	if ((void *)(gre + 2) > (void *)(long)ctx->data_end)
		return false;
	flags = bpf_ntohs(gre[0]);
	if (flags & GRE_UNKNOWN)
		return false;
	in->proto = gre[1];
	in->offset += GRE_HEADER_BYTES;
	in->offset += flags & GRE_CHECKSUM ? GRE_WORD_BYTES : 0;
	in->offset += flags & GRE_KEY ? GRE_WORD_BYTES : 0;
	in->offset += flags & GRE_SEQUENCE ? GRE_WORD_BYTES : 0;
	return true;
}

/* Steps over a frame's own header, where the tunnel carries whole frames. */
static __always_inline bool open_ethernet(const struct xdp_md *ctx, struct tunnelled *in)
{
	const struct ethhdr *eth = (void *)(long)ctx->data + in->offset;

	if (in->proto != bpf_htons(ETH_P_TEB))
		return true;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	in->proto = eth->h_proto;
	in->offset += sizeof(*eth);
	return true;
}

/* False where it is none of the tunnels of the mask, or holds nothing to be read. */
static __always_inline bool open_tunnel(const struct xdp_md *ctx, const struct headers *hdr,
					__u32 tunnels, struct tunnelled *in)
{
	__u32 offset = hdr->transport;

	if (offset > HEADERS_BYTES_MAX)
		return false;
	barrier_var(offset);
	in->offset = offset;
	if (hdr->protocol == IPPROTO_GRE && tunnels & 1 << XDPCTL_TUNNEL_GRE)
		return open_gre(ctx, in) && open_ethernet(ctx, in);
	if (hdr->protocol == IPPROTO_UDP && tunnels & 1 << XDPCTL_TUNNEL_VXLAN) {
		in->proto = bpf_htons(ETH_P_TEB);
		in->offset += sizeof(struct udphdr) + VXLAN_HEADER_BYTES;
		return hdr->dport == PORT_VXLAN && open_ethernet(ctx, in);
	}
	if (!(tunnels & 1 << XDPCTL_TUNNEL_IPIP))
		return false;
	in->proto = hdr->protocol == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	return hdr->protocol == IPPROTO_IPIP || hdr->protocol == IPPROTO_IPV6;
}

/*
 * Puts the headers of the packet inside in the place of the outer ones: a reason, or
 * XDPCTL_NEXT; XDPCTL_PASSED where there is none to judge. Global, so that the
 * verifier looks at it once.
 */
__noinline int xdpctl_parse_inside(struct xdp_md *ctx, struct headers *hdr, __u32 tunnels)
{
	struct tunnelled in = {};
	struct cursor cur;
	__u32 frame_bytes, offset;

	if (!hdr || !open_tunnel(ctx, hdr, tunnels, &in))
		return XDPCTL_PASSED;
	if (in.proto != bpf_htons(ETH_P_IP) && in.proto != bpf_htons(ETH_P_IPV6))
		return XDPCTL_PASSED;
	frame_bytes = hdr->frame_bytes;
	offset = in.offset;
	if (offset > HEADERS_BYTES_MAX || offset > frame_bytes)
		return XDPCTL_FRAME_TRUNCATED;
	__builtin_memset(hdr, 0, sizeof(*hdr));
	hdr->frame_bytes = frame_bytes;
	barrier_var(offset);
	cur.data = (void *)(long)ctx->data;
	cur.data_end = (void *)(long)ctx->data_end;
	cur.pos = cur.data + offset;
	return in.proto == bpf_htons(ETH_P_IP) ? parse_ipv4(hdr, &cur) : parse_ipv6(ctx, hdr, &cur);
}

/* The leaf of the source. Global, likewise. */
__noinline int xdpctl_leaf_inside(const struct headers *hdr)
{
	const struct xdpctl_control *words;
	const __u32 zero = 0;

	words = bpf_map_lookup_elem(&control, &zero);
	return hdr && words ? leaf_of_source(hdr, words) : 0;
}

/* Lists and sanity. Global, likewise. */
__noinline int xdpctl_judge_inside(const struct headers *hdr, struct stand *out, __u32 leaf,
				   __u32 dry_run)
{
	const struct xdpctl_control *words;
	const __u32 zero = 0;
	enum xdpctl_reason r;

	words = bpf_map_lookup_elem(&control, &zero);
	if (!hdr || !out || !words)
		return XDPCTL_NEXT;
	r = judge_source(hdr, words, leaf, dry_run, out);
	return r == XDPCTL_NEXT ? judge_sanity(hdr) : r;
}

static __always_inline __u32 class_inside(const struct headers *hdr)
{
	if (hdr->fragment_offset)
		return XDPCTL_LIMIT_ORPHAN;
	if (hdr->protocol == IPPROTO_UDP)
		return XDPCTL_LIMIT_UDP;
	if (is_icmp(hdr))
		return hdr->family == XDPCTL_IPV4 ? class_of_icmp(hdr->icmp_type)
						  : class_of_icmpv6(hdr->icmp_type);
	return XDPCTL_LIMIT_PROTOCOL;
}

static __always_inline enum xdpctl_reason stage_tunnel(struct packet *pkt)
{
	enum xdpctl_reason r;
	__u32 leaf;

	if (!pkt->policy->tunnels || pkt->hdr.fragment_bytes || !is_own(pkt))
		return XDPCTL_NEXT;
	r = xdpctl_parse_inside(pkt->ctx, &pkt->hdr, pkt->policy->tunnels);
	if (r != XDPCTL_NEXT)
		return r;
	pkt->inside = true;
	leaf = xdpctl_leaf_inside(&pkt->hdr);
	r = xdpctl_judge_inside(&pkt->hdr, &pkt->stand, leaf, pkt->dry_run);
	if (r != XDPCTL_NEXT)
		return r;
	pkt->limit_class = class_inside(&pkt->hdr);
	return stage_limit(pkt);
}

#endif
