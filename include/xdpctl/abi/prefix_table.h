/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Millions of prefixes at a flat cost: where an address may stand in them. The daemon
 * is the only writer; the data path reads in place.
 *
 * What holds at an address is a leaf: one for each list, for each timed ban, and for
 * each combination of countries and AS numbers that services ask for. The
 * writer settles overlaps beforehand, so that a reader finds one leaf, or none.
 *
 * IPv4: `prefix_kinds` has two bits for each /24, in 4 MiB. NONE is the end of it; WHOLE
 * has its leaf in the table WHOLE; MIXED has a node.
 * IPv6: nodes only. A node stands for the 256 values of one octet (0 to 15) behind
 * the bits before it, and the one of the last octet that has a leaf there speaks. Only
 * octets at which a prefix ends have nodes, so that few are asked.
 *
 * `prefix_filter` has a bit for each hash of a node, so that an octet without one is
 * passed over in one load.
 *
 * Nodes are found by hash. A line of tags holds 16 bits for each of 31 nodes; where it
 * was full, its last lane is not 0 and another line is asked.
 *
 * There are two sets of tables. Small changes are made in the active one, each visible at
 * once as a whole (a word is stored, or a new node is linked); large ones build the
 * other set, and xdpctl_control.prefix_set flips.
 */
#ifndef XDPCTL_ABI_PREFIX_TABLE_H
#define XDPCTL_ABI_PREFIX_TABLE_H

#include <linux/types.h>

#define XDPCTL_PREFIX_SETS 2

/* X(ID, name, text): lists that are always there; those of feeds follow. */
#define XDPCTL_LISTS(X)                                       \
	X(NONE, "none", "no list")                            \
	X(ALLOW, "allow", "the operator's allow list")        \
	X(TRUSTED, "trusted", "sources that no list blocks")  \
	X(BLOCK, "block", "lists.block in the configuration") \
	X(BANS, "bans", "networks that were banned by hand")  \
	X(GEO, "geo", "countries and AS numbers that services are narrowed to or closed for")

enum xdpctl_list {
#define XDPCTL_LIST_ENUM(id, name, text) XDPCTL_LIST_##id,
	XDPCTL_LISTS(XDPCTL_LIST_ENUM)
#undef XDPCTL_LIST_ENUM
		XDPCTL_LIST_FIRST_FEED,
};
#define XDPCTL_LIST_SLOTS 256

/* What holds at an address. Leaf n below XDPCTL_LIST_SLOTS is that of list n. */
struct xdpctl_leaf {
	__u64 deadline_ns; /* data path's clock; ~0: no end */
	__u64 hits;	   /* packets that met it: of a ban, not exact */
	__u64 codes;	   /* bits, see struct xdpctl_geo_rule */
	__u16 list;	   /* enum xdpctl_list, or a feed's number */
	__u8 verdict;	   /* enum xdpctl_prefix_verdict */
	__u8 unused[5];
};
#define XDPCTL_LEAVES 65536

enum xdpctl_prefix_verdict {
	XDPCTL_PREFIX_NONE = 0,
	XDPCTL_PREFIX_ALLOW = 1,
	XDPCTL_PREFIX_BLOCK = 2,
	XDPCTL_PREFIX_GEO = 3,	 /* says only which `codes` the source has */
	XDPCTL_PREFIX_TRUST = 4, /* no ban, list or country speaks; guards and limits do */
};

enum xdpctl_prefix_kind {
	XDPCTL_KIND_NONE = 0,
	XDPCTL_KIND_WHOLE = 1,
	XDPCTL_KIND_MIXED = 2,
};
#define XDPCTL_KINDS_WORDS (1U << 19) /* of one set: 32 kinds in a word of 64 bits */

/* The tables of a set are arrays of lines of one cache line each. */
enum xdpctl_prefix_table {
	XDPCTL_TABLE_WHOLE = 0, /* leaves by /24 */
	XDPCTL_TABLE_TAGS = 1,
	XDPCTL_TABLE_NODES = 2,
	XDPCTL_TABLE_PAGES = 3, /* 256 leaves in eight lines; page 0 is not used */
	XDPCTL_TABLE_COUNT = 4, /* a power of two */
};
/* Of all sets, and one that is only written to. */
#define XDPCTL_PREFIX_TABLES (XDPCTL_PREFIX_SETS * XDPCTL_TABLE_COUNT + 1)
#define XDPCTL_WHOLE_LINES (1U << 19)
#define XDPCTL_LINE_LEAVES 32
#define XDPCTL_PAGE_LINES 8

/* Which of 256 addresses or networks have leaf[1] and which leaf[0]; where there are
 * more than two leaves, `page` has them one by one. */
struct xdpctl_prefix_node {
	/* Address in host byte order, zero from the octet on; the last byte is the
	 * octet plus 1. IPv4 is mapped and ends at octet 15. */
	__u64 high;
	__u64 low;
	__u64 bits[4];
	union {
		struct {
			__u16 leaf[2];
			__u32 page; /* 0: none */
		};
		__u64 leaves; /* read and written as one */
	};
	__u64 unused;
};

#define XDPCTL_TAG_WORDS 8
#define XDPCTL_TAG_LANES 32
#define XDPCTL_TAG_OVERFLOW 31 /* not a node: even; not 0 where another line has some */

union xdpctl_prefix_line {
	__u16 leaf[XDPCTL_LINE_LEAVES];
	__u64 tags[XDPCTL_TAG_WORDS];
	struct xdpctl_prefix_node node;
};

/* Of one set of tables. */
struct xdpctl_prefix_set {
	__u64 seed; /* of the hash */
	/* Of IPv6 that have nodes, the last first, four bits each; how many there are in
	 * the highest four. Of all sixteen the first is left out. One word, so that it
	 * changes at once. */
	__u64 octets;
	__u32 tag_lines; /* of TAGS; 32 times as many of NODES */
	__u32 ipv4;	 /* 1: there are prefixes of IPv4 */
};
#define XDPCTL_OCTETS_SHIFT 60 /* of their number */
#define XDPCTL_OCTETS_MOST 15

#define XDPCTL_FILTER_WORDS (1U << 19) /* of one set */

/* Of the bits before an octet. */
static inline __u64 xdpctl_node_high(__u64 high, __u32 octet)
{
	return octet >= 8 ? high : octet ? high & ~0ULL << (64 - octet * 8) : 0;
}

static inline __u64 xdpctl_node_low(__u64 low, __u32 octet)
{
	__u64 bits = octet > 8 ? low & ~0ULL << (128 - octet * 8) : 0;

	return bits | (octet + 1);
}

static inline __u32 xdpctl_octet_of(__u64 high, __u64 low, __u32 octet)
{
	return (octet < 8 ? high >> (56 - octet * 8) : low >> (120 - octet * 8)) & 0xff;
}

/* Multiplicative mixing with the odd constants of splitmix64. */
static inline __u64 xdpctl_node_hash(__u64 high, __u64 low, __u64 seed)
{
	__u64 hash = (high ^ seed) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ hash >> 32 ^ low) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ hash >> 29) * 0x94d049bb133111ebULL;
	return hash ^ hash >> 32;
}

static inline __u32 xdpctl_filter_word(__u64 hash)
{
	return (__u32)(hash >> 20) & (XDPCTL_FILTER_WORDS - 1);
}

static inline __u64 xdpctl_filter_bit(__u64 hash)
{
	return 1ULL << (hash >> 42 & 63);
}

/* Odd, so never that of a free lane. */
static inline __u64 xdpctl_node_tag(__u64 hash)
{
	return hash >> 48 | 1;
}

/* The word of a line to begin at: where the node is put if there is room. */
static inline __u32 xdpctl_node_word(__u64 hash)
{
	return (__u32)(hash >> 45) & (XDPCTL_TAG_WORDS - 1);
}

/* The first or the other line, of `lines`, that a node may stand in. */
static inline __u32 xdpctl_node_line(__u64 hash, __u32 other, __u32 lines)
{
	__u64 part = other ? (hash * 0x9e3779b97f4a7c15ULL) >> 32 : (__u32)hash;

	return (__u32)(part * lines >> 32);
}

#endif
