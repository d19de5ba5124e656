/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which leaf holds at a source: <xdpctl/abi/prefix_table.h>. */
#ifndef XDPCTL_BPF_PREFIX_TABLE_H
#define XDPCTL_BPF_PREFIX_TABLE_H

#include "ban_table.h"

#define IPV6_OCTETS 16

static __always_inline const union xdpctl_prefix_line *
prefix_line(__u32 set, enum xdpctl_prefix_table table, __u32 index)
{
	__u32 outer = set * XDPCTL_TABLE_COUNT + table;
	void *lines = bpf_map_lookup_elem(&prefix_tables, &outer);

	return lines ? bpf_map_lookup_elem(lines, &index) : NULL;
}

static __always_inline __u32 leaf_in_page(__u32 set, __u32 page, __u32 octet)
{
	const union xdpctl_prefix_line *line = prefix_line(
		set, XDPCTL_TABLE_PAGES, page * XDPCTL_PAGE_LINES + octet / XDPCTL_LINE_LEAVES);

	return line ? line->leaf[octet & (XDPCTL_LINE_LEAVES - 1)] : 0;
}

/* As in the node that is looked for. */
struct node_key {
	__u64 high;
	__u64 low;
	__u64 tag;
	__u32 set;
	__u32 octet; /* its value, 0 to 255 */
};

/* The leaf, or -1 where this is another node. */
static __always_inline int leaf_in_node(const struct node_key *key, __u32 index)
{
	const union xdpctl_prefix_line *line = prefix_line(key->set, XDPCTL_TABLE_NODES, index);
	__u64 leaves;

	if (!line || line->node.high != key->high || line->node.low != key->low)
		return -1;
	leaves = *(const volatile __u64 *)&line->node.leaves;
	if (leaves >> 32)
		return leaf_in_page(key->set, leaves >> 32, key->octet);
	if (line->node.bits[key->octet >> 6 & 3] >> (key->octet & 63) & 1)
		leaves >>= 16;
	return leaves & 0xffff;
}

/* Likewise. */
static __always_inline int leaf_in_line(const struct node_key *key, __u32 index, bool *overflow)
{
	const union xdpctl_prefix_line *line = prefix_line(key->set, XDPCTL_TABLE_TAGS, index);
	__u32 word, tries;

	*overflow = false;
	if (!line)
		return -1;
	*overflow = line->tags[XDPCTL_TAG_WORDS - 1] >> 48;
#pragma clang loop unroll(disable)
	for (word = 0; word < XDPCTL_TAG_WORDS; word++) {
		__u64 match = xdpctl_ban_match(line->tags[word], key->tag);

#pragma clang loop unroll(disable)
		for (tries = 0; match && tries < XDPCTL_BAN_WORD_LANES; tries++) {
			__u32 lane = word * XDPCTL_BAN_WORD_LANES + first_lane(match);
			int leaf = leaf_in_node(key, index * XDPCTL_TAG_LANES + lane);

			if (leaf >= 0)
				return leaf;
			match &= match - 1;
		}
	}
	return -1;
}

/* The leaf of the node of this octet; 0: none, or there is no such node. Global, so
 * that the verifier looks at it once. */
__noinline int xdpctl_find_leaf(__u64 high, __u64 low, __u32 set, __u32 octet)
{
	struct node_key key = {.set = set & (XDPCTL_PREFIX_SETS - 1)};
	const struct xdpctl_prefix_set *tables;
	const struct xdpctl_control *words;
	const __u32 zero = 0;
	__u32 other;
	bool overflow;
	__u64 hash;

	words = bpf_map_lookup_elem(&control, &zero);
	if (!words || octet >= IPV6_OCTETS)
		return 0;
	tables = &words->prefix_sets[key.set];
	key.octet = xdpctl_octet_of(high, low, octet);
	key.high = xdpctl_node_high(high, octet);
	key.low = xdpctl_node_low(low, octet);
	hash = xdpctl_node_hash(key.high, key.low, tables->seed);
	key.tag = xdpctl_node_tag(hash);
#pragma clang loop unroll(disable)
	for (other = 0; other < 2; other++) {
		int leaf = leaf_in_line(&key, xdpctl_node_line(hash, other, tables->tag_lines),
					&overflow);

		if (leaf >= 0)
			return leaf;
		if (!overflow)
			return 0;
	}
	return 0;
}

/* Of a /24 that is whole. Global, likewise. */
__noinline int xdpctl_leaf_of_block(__u32 address, __u32 set)
{
	const union xdpctl_prefix_line *line;

	line = prefix_line(set, XDPCTL_TABLE_WHOLE, address >> 13);
	return line ? line->leaf[address >> 8 & (XDPCTL_LINE_LEAVES - 1)] : 0;
}

static __always_inline __u32 leaf_of_ipv4(__u32 address, __u32 set)
{
	__u32 index = set * XDPCTL_KINDS_WORDS + (address >> 13);
	const __u64 *kinds = bpf_map_lookup_elem(&prefix_kinds, &index);
	__u32 kind;

	if (!kinds)
		return 0;
	kind = *kinds >> (address >> 8 & (XDPCTL_LINE_LEAVES - 1)) * 2 & 3;
	if (kind == XDPCTL_KIND_NONE)
		return 0;
	return kind == XDPCTL_KIND_MIXED
		       ? xdpctl_find_leaf(0, 0xffffULL << 32 | address, set, IPV6_OCTETS - 1)
		       : xdpctl_leaf_of_block(address, set);
}

/* Of the octets of the mask, the last that has a leaf speaks. */
static __always_inline __u32 leaf_of_ipv6(const struct xdpctl_addr *address, __u32 set,
					  __u32 octets)
{
	__u64 high = (__u64)bpf_ntohl(address->word[0]) << 32 | bpf_ntohl(address->word[1]);
	__u64 low = (__u64)bpf_ntohl(address->word[2]) << 32 | bpf_ntohl(address->word[3]);
	__u32 leaf = 0;
	int octet;

	/* What looks like IPv4 is none, and the tables speak for IPv4 too. */
	if (!high && low >> 32 == 0xffff)
		return 0;
#pragma clang loop unroll(disable)
	for (octet = IPV6_OCTETS - 1; octet >= 0 && !leaf; octet--) {
		if (octets >> octet & 1)
			leaf = xdpctl_find_leaf(high, low, set, octet);
	}
	return leaf;
}

/* 0 where the source stands on no list. */
static __always_inline __u32 leaf_of_source(const struct headers *hdr,
					    const struct xdpctl_control *words)
{
	__u32 set = *(const volatile __u32 *)&words->prefix_set & (XDPCTL_PREFIX_SETS - 1);
	__u32 octets = words->prefix_sets[set].octets;

	if (hdr->family == XDPCTL_IPV6) {
		octets &= XDPCTL_OCTETS_IPV4 - 1;
		return octets ? leaf_of_ipv6(&hdr->src, set, octets) : 0;
	}
	if (!(octets & XDPCTL_OCTETS_IPV4))
		return 0;
	return leaf_of_ipv4(bpf_ntohl(ipv4_of(&hdr->src)), set);
}

#endif
