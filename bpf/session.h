/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel's own socket table is the connection table. In replay the sockets
 * that the capture shows stand in for it.
 */
#ifndef XDPCTL_BPF_SESSION_H
#define XDPCTL_BPF_SESSION_H

#include "maps.h"

/* States in which the peer has shown that it receives what we send. A request
 * socket or TIME_WAIT proves nothing: one forged SYN makes the former. */
#define TCP_PROVEN_STATES                                                             \
	(1 << BPF_TCP_ESTABLISHED | 1 << BPF_TCP_FIN_WAIT1 | 1 << BPF_TCP_FIN_WAIT2 | \
	 1 << BPF_TCP_CLOSE_WAIT | 1 << BPF_TCP_LAST_ACK | 1 << BPF_TCP_CLOSING)

static __always_inline enum xdpctl_session session_of_tcp(const struct bpf_sock *sk)
{
	__u32 state;

	if (!sk)
		return XDPCTL_SESSION_NONE;
	state = sk->state;
	if (state == BPF_TCP_LISTEN)
		return XDPCTL_SESSION_LISTENER;
	return TCP_PROVEN_STATES >> (state & 31) & 1 ? XDPCTL_SESSION_ESTABLISHED
						     : XDPCTL_SESSION_HALF_OPEN;
}

static __always_inline enum xdpctl_session session_of_udp(struct bpf_sock *sk)
{
	bool connected;

	if (!sk)
		return XDPCTL_SESSION_NONE;
	connected = sk->dst_port;
	bpf_sk_release(sk);
	return connected ? XDPCTL_SESSION_ESTABLISHED : XDPCTL_SESSION_LISTENER;
}

static __always_inline void fill_tuple(const struct headers *hdr, struct bpf_sock_tuple *tuple)
{
	if (hdr->family == XDPCTL_IPV4) {
		tuple->ipv4.saddr = ipv4_of(&hdr->src);
		tuple->ipv4.daddr = ipv4_of(&hdr->dst);
		tuple->ipv4.sport = hdr->sport;
		tuple->ipv4.dport = hdr->dport;
	} else {
		__builtin_memcpy(tuple->ipv6.saddr, &hdr->src, 16);
		__builtin_memcpy(tuple->ipv6.daddr, &hdr->dst, 16);
		tuple->ipv6.sport = hdr->sport;
		tuple->ipv6.dport = hdr->dport;
	}
}

/* To be released with bpf_sk_release. The helpers demand a constant size each. */
static __always_inline struct bpf_sock *find_tcp_socket(struct xdp_md *ctx,
							const struct headers *hdr)
{
	struct bpf_sock_tuple tuple = {};

	fill_tuple(hdr, &tuple);
	if (hdr->family == XDPCTL_IPV4)
		return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline struct bpf_sock *find_udp_socket(struct xdp_md *ctx,
							const struct headers *hdr)
{
	struct bpf_sock_tuple tuple = {};

	fill_tuple(hdr, &tuple);
	if (hdr->family == XDPCTL_IPV4)
		return bpf_sk_lookup_udp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_udp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline enum xdpctl_session kernel_session(struct xdp_md *ctx,
							  const struct headers *hdr)
{
	struct bpf_sock *sk;
	enum xdpctl_session session;

	if (hdr->protocol != IPPROTO_TCP)
		return session_of_udp(find_udp_socket(ctx, hdr));
	sk = find_tcp_socket(ctx, hdr);
	session = session_of_tcp(sk);
	if (sk)
		bpf_sk_release(sk);
	return session;
}

static __always_inline enum xdpctl_session replay_session(const struct headers *hdr)
{
	struct xdpctl_socket_key key = {
		.local = hdr->dst,
		.peer = hdr->src,
		.local_port = hdr->dport,
		.peer_port = hdr->sport,
		.protocol = hdr->protocol,
	};
	const __u32 *session;

	session = bpf_map_lookup_elem(&replay_sockets, &key);
	if (session)
		return *session;
	key.peer = (struct xdpctl_addr){};
	key.peer_port = 0;
	if (bpf_map_lookup_elem(&replay_sockets, &key))
		return XDPCTL_SESSION_LISTENER;
	return XDPCTL_SESSION_NONE;
}

/* Does a socket here belong to these ports? Costs a table lookup: ask rarely. */
static __always_inline enum xdpctl_session look_up_session(struct xdp_md *ctx,
							   const struct headers *hdr)
{
	return xdpctl_replay ? replay_session(hdr) : kernel_session(ctx, hdr);
}

/* An enum xdpctl_session. Global, so that the verifier looks at the lookups once. */
__noinline int xdpctl_session_of(struct xdp_md *ctx, const struct headers *hdr)
{
	return hdr ? look_up_session(ctx, hdr) : XDPCTL_SESSION_UNKNOWN;
}

static __always_inline enum xdpctl_session session_of(const struct packet *pkt)
{
	return pkt->hdr.has_ports ? look_up_session(pkt->ctx, &pkt->hdr) : XDPCTL_SESSION_UNKNOWN;
}

#endif
