/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The table of banned hosts: where an address may stand in it. The daemon is
 * its only writer and the data path reads it in place, without a call into the
 * kernel, so that a clean packet pays for two loads.
 *
 * An address has two buckets of eight slots. `ban_tags` holds 16 bits of its
 * hash for each slot, 0 for a free one; only where a tag matches is the slot in
 * `ban_slots` compared. Writing order: slot, then tag; tag first on removal.
 */
#ifndef XDPCTL_ABI_BAN_TABLE_H
#define XDPCTL_ABI_BAN_TABLE_H

#include "policy.h"

#define XDPCTL_BAN_LANES 8	/* slots of a bucket */
#define XDPCTL_BAN_WORD_LANES 4 /* tags of a word */

struct xdpctl_ban_tags {
	__u64 word[XDPCTL_BAN_LANES / XDPCTL_BAN_WORD_LANES];
};

/* X(ID, name, text): who banned. */
#define XDPCTL_BAN_ORIGINS(X)                                                     \
	X(OPERATOR, "operator", "by hand, or by a program that says no other")    \
	X(HEURISTIC, "heuristic", "the daemon of an earlier version")             \
	X(FAIL2BAN, "fail2ban", "fail2ban, by the action that xdpctl comes with") \
	X(CROWDSEC, "crowdsec", "a decision of the CrowdSec that is configured")

enum xdpctl_ban_origin {
#define XDPCTL_BAN_ORIGIN_ENUM(id, name, text) XDPCTL_BAN_##id,
	XDPCTL_BAN_ORIGINS(XDPCTL_BAN_ORIGIN_ENUM)
#undef XDPCTL_BAN_ORIGIN_ENUM
		XDPCTL_BAN_ORIGIN_COUNT,
};

/* An entry outlives its deadline while its strikes are remembered. */
struct xdpctl_ban {
	__u64 deadline_ns; /* data path's clock; ~0: no end */
	__u64 added_ns;
	__u64 hits;    /* packets that met the ban */
	__u32 origin;  /* enum xdpctl_ban_origin */
	__u32 strikes; /* offences so far, for the next TTL */
	__u32 reason;  /* the daemon's number of a text, 0: none */
	__u32 flags;   /* XDPCTL_BAN_FORCED; the data path does not look */
};

/* By the operator's --force: holds against what is protected only by being in use. */
#define XDPCTL_BAN_FORCED 1

struct xdpctl_ban_slot {
	struct xdpctl_addr source;
	struct xdpctl_ban ban;
	__u64 unused; /* one cache line each */
};

/* Keyed by a secret, so that nobody can aim at a bucket. Multiplicative mixing
 * with the odd constants of splitmix64. */
static inline __u64 xdpctl_ban_hash(const struct xdpctl_addr *source, __u64 secret)
{
	__u64 high = (__u64)source->word[0] << 32 | source->word[1];
	__u64 low = (__u64)source->word[2] << 32 | source->word[3];
	__u64 hash = (high ^ secret) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ hash >> 32 ^ low) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ hash >> 29) * 0x94d049bb133111ebULL;
	return hash ^ hash >> 32;
}

/* Never 0, which means a free slot. */
static inline __u64 xdpctl_ban_tag(__u64 hash)
{
	return hash >> 48 | 1;
}

/* `mask`: number of buckets, a power of two, minus 1. */
static inline __u32 xdpctl_ban_bucket(__u64 hash, __u32 mask)
{
	return (__u32)hash & mask;
}

static inline __u32 xdpctl_ban_other_bucket(__u32 bucket, __u64 tag, __u32 mask)
{
	return (bucket ^ (__u32)(tag * 0x5bd1e995U)) & mask;
}

/*
 * The top bit of each lane of the word that equals the tag; now and then of
 * the lane above one that does ("Determine if a word has a zero byte",
 * https://graphics.stanford.edu/~seander/bithacks.html).
 */
static inline __u64 xdpctl_ban_match(__u64 word, __u64 tag)
{
	__u64 difference = word ^ tag * 0x0001000100010001ULL;

	return (difference - 0x0001000100010001ULL) & ~difference & 0x8000800080008000ULL;
}

#endif
