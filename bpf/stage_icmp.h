/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ICMP and ICMPv6: errors must be about something that is here. */
#ifndef XDPCTL_BPF_STAGE_ICMP_H
#define XDPCTL_BPF_STAGE_ICMP_H

#include "accepted.h"
#include "conntrack.h"
#include "own_address.h"
#include "stage_parse.h"
#include "stray.h"

#define ICMP_ECHOREPLY 0 /* RFC 792 */
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMPV6_TIME_EXCEEDED 3 /* RFC 4443 */
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_ERRORS_END 5   /* 1 to 4: RFC 4443 */
#define ICMPV6_NEIGHBOURS 133 /* 133 to 137: RFC 4861 */
#define ICMPV6_NEIGHBOURS_END 138
#define NEIGHBOUR_HOP_LIMIT 255

enum icmp_error {
	ICMP_ERROR_UNKNOWN, /* about something that leaves no socket */
	ICMP_ERROR_KNOWN,   /* about a connection of this very peer */
	ICMP_ERROR_LIKELY,  /* about a socket without a peer, or an open handshake */
	ICMP_ERROR_STRANGE, /* nothing here has sent that */
};

static __always_inline enum xdpctl_limit_class class_of_icmp(__u8 type)
{
	switch (type) {
	case ICMP_ECHO:
	case ICMP_ECHOREPLY:
		return XDPCTL_LIMIT_ICMP_ECHO;
	case ICMP_DEST_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETERPROB:
		return XDPCTL_LIMIT_ICMP_ERROR;
	default:
		return XDPCTL_LIMIT_ICMP_OTHER;
	}
}

static __always_inline enum xdpctl_limit_class class_of_icmpv6(__u8 type)
{
	if (type == ICMPV6_ECHO_REQUEST || type == ICMPV6_ECHO_REPLY)
		return XDPCTL_LIMIT_ICMP_ECHO;
	if (type && type < ICMPV6_ERRORS_END)
		return XDPCTL_LIMIT_ICMP_ERROR;
	if (type >= ICMPV6_NEIGHBOURS && type < ICMPV6_NEIGHBOURS_END)
		return XDPCTL_LIMIT_ICMP_CONTROL; /* not routed, which is checked */
	return XDPCTL_LIMIT_ICMP_OTHER;		  /* multicast listeners are routers' matter */
}

/* The packet inside the error as its answer would look: from the peer to us. */
static __always_inline bool read_inner(const struct xdp_md *ctx, const struct headers *hdr,
				       struct headers *answer)
{
	void *data_end = (void *)(long)ctx->data_end;
	__u32 offset = hdr->transport;
	__u32 header = sizeof(struct ipv6hdr);
	const __be16 *ports;
	void *inner;

	if (offset > HEADERS_BYTES_MAX)
		return false;
	barrier_var(offset);
	inner = (void *)(long)ctx->data + offset;
	inner += ICMP_HEADER_BYTES;
	answer->family = hdr->family;
	if (hdr->family == XDPCTL_IPV4) {
		const struct iphdr *ip = inner;

		if ((void *)(ip + 1) > data_end)
			return false;
		answer->src.word[2] = answer->dst.word[2] = bpf_htonl(0xffff);
		answer->src.word[3] = ip->daddr;
		answer->dst.word[3] = ip->saddr;
		answer->protocol = ip->protocol;
		header = ip->ihl * 4;
	} else {
		const struct ipv6hdr *ip = inner;

		if ((void *)(ip + 1) > data_end)
			return false;
		__builtin_memcpy(&answer->src, &ip->daddr, sizeof(answer->src));
		__builtin_memcpy(&answer->dst, &ip->saddr, sizeof(answer->dst));
		answer->protocol = ip->nexthdr;
	}
	barrier_var(header);
	if (header > 60)
		return false;
	ports = inner + header;
	if ((void *)(ports + 2) > data_end)
		return false;
	answer->dport = ports[0];
	answer->sport = ports[1];
	answer->has_ports = 1;
	return true;
}

/* A connection hears of its path now and then; who makes more of them has made the
 * connection for it. */
#define ERRORS_OF_CONNECTION_NS (NS_PER_S / 8)
#define ERRORS_OF_CONNECTION_BURST 32

static __always_inline bool has_error_left(const struct headers *answer, __u64 secret, __u64 now,
					   bool look_only)
{
	__u64 connection = connection_hash(&answer->src, answer->sport, &answer->dst, answer->dport,
					   secret ^ BUCKET_ICMP_ERROR);
	__u32 bucket = connection & (XDPCTL_SLOW_BUCKETS - 1);
	__u64 *due = bpf_map_lookup_elem(&slow_buckets, &bucket);

	return !due || take_due(due, now, ERRORS_OF_CONNECTION_NS,
				ERRORS_OF_CONNECTION_NS * ERRORS_OF_CONNECTION_BURST, look_only);
}

#define ICMP_ASK_CONNTRACK 1
#define ICMP_LOOK_ONLY 2

/* An enum icmp_error. Global, so that the verifier looks at it once. */
__noinline int xdpctl_judge_icmp_error(struct xdp_md *ctx, const struct headers *hdr, __u32 flags)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	const struct xdpctl_policy *policy = words ? active_policy(words) : NULL;
	struct headers answer = {};
	enum xdpctl_session session;

	/* RFC 792, 4443: it holds at least that much, and goes to who sent it. */
	if (!hdr || !read_inner(ctx, hdr, &answer) || !same_address(&answer.dst, &hdr->dst))
		return ICMP_ERROR_STRANGE;
	if (answer.protocol != IPPROTO_TCP && answer.protocol != IPPROTO_UDP)
		return ICMP_ERROR_UNKNOWN;
	if (!bpf_map_lookup_elem(&own_addresses, &answer.dst))
		return ICMP_ERROR_UNKNOWN;
	/* A call: with what the lookup keeps, the stack of this chain of calls exceeds 512 bytes.
	 */
	session = xdpctl_session_of(ctx, &answer);
	/* Of a container: translated or forwarded, so that the socket is not here. */
	if (words && (session == XDPCTL_SESSION_ESTABLISHED ||
		      (flags & ICMP_ASK_CONNTRACK && conntrack_knows(ctx, &answer))))
		return has_error_left(&answer, words->secret, now_by(words), flags & ICMP_LOOK_ONLY)
			       ? ICMP_ERROR_KNOWN
			       : ICMP_ERROR_LIKELY;
	if (answer.protocol == IPPROTO_TCP && policy &&
	    has_port(&policy->tcp_services, answer.dport))
		return ICMP_ERROR_LIKELY;
	/* A listener has sent nothing but answers to SYNs, which spoofed ones get too.
	 * Tunnels send UDP from ports without a socket. */
	if (answer.protocol == IPPROTO_TCP &&
	    (session == XDPCTL_SESSION_NONE || session == XDPCTL_SESSION_LISTENER))
		return ICMP_ERROR_STRANGE;
	return session == XDPCTL_SESSION_NONE ? ICMP_ERROR_UNKNOWN : ICMP_ERROR_LIKELY;
}

/* Of sockets that cannot be seen: those of raw senders (traceroute), those that are
 * bound to a device above, and what is forwarded or translated. */
static __always_inline bool may_be_unseen(const struct packet *pkt)
{
	__u8 exceeded = pkt->hdr.family == XDPCTL_IPV4 ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEEDED;

	return pkt->hdr.icmp_type == exceeded ||
	       pkt->policy->host & (XDPCTL_HOST_CONNTRACK | XDPCTL_HOST_UNSEEN);
}

static __always_inline enum xdpctl_reason judge_icmp_error(struct packet *pkt)
{
	__u32 flags = (pkt->policy->host & XDPCTL_HOST_CONNTRACK ? ICMP_ASK_CONNTRACK : 0) |
		      (pkt->dry_run ? ICMP_LOOK_ONLY : 0);
	int error = xdpctl_judge_icmp_error(pkt->ctx, &pkt->hdr, flags); /* enum icmp_error */

	if (error == ICMP_ERROR_KNOWN)
		return XDPCTL_PASSED;
	if (error == ICMP_ERROR_STRANGE && !may_be_unseen(pkt))
		return stray_passes(pkt, XDPCTL_STRAY_ICMP) ? XDPCTL_NEXT : XDPCTL_ICMP_UNSOLICITED;
	if (error != ICMP_ERROR_LIKELY)
		pkt->limit_class = XDPCTL_LIMIT_ICMP_OTHER; /* easily forged */
	return XDPCTL_NEXT;
}

static __always_inline bool came_through_router(const struct packet *pkt)
{
	const struct ipv6hdr *ip;
	__u32 offset = pkt->hdr.network;

	if (offset > HEADERS_BYTES_MAX)
		return true;
	barrier_var(offset);
	ip = (void *)(long)pkt->ctx->data + offset;
	return (void *)(ip + 1) > (void *)(long)pkt->ctx->data_end ||
	       ip->hop_limit != NEIGHBOUR_HOP_LIMIT;
}

static __always_inline enum xdpctl_reason stage_icmp(struct packet *pkt)
{
	bool ipv4 = pkt->hdr.family == XDPCTL_IPV4;
	__u8 type = pkt->hdr.icmp_type;

	if (!is_icmp(&pkt->hdr) || pkt->hdr.fragment_offset)
		return XDPCTL_NEXT;
	pkt->limit_class = ipv4 ? class_of_icmp(type) : class_of_icmpv6(type);
	if (!ipv4 && type >= ICMPV6_NEIGHBOURS && type < ICMPV6_NEIGHBOURS_END &&
	    came_through_router(pkt))
		return XDPCTL_ICMP_HOPS;
	if (!is_own(pkt) && !is_group(pkt)) {
		/* A router passes on what it does not know. Neighbours of virtual
		 * machines that are bridged here solicit, too. */
		if (pkt->limit_class != XDPCTL_LIMIT_ICMP_CONTROL)
			pkt->limit_class = XDPCTL_LIMIT_FORWARDED;
		return XDPCTL_NEXT;
	}
	if (pkt->limit_class == XDPCTL_LIMIT_ICMP_ERROR)
		return judge_icmp_error(pkt);
	return XDPCTL_NEXT;
}

#endif
