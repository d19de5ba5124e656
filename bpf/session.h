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

static __always_inline enum xdpctl_session session_of_tcp(struct bpf_sock *sk)
{
	__u32 state;

	if (!sk)
		return XDPCTL_SESSION_NONE;
	state = sk->state;
	bpf_sk_release(sk);
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

static __always_inline enum xdpctl_session kernel_session(const struct packet *pkt)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 size;

	if (pkt->hdr.family == XDPCTL_IPV4) {
		tuple.ipv4.saddr = ipv4_of(&pkt->hdr.src);
		tuple.ipv4.daddr = ipv4_of(&pkt->hdr.dst);
		tuple.ipv4.sport = pkt->hdr.sport;
		tuple.ipv4.dport = pkt->hdr.dport;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &pkt->hdr.src, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &pkt->hdr.dst, 16);
		tuple.ipv6.sport = pkt->hdr.sport;
		tuple.ipv6.dport = pkt->hdr.dport;
		size = sizeof(tuple.ipv6);
	}
	/* The helpers demand a constant size each. */
	if (pkt->hdr.protocol == IPPROTO_TCP) {
		if (size == sizeof(tuple.ipv4))
			sk = bpf_skc_lookup_tcp(pkt->ctx, &tuple, sizeof(tuple.ipv4),
						BPF_F_CURRENT_NETNS, 0);
		else
			sk = bpf_skc_lookup_tcp(pkt->ctx, &tuple, sizeof(tuple.ipv6),
						BPF_F_CURRENT_NETNS, 0);
		return session_of_tcp(sk);
	}
	if (size == sizeof(tuple.ipv4))
		sk = bpf_sk_lookup_udp(pkt->ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS,
				       0);
	else
		sk = bpf_sk_lookup_udp(pkt->ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS,
				       0);
	return session_of_udp(sk);
}

static __always_inline enum xdpctl_session replay_session(const struct packet *pkt)
{
	struct xdpctl_socket_key key = {
		.local = pkt->hdr.dst,
		.peer = pkt->hdr.src,
		.local_port = pkt->hdr.dport,
		.peer_port = pkt->hdr.sport,
		.protocol = pkt->hdr.protocol,
	};

	if (bpf_map_lookup_elem(&replay_sockets, &key))
		return XDPCTL_SESSION_ESTABLISHED;
	key.peer = (struct xdpctl_addr){};
	key.peer_port = 0;
	if (bpf_map_lookup_elem(&replay_sockets, &key))
		return XDPCTL_SESSION_LISTENER;
	return XDPCTL_SESSION_NONE;
}

/* Does a socket here belong to this packet? Costs a table lookup: ask rarely. */
static __always_inline enum xdpctl_session session_of(const struct packet *pkt)
{
	if (!pkt->hdr.has_ports)
		return XDPCTL_SESSION_UNKNOWN;
	if (xdpctl_replay)
		return replay_session(pkt);
	return kernel_session(pkt);
}

#endif
