/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a listening socket would grant to a SYN: read from the kernel's own
 * structures, so that a cookie's SYN-ACK promises what the accepted socket keeps.
 */
#ifndef XDPCTL_BPF_LISTENER_H
#define XDPCTL_BPF_LISTENER_H

#include <bpf/bpf_core_read.h>

#include "guard_state.h"
#include "syn_ack.h"
#include "tcp_options.h"

/* The fields that are read, relocated to the running kernel's (CO-RE). */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct netns_ipv4 {
	__u8 sysctl_tcp_syncookies;
	__u8 sysctl_tcp_timestamps;
	__u8 sysctl_tcp_sack;
	__u8 sysctl_tcp_window_scaling;
	__u8 sysctl_tcp_ecn;
	__u8 sysctl_ip_default_ttl;
	int sysctl_tcp_adv_win_scale;
	int sysctl_tcp_rmem[3];
};

struct net {
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
	int sk_rcvbuf;
	__u8 sk_userlocks : 4;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
};

struct ipv6_pinfo {
	__u8 tclass;
};

struct inet_sock {
	struct sock sk;
	struct ipv6_pinfo *pinet6;
	__u8 tos;
};

typedef struct {
	int counter;
} atomic_t;

struct request_sock_queue {
	atomic_t qlen;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
};

struct tcp_options_received {
	__u16 user_mss;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	struct tcp_options_received rx_opt;
	__u32 window_clamp;
	__u8 scaling_ratio; /* since 6.6 */
	void *md5sig_info;  /* depends on the kernel's configuration */
	void *ao_info;	    /* since 6.7, likewise */
};

#pragma clang attribute pop

#define SOCK_RCVBUF_LOCK 2	/* include/net/sock.h */
#define TCP_RMEM_TO_WIN_SCALE 8 /* include/net/tcp.h */
#define TCP_TIMESTAMP_BYTES 12	/* aligned */
#define TCP_WINDOW_MAX 65535
#define TCP_TIMESTAMPS_UNSHIFTED 2 /* net.ipv4.tcp_timestamps: no secret offset */
#define IPV6_HOP_LIMIT 64

static __always_inline const struct sock *sock_of(const struct tcp_sock *tcp)
{
	return &tcp->inet_conn.icsk_inet.sk;
}

static __always_inline const struct netns_ipv4 *sysctls_of(const struct tcp_sock *tcp)
{
	return &sock_of(tcp)->__sk_common.skc_net.net->ipv4;
}

/* sk_acceptq_is_full of include/net/sock.h. */
static __always_inline bool accept_queue_is_full(const struct tcp_sock *tcp)
{
	return sock_of(tcp)->sk_ack_backlog > sock_of(tcp)->sk_max_ack_backlog;
}

/* For judge_queue(): how full the queue of unfinished handshakes is (inet_csk_reqsk_queue_len). */
static __always_inline int queue_of(const struct tcp_sock *tcp)
{
	__u32 length = tcp->inet_conn.icsk_accept_queue.qlen.counter;
	__u32 most = sock_of(tcp)->sk_max_ack_backlog;
	int queue = length & QUEUE_LENGTH;

	if ((__u64)length * 100 >= (__u64)most * QUEUE_ALARM_PERCENT)
		queue |= QUEUE_ALARM;
	if (accept_queue_is_full(tcp))
		queue |= QUEUE_OVERLOADED;
	return queue;
}

/* Its peers sign their segments, which only the kernel can answer (BGP). */
static __always_inline bool is_signed(const struct tcp_sock *tcp)
{
	return (bpf_core_field_exists(tcp->md5sig_info) && tcp->md5sig_info) ||
	       (bpf_core_field_exists(tcp->ao_info) && tcp->ao_info);
}

/* tcp_full_space: of the receive buffer, what a window may offer. */
static __always_inline __u32 full_space(const struct tcp_sock *tcp)
{
	__s64 bytes = sock_of(tcp)->sk_rcvbuf;
	int scale;

	if (bpf_core_field_exists(tcp->scaling_ratio))
		return bytes * tcp->scaling_ratio >> TCP_RMEM_TO_WIN_SCALE;
	scale = sysctls_of(tcp)->sysctl_tcp_adv_win_scale;
	if (scale <= 0)
		return bytes >> (-scale & 31);
	return bytes - (bytes >> (scale & 31));
}

/* clamp(ilog2(space) - 15, 0, 14), without branches. */
static __always_inline __u8 wscale_of(__u32 space)
{
	__u8 wscale = 0;
	int i;

#pragma unroll
	for (i = 1; i <= TCP_WSCALE_MAX; i++)
		wscale += space >> (15 + i) != 0;
	return wscale;
}

/*
 * What a listener grants to a SYN that asks for it. Reading it takes the socket,
 * so it is kept for a moment.
 */
struct listener_terms {
	struct xdpctl_addr local;
	__u64 fresh_until_ns;
	__u32 device; /* slot */
	__be16 port;
	__u16 mss;	/* to advertise */
	__u16 user_mss; /* TCP_MAXSEG, or 0 */
	__u16 window;
	__u16 window_beside_timestamp;
	__u8 wscale;
	__u8 grants_timestamp;
	__u8 grants_sack;
	__u8 grants_wscale;
	__u8 ecn; /* sysctl net.ipv4.tcp_ecn */
	__u8 tos;
	__u8 ttl;
	__u8 is_signed;
};

/* tcp_select_initial_window, as tcp_openreq_init_rwin calls it. */
static __always_inline __u32 initial_window(const struct tcp_sock *tcp, __u32 mss, __u32 *limit_out)
{
	__u32 limit = tcp->window_clamp;
	__u32 space = full_space(tcp);

	if (BPF_CORE_READ_BITFIELD(sock_of(tcp), sk_userlocks) & SOCK_RCVBUF_LOCK &&
	    (limit > space || !limit))
		limit = space;
	if (!limit)
		limit = TCP_WINDOW_MAX << TCP_WSCALE_MAX;
	if (space > limit)
		space = limit;
	if (mss && space > mss)
		space -= space % mss;
	*limit_out = limit;
	return space;
}

static __always_inline __u16 window_field(__u32 space)
{
	return space > TCP_WINDOW_MAX ? TCP_WINDOW_MAX : space;
}

static __always_inline void read_windows(const struct tcp_sock *tcp, __u32 rmem_max,
					 struct listener_terms *terms)
{
	__u32 most = sysctls_of(tcp)->sysctl_tcp_rmem[2];
	__u32 limit, space;

	terms->window = window_field(initial_window(tcp, terms->mss, &limit));
	/* A window is scaled only beside a timestamp: a cookie has no other room. */
	space = initial_window(tcp, terms->mss - TCP_TIMESTAMP_BYTES, &limit);
	terms->window_beside_timestamp = window_field(space);
	if (most < rmem_max)
		most = rmem_max;
	if (most < space)
		most = space;
	terms->wscale = wscale_of(most > limit ? limit : most);
}

static __always_inline void read_listener(const struct tcp_sock *tcp, __u32 family, __u32 mss,
					  __u32 rmem_max, struct listener_terms *terms)
{
	const struct netns_ipv4 *sysctls = sysctls_of(tcp);

	terms->user_mss = tcp->rx_opt.user_mss;
	terms->mss = terms->user_mss && terms->user_mss < mss ? terms->user_mss : mss;
	terms->grants_timestamp = sysctls->sysctl_tcp_timestamps == TCP_TIMESTAMPS_UNSHIFTED;
	terms->grants_sack = sysctls->sysctl_tcp_sack;
	terms->grants_wscale = sysctls->sysctl_tcp_window_scaling;
	terms->ecn = sysctls->sysctl_tcp_ecn;
	terms->is_signed = is_signed(tcp);
	if (family == XDPCTL_IPV4) {
		terms->tos = tcp->inet_conn.icsk_inet.tos;
		terms->ttl = sysctls->sysctl_ip_default_ttl;
	} else {
		terms->tos = tcp->inet_conn.icsk_inet.pinet6->tclass;
		terms->ttl = IPV6_HOP_LIMIT;
	}
	read_windows(tcp, rmem_max, terms);
}

#endif
