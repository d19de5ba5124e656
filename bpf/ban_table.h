/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Looks a source up among the bans: <xdpctl/abi/ban_table.h>. */
#ifndef XDPCTL_BPF_BAN_TABLE_H
#define XDPCTL_BPF_BAN_TABLE_H

#include <xdpctl/abi/ban_table.h>

#include "maps.h"

/* Set before load: number of buckets minus 1. */
const volatile __u32 xdpctl_ban_mask = 0;

static __always_inline struct xdpctl_ban *ban_in_slot(const struct xdpctl_addr *source, __u32 index)
{
	struct xdpctl_ban_slot *slot = bpf_map_lookup_elem(&ban_slots, &index);

	return slot && same_address(&slot->source, source) ? &slot->ban : NULL;
}

/* The lowest lane of a match that is not 0. */
static __always_inline __u32 first_lane(__u64 match)
{
	if (match & 0x80008000ULL)
		return match & 0x8000ULL ? 0 : 1;
	return match & 0x800000000000ULL ? 2 : 3;
}

static __always_inline struct xdpctl_ban *ban_in_bucket(const struct xdpctl_addr *source,
							__u32 bucket, __u64 tag)
{
	const struct xdpctl_ban_tags *tags = bpf_map_lookup_elem(&ban_tags, &bucket);
	__u32 word, tries;

	if (!tags)
		return NULL;
	for (word = 0; word < 2; word++) {
		__u64 match = xdpctl_ban_match(tags->word[word], tag);

		for (tries = 0; match && tries < XDPCTL_BAN_WORD_LANES; tries++) {
			__u32 lane = first_lane(match);
			struct xdpctl_ban *ban =
				ban_in_slot(source, bucket * XDPCTL_BAN_LANES +
							    word * XDPCTL_BAN_WORD_LANES + lane);

			if (ban)
				return ban;
			match &= match - 1;
		}
	}
	return NULL;
}

static __always_inline struct xdpctl_ban *find_ban(const struct xdpctl_addr *source, __u64 secret)
{
	__u64 hash = xdpctl_ban_hash(source, secret);
	__u64 tag = xdpctl_ban_tag(hash);
	__u32 bucket = xdpctl_ban_bucket(hash, xdpctl_ban_mask);
	struct xdpctl_ban *ban = ban_in_bucket(source, bucket, tag);

	if (ban)
		return ban;
	return ban_in_bucket(source, xdpctl_ban_other_bucket(bucket, tag, xdpctl_ban_mask), tag);
}

#endif
