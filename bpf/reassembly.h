/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Room for datagrams that are not whole. The kernel keeps their fragments for 30 s, and
 * takes no fragment of anybody once they hold ipfrag_high_thresh bytes (inet_frag_find in
 * net/ipv4/inet_fragment.c). So strangers together get half of that, and one prefix no
 * more of it than is free: alone a half, one of three a quarter (Choudhury and Hahne,
 * Dynamic Queue Length Thresholds, 1998). Who is known has three quarters of the other
 * half, and what was asked for the rest. A datagram that becomes whole gives it back.
 */
#ifndef XDPCTL_BPF_REASSEMBLY_H
#define XDPCTL_BPF_REASSEMBLY_H

#include "ban_table.h"
#include "clock.h"
#include "packet.h"

/* As long as the kernel keeps fragments (ipfrag_time, IPV6_FRAG_TIMEOUT). */
#define DATAGRAM_NS (30 * NS_PER_S)
/* Memory of one fragment, bytes: struct sk_buff and the half page that most drivers use. */
#define FRAGMENT_MEMORY 2304

static __always_inline __u64 datagram_tag(const struct headers *hdr, __u64 secret)
{
	/* In IPv6 only the first fragment shows its transport behind other headers. */
	__u64 protocol = hdr->family == XDPCTL_IPV4 ? hdr->protocol : 0;
	__u64 id = protocol << 32 | hdr->fragment_id;
	__u64 source = xdpctl_ban_hash(&hdr->src, secret ^ id);

	return xdpctl_ban_hash(&hdr->dst, source) | 1;
}

static __always_inline struct xdpctl_datagrams *datagram_set(__u64 tag)
{
	__u32 set = tag >> 32 & (XDPCTL_DATAGRAM_SETS - 1);

	return bpf_map_lookup_elem(&datagrams, &set);
}

static __always_inline struct xdpctl_datagram *find_datagram(struct xdpctl_datagrams *set,
							     __u64 tag, __u64 now)
{
	int i;

#pragma unroll
	for (i = 0; i < XDPCTL_DATAGRAM_WAYS; i++)
		if (set->way[i].tag == tag &&
		    (__s64)(now - set->way[i].time_ns) < (__s64)DATAGRAM_NS)
			return &set->way[i];
	return NULL;
}

static __always_inline struct xdpctl_datagram *oldest_datagram(struct xdpctl_datagrams *set)
{
	struct xdpctl_datagram *oldest = &set->way[0];
	int i;

#pragma unroll
	for (i = 1; i < XDPCTL_DATAGRAM_WAYS; i++)
		if (set->way[i].time_ns < oldest->time_ns)
			oldest = &set->way[i];
	return oldest;
}

static __always_inline __u32 end_of_fragment(const struct headers *hdr)
{
	return hdr->fragment_offset + hdr->fragment_bytes;
}

static __always_inline bool overlaps(const struct headers *hdr, const struct xdpctl_datagram *of)
{
	__u32 begin = hdr->fragment_offset, end = end_of_fragment(hdr);

	return (begin < of->end && end > of->begin) ||
	       (begin < of->apart_end && end > of->apart_begin);
}

/* Adds a fragment that overlaps nothing to one of the two parts, or makes it the second.
 * Where neither has a place for it, the datagram is not seen to become whole. */
static __always_inline void add_fragment(const struct headers *hdr, struct xdpctl_datagram *to)
{
	__u32 begin = hdr->fragment_offset, end = end_of_fragment(hdr);

	if (begin == to->end) {
		to->end = end;
	} else if (end == to->begin) {
		to->begin = begin;
	} else if (!to->apart_end) {
		to->apart_begin = begin;
		to->apart_end = end;
	} else if (begin == to->apart_end) {
		to->apart_end = end;
	} else if (end == to->apart_begin) {
		to->apart_begin = begin;
	}
	if (to->apart_end && (to->apart_begin == to->end || to->apart_end == to->begin)) {
		if (to->apart_begin == to->end)
			to->end = to->apart_end;
		else
			to->begin = to->apart_begin;
		to->apart_begin = to->apart_end = 0;
	}
	if (!hdr->fragment_offset)
		to->has |= XDPCTL_DATAGRAM_FIRST;
	if (!hdr->more_fragments)
		to->has |= XDPCTL_DATAGRAM_LAST;
}

static __always_inline bool is_whole(const struct xdpctl_datagram *datagram)
{
	__u32 ends = XDPCTL_DATAGRAM_FIRST | XDPCTL_DATAGRAM_LAST;

	return (datagram->has & ends) == ends && !datagram->begin && !datagram->apart_end;
}

static __always_inline bool completes(const struct headers *hdr, const struct xdpctl_datagram *of)
{
	struct xdpctl_datagram with = *of;

	add_fragment(hdr, &with);
	return is_whole(&with);
}

static __always_inline struct xdpctl_unfinished *unfinished_of_all(const struct headers *hdr,
								   __u32 holder)
{
	__u32 slot = holder * XDPCTL_FAMILY_IP + (hdr->family == XDPCTL_IPV4 ? 0 : 1);

	return bpf_map_lookup_elem(&unfinished, &slot);
}

static __always_inline struct xdpctl_unfinished *unfinished_of_prefix(const struct headers *hdr,
								      __u64 secret)
{
	struct xdpctl_addr prefix = prefix_of(&hdr->src);
	__u32 slot = XDPCTL_HOLDER_COUNT * XDPCTL_FAMILY_IP +
		     (xdpctl_ban_hash(&prefix, secret) & (XDPCTL_UNFINISHED_PREFIXES - 1));

	return bpf_map_lookup_elem(&unfinished, &slot);
}

static __always_inline __s64 unfinished_bytes(const struct xdpctl_unfinished *of, __u64 now)
{
	__u64 number = now >> XDPCTL_UNFINISHED_SHIFT;
	__s64 bytes = 0;
	int i;

#pragma unroll
	for (i = 0; i < 8; i++)
		if (number - of->slice[i].number < XDPCTL_UNFINISHED_SLICES)
			bytes += of->slice[i].bytes;
	return bytes;
}

static __always_inline void add_unfinished(struct xdpctl_unfinished *of, __u64 since, __s64 bytes)
{
	__u64 number = since >> XDPCTL_UNFINISHED_SHIFT;
	__u32 i = number & 7;

	if (of->slice[i].number != number) {
		of->slice[i].number = number;
		of->slice[i].bytes = 0;
	}
	__sync_fetch_and_add(&of->slice[i].bytes, bytes);
}

static __always_inline void hold(const struct headers *hdr, __u64 secret,
				 struct xdpctl_datagram *datagram, __s64 bytes)
{
	struct xdpctl_unfinished *all = unfinished_of_all(hdr, datagram->holder);
	struct xdpctl_unfinished *prefix = NULL;

	datagram->held += bytes;
	if (datagram->holder == XDPCTL_HOLDER_STRANGER)
		prefix = unfinished_of_prefix(hdr, secret);
	if (all)
		add_unfinished(all, datagram->time_ns, bytes);
	if (prefix)
		add_unfinished(prefix, datagram->time_ns, bytes);
}

/* 1 where a fragment has room, or makes its datagram whole. Global, so that the verifier
 * looks at it once. */
__noinline int xdpctl_reassembly_has_room(const struct headers *hdr, __u32 holder, __u64 now)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	const struct xdpctl_policy *policy = words ? active_policy(words) : NULL;
	const struct xdpctl_unfinished *all, *prefix;
	const struct xdpctl_datagram *datagram;
	struct xdpctl_datagrams *set;
	__s64 room, held;
	__u64 tag;

	if (!hdr || !policy)
		return 1;
	room = policy->reassembly_room[hdr->family == XDPCTL_IPV4 ? 0 : 1];
	all = unfinished_of_all(hdr, holder);
	prefix = unfinished_of_prefix(hdr, words->secret);
	if (!room || !all || !prefix)
		return 1;
	held = unfinished_bytes(all, now);
	if (holder == XDPCTL_HOLDER_KNOWN)
		room -= room / 4;
	else
		held += unfinished_bytes(prefix, now);
	if (held < room)
		return 1;
	tag = datagram_tag(hdr, words->secret);
	set = datagram_set(tag);
	datagram = set ? find_datagram(set, tag, now) : NULL;
	return datagram && completes(hdr, datagram);
}

static __always_inline void begin_datagram(struct xdpctl_datagram *datagram, __u32 holder,
					   const struct headers *hdr, __u64 tag, __u64 now)
{
	datagram->tag = 0; /* nobody reads half of it */
	datagram->time_ns = now;
	datagram->begin = hdr->fragment_offset;
	datagram->end = hdr->fragment_offset;
	datagram->apart_begin = datagram->apart_end = 0;
	datagram->held = 0;
	datagram->has = 0;
	datagram->holder = holder;
	add_fragment(hdr, datagram);
	datagram->tag = tag;
}

/* What later fragments need to know of one that passed. Global, likewise. */
__noinline int xdpctl_note_fragment(const struct headers *hdr, __u32 holder, __u64 now)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	struct xdpctl_datagram *datagram;
	struct xdpctl_datagrams *set;
	__u64 tag;

	if (!hdr || !words)
		return 0;
	tag = datagram_tag(hdr, words->secret);
	set = datagram_set(tag);
	if (!set)
		return 0;
	datagram = find_datagram(set, tag, now);
	/* An identification comes again: its first fragment begins another datagram. */
	if (!datagram || (!hdr->fragment_offset && overlaps(hdr, datagram))) {
		if (!datagram)
			datagram = oldest_datagram(set);
		begin_datagram(datagram, holder, hdr, tag, now);
	} else {
		add_fragment(hdr, datagram);
		/* The first says what later ones cannot: that it was asked for. */
		if (holder == XDPCTL_HOLDER_NONE && !datagram->held)
			datagram->holder = XDPCTL_HOLDER_NONE;
	}
	if (is_whole(datagram)) {
		if (datagram->held)
			hold(hdr, words->secret, datagram, -(__s64)datagram->held);
		datagram->tag = 0; /* its identification may come again soon */
	} else if (holder != XDPCTL_HOLDER_NONE) {
		hold(hdr, words->secret, datagram, FRAGMENT_MEMORY);
	}
	return 0;
}

#endif
