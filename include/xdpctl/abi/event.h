/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Evidence: what the data path tells about single packets. */
#ifndef XDPCTL_ABI_EVENT_H
#define XDPCTL_ABI_EVENT_H

#include "policy.h"

enum xdpctl_family {
	XDPCTL_IPV4 = 0,
	XDPCTL_IPV6 = 1,
	XDPCTL_NON_IP = 2,
	XDPCTL_FAMILY_COUNT,
	XDPCTL_FAMILY_IP = 2, /* IPv4 and IPv6 */
};

/* X(ID, name, text): what the kernel's socket table says of a packet. */
#define XDPCTL_SESSIONS(X)                                                    \
	X(UNKNOWN, "unknown", "not TCP or UDP, or not readable")              \
	X(NONE, "none", "no socket here")                                     \
	X(LISTENER, "listener", "a listening or unconnected socket")          \
	X(ESTABLISHED, "established", "a socket connected to this very peer") \
	X(HALF_OPEN, "half_open", "a handshake or a closed connection of this very peer")

enum xdpctl_session {
#define XDPCTL_SESSION_ENUM(id, name, text) XDPCTL_SESSION_##id,
	XDPCTL_SESSIONS(XDPCTL_SESSION_ENUM)
#undef XDPCTL_SESSION_ENUM
};

/* What happened to one packet, and why: of `explain` and of replay. */
struct xdpctl_judgement {
	__u64 time_ns; /* data path's clock */
	__u64 generation;
	__u64 deadline_ns;  /* of the ban or prefix that matched, or 0 */
	__u32 reason;	    /* enum xdpctl_reason */
	__u32 action;	    /* enum xdp_action */
	__u32 session;	    /* enum xdpctl_session */
	__u32 family;	    /* enum xdpctl_family */
	__u32 list;	    /* enum xdpctl_list: where the source stands, or 0 */
	__u32 known_client; /* 1: the source holds a proven connection */
};

#define XDPCTL_EVENT_BYTES 128 /* a power of two */

/* One dropped (or would-be dropped) packet, in the ring buffer `events`. */
struct xdpctl_event {
	struct xdpctl_judgement judgement;
	struct xdpctl_addr src;
	struct xdpctl_addr dst;
	__be16 sport;
	__be16 dport;
	__u32 ifindex;
	__u32 frame_bytes;
	__u16 captured_bytes; /* valid in bytes[] */
	__u8 protocol;	      /* IPPROTO_* of the transport header */
	__u8 tcp_flags;
	__u8 bytes[XDPCTL_EVENT_BYTES]; /* from the Ethernet header on */
};

#endif
