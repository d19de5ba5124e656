/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The SYN guard: while a service is attacked its SYNs are answered here with
 * the kernel's own cookies, and what belongs to no connection ends here.
 */
#ifndef XDPCTL_BPF_STAGE_GUARD_H
#define XDPCTL_BPF_STAGE_GUARD_H

#include "accepted.h"
#include "account.h"
#include "conntrack.h"
#include "guard_state.h"
#include "known.h"
#include "own_address.h"
#include "rate.h"
#include "route.h"
#include "stray.h"
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

static __always_inline bool take_from_bucket(const struct packet *pkt,
					     const struct xdpctl_addr *address, enum bucket_use use,
					     __be16 port, __u64 interval_ns, __u64 burst_ns)
{
	__u64 question = pkt->control->secret ^ ((__u64)use << 16 | port);
	__u32 bucket = xdpctl_ban_hash(address, question) & (XDPCTL_SYN_BUCKETS - 1);
	__u64 *due = bpf_map_lookup_elem(&syn_buckets, &bucket);

	return !due || take_one(pkt, due, interval_ns, burst_ns);
}

/* A port without a listener here that may be somebody's all the same: translated, or
 * served where no lookup finds it. */
static __always_inline bool may_be_somebodys(const struct packet *pkt)
{
	return pkt->policy->host & (XDPCTL_HOST_CONNTRACK | XDPCTL_HOST_UNSEEN) ||
	       has_port(&pkt->policy->tcp_services, pkt->hdr.dport);
}

static __always_inline bool is_welcome(const struct packet *pkt)
{
	return pkt->stand.is_trusted || is_known(&pkt->hdr.src);
}

/* Where cookies cannot be used: who was here before has a rate of his own, others
 * share that of their prefix and of the port. */
static __always_inline enum xdpctl_reason limit_syn(const struct packet *pkt,
						    const struct guarded *on)
{
	const struct xdpctl_policy *policy = pkt->policy;
	bool somebodys = on->slot || may_be_somebodys(pkt);
	/* Who tries ports that nobody here has gets one limit for all of them. */
	__be16 port = somebodys ? pkt->hdr.dport : 0;
	struct xdpctl_addr source;
	bool passes;

	/* What a listener elsewhere holds is not known: there a prefix, which may be that
	 * of a proxy, has no limit before the port comes near to its own. */
	if (!on->slot && somebodys &&
	    take_from_bucket(pkt, &pkt->hdr.dst, BUCKET_PORT, pkt->hdr.dport,
			     policy->syn_service_interval_ns, RATE_BURST_NS / 2))
		return XDPCTL_NEXT;
	if (is_welcome(pkt)) {
		source = xdpctl_known_key(&pkt->hdr.src);
		passes = take_from_bucket(pkt, &source, BUCKET_KNOWN, port,
					  policy->syn_prefix_interval_ns, RATE_BURST_NS);
	} else {
		source = prefix_of(&pkt->hdr.src);
		passes = take_from_bucket(pkt, &source, BUCKET_PREFIX, port,
					  policy->syn_prefix_interval_ns, RATE_BURST_NS) &&
			 take_from_bucket(pkt, &pkt->hdr.dst, BUCKET_PORT, pkt->hdr.dport,
					  policy->syn_service_interval_ns, RATE_BURST_NS);
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

	if (!on->service->lockdown || is_welcome(pkt))
		return true;
	return take_from_bucket(pkt, &prefix, BUCKET_ADMIT, pkt->hdr.dport,
				interval * ADMIT_PREFIX_SHARE, RATE_BURST_NS) &&
	       take_one(pkt, &on->guard->admit_due_ns, interval, RATE_BURST_NS);
}

static __always_inline enum xdpctl_reason ask_for_cookie(const struct packet *pkt,
							 const struct guarded *on)
{
	__u32 device = pkt->device & (XDPCTL_DEVICE_SLOTS - 1);
	int route = xdpctl_find_route(&pkt->hdr, device);
	__u32 mss = pkt->control->devices[device].mss[pkt->hdr.family & 1];
	struct answer_setting setting = {
		.now_ns = now_ns(pkt),
		.secret = pkt->control->secret,
		.device = device,
		.look_only = pkt->dry_run,
		.ask_always = is_blind(pkt),
		.mss = mss > pkt->policy->mss_most ? pkt->policy->mss_most : mss,
		.rmem_max = pkt->policy->rmem_max,
		.now_ms = (now_ns(pkt) + pkt->control->monotonic_offset_ns) / NS_PER_MS,
		.route = route,
	};

	if (route == ROUTE_ELSEWHERE) { /* the client would not get it, nor believe it */
		if (!pkt->dry_run)
			on->counters->misrouted++;
		return XDPCTL_SYN_LIMITED;
	}
	return xdpctl_make_cookie(pkt->ctx, &pkt->hdr, &setting);
}

/* Cookies are off, or this SYN tries whether they work again. */
static __always_inline bool may_challenge(const struct guarded *on)
{
	return !cookies_are_off(on->guard, on->now) || !(on->counters->syns & (PROBE_SYNS - 1));
}

/* A client that had a connection here lately gets a cookie: will it come back? Global, so
 * that the verifier looks at it once, as the next. */
__noinline int xdpctl_note_challenged(const struct headers *hdr, __u32 slot, __u64 now)
{
	struct xdpctl_known_client *client;
	struct xdpctl_guard *guard;
	struct xdpctl_addr key;

	if (!hdr)
		return 0;
	key = xdpctl_known_key(&hdr->src);
	client = bpf_map_lookup_elem(&known_clients, &key);
	slot &= XDPCTL_SERVICES - 1;
	guard = bpf_map_lookup_elem(&guards, &slot);
	if (client && guard)
		note_challenged(guard, client, now);
	return 0;
}

#define WATCH_ANSWERING 1 /* SYNs are answered here, so that the listener's queue says nothing */

/* Measures a SYN to the service in this slot, and judges its cookies. */
__noinline int xdpctl_watch_syn(struct xdp_md *ctx, const struct headers *hdr, __u32 slot,
				__u32 flags, __u64 now)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	const struct xdpctl_policy *policy = words ? active_policy(words) : NULL;
	struct xdpctl_service_counters *here;
	struct xdpctl_guard *guard;
	int queue = QUEUE_UNKNOWN;

	slot &= XDPCTL_SERVICES - 1;
	guard = bpf_map_lookup_elem(&guards, &slot);
	here = bpf_map_lookup_elem(&service_counters, &slot);
	if (!hdr || !policy || !guard || !here)
		return 0;
	barrier_var(slot);
	if (measure_syn(&policy->services[slot & (XDPCTL_SERVICES - 1)], guard, here, now)) {
		if (!(flags & WATCH_ANSWERING))
			queue = xdpctl_listener_queue(ctx, hdr);
		judge_queue(guard, queue, now);
	}
	judge_proof(guard, now);
	return 0;
}

/* A right cookie: an answer has come back, and a connection should come to be. */
__noinline int xdpctl_note_accepted(struct xdp_md *ctx, const struct headers *hdr, __u32 slot,
				    __u64 now)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	struct xdpctl_guard *guard;

	slot &= XDPCTL_SERVICES - 1;
	guard = bpf_map_lookup_elem(&guards, &slot);
	if (!hdr || !words || !guard)
		return 0;
	note_returned(guard);
	if (xdpctl_segment_is_sound(ctx, hdr))
		note_accepted(guard, proof_bit(&hdr->src, words->secret), now);
	return 0;
}

/* A SYN that must be proven, and how. */
static __always_inline enum xdpctl_reason challenge(const struct packet *pkt,
						    const struct guarded *on)
{
	enum xdpctl_reason reason = XDPCTL_SYN_LIMITED;

	if (may_challenge(on))
		reason = ask_for_cookie(pkt, on);
	if (reason == XDPCTL_SYN_ANSWERED && !pkt->dry_run &&
	    may_be_connected(&pkt->hdr.src, pkt->control->secret, on->now))
		xdpctl_note_challenged(&pkt->hdr, on->slot, on->now);
	if (reason != XDPCTL_PASSED && reason != XDPCTL_SYN_LIMITED)
		return reason;
	/* No cookie will prove it: lockdown admits it now or not at all. */
	if (!is_admitted(pkt, on))
		return XDPCTL_LOCKDOWN;
	return reason == XDPCTL_PASSED ? XDPCTL_NEXT : limit_syn(pkt, on);
}

/* SYNs are answered here, so that the listener's queue says nothing. */
static __always_inline bool answers_syns(const struct packet *pkt, const struct guarded *on)
{
	return is_active(pkt, on) && !cookies_are_off(on->guard, on->now) &&
	       reason_enforced(pkt, XDPCTL_SYN_ANSWERED);
}

static __always_inline enum xdpctl_reason guard_service_syn(const struct packet *pkt,
							    const struct guarded *on)
{
	if (on->service->guard == XDPCTL_GUARD_OFF && !on->service->lockdown)
		return XDPCTL_NEXT;
	if (!pkt->dry_run && !is_blind(pkt))
		xdpctl_watch_syn(pkt->ctx, &pkt->hdr, on->slot,
				 answers_syns(pkt, on) ? WATCH_ANSWERING : 0, on->now);
	if (!is_active(pkt, on) && (!on->service->lockdown || is_welcome(pkt)))
		return XDPCTL_NEXT;
	return challenge(pkt, on);
}

static __always_inline enum xdpctl_reason guard_syn(struct packet *pkt, __u32 slot)
{
	struct guarded on;
	enum xdpctl_reason reason;

	if (!is_own(pkt)) {
		pkt->limit_class = XDPCTL_LIMIT_FORWARDED;
		return XDPCTL_NEXT;
	}
	if (!find_guarded(pkt, slot, &on))
		return XDPCTL_NEXT;
	if (!on.slot && !pkt->dry_run)
		on.counters->syns++;
	reason = on.slot ? guard_service_syn(pkt, &on) : limit_syn(pkt, &on);
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
	const struct headers *hdr = &pkt->hdr;

	return connection_hash(&hdr->src, hdr->sport, &hdr->dst, hdr->dport, pkt->control->secret);
}

/*
 * What follows an ACK in the same breath comes before its socket is made. Only
 * right cookies write here, and one that comes again is not counted again.
 */
static __always_inline bool was_just_accepted(const struct packet *pkt, const struct guarded *on)
{
	return was_accepted(connection_of(pkt), on->now, ACCEPTED_NS);
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
		xdpctl_note_accepted(pkt->ctx, &pkt->hdr, on->slot, on->now);
	return XDPCTL_COOKIE_ACCEPTED;
}

/* The slot of the service at the packet's port; 0: nobody listens there. */
static __always_inline __u32 slot_of_port(const struct packet *pkt)
{
	return pkt->policy->service_of_port[port_index(pkt->hdr.dport)];
}

/* The kernel has a handshake of this source now: its SYN may come again. Behind NAT the
 * listener may be in another namespace. */
static __always_inline void note_passed_syn(const struct packet *pkt)
{
	if (pkt->hdr.protocol == IPPROTO_TCP && pkt->hdr.has_ports && is_opening_syn(&pkt->hdr) &&
	    (slot_of_port(pkt) || pkt->policy->host & XDPCTL_HOST_CONNTRACK))
		peer_asked(&pkt->hdr.src, pkt->control->secret, now_ns(pkt));
}

/*
 * A segment that no socket here belongs to. It may be somebody else's: known to
 * connection tracking, or of a host or namespace that nothing here tells of.
 */
static __always_inline enum xdpctl_reason judge_stray(struct packet *pkt, enum xdpctl_reason reason)
{
	if (has_port(&pkt->policy->tcp_services, pkt->hdr.dport))
		return XDPCTL_NEXT;
	if (pkt->policy->host & XDPCTL_HOST_CONNTRACK && conntrack_knows(pkt->ctx, &pkt->hdr))
		return XDPCTL_NEXT;
	if (pkt->policy->host & XDPCTL_HOST_UNSEEN) {
		pkt->limit_class = forget(pkt, XDPCTL_LIMIT_TCP_UNKNOWN);
		return XDPCTL_NEXT;
	}
	return stray_passes(pkt, XDPCTL_STRAY_TCP) ? XDPCTL_NEXT : reason;
}

/* While the service is guarded, every segment is looked up. */
static __always_inline enum xdpctl_reason guard_rest(struct packet *pkt, const struct guarded *on)
{
	enum xdpctl_reason reason;
	int check; /* enum cookie_check */

	check = xdpctl_check_cookie(pkt->ctx, &pkt->hdr);
	if (check == COOKIE_NOT_NEEDED || was_just_accepted(pkt, on))
		return XDPCTL_NEXT;
	if (check == COOKIE_VALID || check == COOKIE_VALID_QUEUE_FULL)
		return accept_cookie(pkt, on, check == COOKIE_VALID);
	if (check == COOKIE_RESET) {
		if (!pkt->dry_run)
			syn_completed(on->guard); /* given up, not left open */
		return XDPCTL_NEXT;
	}
	/* Without cookies, handshakes may go on where nothing here can see them. */
	if (cookies_are_off(on->guard, on->now) && !(pkt->policy->host & XDPCTL_HOST_CONNTRACK))
		return XDPCTL_NEXT;
	reason = judge_stray(pkt,
			     check == COOKIE_INVALID ? XDPCTL_COOKIE_REJECTED : XDPCTL_NO_SESSION);
	if (reason != XDPCTL_NEXT && !pkt->dry_run)
		on->counters->rejected++;
	return reason;
}

#define STRAYS_MANY 4	       /* of the sample in a second: then every segment is looked up */
#define STRAY_HOLD_NS NS_PER_S /* after the last of them */

static __always_inline bool is_looked_up(const struct packet *pkt,
					 const struct xdpctl_service_counters *here, __u64 now)
{
	return pkt->is_sampled || now < here->strays_until_ns || !pkt->policy->stray_interval_ns ||
	       pkt->dry_run;
}

static __always_inline void note_stray(struct xdpctl_service_counters *here, __u64 now)
{
	if (now - here->strays_since_ns > NS_PER_S) {
		here->strays_since_ns = now;
		here->strays_met = 0;
	}
	if (++here->strays_met >= STRAYS_MANY)
		here->strays_until_ns = now + STRAY_HOLD_NS;
}

/*
 * In peace a sample is looked up. Where it shows many that belong to no connection
 * (reflected SYN-ACKs, floods of ACK, RST, FIN), all are.
 */
static __always_inline enum xdpctl_reason guard_sample(struct packet *pkt)
{
	const __u32 zero = 0;
	struct xdpctl_service_counters *here = bpf_map_lookup_elem(&service_counters, &zero);
	__u64 now = now_ns(pkt);
	int check; /* enum cookie_check */

	if (!here || !is_looked_up(pkt, here, now) || !is_own(pkt))
		return XDPCTL_NEXT;
	check = xdpctl_check_cookie(pkt->ctx, &pkt->hdr);
	if (check != COOKIE_INVALID && check != COOKIE_IMPOSSIBLE && check != COOKIE_NO_SOCKET)
		return XDPCTL_NEXT;
	if (!pkt->dry_run)
		note_stray(here, now);
	return judge_stray(pkt, XDPCTL_NO_SESSION);
}

static __always_inline enum xdpctl_reason guard_segment(struct packet *pkt, __u32 slot)
{
	struct guarded on;

	if (slot && find_guarded(pkt, slot, &on) && is_own(pkt) &&
	    (is_active(pkt, &on) || on.service->lockdown))
		return guard_rest(pkt, &on);
	return guard_sample(pkt);
}

static __always_inline enum xdpctl_reason stage_guard(struct packet *pkt)
{
	__u32 slot;

	if (pkt->hdr.protocol != IPPROTO_TCP || !pkt->hdr.has_ports || is_link_local(pkt))
		return XDPCTL_NEXT;
	slot = slot_of_port(pkt);
	return is_opening_syn(&pkt->hdr) ? guard_syn(pkt, slot) : guard_segment(pkt, slot);
}

#endif
