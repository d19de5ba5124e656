/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Allow and block: what the operator and the daemon say of a source. */
#ifndef XDPCTL_BPF_STAGE_LISTS_H
#define XDPCTL_BPF_STAGE_LISTS_H

#include "clock.h"
#include "prefix_table.h"
#include "rate.h"

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
	switch (leaf->verdict) {
	case XDPCTL_PREFIX_ALLOW:
		return XDPCTL_ALLOWED;
	case XDPCTL_PREFIX_TRUST:
		out->is_trusted = true;
		return XDPCTL_NEXT;
	default:
		return XDPCTL_BLOCKED;
	}
}

/* `on`: its leaf. The operator's word first, then bans of single hosts, then lists. */
static __always_inline enum xdpctl_reason judge_source(const struct headers *hdr,
						       const struct xdpctl_control *words, __u32 on,
						       bool dry_run, struct stand *out)
{
	struct xdpctl_leaf *leaf = on ? bpf_map_lookup_elem(&leaves, &on) : NULL;
	struct xdpctl_ban *ban;

	if (leaf && (leaf->verdict == XDPCTL_PREFIX_ALLOW || leaf->verdict == XDPCTL_PREFIX_TRUST))
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

#define ALLOWED_INTERVAL_NS (NS_PER_S / XDPCTL_ALLOWED_PER_SECOND)

/* Who forges an allowed address shall not get past the guard, which costs the honest
 * nothing. Others than TCP have no guard. */
static __always_inline bool passes_unjudged(const struct packet *pkt)
{
	return pkt->hdr.protocol != IPPROTO_TCP ||
	       take_one(pkt, &pkt->counters->allowed_due_ns, ALLOWED_INTERVAL_NS, NS_PER_S / 2);
}

static __always_inline enum xdpctl_reason stage_lists(struct packet *pkt)
{
	__u32 leaf = forget(pkt, leaf_of_source(&pkt->hdr, pkt->control));
	enum xdpctl_reason reason;

	pkt->stand.leaf = leaf;
	reason = judge_source(&pkt->hdr, pkt->control, leaf, pkt->dry_run, &pkt->stand);
	if (reason == XDPCTL_ALLOWED && !passes_unjudged(pkt)) {
		pkt->stand.is_trusted = true;
		return XDPCTL_NEXT;
	}
	return reason;
}

#endif
