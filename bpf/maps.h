/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The maps of <xdpctl/abi/maps.h> as BPF objects. */
#ifndef XDPCTL_BPF_MAPS_H
#define XDPCTL_BPF_MAPS_H

#include "packet.h"

#define XDPCTL_DEFINE_MAP(name_, type_, key_, value_, entries_, flags_, sized_) \
	struct {                                                                \
		__uint(type, BPF_MAP_TYPE_##type_);                             \
		__uint(max_entries, entries_);                                  \
		__uint(map_flags, flags_);                                      \
		__type(key, key_);                                              \
		__type(value, value_);                                          \
	} name_ SEC(".maps");
XDPCTL_MAPS(XDPCTL_DEFINE_MAP)
#undef XDPCTL_DEFINE_MAP

/* Read once per packet or event: it sees one generation only. */
static __always_inline __u32 active_policy_slot(const struct xdpctl_control *words)
{
	return *(const volatile __u32 *)&words->active_slot & (XDPCTL_POLICY_SLOTS - 1);
}

struct prefix_lines {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* of those that replace it: any number */
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	/* Sizes, not types: kernels before 6.2 take only inner maps with the same
	 * BTF as this, and the daemon makes its own without any. */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(union xdpctl_prefix_line));
} no_prefix_lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XDPCTL_PREFIX_TABLES);
	__type(key, __u32);
	__array(values, struct prefix_lines);
} prefix_tables SEC(".maps") = {
	.values = {&no_prefix_lines},
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, XDPCTL_EVENTS_BYTES);
} events SEC(".maps");

static __always_inline const struct xdpctl_policy *active_policy(const struct xdpctl_control *words)
{
	__u32 slot = active_policy_slot(words);

	return bpf_map_lookup_elem(&policies, &slot);
}

#endif
