/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The one exit: every packet is counted here, once, under one reason. */
#ifndef XDPCTL_BPF_ACCOUNT_H
#define XDPCTL_BPF_ACCOUNT_H

#include "clock.h"
#include "known.h"
#include "session.h"

#define ETHERNET_BYTES 14

/* Does the reason keep the packet from the kernel? */
static __always_inline bool reason_holds(enum xdpctl_reason reason)
{
	return (XDPCTL_DROP_REASONS | XDPCTL_ANSWER_REASONS) >> reason & 1;
}

static __always_inline bool reason_enforced(const struct packet *pkt, enum xdpctl_reason reason)
{
	return pkt->policy->mode == XDPCTL_MODE_ENFORCE &&
	       !(pkt->policy->observed_reasons >> reason & 1);
}

static __always_inline int action_of(const struct packet *pkt, enum xdpctl_reason reason)
{
	if (!reason_holds(reason) || !reason_enforced(pkt, reason))
		return XDP_PASS;
	return XDPCTL_ANSWER_REASONS >> reason & 1 ? XDP_TX : XDP_DROP;
}

static __always_inline void judge(const struct packet *pkt, enum xdpctl_reason reason,
				  struct xdpctl_judgement *out)
{
	out->time_ns = now_ns(pkt);
	out->generation = pkt->policy->generation;
	out->deadline_ns = pkt->stand.deadline_ns;
	out->reason = reason;
	out->action = action_of(pkt, reason);
	out->session = session_of(pkt);
	out->family = pkt->hdr.family;
	out->list = pkt->stand.list;
	out->known_client = pkt->known_client;
}

/* The answer to `explain` and replay; they run one packet at a time. */
static __always_inline void publish_judgement(const struct packet *pkt, enum xdpctl_reason reason)
{
	const __u32 zero = 0;
	struct xdpctl_judgement *out = bpf_map_lookup_elem(&judgement, &zero);

	if (out)
		judge(pkt, reason, out);
}

static __always_inline void fill_event(const struct packet *pkt, enum xdpctl_reason reason,
				       struct xdpctl_event *event)
{
	__u64 bytes = linear_bytes(pkt->ctx);

	judge(pkt, reason, &event->judgement);
	event->judgement.known_client = is_known(&pkt->hdr.src);
	event->src = pkt->hdr.src;
	event->dst = pkt->hdr.dst;
	event->sport = pkt->hdr.sport;
	event->dport = pkt->hdr.dport;
	event->ifindex = pkt->ctx->ingress_ifindex;
	event->frame_bytes = pkt->hdr.frame_bytes;
	event->protocol = pkt->hdr.protocol;
	event->tcp_flags = pkt->hdr.tcp_flags;
	event->captured_bytes = 0;
	if (bytes > XDPCTL_EVENT_BYTES)
		bytes = XDPCTL_EVENT_BYTES;
	/* The barriers keep the two bounds apart, else the compiler makes one of
	 * them that the verifier (6.1: not even of != 0) cannot follow. */
	barrier_var(bytes);
	if (bytes < ETHERNET_BYTES)
		return;
	barrier_var(bytes);
	if (bytes > XDPCTL_EVENT_BYTES)
		return;
	if (!bpf_xdp_load_bytes(pkt->ctx, 0, event->bytes, bytes))
		event->captured_bytes = bytes;
}

/* At most one event per interval and CPU, so that a flood cannot flood us. */
static __always_inline void sample(const struct packet *pkt, enum xdpctl_reason reason)
{
	struct xdpctl_counters *here = pkt->counters;
	__u64 interval = pkt->policy->sample_interval_ns;
	struct xdpctl_event *event;
	__u64 now;

	if (!interval)
		return;
	now = now_ns(pkt);
	if (now < here->next_sample_ns)
		return;
	here->next_sample_ns = now + interval;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		here->events_lost++;
		return;
	}
	fill_event(pkt, reason, event);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline struct xdpctl_cell *cell_of(struct xdpctl_counters *here, __u32 family,
						   __u32 disposition, __u32 reason)
{
	__u32 index =
		(family * XDPCTL_DISPOSITION_COUNT + disposition) * XDPCTL_REASON_SLOTS + reason;

	barrier_var(index); /* the verifier forgets the bounds of spilled enums */
	if (index >= sizeof(here->cells) / sizeof(struct xdpctl_cell))
		return NULL;
	return &here->cells[0][0][0] + index;
}

static __always_inline int account(const struct packet *pkt, enum xdpctl_reason reason)
{
	enum xdpctl_disposition disposition = XDPCTL_EFFECTIVE;
	struct xdpctl_cell *cell;

	if (reason_holds(reason)) {
		if (!reason_enforced(pkt, reason))
			disposition = XDPCTL_WOULD_DROP;
		sample(pkt, reason);
	}
	cell = cell_of(pkt->counters, pkt->hdr.family, disposition, reason);
	if (!cell)
		return XDP_PASS;
	cell->packets++;
	cell->bytes += pkt->hdr.frame_bytes;
	return action_of(pkt, reason);
}

#endif
