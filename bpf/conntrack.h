/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections that the host forwards or translates have no socket here, but
 * conntrack knows them (net/netfilter/nf_conntrack_bpf.c).
 */
#ifndef XDPCTL_BPF_CONNTRACK_H
#define XDPCTL_BPF_CONNTRACK_H

#include "session.h"

/* Defined, not only declared, else libbpf finds it incompatible with the kernel's. */
struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

/* The first size of the structure, which every kernel takes. */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

/*
 * Set before load: the running kernel has the functions below. Not asked of their
 * addresses, for libbpf before 1.2 cannot take those of a module's.
 */
const volatile bool xdpctl_conntrack = false;

/* Weak: they are absent where nf_conntrack is not loaded when we are. */
extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *ctx, struct bpf_sock_tuple *tuple,
					 __u32 tuple_bytes, struct bpf_ct_opts *opts,
					 __u32 opts_bytes) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *ct) __ksym __weak;

#define IPS_SEEN_REPLY (1 << 1) /* linux/netfilter/nf_conntrack_common.h */
#define IPS_DST_NAT (1 << 5)
#define CONNTRACK_REPLY 1 /* IP_CT_DIR_REPLY */
#define CONNTRACK_NONE (-1)
#define CONNTRACK_IS_REPLY (1 << 30) /* beside the status: it was asked from here */

/* Status bits of the connection that the packet belongs to, or CONNTRACK_NONE. Global, so
 * that the verifier looks at the lookups once. */
__noinline int xdpctl_conntrack_status(struct xdp_md *ctx, const struct headers *hdr)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS};
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *ct;
	int status;

	if (!hdr || xdpctl_replay)
		return CONNTRACK_NONE;
	/* It was loaded after us and cannot be asked: then anything may be known. */
	if (!xdpctl_conntrack)
		return IPS_SEEN_REPLY;
	opts.l4proto = hdr->protocol;
	fill_tuple(hdr, &tuple);
	if (hdr->family == XDPCTL_IPV4)
		ct = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	else
		ct = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv6), &opts, sizeof(opts));
	if (!ct)
		return CONNTRACK_NONE;
	status = ct->status & 0xffff;
	if (opts.dir == CONNTRACK_REPLY) /* this is an answer */
		status |= IPS_SEEN_REPLY | CONNTRACK_IS_REPLY;
	bpf_ct_release(ct);
	return status;
}

static __always_inline bool conntrack_knows(struct xdp_md *ctx, const struct headers *hdr)
{
	return xdpctl_conntrack_status(ctx, hdr) != CONNTRACK_NONE;
}

static __always_inline bool conntrack_is_reply(struct xdp_md *ctx, const struct headers *hdr)
{
	int status = xdpctl_conntrack_status(ctx, hdr);

	return status != CONNTRACK_NONE && status & CONNTRACK_IS_REPLY;
}

#endif
