/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Allow and block: what the operator and the daemon say of a source. */
#ifndef XDPCTL_BPF_STAGE_LISTS_H
#define XDPCTL_BPF_STAGE_LISTS_H

#include "clock.h"
#include "prefix_table.h"

static __always_inline void count_list(__u32 list, __u32 frame_bytes)
{
	struct xdpctl_cell *cell = bpf_map_lookup_elem(&list_counters, &list);

	if (!cell)
		return;
	cell->packets++;
	cell->bytes += frame_bytes;
}

static __always_inline enum xdpctl_reason
stand_on(__u32 on, struct xdpctl_leaf *leaf, __u32 frame_bytes, bool dry_run, struct stand *out)
{
	out->deadline_ns = leaf->deadline_ns;
	out->list = leaf->list;
	if (!dry_run) {
		count_list(leaf->list, frame_bytes);
		/* Not atomic, which would cost as much as the lookup: receive scaling
		 * brings one source to one CPU, and counters by list are exact. */
		if (on >= XDPCTL_LIST_SLOTS)
			leaf->hits++;
	}
	return leaf->verdict == XDPCTL_PREFIX_ALLOW ? XDPCTL_ALLOWED : XDPCTL_BLOCKED;
}

/* `on`: its leaf. The operator's word first, then bans of single hosts, then lists. */
static __always_inline enum xdpctl_reason judge_source(const struct headers *hdr,
						       const struct xdpctl_control *words, __u32 on,
						       bool dry_run, struct stand *out)
{
	struct xdpctl_leaf *leaf = on ? bpf_map_lookup_elem(&leaves, &on) : NULL;
	struct xdpctl_ban *ban;

	if (leaf && leaf->verdict == XDPCTL_PREFIX_ALLOW)
		return stand_on(on, leaf, hdr->frame_bytes, dry_run, out);
	ban = find_ban(&hdr->src, words->secret);
	if (ban && now_by(words) < ban->deadline_ns) {
		if (!dry_run)
			ban->hits++; /* not atomic, see above */
		out->deadline_ns = ban->deadline_ns;
		return XDPCTL_BANNED;
	}
	if (leaf && leaf->verdict == XDPCTL_PREFIX_BLOCK &&
	    (leaf->deadline_ns == XDPCTL_NO_DEADLINE || now_by(words) < leaf->deadline_ns))
		return stand_on(on, leaf, hdr->frame_bytes, dry_run, out);
	return XDPCTL_NEXT;
}

static __always_inline enum xdpctl_reason stage_lists(struct packet *pkt)
{
	__u32 leaf = forget(pkt, leaf_of_source(&pkt->hdr, pkt->control));

	pkt->stand.leaf = leaf;
	return judge_source(&pkt->hdr, pkt->control, leaf, pkt->dry_run, &pkt->stand);
}

#endif
