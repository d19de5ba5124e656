/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The SYN guard: while a service is attacked its SYNs are answered here with
 * the kernel's own cookies, and what belongs to no connection ends here.
 */
#ifndef XDPCTL_BPF_STAGE_GUARD_H
#define XDPCTL_BPF_STAGE_GUARD_H

#include "account.h"
#include "conntrack.h"
#include "guard_state.h"
#include "known.h"
#include "own_address.h"
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

static __always_inline bool is_opening_syn(const struct headers *hdr)
{
	return (hdr->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Where completed handshakes cannot be seen, none can be missed. */
static __always_inline bool is_blind(const struct packet *pkt)
{
	return pkt->policy->host & XDPCTL_HOST_BLIND;
}

static __always_inline bool is_active(const struct packet *pkt, const struct guarded *on)
{
	return on->service->guard == XDPCTL_GUARD_ON ||
	       (on->service->guard == XDPCTL_GUARD_AUTO && !is_blind(pkt) &&
		is_attacked(on->guard, on->now));
}

/* Different questions about one address must not share a bucket. */
enum bucket_use { BUCKET_PREFIX = 1, BUCKET_KNOWN, BUCKET_PORT, BUCKET_ADMIT };

static __always_inline bool take_from_bucket(const struct packet *pkt,
					     const struct xdpctl_addr *address, enum bucket_use use,
					     __be16 port, __u64 interval_ns)
{
	__u64 question = pkt->control->secret ^ ((__u64)use << 16 | port);
	__u32 bucket = xdpctl_ban_hash(address, question) & (XDPCTL_SYN_BUCKETS - 1);
	__u64 *due = bpf_map_lookup_elem(&syn_buckets, &bucket);

	return !due || take_one(pkt, due, interval_ns, RATE_BURST_NS);
}

/* Where cookies cannot be used: who was here before has a rate of his own, others
 * share that of their prefix and of the port. */
static __always_inline enum xdpctl_reason limit_syn(const struct packet *pkt,
						    const struct guarded *on)
{
	const struct xdpctl_policy *policy = pkt->policy;
	/* Who tries ports that nobody here has gets one limit for all of them, unless
	 * they may be translated to somebody. */
	bool somebodys = on->slot || policy->host & XDPCTL_HOST_CONNTRACK;
	__be16 port = somebodys ? pkt->hdr.dport : 0;
	struct xdpctl_addr source;
	bool passes;

	if (is_known(&pkt->hdr.src)) {
		source = xdpctl_known_key(&pkt->hdr.src);
		passes = take_from_bucket(pkt, &source, BUCKET_KNOWN, port,
					  policy->syn_prefix_interval_ns);
	} else {
		source = prefix_of(&pkt->hdr.src);
		passes = take_from_bucket(pkt, &source, BUCKET_PREFIX, port,
					  policy->syn_prefix_interval_ns) &&
			 take_from_bucket(pkt, &pkt->hdr.dst, BUCKET_PORT, pkt->hdr.dport,
					  policy->syn_service_interval_ns);
	}
	if (passes)
		return XDPCTL_NEXT;
	if (!pkt->dry_run)
		note_attack(on->guard, on->now);
	return XDPCTL_SYN_LIMITED;
}

#define ADMIT_PREFIX_SHARE 8 /* one prefix gets no more of the admissions than this part */

static __always_inline bool is_admitted(const struct packet *pkt, const struct guarded *on)
{
	__u64 interval = on->service->admit_interval_ns;
	struct xdpctl_addr prefix = prefix_of(&pkt->hdr.src);

	if (!on->service->lockdown || is_known(&pkt->hdr.src))
		return true;
	return take_from_bucket(pkt, &prefix, BUCKET_ADMIT, pkt->hdr.dport,
				interval * ADMIT_PREFIX_SHARE) &&
	       take_one(pkt, &on->guard->admit_due_ns, interval, RATE_BURST_NS);
}

static __always_inline enum xdpctl_reason ask_for_cookie(const struct packet *pkt)
{
	__u32 device = pkt->device & (XDPCTL_DEVICE_SLOTS - 1);
	struct answer_setting setting = {
		.now_ns = now_ns(pkt),
		.secret = pkt->control->secret,
		.device = device,
		.look_only = pkt->dry_run,
		.ask_always = is_blind(pkt),
		.mss = pkt->control->devices[device].mss[pkt->hdr.family & 1],
		.rmem_max = pkt->policy->rmem_max,
		.now_ms = (now_ns(pkt) + pkt->control->monotonic_offset_ns) / NS_PER_MS,
	};

	return xdpctl_make_cookie(pkt->ctx, &pkt->hdr, &setting);
}

/* A SYN that must be proven, and how. */
static __always_inline enum xdpctl_reason challenge(const struct packet *pkt,
						    const struct guarded *on)
{
	enum xdpctl_reason reason = XDPCTL_SYN_LIMITED;

	if (!pkt->dry_run && !is_blind(pkt))
		judge_proof(on->guard, on->now);
	if (!cookies_are_off(on->guard, on->now))
		reason = ask_for_cookie(pkt);
	if (reason != XDPCTL_PASSED && reason != XDPCTL_SYN_LIMITED)
		return reason;
	/* No cookie will prove it: lockdown admits it now or not at all. */
	if (!is_admitted(pkt, on))
		return XDPCTL_LOCKDOWN;
	return reason == XDPCTL_PASSED ? XDPCTL_NEXT : limit_syn(pkt, on);
}

static __always_inline enum xdpctl_reason guard_syn(const struct packet *pkt, __u32 slot)
{
	struct guarded on;
	enum xdpctl_reason reason;

	if (!is_own(pkt) || !find_guarded(pkt, slot, &on))
		return XDPCTL_NEXT;
	if (!on.slot)
		return limit_syn(pkt, &on);
	if (on.service->guard == XDPCTL_GUARD_OFF && !on.service->lockdown)
		return XDPCTL_NEXT;
	if (!pkt->dry_run && !is_blind(pkt))
		measure_syn(on.service, on.guard, on.counters, on.now);
	if (!is_active(pkt, &on) && (!on.service->lockdown || is_known(&pkt->hdr.src)))
		return XDPCTL_NEXT;
	reason = challenge(pkt, &on);
	if (pkt->dry_run || !reason_enforced(pkt, reason))
		return reason;
	if (reason == XDPCTL_SYN_ANSWERED)
		on.counters->cookies++;
	else if (reason != XDPCTL_NEXT)
		on.counters->limited++;
	return reason;
}

#define ACCEPTED_NS (NS_PER_S / 10) /* until the kernel has made the socket */

static __always_inline __u64 connection_of(const struct packet *pkt)
{
	__u64 ports = (__u64)pkt->hdr.sport << 16 | pkt->hdr.dport;

	return xdpctl_ban_hash(&pkt->hdr.src, pkt->control->secret ^ ports) ^
	       xdpctl_ban_hash(&pkt->hdr.dst, ports);
}

static __always_inline struct xdpctl_accepted *accepted_slot(__u64 connection)
{
	__u32 slot = connection & (XDPCTL_ACCEPTED - 1);

	return bpf_map_lookup_elem(&accepted, &slot);
}

/*
 * What follows an ACK in the same breath comes before its socket is made. Only
 * right cookies write here, and one that comes again is not counted again.
 */
static __always_inline bool was_just_accepted(const struct packet *pkt, const struct guarded *on)
{
	__u64 connection = connection_of(pkt);
	const struct xdpctl_accepted *slot = accepted_slot(connection);

	return slot && slot->connection == connection &&
	       (__s64)(on->now - slot->time_ns) < (__s64)ACCEPTED_NS;
}

static __always_inline void remember_accepted(const struct packet *pkt, const struct guarded *on)
{
	__u64 connection = connection_of(pkt);
	struct xdpctl_accepted *slot = accepted_slot(connection);

	if (slot) {
		slot->connection = connection;
		slot->time_ns = on->now;
	}
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
	remember_accepted(pkt, on);
	on->counters->accepted++;
	if (provable)
		note_accepted(on->guard, proof_bit(&pkt->hdr.src, pkt->control->secret), on->now);
	return XDPCTL_COOKIE_ACCEPTED;
}

/* The slot of the service at the packet's port; 0: nobody listens there. */
static __always_inline __u32 slot_of_port(const struct packet *pkt)
{
	return pkt->policy->service_of_port[port_index(pkt->hdr.dport)];
}

/* The kernel has a handshake of this source now: its SYN may come again. */
static __always_inline void note_passed_syn(const struct packet *pkt)
{
	if (pkt->hdr.protocol == IPPROTO_TCP && pkt->hdr.has_ports && is_opening_syn(&pkt->hdr) &&
	    slot_of_port(pkt))
		peer_asked(&pkt->hdr.src, pkt->control->secret, now_ns(pkt));
}

static __always_inline enum xdpctl_reason guard_rest(const struct packet *pkt, __u32 slot)
{
	struct guarded on;
	int check; /* enum cookie_check */

	if (!find_guarded(pkt, slot, &on) || (!is_active(pkt, &on) && !on.service->lockdown) ||
	    !is_own(pkt))
		return XDPCTL_NEXT;
	check = xdpctl_check_cookie(pkt->ctx, &pkt->hdr);
	if (check == COOKIE_NOT_NEEDED || was_just_accepted(pkt, &on))
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

#define STRAY_SAMPLE 32	       /* a power of two: one in so many is looked up in peace */
#define STRAYS_PER_S 100       /* of a CPU: late FINs and the like, which the kernel answers */
#define STRAY_HOLD_NS NS_PER_S /* after a stray every packet is looked up */

/*
 * To ports that nobody serves comes what this host's own connections bring. Where a
 * sample shows what belongs to none (reflected SYN-ACKs, ACK floods), all are asked.
 */
static __always_inline enum xdpctl_reason guard_stray(const struct packet *pkt)
{
	const __u32 zero = 0;
	struct xdpctl_service_counters *here = bpf_map_lookup_elem(&service_counters, &zero);
	__u64 now = now_ns(pkt);

	/* A socket that is bound to a device above this one would not be found. */
	if (!here || pkt->policy->host & XDPCTL_HOST_STACKED || !is_own(pkt))
		return XDPCTL_NEXT;
	if (!pkt->dry_run && here->strays_seen++ & (STRAY_SAMPLE - 1) &&
	    now >= here->strays_until_ns)
		return XDPCTL_NEXT;
	if (xdpctl_session_of(pkt->ctx, &pkt->hdr) != XDPCTL_SESSION_NONE)
		return XDPCTL_NEXT;
	if (pkt->policy->host & XDPCTL_HOST_CONNTRACK && conntrack_knows(pkt->ctx, &pkt->hdr))
		return XDPCTL_NEXT;
	if (!pkt->dry_run)
		here->strays_until_ns = now + STRAY_HOLD_NS;
	return take_one(pkt, &here->stray_due_ns, NS_PER_S / STRAYS_PER_S, NS_PER_S / 10)
		       ? XDPCTL_NEXT
		       : XDPCTL_NO_SESSION;
}

static __always_inline enum xdpctl_reason stage_guard(const struct packet *pkt)
{
	__u32 slot;

	if (pkt->hdr.protocol != IPPROTO_TCP || !pkt->hdr.has_ports || is_link_local(pkt))
		return XDPCTL_NEXT;
	slot = slot_of_port(pkt);
	if (is_opening_syn(&pkt->hdr))
		return guard_syn(pkt, slot);
	return slot ? guard_rest(pkt, slot) : guard_stray(pkt);
}

#endif
