/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel's own socket table is the connection table. In replay the sockets
 * that the capture shows stand in for it.
 */
#ifndef XDPCTL_BPF_SESSION_H
#define XDPCTL_BPF_SESSION_H

#include "maps.h"

static __always_inline enum xdpctl_session session_of_socket(struct bpf_sock *sk, bool listening)
{
	if (!sk)
		return XDPCTL_SESSION_NONE;
	bpf_sk_release(sk);
	return listening ? XDPCTL_SESSION_LISTENER : XDPCTL_SESSION_ESTABLISHED;
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
		return session_of_socket(sk, sk && sk->state == BPF_TCP_LISTEN);
	}
	if (size == sizeof(tuple.ipv4))
		sk = bpf_sk_lookup_udp(pkt->ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS,
				       0);
	else
		sk = bpf_sk_lookup_udp(pkt->ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS,
				       0);
	return session_of_socket(sk, sk && !sk->dst_port);
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
