// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Entry points and the pipeline. */
#include "packet.h"

#include "account.h"
#include "clients.h"
#include "device.h"
#include "stage_fragment.h"
#include "stage_geo.h"
#include "stage_guard.h"
#include "stage_icmp.h"
#include "stage_limit.h"
#include "stage_lists.h"
#include "stage_parse.h"
#include "stage_protocol.h"
#include "stage_sanity.h"
#include "stage_session.h"
#include "stage_tunnel.h"
#include "stage_udp.h"
#include "syn_ack.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline enum xdpctl_reason run_pipeline(struct packet *pkt)
{
	enum xdpctl_reason r;

	if (pkt->control->bypass)
		return XDPCTL_BYPASSED;
	r = stage_parse(pkt);
	if (r != XDPCTL_NEXT)
		return r;
	r = stage_lists(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_sanity(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_session(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_geo(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_guard(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_fragment(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_udp(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_icmp(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_protocol(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_limit(pkt);
	if (r == XDPCTL_NEXT)
		r = stage_reassembly(pkt);
	r = forget(pkt, r);
	if (r == XDPCTL_NEXT || r == XDPCTL_PASSED)
		r = stage_tunnel(pkt);
	return r == XDPCTL_NEXT ? XDPCTL_PASSED : r;
}

/* False only where a map is missing, which the verifier cannot rule out. */
static __always_inline bool init_packet(struct packet *pkt, struct xdp_md *ctx)
{
	const __u32 zero = 0;

	pkt->ctx = ctx;
	pkt->hdr.frame_bytes = xdpctl_frags ? bpf_xdp_get_buff_len(ctx) : linear_bytes(ctx);
	pkt->hdr.family = XDPCTL_NON_IP;
	pkt->control = bpf_map_lookup_elem(&control, &zero);
	if (!pkt->control)
		return false;
	pkt->slot = active_policy_slot(pkt->control);
	pkt->policy = bpf_map_lookup_elem(&policies, &pkt->slot);
	pkt->device = device_slot(ctx, pkt->control);
	pkt->counters = bpf_map_lookup_elem(&counters, &pkt->device);
	return pkt->policy && pkt->counters;
}

/* What later packets need to know of this one. */
static __always_inline void note_passed(const struct packet *pkt)
{
	if (pkt->inside)
		return;
	note_fragment(pkt);
	note_passed_syn(pkt);
}

SEC("xdp")
int xdpctl(struct xdp_md *ctx)
{
	struct packet pkt = {};
	enum xdpctl_reason reason;
	int action;

	if (!init_packet(&pkt, ctx))
		return XDP_PASS;
	reason = forget(&pkt, run_pipeline(&pkt));
	if (xdpctl_replay)
		publish_judgement(&pkt, reason);
	action = account(&pkt, reason);
	if (action == XDP_PASS)
		note_passed(&pkt);
	/* After accounting, which shows the SYN and not its answer. */
	return action == XDP_TX && !xdpctl_replay ? xdpctl_send_syn_ack(ctx, &pkt.hdr) : action;
}

/* The same pipeline, asked by `explain`: answers, and leaves no trace. */
SEC("xdp")
int xdpctl_judge(struct xdp_md *ctx)
{
	struct packet pkt = {.dry_run = true};
	enum xdpctl_reason reason;

	if (!init_packet(&pkt, ctx))
		return XDP_ABORTED;
	reason = forget(&pkt, run_pipeline(&pkt));
	publish_judgement(&pkt, reason);
	return action_of(&pkt, reason);
}

SEC("sockops")
int xdpctl_clients(struct bpf_sock_ops *ops)
{
	struct xdpctl_addr addr = {};

	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		if (!client_address(ops, &addr))
			return 1;
		handshake_completed(ops, &addr);
	} else if (ops->op == BPF_SOCK_OPS_STATE_CB && ops->args[1] == BPF_TCP_CLOSE) {
		if (client_address(ops, &addr))
			client_closed(&addr);
	}
	return 1;
}
