/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Learns the clients: called by the kernel once per accepted and once per
 * closed connection of the cgroup, at no cost per packet. A spoofed source
 * cannot complete a handshake, so it cannot write here.
 */
#ifndef XDPCTL_BPF_CLIENTS_H
#define XDPCTL_BPF_CLIENTS_H

#include "clock.h"

#define AF_INET 2
#define AF_INET6 10

/* Volatile, else the compiler computes a context pointer, which is forbidden. */
#define OPS_WORD(ops, field) (*(const volatile __u32 *)&(ops)->field)

static __always_inline bool client_address(const struct bpf_sock_ops *ops, struct xdpctl_addr *addr)
{
	__u32 ip4 = OPS_WORD(ops, remote_ip4);

	if (ops->family == AF_INET) {
		addr->word[2] = bpf_htonl(0xffff);
		addr->word[3] = ip4;
		return true;
	}
	if (ops->family == AF_INET6) {
		addr->word[0] = OPS_WORD(ops, remote_ip6[0]);
		addr->word[1] = OPS_WORD(ops, remote_ip6[1]);
		addr->word[2] = OPS_WORD(ops, remote_ip6[2]);
		addr->word[3] = OPS_WORD(ops, remote_ip6[3]);
		return true;
	}
	return false;
}

static __always_inline void client_opened(const struct xdpctl_addr *addr)
{
	struct xdpctl_client *client = bpf_map_lookup_elem(&clients, addr);
	struct xdpctl_client fresh = {.connections = 1};

	if (client) {
		client->established_ns = kernel_now_ns();
		__sync_fetch_and_add(&client->connections, 1);
		return;
	}
	fresh.established_ns = kernel_now_ns();
	if (bpf_map_update_elem(&clients, addr, &fresh, BPF_NOEXIST)) {
		/* Another CPU was first. */
		client = bpf_map_lookup_elem(&clients, addr);
		if (client)
			__sync_fetch_and_add(&client->connections, 1);
	}
}

static __always_inline void client_closed(const struct xdpctl_addr *addr)
{
	struct xdpctl_client *client = bpf_map_lookup_elem(&clients, addr);

	/* 0 where the entry is younger than the connection. */
	if (client && __sync_fetch_and_add(&client->connections, -1) == 0)
		__sync_fetch_and_add(&client->connections, 1);
}

#endif
