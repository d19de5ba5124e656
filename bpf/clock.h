/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The only reader of time. */
#ifndef XDPCTL_BPF_CLOCK_H
#define XDPCTL_BPF_CLOCK_H

#include "maps.h"

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL

/* Set before load: the length of a jiffy. */
const volatile __u64 xdpctl_tick_ns = 4000000;

/*
 * Jiffies in nanoseconds: what deadlines need. The verifier inlines
 * bpf_jiffies64 to one load, where every other clock is a call, and a return
 * is dear on processors that mitigate speculative return (SRSO, Retbleed).
 */
static __always_inline __u64 kernel_now_ns(void)
{
	return bpf_jiffies64() * xdpctl_tick_ns;
}

static __always_inline __u64 now_by(const struct xdpctl_control *words)
{
	return xdpctl_replay ? words->replay_now_ns : kernel_now_ns();
}

static __always_inline __u64 now_ns(const struct packet *pkt)
{
	return now_by(pkt->control);
}

#endif
