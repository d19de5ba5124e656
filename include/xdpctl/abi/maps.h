/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The maps: keys, values, default sizes. XDPCTL_MAPS() defines them for BPF
 * and tabulates them for C++; every one is pinned under its own name.
 */
#ifndef XDPCTL_ABI_MAPS_H
#define XDPCTL_ABI_MAPS_H

#include "ban_table.h"
#include "event.h"
#include "policy.h"
#include "prefix_table.h"
#include "reasons.h"

/* Raise when a meaning changes that no size or name below shows. */
#define XDPCTL_ABI_VERSION 8

#define XDPCTL_DEVICE_SLOTS 16 /* slot 0: a device that nobody registered */

/* What the data path must know of an interface to read its frames and to answer on it.
 * Slot 0 stands for the ports of bonds, which have Ethernet headers. */
struct xdpctl_device {
	__u32 ifindex;
	__u16 mss[2]; /* by family: advmss of its routes, bytes; 0: no answers here */
	__u32 flags;  /* XDPCTL_DEVICE_* */
};

#define XDPCTL_DEVICE_NO_ETHERNET 1 /* its frames begin with the IP header */
/* Its other end is in this kernel (veth), which leaves checksums to a card: that of TCP is
 * the sum of the pseudo-header then (CHECKSUM_PARTIAL of <linux/skbuff.h>). */
#define XDPCTL_DEVICE_PARTIAL_CHECKSUMS 2

/* The few words that are changed in place, each by one atomic store. */
struct xdpctl_control {
	__u32 active_slot;   /* of the policy, 0 or 1 */
	__u32 bypass;	     /* 1: panic; pass everything */
	__u64 secret;	     /* of every hash over addresses */
	__u64 replay_now_ns; /* the clock where rodata says replay */
	/* To be added to the data path's clock for CLOCK_MONOTONIC, which TCP's
	 * timestamps count; up to two jiffies short. */
	__s64 monotonic_offset_ns;
	__u64 netns_cookie; /* of the namespace whose services are guarded; 0: any */
	__u64 own_epoch;    /* counts changes of own_addresses; never 0 */
	/* Known clients that came first before it are trusted. The daemon moves it along in
	 * peace, and lets it stand while a service is attacked or in lockdown. */
	__u64 trusted_before_ns;
	__u32 prefix_set; /* the active one, 0 or 1 */
	__u32 route_set;  /* likewise, of answer_routes */
	struct xdpctl_prefix_set prefix_sets[XDPCTL_PREFIX_SETS];
	struct xdpctl_device devices[XDPCTL_DEVICE_SLOTS];
};

/* Which program and layout the pins belong to. */
struct xdpctl_meta {
	__u64 layout; /* hash over this contract */
	__u64 object; /* hash over the BPF object file */
	__u32 frags;  /* 1: loaded for multi-buffer frames */
	__u32 unused;
};

struct xdpctl_cell {
	__u64 packets;
	__u64 bytes; /* whole frames, without FCS */
};

enum xdpctl_disposition {
	XDPCTL_EFFECTIVE = 0,  /* the reason's verdict was carried out */
	XDPCTL_WOULD_DROP = 1, /* monitored only: the packet was passed */
	XDPCTL_DISPOSITION_COUNT,
};

/* TCP packets per second, of one CPU and device, that pass unjudged because their sources are
 * allowed: what exceeds that may be forged, and meets the guard as if they were trusted. */
#define XDPCTL_ALLOWED_PER_SECOND 1000

/* Per CPU and device slot. */
struct xdpctl_counters {
	__u64 next_sample_ns;
	__u64 events_lost;	/* the ring buffer had no room */
	__u32 client_countdown; /* TCP packets until the next one is looked up */
	__u32 client_random;	/* state of the generator that sets it */
	__u32 scratch;		/* of the packet at hand */
	__u32 own_since_tick;	/* when the host got the address `own` */
	__u64 allowed_due_ns;	/* GCRA: of TCP from the allow list, XDPCTL_ALLOWED_PER_SECOND */
	__u64 own_epoch;	/* of `own`; see xdpctl_control */
	struct xdpctl_addr own; /* one of the host's addresses, the last that was met */
	struct xdpctl_cell offered[XDPCTL_LIMIT_CLASS_SLOTS]; /* what came to the limits */
	struct xdpctl_cell cells[XDPCTL_FAMILY_COUNT][XDPCTL_DISPOSITION_COUNT]
				[XDPCTL_REASON_SLOTS];
};

/* Counts of one service, per CPU. */
struct xdpctl_service_counters {
	__u64 syns;	   /* seen by the guard */
	__u64 cookies;	   /* SYNs answered */
	__u64 accepted;	   /* ACKs with a valid cookie */
	__u64 rejected;	   /* packets without a connection or a valid cookie */
	__u64 limited;	   /* SYNs dropped by a limit, a full queue or lockdown */
	__u64 misrouted;   /* SYNs whose answer would leave by another interface */
	__u64 established; /* handshakes that the kernel completed */
	__u64 unreported;  /* SYNs not yet added to xdpctl_guard.pending */
	__u64 reported_ns; /* when some were */
	/* Of slot 0: TCP without SYN, in peace. */
	__u64 strays_since_ns; /* when the count of those without a connection began */
	__u64 strays_met;      /* how many there were since */
	__u64 strays_until_ns; /* every packet is looked up before this time */
};

/* Why a guard makes no cookies for a while. */
enum xdpctl_cookie_doubt {
	XDPCTL_COOKIES_WORK,
	XDPCTL_COOKIES_NOT_ESTABLISHED, /* accepted, but no connection came to be: DNAT */
	XDPCTL_COOKIES_NOT_RETURNED,	/* known clients ask again and again: a lost way back */
};

/*
 * The state of a service's guard: written by the data path, on all CPUs. Times
 * are on its clock; 0: never.
 */
struct xdpctl_guard {
	__u64 attack_until_ns;	   /* under attack while the clock is before it */
	__u64 attack_since_ns;	   /* begin of the last attack */
	__u64 decayed_ns;	   /* when pending was last diminished */
	__s64 pending;		   /* SYNs without a completed handshake, fading */
	__u32 asked_syns;	   /* SYNs since the listener was last asked for its queue */
	__u32 completed;	   /* handshakes completed since then */
	__u64 overloaded_until_ns; /* the listener's accept queue is full, or was lately */
	/* Proof that accepted cookies become sockets here. */
	__u64 proof_since_ns;	    /* begin of the present count; 0: none */
	__u64 cookies_off_until_ns; /* proof failed: no cookies before this time */
	__u64 proven_ns;	    /* when a connection last came to be by a cookie */
	__u64 accepted_prefixes;    /* bit: hash of a source prefix among the accepted */
	__u32 proof_accepted;	    /* connections */
	__u32 not_returned;	    /* known clients that asked again, since one came through */
	__u32 failures;		    /* one after the other */
	__u32 doubt;		    /* enum xdpctl_cookie_doubt */
	__u64 admit_due_ns;	    /* GCRA: of clients admitted in lockdown */
	__u64 attacks;		    /* how many have begun */
	__u64 unused;		    /* two cache lines */
};

/*
 * A datagram of which a fragment passed. Four of them share a set; the oldest
 * gives way, so that an entry outlives its datagram's journey however many come.
 */
struct xdpctl_datagram {
	__u64 tag;	   /* hash of addresses, protocol and identification; 0: free */
	__u64 time_ns;	   /* of the fragment that came first */
	__u16 begin;	   /* offsets of the part of its payload that came without a gap or */
	__u16 end;	   /* overlap, bytes */
	__u16 apart_begin; /* likewise of a part beside it; both 0: none */
	__u16 apart_end;
	__u32 held;   /* bytes of memory that are counted in `unfinished` */
	__u16 has;    /* XDPCTL_DATAGRAM_* */
	__u16 holder; /* enum xdpctl_holder, of its first fragment to come */
};
#define XDPCTL_DATAGRAM_FIRST 1 /* its first fragment passed */
#define XDPCTL_DATAGRAM_LAST 2	/* its last fragment passed */
#define XDPCTL_DATAGRAM_WAYS 4
struct xdpctl_datagrams {
	struct xdpctl_datagram way[XDPCTL_DATAGRAM_WAYS];
};
#define XDPCTL_DATAGRAM_SETS 8192 /* a power of two */

/* Whose fragments share a room of the kernel's memory for reassembly. */
enum xdpctl_holder {
	XDPCTL_HOLDER_NONE, /* what was asked for has no limit */
	XDPCTL_HOLDER_STRANGER,
	XDPCTL_HOLDER_KNOWN, /* clients and neighbours: anybody may send in their names */
	XDPCTL_HOLDER_COUNT,
};

/*
 * Memory that the kernel needs for datagrams which are not whole, by the time of their
 * first fragment: it gives them up 30 s later.
 */
struct xdpctl_unfinished {
	struct {
		__u64 number; /* of the slice of time that it counts */
		__s64 bytes;
	} slice[8];
};
#define XDPCTL_UNFINISHED_SHIFT 33 /* a slice of time is 2^33 ns, 8.6 s */
#define XDPCTL_UNFINISHED_SLICES 5 /* so many together last longer than 30 s */
/* By holder and family, then by hash of a /24 or /64. */
#define XDPCTL_UNFINISHED_PREFIXES 4096 /* a power of two */
#define XDPCTL_UNFINISHED_SLOTS \
	(XDPCTL_HOLDER_COUNT * XDPCTL_FAMILY_IP + XDPCTL_UNFINISHED_PREFIXES)

/*
 * Where a SYN-ACK to these addresses leaves the host. Answers are sent from the interface
 * that the SYN came in by, so only routes by that interface can be answered; the next hop
 * is the route's, which need not be the one that the SYN came from.
 */
struct xdpctl_route {
	struct xdpctl_addr prefix;
	struct xdpctl_addr mask;
	__u32 devices;	   /* bit: slot of a device that can answer */
	__u8 next_hop[6];  /* MAC of the gateway */
	__u8 has_next_hop; /* 0: to where the SYN came from (on link, or not resolved) */
	__u8 unused;
};
#define XDPCTL_ROUTES 32
struct xdpctl_routes {
	__u32 known; /* 0: the table does not say all; answers go to where the SYN came from */
	__u32 count;
	struct xdpctl_route route[XDPCTL_ROUTES]; /* longer prefixes first */
};
#define XDPCTL_ROUTE_SETS 2

/* A connection whose cookie was accepted a moment ago, in a slot by its hash. */
struct xdpctl_accepted {
	__u64 connection; /* hash */
	__u64 time_ns;
};
#define XDPCTL_ACCEPTED 4096 /* a power of two */

/* How long an address of the host counts as new: others' connections may have come
 * with it (failover, reboot), and their peers wait for a RST. In XDPCTL_PEER_TICK_NS. */
#define XDPCTL_OWN_NEW_TICKS 120

/*
 * A client whose handshake was completed while its service was not attacked, or that was
 * admitted during lockdown. It is trusted from xdpctl_control.trusted_before_ns on, so that
 * who comes in the minutes before an attack gains nothing by it.
 */
struct xdpctl_known_client {
	__u64 first_ns; /* 0: it needs no age (admitted, or a gateway) */
	__u64 last_ns;
	__u64 challenged_ns; /* when it was last sent a cookie, while it had been here lately */
};

/* fe80::/10 (RFC 4291): the first byte is 0xfe, two bits of the second are 10. */
static inline int xdpctl_is_link_local(const struct xdpctl_addr *addr)
{
	const __u8 *bytes = (const __u8 *)addr->word;

	return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/*
 * What one owner has: an IPv4 address, an IPv6 /64, in which a host can have any
 * address. Link-local addresses are all in one /64, so there it is the address.
 */
static inline struct xdpctl_addr xdpctl_known_key(const struct xdpctl_addr *client)
{
	struct xdpctl_addr key = *client;

	/* Mapped IPv4 begins with ten zero bytes and two of ones. */
	if ((key.word[0] || key.word[1]) && !xdpctl_is_link_local(client))
		key.word[2] = key.word[3] = 0;
	return key;
}

/* SYN limits by source prefix and by port, strays by source prefix: one due time
 * (GCRA) in each slot of a hash. */
#define XDPCTL_SYN_BUCKETS 65536 /* a power of two */
/* Likewise, with bursts of many seconds, which would hold up the questions above: new known
 * clients by network, ICMP errors by connection. */
#define XDPCTL_SLOW_BUCKETS 16384 /* a power of two */

/* X(ID): what a packet is that nothing here asked for. */
#define XDPCTL_STRAYS(X)                                                          \
	X(TCP)	      /* a segment that belongs to no connection */               \
	X(UDP)	      /* a datagram to a port without a socket */                 \
	X(REFLECTION) /* the answer of a reflector, to a port without a socket */ \
	X(ICMP)	      /* an error about something that was not sent from here */  \
	X(TCP_NEW)    /* TCP to an address that has just arrived */               \
	X(TCP_PEER)   /* TCP of who may have had a connection here lately */

enum xdpctl_stray {
#define XDPCTL_STRAY_ENUM(id) XDPCTL_STRAY_##id,
	XDPCTL_STRAYS(XDPCTL_STRAY_ENUM)
#undef XDPCTL_STRAY_ENUM
		XDPCTL_STRAY_COUNT,
};
#define XDPCTL_STRAY_SLOTS 8 /* a power of two */

/*
 * Which addresses (of IPv6 /64) have a connection or an open handshake at a service
 * here, or had one lately: a filter by hash in front of the socket table, whose
 * misses are dear. It errs to "may have".
 */
struct xdpctl_peers {
	__u32 open;	   /* connections now */
	__u32 closed_tick; /* of the last one, XDPCTL_PEER_TICK_NS of the data path's clock */
};
#define XDPCTL_PEER_SLOTS 32768 /* a power of two */
#define XDPCTL_PEER_TICK_NS (1ULL << 30)
/* FIN_WAIT2 without a process, then TIME_WAIT: 60 s each (tcp_fin_timeout,
 * TCP_TIMEWAIT_LEN). */
#define XDPCTL_PEER_LINGER_TICKS 128
/* A request socket's life: net.ipv4.tcp_synack_retries of 5. */
#define XDPCTL_PEER_REQUEST_TICKS 64

static inline __u32 xdpctl_peer_slot(const struct xdpctl_addr *peer, __u64 secret)
{
	struct xdpctl_addr key = xdpctl_known_key(peer);

	return (__u32)xdpctl_ban_hash(&key, secret) & (XDPCTL_PEER_SLOTS - 1);
}

/* A source that completed a TCP handshake here, so it is not spoofed. */
struct xdpctl_client {
	__u64 packets;	      /* TCP of its connections, estimated by sampling */
	__u64 established_ns; /* last completed handshake */
	__u32 connections;    /* open now */
	__u32 unused;
};

/* Of TCP packets one in so many, on average, is looked up among the clients and
 * connections, and stands for all; a power of two. */
#define XDPCTL_CLIENT_SAMPLE 32

/* An address of the host itself. */
struct xdpctl_own {
	__u32 since_tick; /* when it was added, XDPCTL_PEER_TICK_NS of the data path's clock */
};

/* The stand-in for the kernel's socket table in replay; ports as on the wire. */
struct xdpctl_socket_key {
	struct xdpctl_addr local;
	struct xdpctl_addr peer; /* zero for a listener */
	__be16 local_port;
	__be16 peer_port; /* zero for a listener */
	__u32 protocol;
};

/*
 * X(name, type, key, value, default entries, flags, sized)
 * sized: SIZED where the configuration may set the entries, else FIXED.
 */
#define XDPCTL_MAPS(X)                                                                            \
	X(control, ARRAY, __u32, struct xdpctl_control, 1, BPF_F_MMAPABLE, FIXED)                 \
	X(meta, ARRAY, __u32, struct xdpctl_meta, 1, 0, FIXED)                                    \
	X(policies, ARRAY, __u32, struct xdpctl_policy, XDPCTL_POLICY_SLOTS, BPF_F_MMAPABLE,      \
	  FIXED)                                                                                  \
	X(counters, PERCPU_ARRAY, __u32, struct xdpctl_counters, XDPCTL_DEVICE_SLOTS, 0, FIXED)   \
	X(ban_tags, ARRAY, __u32, struct xdpctl_ban_tags, 1, BPF_F_MMAPABLE, SIZED)               \
	X(ban_slots, ARRAY, __u32, struct xdpctl_ban_slot, 1, BPF_F_MMAPABLE, SIZED)              \
	X(prefix_kinds, ARRAY, __u32, __u64, XDPCTL_PREFIX_SETS *XDPCTL_KINDS_WORDS,              \
	  BPF_F_MMAPABLE, FIXED)                                                                  \
	X(prefix_filter, ARRAY, __u32, __u64, XDPCTL_PREFIX_SETS *XDPCTL_FILTER_WORDS,            \
	  BPF_F_MMAPABLE, FIXED)                                                                  \
	X(leaves, ARRAY, __u32, struct xdpctl_leaf, XDPCTL_LEAVES, BPF_F_MMAPABLE, FIXED)         \
	X(list_counters, PERCPU_ARRAY, __u32, struct xdpctl_cell, XDPCTL_LIST_SLOTS, 0, FIXED)    \
	X(clients, LRU_HASH, struct xdpctl_addr, struct xdpctl_client, 65536, 0, SIZED)           \
	X(known_clients, LRU_HASH, struct xdpctl_addr, struct xdpctl_known_client, 131072, 0,     \
	  SIZED)                                                                                  \
	X(guards, ARRAY, __u32, struct xdpctl_guard, XDPCTL_SERVICES, BPF_F_MMAPABLE, FIXED)      \
	X(service_counters, PERCPU_ARRAY, __u32, struct xdpctl_service_counters, XDPCTL_SERVICES, \
	  0, FIXED)                                                                               \
	X(syn_buckets, ARRAY, __u32, __u64, XDPCTL_SYN_BUCKETS, 0, FIXED)                         \
	X(slow_buckets, ARRAY, __u32, __u64, XDPCTL_SLOW_BUCKETS, 0, FIXED)                       \
	X(strays, ARRAY, __u32, __u64, XDPCTL_STRAY_SLOTS, 0, FIXED)                              \
	X(buckets, ARRAY, __u32, __u64, XDPCTL_BUCKETS, 0, FIXED)                                 \
	X(datagrams, ARRAY, __u32, struct xdpctl_datagrams, XDPCTL_DATAGRAM_SETS, 0, FIXED)       \
	X(unfinished, ARRAY, __u32, struct xdpctl_unfinished, XDPCTL_UNFINISHED_SLOTS, 0, FIXED)  \
	X(peers, ARRAY, __u32, struct xdpctl_peers, XDPCTL_PEER_SLOTS, BPF_F_MMAPABLE, FIXED)     \
	X(accepted, ARRAY, __u32, struct xdpctl_accepted, XDPCTL_ACCEPTED, 0, FIXED)              \
	X(answer_routes, ARRAY, __u32, struct xdpctl_routes, XDPCTL_ROUTE_SETS *XDPCTL_FAMILY_IP, \
	  0, FIXED)                                                                               \
	X(own_addresses, HASH, struct xdpctl_addr, struct xdpctl_own, 65536, BPF_F_NO_PREALLOC,   \
	  FIXED)                                                                                  \
	X(judgement, ARRAY, __u32, struct xdpctl_judgement, 1, 0, FIXED)                          \
	X(replay_sockets, LRU_HASH, struct xdpctl_socket_key, __u32, 1, 0, FIXED)

/* Two tables whose values are not plain structs. */
/* Array of arrays of union xdpctl_prefix_line: the tables of set 0, then of set 1. */
#define XDPCTL_PREFIX_TABLES_MAP "prefix_tables"
#define XDPCTL_EVENTS_MAP "events" /* ring buffer of struct xdpctl_event */
#define XDPCTL_EVENTS_BYTES (1 << 20)
#define XDPCTL_REPLAY_SOCKETS 65536
#define XDPCTL_BANS 131072 /* decides the sizes of ban_tags and ban_slots */

#define XDPCTL_NO_DEADLINE (~0ULL)

#endif
