/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Is a service attacked, and do its cookies work? Measured here, so that the
 * guard reacts between two packets and with the daemon dead.
 */
#ifndef XDPCTL_BPF_GUARD_STATE_H
#define XDPCTL_BPF_GUARD_STATE_H

#include "clock.h"

#define ATTACK_HOLD_NS (10 * NS_PER_S)	 /* after the last sign of an attack */
#define PENDING_BATCH 64		 /* SYNs that a CPU counts alone during an attack */
#define PENDING_REPORT_NS (NS_PER_S / 8) /* but no longer than this */
#define PENDING_FADES 4			 /* a 16th of the pending SYNs each second */

/* Of accepted cookies at least a quarter becomes sockets. That they do not is
 * believed of several prefixes, or of many connections and no exception: one host
 * whose ACKs are lost behind us must not speak for all. */
#define PROOF_WINDOW_NS (NS_PER_S / 5)
#define PROOF_MIN 4
#define PROOF_SHARE 4
#define PROOF_PREFIXES 2
#define PROOF_MANY 16
#define COOKIES_OFF_NS (30 * NS_PER_S) /* the first time; doubles up to */
#define COOKIES_OFF_DOUBLES 7	       /* 64 minutes */

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
 * Counts a SYN. Where more handshakes are unfinished than the listener can
 * hold, it is attacked; it stays so until they are a quarter of that.
 */
static __always_inline void measure_syn(const struct xdpctl_service *service,
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
		return;
	fade_pending(guard, now);
	pending = guard->pending;
	/* No more than the sign of an attack needs, so that its end is seen. */
	if (pending <= capacity + capacity / 4)
		__sync_fetch_and_add(&guard->pending, here->unreported);
	here->unreported = 0;
	here->reported_ns = now;
	if (pending >= capacity || (attacked && pending > capacity / 4))
		note_attack(guard, now);
}

static __always_inline void syn_completed(struct xdpctl_guard *guard)
{
	if (guard->pending > 0)
		__sync_fetch_and_add(&guard->pending, -1);
}

/* Up to PROOF_PREFIXES, which is all that is asked. */
static __always_inline __u32 count_bits(__u64 bits)
{
	__u64 rest = bits & (bits - 1);

	return !bits ? 0 : !rest ? 1 : PROOF_PREFIXES;
}

static __always_inline bool proof_failed(const struct xdpctl_guard *guard)
{
	__u32 accepted = guard->proof_accepted, established = guard->proof_established;
	__u64 failed = guard->accepted_prefixes & ~guard->established_prefixes;

	if (established * PROOF_SHARE >= accepted)
		return false;
	return count_bits(failed) >= PROOF_PREFIXES || (!established && accepted >= PROOF_MANY);
}

/*
 * Accepted cookies must become sockets. Where DNAT takes the port away from the
 * listener they do not: then it is better to make none. Asked on each SYN, for
 * clients that failed may not come again; the CPU that ends the count judges it.
 */
static __always_inline void judge_proof(struct xdpctl_guard *guard, __u64 now)
{
	__u64 since = *(volatile __u64 *)&guard->proof_since_ns;
	__u32 accepted = *(volatile __u32 *)&guard->proof_accepted;
	bool failed;
	__u32 doubles;

	if (!since || accepted < PROOF_MIN || (__s64)(now - since) < (__s64)PROOF_WINDOW_NS)
		return;
	failed = proof_failed(guard);
	if (!failed && !guard->proof_established)
		return; /* too little to tell: count on */
	if (__sync_val_compare_and_swap(&guard->proof_since_ns, since, 0) != since)
		return;
	if (!failed) {
		guard->proof_failures = 0;
		return;
	}
	doubles = guard->proof_failures;
	if (doubles > COOKIES_OFF_DOUBLES)
		doubles = COOKIES_OFF_DOUBLES;
	guard->cookies_off_until_ns = now + (COOKIES_OFF_NS << doubles);
	guard->proof_failures++;
}

/* The bit of a source's /24 or /64 in the proof's sets. */
static __always_inline __u64 proof_bit(const struct xdpctl_addr *source, __u64 secret)
{
	struct xdpctl_addr prefix = prefix_of(source);

	return 1ULL << (xdpctl_ban_hash(&prefix, secret) >> 58);
}

static __always_inline void note_accepted(struct xdpctl_guard *guard, __u64 bit, __u64 now)
{
	if (!guard->proof_since_ns) {
		guard->proof_accepted = 0;
		guard->proof_established = 0;
		guard->accepted_prefixes = 0;
		guard->established_prefixes = 0;
		guard->proof_since_ns = now;
	}
	__sync_fetch_and_add(&guard->proof_accepted, 1);
	guard->accepted_prefixes |= bit; /* a bit lost to a race comes again */
}

static __always_inline void note_established(struct xdpctl_guard *guard, __u64 bit)
{
	__sync_fetch_and_add(&guard->proof_established, 1);
	guard->established_prefixes |= bit;
}

#endif
