/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The SYN guard: while a service is attacked its SYNs are answered here with
 * the kernel's own cookies, and what belongs to no connection ends here.
 */
#ifndef XDPCTL_BPF_STAGE_GUARD_H
#define XDPCTL_BPF_STAGE_GUARD_H

#include "conntrack.h"
#include "guard_state.h"
#include "rate.h"
#include "session.h"
#include "syn_cookie.h"

/* A service as one packet sees it. */
struct guarded {
	const struct xdpctl_service *service;
	struct xdpctl_guard *guard;
	struct xdpctl_service_counters *counters;
	__u64 now;
	__u32 slot;
};

static __always_inline bool find_guarded(const struct packet *pkt, __u32 slot, struct guarded *on)
{
	on->slot = slot & (XDPCTL_SERVICES - 1);
	on->service = &pkt->policy->services[on->slot];
	on->guard = bpf_map_lookup_elem(&guards, &on->slot);
	on->counters = bpf_map_lookup_elem(&service_counters, &on->slot);
	on->now = now_ns(pkt);
	return on->guard && on->counters;
}

static __always_inline bool is_active(const struct guarded *on)
{
	return on->service->guard == XDPCTL_GUARD_ON ||
	       (on->service->guard == XDPCTL_GUARD_AUTO && is_attacked(on->guard, on->now));
}

/* A listener that is bound to every address answers for the host's own only. */
static __always_inline bool is_own(const struct packet *pkt)
{
	return !(pkt->policy->host & XDPCTL_HOST_FORWARDS) ||
	       bpf_map_lookup_elem(&own_addresses, &pkt->hdr.dst);
}

static __always_inline bool is_known(const struct packet *pkt)
{
	return bpf_map_lookup_elem(&known_clients, &pkt->hdr.src);
}

/* The due time that all sources of this packet's /24 or /64 share per service. */
static __always_inline __u64 *prefix_due(const struct packet *pkt, __u32 slot)
{
	struct xdpctl_addr prefix = pkt->hdr.src;
	__u32 bucket;

	if (pkt->hdr.family == XDPCTL_IPV4)
		prefix.word[3] &= bpf_htonl(0xffffff00);
	else
		prefix.word[2] = prefix.word[3] = 0;
	prefix.word[1] ^= slot;
	bucket = xdpctl_ban_hash(&prefix, pkt->control->secret) & (XDPCTL_SYN_BUCKETS - 1);
	return bpf_map_lookup_elem(&syn_buckets, &bucket);
}

/* Where cookies cannot be used: who was here before passes, others share a rate. */
static __always_inline enum xdpctl_reason limit_syn(const struct packet *pkt,
						    const struct guarded *on)
{
	__u64 *due = prefix_due(pkt, on->slot);

	if (!due || is_known(pkt))
		return XDPCTL_NEXT;
	if (take_one(pkt, due, pkt->policy->syn_prefix_interval_ns) &&
	    take_one(pkt, &on->guard->limit_due_ns, pkt->policy->syn_service_interval_ns))
		return XDPCTL_NEXT;
	if (!pkt->dry_run)
		note_attack(on->guard, on->now);
	return XDPCTL_SYN_LIMITED;
}

static __always_inline bool is_admitted(const struct packet *pkt, const struct guarded *on)
{
	return !on->service->lockdown || is_known(pkt) ||
	       take_one(pkt, &on->guard->admit_due_ns, on->service->admit_interval_ns);
}

static __always_inline enum xdpctl_reason ask_for_cookie(const struct packet *pkt)
{
	__u32 device = pkt->device & (XDPCTL_DEVICE_SLOTS - 1);
	struct answer_terms terms = {
		.mss = pkt->control->devices[device].mss[pkt->hdr.family & 1],
		.rmem_max = pkt->policy->rmem_max,
		.now_ms = (now_ns(pkt) + pkt->control->monotonic_offset_ns) / NS_PER_MS,
	};

	return xdpctl_make_cookie(pkt->ctx, &pkt->hdr, &terms);
}

/* A SYN that must be proven, and how. */
static __always_inline enum xdpctl_reason challenge(const struct packet *pkt,
						    const struct guarded *on)
{
	enum xdpctl_reason reason;

	if (!pkt->dry_run)
		judge_proof(on->guard, on->now);
	if (cookies_are_off(on->guard, on->now))
		return is_admitted(pkt, on) ? limit_syn(pkt, on) : XDPCTL_LOCKDOWN;
	reason = ask_for_cookie(pkt);
	return reason == XDPCTL_SYN_LIMITED ? limit_syn(pkt, on) : reason;
}

static __always_inline enum xdpctl_reason guard_syn(const struct packet *pkt, __u32 slot)
{
	struct guarded on;
	enum xdpctl_reason reason;

	if (slot && !is_own(pkt))
		slot = 0;
	if (!find_guarded(pkt, slot, &on))
		return XDPCTL_NEXT;
	if (!on.slot)
		return limit_syn(pkt, &on);
	if (on.service->guard == XDPCTL_GUARD_OFF && !on.service->lockdown)
		return XDPCTL_NEXT;
	if (!pkt->dry_run)
		measure_syn(on.service, on.guard, on.counters, on.now);
	if (!is_active(&on) && (!on.service->lockdown || is_known(pkt)))
		return XDPCTL_NEXT;
	reason = challenge(pkt, &on);
	if (pkt->dry_run)
		return reason;
	if (reason == XDPCTL_SYN_ANSWERED)
		on.counters->cookies++;
	else if (reason != XDPCTL_NEXT)
		on.counters->limited++;
	return reason;
}

/* Its cookie is right: a client that receives what we send to it. */
static __always_inline enum xdpctl_reason accept_cookie(const struct packet *pkt,
							const struct guarded *on, bool provable)
{
	if (!is_admitted(pkt, on)) {
		if (!pkt->dry_run)
			on->counters->limited++;
		return XDPCTL_LOCKDOWN;
	}
	if (pkt->dry_run)
		return XDPCTL_COOKIE_ACCEPTED;
	on->counters->accepted++;
	if (provable)
		note_accepted(on->guard, on->now);
	return XDPCTL_COOKIE_ACCEPTED;
}

static __always_inline enum xdpctl_reason guard_rest(const struct packet *pkt, __u32 slot)
{
	struct guarded on;
	int check; /* enum cookie_check */

	if (!find_guarded(pkt, slot, &on) || (!is_active(&on) && !on.service->lockdown) ||
	    !is_own(pkt))
		return XDPCTL_NEXT;
	check = xdpctl_check_cookie(pkt->ctx, &pkt->hdr);
	if (check == COOKIE_NOT_NEEDED)
		return XDPCTL_NEXT;
	if (check == COOKIE_VALID || check == COOKIE_VALID_QUEUE_FULL)
		return accept_cookie(pkt, &on, check == COOKIE_VALID);
	if (pkt->policy->host & XDPCTL_HOST_CONNTRACK && conntrack_knows(pkt->ctx, &pkt->hdr))
		return XDPCTL_NEXT;
	/* Without cookies, handshakes may go on where nothing here can see them. */
	if (cookies_are_off(on.guard, on.now) && !(pkt->policy->host & XDPCTL_HOST_CONNTRACK))
		return XDPCTL_NEXT;
	if (!pkt->dry_run)
		on.counters->rejected++;
	return check == COOKIE_INVALID ? XDPCTL_COOKIE_REJECTED : XDPCTL_NO_SESSION;
}

static __always_inline enum xdpctl_reason stage_guard(const struct packet *pkt)
{
	__u32 slot;

	if (pkt->hdr.protocol != IPPROTO_TCP || !pkt->hdr.has_ports)
		return XDPCTL_NEXT;
	slot = pkt->policy->service_of_port[bpf_ntohs(pkt->hdr.dport)];
	if ((pkt->hdr.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN)
		return guard_syn(pkt, slot);
	return slot ? guard_rest(pkt, slot) : XDPCTL_NEXT;
}

#endif
