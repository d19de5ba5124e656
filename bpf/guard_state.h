/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Is a service attacked, and do its cookies work? Measured here, so that the
 * guard reacts between two packets and with the daemon dead.
 */
#ifndef XDPCTL_BPF_GUARD_STATE_H
#define XDPCTL_BPF_GUARD_STATE_H

#include "clock.h"

#define ATTACK_HOLD_NS (10 * NS_PER_S)	 /* after the last sign of an attack */
#define OVERLOAD_HOLD_NS (2 * NS_PER_S)	 /* likewise of a full accept queue */
#define PENDING_BATCH 64		 /* SYNs that a CPU counts alone during an attack */
#define PENDING_REPORT_NS (NS_PER_S / 8) /* but no longer than this */
#define PENDING_FADES 4			 /* a 16th of the pending SYNs each second */
#define QUEUE_ALARM_PERCENT 75		 /* of the listener's queue of unfinished handshakes */

/*
 * Cookies are judged broken where so many were accepted in the window and none became a
 * connection. A port whose cookies worked lately is doubted only for much more. The
 * first failure lasts seconds: what counts is the client's choice, and one that comes
 * through refutes it.
 */
#define PROOF_WINDOW_NS NS_PER_S
#define PROOF_ACCEPTED 8
#define PROOF_PREFIXES 1
#define PROVEN_FOR_NS (600 * NS_PER_S)
#define PROVEN_WINDOW_NS (5 * NS_PER_S)
#define PROVEN_ACCEPTED 64
#define PROVEN_PREFIXES 8
#define NOT_RETURNED 8			    /* SYNs of known clients that came again */
#define ASKED_AGAIN_LEAST_NS (NS_PER_S / 4) /* RFC 6298: after a second, then 3, 7 */
#define ASKED_AGAIN_MOST_NS (16 * NS_PER_S)
#define COOKIES_OFF_NS (2 * NS_PER_S) /* the first time; then 8, 32 and 64 seconds: */
#define COOKIES_OFF_DOUBLES 5	      /* a probe that becomes a connection ends it */
#define PROBE_SYNS 16		      /* one SYN in so many still gets a cookie meanwhile */

static __always_inline bool is_attacked(const struct xdpctl_guard *guard, __u64 now)
{
	return now < *(const volatile __u64 *)&guard->attack_until_ns;
}

static __always_inline bool cookies_are_off(const struct xdpctl_guard *guard, __u64 now)
{
	return now < *(const volatile __u64 *)&guard->cookies_off_until_ns;
}

/* An attack goes on; the store is skipped while it would change little. */
static __always_inline void note_attack(struct xdpctl_guard *guard, __u64 now)
{
	__u64 until = guard->attack_until_ns;

	if (now >= until) {
		guard->attack_since_ns = now;
		guard->attacks++;
	}
	if (until < now + ATTACK_HOLD_NS - NS_PER_S / 8)
		guard->attack_until_ns = now + ATTACK_HOLD_NS;
}

/* One CPU a second wins the exchange and lets the old SYNs fade. */
static __always_inline void fade_pending(struct xdpctl_guard *guard, __u64 now)
{
	__u64 before = *(volatile __u64 *)&guard->decayed_ns, seconds;
	__s64 pending = guard->pending;

	if ((__s64)(now - before) < (__s64)NS_PER_S) /* another CPU may be ahead */
		return;
	seconds = (now - before) / NS_PER_S;
	if (__sync_val_compare_and_swap(&guard->decayed_ns, before, now) != before)
		return;
	if (seconds >= 1 << PENDING_FADES || pending < 0)
		guard->pending = 0;
	else /* rounded up, so that a SYN now and then is none in the end */
		__sync_fetch_and_add(
			&guard->pending,
			-((pending * (__s64)seconds + (1 << PENDING_FADES) - 1) >> PENDING_FADES));
}

/*
 * Counts a SYN. True where more handshakes are unfinished than the listener can hold;
 * while it is attacked, where they are more than a quarter of that. An estimate: it
 * hears of no RST and of no time-out, so the listener is asked before it is believed.
 */
static __always_inline bool measure_syn(const struct xdpctl_service *service,
					struct xdpctl_guard *guard,
					struct xdpctl_service_counters *here, __u64 now)
{
	__s64 capacity = service->capacity;
	bool attacked = is_attacked(guard, now);
	__s64 pending;

	here->syns++;
	if (now - here->reported_ns > NS_PER_S)
		here->unreported = 0; /* the rest of an older flood */
	here->unreported++;
	if (attacked && here->unreported < PENDING_BATCH &&
	    now - here->reported_ns < PENDING_REPORT_NS)
		return false;
	fade_pending(guard, now);
	pending = guard->pending;
	__sync_fetch_and_add(&guard->asked_syns, (__u32)here->unreported);
	/* No more than the sign of an attack needs, so that its end is seen. */
	if (pending <= capacity + capacity / 4)
		__sync_fetch_and_add(&guard->pending, here->unreported);
	here->unreported = 0;
	here->reported_ns = now;
	return pending >= capacity || (attacked && pending > capacity / 4);
}

/* What a listener says of its queues: no listener to ask, or bits and a length. */
#define QUEUE_UNKNOWN (-1)
#define QUEUE_ALARM (1 << 30)	   /* its queue of unfinished handshakes is nearly full */
#define QUEUE_OVERLOADED (1 << 29) /* its accept queue is full */
#define QUEUE_LENGTH 0xffffff

/*
 * `queue`: what the listener says, QUEUE_UNKNOWN where the estimate must do. A service
 * that leaves completed connections waiting is slow, and one of whose handshakes three in
 * four are completed has a crowd: neither is attacked.
 */
static __always_inline void judge_queue(struct xdpctl_guard *guard, int queue, __u64 now)
{
	bool crowd = (__u64)guard->completed * 4 >= (__u64)guard->asked_syns * 3;

	if (queue != QUEUE_UNKNOWN) {
		guard->completed = 0;
		guard->asked_syns = 0;
	}
	if (queue == QUEUE_UNKNOWN) {
		note_attack(guard, now);
		return;
	}
	if (queue & QUEUE_OVERLOADED)
		guard->overloaded_until_ns = now + OVERLOAD_HOLD_NS;
	if (queue & QUEUE_ALARM && !(queue & QUEUE_OVERLOADED) && !crowd)
		note_attack(guard, now);
	else /* begins to count again from what is there */
		guard->pending = crowd ? 0 : queue & QUEUE_LENGTH;
}

static __always_inline void syn_completed(struct xdpctl_guard *guard)
{
	__sync_fetch_and_add(&guard->completed, 1);
	if (guard->pending > 0)
		__sync_fetch_and_add(&guard->pending, -1);
}

static __always_inline bool has_bits(__u64 bits, __u32 wanted)
{
	__u32 i;

#pragma unroll
	for (i = 1; i < PROVEN_PREFIXES; i++)
		if (i < wanted)
			bits &= bits - 1;
	return bits;
}

static __always_inline void doubt_cookies(struct xdpctl_guard *guard, __u64 now, __u32 why)
{
	__u32 doubles = 2 * guard->failures;

	if (doubles > COOKIES_OFF_DOUBLES)
		doubles = COOKIES_OFF_DOUBLES;
	guard->doubt = why;
	guard->not_returned = 0;
	guard->cookies_off_until_ns = now + (COOKIES_OFF_NS << doubles);
	guard->failures++;
}

/*
 * Where DNAT takes the port away from the listener, accepted cookies become no sockets:
 * then it is better to make none. Asked on each SYN, for clients that failed may not
 * come again; the CPU that ends the count judges it.
 */
static __always_inline void judge_proof(struct xdpctl_guard *guard, __u64 now)
{
	__u64 since = *(volatile __u64 *)&guard->proof_since_ns, proven = guard->proven_ns;
	bool was_proven = proven && (__s64)(now - proven) < (__s64)PROVEN_FOR_NS;
	__u64 window = was_proven ? PROVEN_WINDOW_NS : PROOF_WINDOW_NS;

	if (!since || (__s64)(now - since) < (__s64)window ||
	    guard->proof_accepted < (was_proven ? PROVEN_ACCEPTED : PROOF_ACCEPTED) ||
	    !has_bits(guard->accepted_prefixes, was_proven ? PROVEN_PREFIXES : PROOF_PREFIXES))
		return;
	if (__sync_val_compare_and_swap(&guard->proof_since_ns, since, 0) == since)
		doubt_cookies(guard, now, XDPCTL_COOKIES_NOT_ESTABLISHED);
}

/* The bit of a source's /24 or /64 in the proof's sets. */
static __always_inline __u64 proof_bit(const struct xdpctl_addr *source, __u64 secret)
{
	struct xdpctl_addr prefix = prefix_of(source);

	return 1ULL << (xdpctl_ban_hash(&prefix, secret) >> 58);
}

/* An ACK with a right cookie that the kernel will take. Not counted while cookies are
 * off: what comes then was sent before. */
static __always_inline void note_accepted(struct xdpctl_guard *guard, __u64 bit, __u64 now)
{
	if (cookies_are_off(guard, now))
		return;
	if (!guard->proof_since_ns) {
		guard->proof_accepted = 0;
		guard->accepted_prefixes = 0;
		guard->proof_since_ns = now;
	}
	__sync_fetch_and_add(&guard->proof_accepted, 1);
	guard->accepted_prefixes |= bit; /* a bit lost to a race comes again */
}

/* A connection came to be by a cookie: they work, whatever else was counted. */
static __always_inline void note_proven(struct xdpctl_guard *guard, __u64 now)
{
	guard->proven_ns = now;
	guard->proof_since_ns = 0;
	guard->failures = 0;
	guard->cookies_off_until_ns = 0;
	guard->doubt = XDPCTL_COOKIES_WORK;
}

/* An answer has come back. */
static __always_inline void note_returned(struct xdpctl_guard *guard)
{
	if (guard->not_returned)
		guard->not_returned = 0;
	if (guard->doubt == XDPCTL_COOKIES_NOT_RETURNED) {
		guard->cookies_off_until_ns = 0;
		guard->failures = 0;
		guard->doubt = XDPCTL_COOKIES_WORK;
	}
}

/*
 * A client that was here before is sent a cookie. Where it asks again, its answer did not
 * reach it; where that happens to several and no answer of anybody comes back, none does.
 */
static __always_inline void note_challenged(struct xdpctl_guard *guard,
					    struct xdpctl_known_client *client, __u64 now)
{
	__u64 since = now - client->challenged_ns;

	if (since < ASKED_AGAIN_LEAST_NS)
		return;
	client->challenged_ns = now;
	if (since > ASKED_AGAIN_MOST_NS || cookies_are_off(guard, now))
		return;
	if (__sync_fetch_and_add(&guard->not_returned, 1) + 1 >= NOT_RETURNED)
		doubt_cookies(guard, now, XDPCTL_COOKIES_NOT_RETURNED);
}

#endif
