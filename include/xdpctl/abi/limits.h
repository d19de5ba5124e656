/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Rate limits in constant memory: a sketch of token buckets. Each bucket is a due
 * time (GCRA, ITU-T I.371) in two rows, addressed by a seeded hash; the lesser of
 * the two speaks (a count-min sketch with conservative update). A key that shares
 * one of its buckets with others is not held for them; it is where it shares both.
 */
#ifndef XDPCTL_ABI_LIMITS_H
#define XDPCTL_ABI_LIMITS_H

#include <linux/types.h>

/* X(ID, name, text): what shares a set of limits. */
#define XDPCTL_LIMIT_CLASSES(X)                                                      \
	X(UDP, "udp", "UDP, and fragments whose first was taken")                    \
	X(UDP_UNKNOWN, "udp_unknown",                                                \
	  "UDP without a socket, where another host or namespace may have it")       \
	X(ICMP_ECHO, "icmp_echo", "echo requests and replies")                       \
	X(ICMP_ERROR, "icmp_error", "errors about packets that were sent from here") \
	X(ICMP_CONTROL, "icmp_control", "neighbours and routers of the link")        \
	X(ICMP_OTHER, "icmp_other", "every other type of ICMP")                      \
	X(ORPHAN, "orphan", "fragments whose first was not seen")                    \
	X(PROTOCOL, "protocol", "other protocols than TCP, UDP and ICMP")            \
	X(REFLECTED, "reflected",                                                    \
	  "UDP that looks like a reflector's answer, to a socket without a peer")    \
	X(TCP_UNKNOWN, "tcp_unknown",                                                \
	  "TCP without a socket, where another host or namespace may have it")       \
	X(FORWARDED, "forwarded", "ICMP, fragments and SYNs for other hosts")

enum xdpctl_limit_class {
#define XDPCTL_LIMIT_CLASS_ENUM(id, name, text) XDPCTL_LIMIT_##id,
	XDPCTL_LIMIT_CLASSES(XDPCTL_LIMIT_CLASS_ENUM)
#undef XDPCTL_LIMIT_CLASS_ENUM
		XDPCTL_LIMIT_CLASS_COUNT,
};

/* Of the classes, rounded up to a power of two. */
#define XDPCTL_LIMIT_CLASS_SLOTS 16

/* X(ID, name, IPv4 bits, IPv6 bits, text): whose packets are counted together. */
#define XDPCTL_LIMIT_LEVELS(X)                                       \
	X(SOURCE, "source", 32, 128, "one source address")           \
	X(PREFIX, "prefix", 24, 64, "one /24 or /64")                \
	X(NETWORK, "network", 16, 48, "one /16 or /48")              \
	X(SERVICE, "service", 32, 128, "one local address and port") \
	X(DESTINATION, "destination", 24, 64, "one local /24 or /64, all ports")

enum xdpctl_limit_level {
#define XDPCTL_LIMIT_LEVEL_ENUM(id, name, ipv4, ipv6, text) XDPCTL_LEVEL_##id,
	XDPCTL_LIMIT_LEVELS(XDPCTL_LIMIT_LEVEL_ENUM)
#undef XDPCTL_LIMIT_LEVEL_ENUM
		XDPCTL_LIMIT_LEVEL_COUNT,
};

/*
 * A packet takes the greater of its two shares, so one word holds both rates: at
 * most one of them is used up, and a mixture of sizes gets a little less than both.
 */
struct xdpctl_limit {
	__u64 packet_ns; /* 1 / packets per second; 0 and byte_cost 0: no limit */
	__u64 byte_cost; /* 1 / bytes per second, in ns << XDPCTL_BYTE_COST_SHIFT */
	__u64 burst_ns;	 /* what a quiet bucket has saved */
};
#define XDPCTL_BYTE_COST_SHIFT 16

#define XDPCTL_BUCKET_ROW 65536 /* buckets of a row, a power of two; shared by all levels */
#define XDPCTL_BUCKETS (2 * XDPCTL_BUCKET_ROW)

/* SplitMix64's finalizer (Steele, Lea, Flood 2014), once for each word. */
static inline __u64 xdpctl_bucket_hash(__u64 high, __u64 low, __u64 seed)
{
	__u64 hash = (high ^ seed) * 0xbf58476d1ce4e5b9ULL;

	hash = (hash ^ hash >> 31 ^ low) * 0x94d049bb133111ebULL;
	return hash ^ hash >> 29;
}

static inline __u32 xdpctl_bucket_index(__u64 hash, __u32 row)
{
	__u32 half = row ? hash >> 32 : hash;

	return row * XDPCTL_BUCKET_ROW + (half & (XDPCTL_BUCKET_ROW - 1));
}

static inline __u64 xdpctl_packet_cost(const struct xdpctl_limit *limit, __u32 bytes)
{
	__u64 by_bytes = limit->byte_cost * bytes >> XDPCTL_BYTE_COST_SHIFT;

	return by_bytes > limit->packet_ns ? by_bytes : limit->packet_ns;
}

/* How long the bucket has spent in advance, ns. */
static inline __u64 xdpctl_bucket_debt(__u64 due_a, __u64 due_b, __u64 now_ns)
{
	__u64 due = due_a < due_b ? due_a : due_b;

	return due > now_ns ? due - now_ns : 0;
}

/*
 * Takes what one packet costs from both rows. Not atomic: where CPUs meet in one
 * bucket at the same moment, the cost of a packet can be lost, never added.
 */
static inline void xdpctl_bucket_take(__u64 *a, __u64 *b, __u64 due_ns)
{
	if (*(volatile __u64 *)a < due_ns)
		*(volatile __u64 *)a = due_ns;
	if (*(volatile __u64 *)b < due_ns)
		*(volatile __u64 *)b = due_ns;
}

#endif
