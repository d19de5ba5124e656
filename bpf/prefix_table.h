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
	__u64 hash;
	__u32 set;
	__u32 octet; /* its value, 0 to 255 */
};

#define NO_NODE (-1)
#define NO_NODE_HERE (-2) /* but perhaps in the other line */

/* The leaf, or NO_NODE where this is another one. */
static __always_inline int leaf_in_node(const struct node_key *key, __u32 index)
{
	const union xdpctl_prefix_line *line = prefix_line(key->set, XDPCTL_TABLE_NODES, index);
	__u64 leaves;

	if (!line || line->node.high != key->high || line->node.low != key->low)
		return NO_NODE;
	leaves = *(const volatile __u64 *)&line->node.leaves;
	if (leaves >> 32)
		return leaf_in_page(key->set, leaves >> 32, key->octet);
	if (line->node.bits[key->octet >> 6 & 3] >> (key->octet & 63) & 1)
		leaves >>= 16;
	return leaves & 0xffff;
}

/* Likewise. */
static __always_inline int leaf_in_line(const struct node_key *key, __u32 index)
{
	const union xdpctl_prefix_line *line = prefix_line(key->set, XDPCTL_TABLE_TAGS, index);
	__u32 i, tries;

	if (!line)
		return NO_NODE;
#pragma clang loop unroll(disable)
	for (i = 0; i < XDPCTL_TAG_WORDS; i++) {
		__u32 word = (xdpctl_node_word(key->hash) + i) & (XDPCTL_TAG_WORDS - 1);
		__u64 match = xdpctl_ban_match(line->tags[word], xdpctl_node_tag(key->hash));

#pragma clang loop unroll(disable)
		for (tries = 0; match && tries < XDPCTL_BAN_WORD_LANES; tries++) {
			__u32 lane = word * XDPCTL_BAN_WORD_LANES + first_lane(match);
			int leaf = leaf_in_node(key, index * XDPCTL_TAG_LANES + lane);

			if (leaf >= 0)
				return leaf;
			match &= match - 1;
		}
	}
	return line->tags[XDPCTL_TAG_WORDS - 1] >> 48 ? NO_NODE_HERE : NO_NODE;
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

	words = bpf_map_lookup_elem(&control, &zero);
	if (!words || octet >= IPV6_OCTETS)
		return 0;
	tables = &words->prefix_sets[key.set];
	key.octet = xdpctl_octet_of(high, low, octet);
	key.high = xdpctl_node_high(high, octet);
	key.low = xdpctl_node_low(low, octet);
	key.hash = xdpctl_node_hash(key.high, key.low, tables->seed);
#pragma clang loop unroll(disable)
	for (other = 0; other < 2; other++) {
		int leaf = leaf_in_line(&key, xdpctl_node_line(key.hash, other, tables->tag_lines));

		if (leaf >= 0)
			return leaf;
		if (leaf == NO_NODE)
			return 0;
	}
	return 0;
}

static __always_inline __u32 leaf_of_block(__u32 address, __u32 set)
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
		       : leaf_of_block(address, set);
}

static __always_inline bool may_have_node(__u64 high, __u64 low, __u32 octet, __u32 set, __u64 seed)
{
	__u64 hash =
		xdpctl_node_hash(xdpctl_node_high(high, octet), xdpctl_node_low(low, octet), seed);
	__u32 index = set * XDPCTL_FILTER_WORDS + xdpctl_filter_word(hash);
	const __u64 *word = bpf_map_lookup_elem(&prefix_filter, &index);

	return word && *word & xdpctl_filter_bit(hash);
}

/* Of the octets that have nodes, the last that has a leaf speaks. */
static __always_inline __u32 leaf_of_ipv6(const struct xdpctl_addr *address, __u32 set,
					  const struct xdpctl_prefix_set *tables)
{
	__u64 high = (__u64)bpf_ntohl(address->word[0]) << 32 | bpf_ntohl(address->word[1]);
	__u64 low = (__u64)bpf_ntohl(address->word[2]) << 32 | bpf_ntohl(address->word[3]);
	__u64 octets = *(const volatile __u64 *)&tables->octets;
	__u32 count = octets >> XDPCTL_OCTETS_SHIFT, leaf = 0, i;

	/* What looks like IPv4 is none, and the tables speak for IPv4 too. */
	if (!high && low >> 32 == 0xffff)
		return 0;
	if (count == XDPCTL_OCTETS_MOST) { /* and perhaps octet 0 */
		octets &= (1ULL << XDPCTL_OCTETS_SHIFT) - 1;
		count++;
	}
#pragma clang loop unroll(disable)
	for (i = 0; i < IPV6_OCTETS && i < count && !leaf; i++, octets >>= 4) {
		if (may_have_node(high, low, octets & 15, set, tables->seed))
			leaf = xdpctl_find_leaf(high, low, set, octets & 15);
	}
	return leaf;
}

/* 0 where the source stands on no list. */
static __always_inline __u32 leaf_of_source(const struct headers *hdr,
					    const struct xdpctl_control *words)
{
	__u32 set = *(const volatile __u32 *)&words->prefix_set & (XDPCTL_PREFIX_SETS - 1);
	const struct xdpctl_prefix_set *tables = &words->prefix_sets[set];

	if (hdr->family == XDPCTL_IPV6)
		return leaf_of_ipv6(&hdr->src, set, tables);
	return tables->ipv4 ? leaf_of_ipv4(bpf_ntohl(ipv4_of(&hdr->src)), set) : 0;
}

#endif
