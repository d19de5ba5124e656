/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Allow and block: what the operator and the daemon say of a source. */
#ifndef XDPCTL_BPF_STAGE_LISTS_H
#define XDPCTL_BPF_STAGE_LISTS_H

#include "ban_table.h"
#include "clock.h"

/*
 * The policy compiler has settled overlaps (allow beats block, a ban inside a
 * longer-lived one ends with it), so the longest match is the whole answer.
 */
static __always_inline const struct xdpctl_prefix_leaf *prefix_of_source(const struct packet *pkt)
{
	struct xdpctl_prefix_key key = {.length = 128, .addr = pkt->hdr.src};
	void *table;

	if (!pkt->policy->prefix_entries)
		return NULL;
	table = bpf_map_lookup_elem(&prefixes, &pkt->slot);
	return table ? bpf_map_lookup_elem(table, &key) : NULL;
}

static __always_inline enum xdpctl_reason stage_allow(struct packet *pkt,
						      const struct xdpctl_prefix_leaf *leaf)
{
	if (!leaf || leaf->verdict != XDPCTL_PREFIX_ALLOW)
		return XDPCTL_NEXT;
	pkt->prefix_length = leaf->length;
	return XDPCTL_ALLOWED;
}

static __always_inline enum xdpctl_reason stage_block(struct packet *pkt,
						      const struct xdpctl_prefix_leaf *leaf)
{
	struct xdpctl_ban *ban = find_ban(pkt);

	if (ban && now_ns(pkt) < ban->deadline_ns) {
		/* Not atomic, which would cost as much as the lookup: receive
		 * scaling brings one source to one CPU, and counters by reason
		 * are exact. */
		if (!pkt->dry_run)
			ban->hits++;
		pkt->deadline_ns = ban->deadline_ns;
		return XDPCTL_BANNED;
	}
	if (leaf && leaf->verdict == XDPCTL_PREFIX_BLOCK &&
	    (leaf->deadline_ns == XDPCTL_NO_DEADLINE || now_ns(pkt) < leaf->deadline_ns)) {
		pkt->deadline_ns = leaf->deadline_ns;
		pkt->prefix_length = leaf->length;
		return XDPCTL_BLOCKED;
	}
	return XDPCTL_NEXT;
}

#endif
