/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the operator decided, as the data path reads it. A policy is written
 * into the slot that is not active, then xdpctl_control.active_slot flips:
 * a packet reads that word once and sees one generation only.
 */
#ifndef XDPCTL_ABI_POLICY_H
#define XDPCTL_ABI_POLICY_H

#include <linux/types.h>

/*
 * Times are on the data path's clock: nanoseconds that advance with the
 * kernel's jiffies, from an arbitrary start. xdpctl_judgement.time_ns tells it.
 */

#define XDPCTL_POLICY_SLOTS 2

enum xdpctl_mode {
	XDPCTL_MODE_MONITOR = 0, /* count what would be dropped, pass it */
	XDPCTL_MODE_ENFORCE = 1,
};

struct xdpctl_policy {
	__u64 generation;	  /* counts commits since the maps were made */
	__u64 observed_reasons;	  /* bit r: reason r is counted, not enforced */
	__u64 sample_interval_ns; /* per CPU, between two events; 0: none */
	__u32 mode;		  /* enum xdpctl_mode */
	__u32 prefix_entries;	  /* 0: the prefix table need not be asked */
};

/* Addresses are 128 bits, network byte order; IPv4 is mapped (::ffff:a.b.c.d). */
struct xdpctl_addr {
	__be32 word[4];
};

/* Key of the prefix table: struct bpf_lpm_trie_key with 16 data bytes. */
struct xdpctl_prefix_key {
	__u32 length; /* bits, 0..128; an IPv4 /n is 96 + n */
	struct xdpctl_addr addr;
};

enum xdpctl_prefix_verdict {
	XDPCTL_PREFIX_ALLOW = 1,
	XDPCTL_PREFIX_BLOCK = 2,
};

struct xdpctl_prefix_leaf {
	__u64 deadline_ns; /* data path's clock; ~0: no end. Only for BLOCK */
	__u32 verdict;	   /* enum xdpctl_prefix_verdict */
	__u32 length;	   /* of the prefix that put this leaf here, bits */
};

#endif
