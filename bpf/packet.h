/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One packet on its way through the pipeline, and what rodata decides. */
#ifndef XDPCTL_BPF_PACKET_H
#define XDPCTL_BPF_PACKET_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <xdpctl/abi/maps.h>

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

/* Set before load; the verifier then removes the branches not taken. */
const volatile bool xdpctl_frags = false;  /* frames may have several buffers */
const volatile bool xdpctl_replay = false; /* clock and sessions of a capture */

/* What stage_parse reads. */
struct headers {
	struct xdpctl_addr src;
	struct xdpctl_addr dst;
	__u32 frame_bytes;
	__u32 family; /* enum xdpctl_family */
	__be16 sport;
	__be16 dport;
	__u32 network;	 /* offset of the IP header, bytes */
	__u32 transport; /* offset of the transport header, bytes */
	__u32 fragment_id;
	__u16 fragment_offset; /* bytes */
	__u16 fragment_bytes;  /* of payload; 0: not a fragment */
	__u8 more_fragments;   /* 1: not the last one */
	__u8 protocol;	       /* of the transport header */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 has_ports; /* 1: a whole TCP or UDP header was read */
};

/* What speaks for a source. */
struct stand {
	__u64 deadline_ns; /* of the ban or list that decided, or 0 */
	__u32 list;	   /* or 0 */
	__u32 leaf;	   /* of the source, or 0 */
	bool is_trusted;   /* enum xdpctl_prefix_verdict: no list blocks it */
};

struct packet {
	struct headers hdr;
	struct xdp_md *ctx;
	struct xdpctl_control *control;
	const struct xdpctl_policy *policy;
	struct xdpctl_counters *counters; /* of this CPU and device */
	__u32 slot;
	__u32 device;	   /* slot */
	bool dry_run;	   /* judge only: leave no trace in any table */
	bool suspect;	   /* sent from a reflector's port; it is limited first */
	bool is_sampled;   /* one TCP packet in XDPCTL_CLIENT_SAMPLE, in peace looked at closer */
	bool inside;	   /* the headers are those of a packet in a tunnel */
	__u32 holder;	   /* enum xdpctl_holder: in whose room a fragment waits for others */
	__u32 limit_class; /* enum xdpctl_limit_class */

	bool is_answered;   /* UDP of a flow that conntrack has seen both sides of */
	bool known_client;  /* evidence: the source is in `clients` */
	struct stand stand; /* evidence */
};

/*
 * The same number, of which the verifier knows nothing any more: without it, it would
 * follow what comes next once for each way that led there, and for each of fifty
 * reasons.
 */
static __always_inline __u32 forget(const struct packet *pkt, __u32 number)
{
	volatile __u32 *scratch = &pkt->counters->scratch;

	*scratch = number;
	return *scratch;
}

/* Of the first buffer: all of the frame unless xdpctl_frags. */
static __always_inline __u64 linear_bytes(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end - (void *)(long)ctx->data;
}

static __always_inline bool same_address(const struct xdpctl_addr *a, const struct xdpctl_addr *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

/* Its /24 or /64: what one owner has. */
static __always_inline struct xdpctl_addr prefix_of(const struct xdpctl_addr *addr)
{
	struct xdpctl_addr prefix = xdpctl_known_key(addr);

	if (!prefix.word[0] && !prefix.word[1])
		prefix.word[3] &= bpf_htonl(0xffffff00);
	return prefix;
}

/* Its /16 or /48. */
static __always_inline struct xdpctl_addr network_of(const struct xdpctl_addr *addr)
{
	struct xdpctl_addr network = prefix_of(addr);

	if (network.word[0] || network.word[1])
		network.word[1] &= bpf_htonl(0xffff0000);
	else
		network.word[3] &= bpf_htonl(0xffff0000);
	return network;
}

static __always_inline bool ipv6_multicast(const struct xdpctl_addr *addr)
{
	return (addr->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* ICMP of the packet's own family. */
static __always_inline bool is_icmp(const struct headers *hdr)
{
	return hdr->protocol == (hdr->family == XDPCTL_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* An index below XDPCTL_PORTS. */
static __always_inline __u32 port_index(__be16 port)
{
	__u32 index = bpf_ntohs(port);

	barrier_var(index); /* the verifier of 6.1 forgets bounds when bytes are swapped */
	return index & (XDPCTL_PORTS - 1);
}

static __always_inline bool has_port(const struct xdpctl_port_set *set, __be16 port)
{
	__u32 number = bpf_ntohs(port);

	barrier_var(number); /* the verifier of 6.1 forgets bounds when bytes are swapped */
	return set->word[number >> 6 & (XDPCTL_PORTS / 64 - 1)] >> (number & 63) & 1;
}

static __always_inline __be32 ipv4_of(const struct xdpctl_addr *addr)
{
	return addr->word[3];
}

#endif
