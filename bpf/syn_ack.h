/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Turns the SYN in the buffer into its SYN-ACK, for XDP_TX. */
#ifndef XDPCTL_BPF_SYN_ACK_H
#define XDPCTL_BPF_SYN_ACK_H

#include "route.h"
#include "stage_parse.h"

#define ETHERNET_FRAME_MIN 60 /* without FCS; shorter ones are padded on the wire */
#define IPV4_DONT_FRAGMENT 0x4000
#define TCP_HEADER_WORDS 10 /* 20 bytes of options at most */
#define TCP_FLAG_ECE 0x40

/* What a SYN asks for and the listener grants. */
struct syn_answer {
	__u32 cookie; /* sequence number, host byte order */
	__be32 peer_seq;
	__be32 peer_tsval;
	__u32 tsval; /* host byte order */
	__u16 window;
	__u16 mss;
	__u8 wscale;
	__u8 with_timestamp;
	__u8 with_sack;
	__u8 with_wscale;
	__u8 with_ecn;
	__u8 tos;
	__u8 ttl;
	__s32 route; /* of xdpctl_find_route */
};

/* The guard decides the answer, and it is sent once the packet was accounted. In
 * a map, for the stack is small; a packet does not leave its CPU in between. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct syn_answer);
} syn_answers SEC(".maps");

static __always_inline struct syn_answer *answer_of_cpu(void)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(&syn_answers, &zero);
}

/* A TCP header with its options, as 32-bit words in network byte order. */
struct tcp_words {
	__be32 word[TCP_HEADER_WORDS];
	__u32 count;
};

/* The order of tcp_options_write, net/ipv4/tcp_output.c. */
static __always_inline void write_options(const struct syn_answer *answer, struct tcp_words *tcp)
{
	tcp->word[5] = bpf_htonl(0x02040000 | answer->mss);
	tcp->count = 6;
	if (!answer->with_timestamp)
		return;
	tcp->word[6] = bpf_htonl(answer->with_sack ? 0x0402080a : 0x0101080a);
	tcp->word[7] = bpf_htonl(answer->tsval);
	tcp->word[8] = answer->peer_tsval;
	tcp->count = 9;
	if (answer->with_wscale) {
		tcp->word[9] = bpf_htonl(0x01030300 | answer->wscale);
		tcp->count = 10;
	}
}

/* One's complement sum of 32-bit words, folded (RFC 1071). */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u64 sum_address(const struct headers *hdr, const struct xdpctl_addr *addr)
{
	if (hdr->family == XDPCTL_IPV4)
		return addr->word[3];
	return (__u64)addr->word[0] + addr->word[1] + addr->word[2] + addr->word[3];
}

static __always_inline void write_tcp(const struct headers *hdr, const struct syn_answer *answer,
				      struct tcp_words *tcp)
{
	__u32 flags = TCP_SYN | TCP_ACK | (answer->with_ecn ? TCP_FLAG_ECE : 0);
	__u64 sum = sum_address(hdr, &hdr->src) + sum_address(hdr, &hdr->dst);
	__be16 *ports = (__be16 *)tcp->word;
	int i;

	__builtin_memset(tcp, 0, sizeof(*tcp));
	ports[0] = hdr->dport;
	ports[1] = hdr->sport;
	tcp->word[1] = bpf_htonl(answer->cookie);
	tcp->word[2] = bpf_htonl(bpf_ntohl(answer->peer_seq) + 1);
	write_options(answer, tcp);
	tcp->word[3] = bpf_htonl(tcp->count << 28 | flags << 16 | answer->window);
	sum += bpf_htonl(IPPROTO_TCP << 16 | tcp->count * 4);
#pragma unroll
	for (i = 0; i < TCP_HEADER_WORDS; i++)
		sum += tcp->word[i];
	tcp->word[4] = fold(sum);
}

static __always_inline void write_ipv4(const struct headers *hdr, const struct syn_answer *answer,
				       struct iphdr *ip, __u32 bytes)
{
	const __be32 *words = (const __be32 *)ip;

	/* As a stack without a connection does: no identification, not to be
	 * fragmented (RFC 6864). */
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = answer->tos;
	ip->tot_len = bpf_htons(sizeof(*ip) + bytes);
	ip->id = 0;
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = answer->ttl;
	ip->protocol = IPPROTO_TCP;
	ip->check = 0;
	ip->saddr = ipv4_of(&hdr->dst);
	ip->daddr = ipv4_of(&hdr->src);
	ip->check = fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
}

static __always_inline void write_ipv6(const struct headers *hdr, const struct syn_answer *answer,
				       struct ipv6hdr *ip, __u32 bytes)
{
	*(__be32 *)ip = bpf_htonl(6 << 28 | (__u32)answer->tos << 20);
	ip->payload_len = bpf_htons(bytes);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = answer->ttl;
	__builtin_memcpy(&ip->saddr, &hdr->dst, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &hdr->src, sizeof(ip->daddr));
}

/* `route`: names the next hop, or NULL for where the frame came from. */
static __always_inline void turn_ethernet(struct ethhdr *eth, const struct xdpctl_route *route)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	if (route && route->has_next_hop)
		__builtin_memcpy(mac, route->next_hop, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
}

/* Grows or shrinks the frame. A little padding is left, as the wire adds it. */
static __always_inline bool resize_frame(struct xdp_md *ctx, const struct headers *hdr, __u32 bytes)
{
	__u32 is = hdr->frame_bytes;

	if (is == bytes || (bytes < is && is <= ETHERNET_FRAME_MIN))
		return true;
	return !bpf_xdp_adjust_tail(ctx, (int)bytes - (int)is);
}

/* tcp->count is 6, 9 or 10; a constant size each, for the verifier. */
static __always_inline bool copy_words(void *out, void *data_end, const struct tcp_words *tcp)
{
	if (out + 6 * 4 > data_end)
		return false;
	__builtin_memcpy(out, tcp->word, 6 * 4);
	if (tcp->count < 9)
		return true;
	if (out + 9 * 4 > data_end)
		return false;
	__builtin_memcpy(out + 6 * 4, tcp->word + 6, 3 * 4);
	if (tcp->count < 10)
		return true;
	if (out + 10 * 4 > data_end)
		return false;
	__builtin_memcpy(out + 9 * 4, tcp->word + 9, 4);
	return true;
}

/* Returns an enum xdp_action. Global: its stack is not added to the pipeline's. */
__noinline int xdpctl_send_syn_ack(struct xdp_md *ctx, const struct headers *hdr)
{
	const struct syn_answer *answer = answer_of_cpu();
	const struct xdpctl_route *route;
	__u32 ip_bytes, network;
	struct tcp_words tcp;
	void *data, *data_end;

	if (!hdr || !answer)
		return XDP_DROP;
	route = route_at(answer->route);
	network = hdr->network;
	ip_bytes = hdr->family == XDPCTL_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	write_tcp(hdr, answer, &tcp);
	if (!resize_frame(ctx, hdr, network + ip_bytes + tcp.count * 4))
		return XDP_DROP; /* the client will try again */
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	/* Without an Ethernet header generic XDP cannot send (bpf_prog_run_generic_xdp takes
	 * bytes 12 and 13 for an EtherType that changed), and no cookie is made. */
	if (network < sizeof(struct ethhdr) ||
	    network > sizeof(struct ethhdr) + VLAN_TAGS_MAX * sizeof(struct vlan_tag))
		return XDP_DROP;
	barrier_var(network);
	if (data + sizeof(struct ethhdr) > data_end)
		return XDP_DROP;
	turn_ethernet(data, route);
	data += network;
	if (data + sizeof(struct ipv6hdr) > data_end) /* IPv4 with its TCP is longer */
		return XDP_DROP;
	if (hdr->family == XDPCTL_IPV4)
		write_ipv4(hdr, answer, data, tcp.count * 4);
	else
		write_ipv6(hdr, answer, data, tcp.count * 4);
	return copy_words(data + ip_bytes, data_end, &tcp) ? XDP_TX : XDP_DROP;
}

#endif
