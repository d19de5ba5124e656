/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Learns the clients: called by the kernel once per accepted and once per
 * closed connection of the cgroup, at no cost per packet. A spoofed source
 * cannot complete a handshake, so it cannot write here.
 */
#ifndef XDPCTL_BPF_CLIENTS_H
#define XDPCTL_BPF_CLIENTS_H

#include "guard_state.h"
#include "peers.h"

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

static __always_inline const struct xdpctl_policy *active_policy(const struct xdpctl_control *words)
{
	__u32 slot = active_policy_slot(words);

	return bpf_map_lookup_elem(&policies, &slot);
}

/* The service of this port here; 0 where the socket is of another namespace. */
static __always_inline __u32 service_of(struct bpf_sock_ops *ops,
					const struct xdpctl_control *words,
					const struct xdpctl_policy *policy)
{
	__u32 port = OPS_WORD(ops, local_port);

	if (port >= XDPCTL_PORTS ||
	    (words->netns_cookie && bpf_get_netns_cookie(ops) != words->netns_cookie))
		return 0;
	return policy->service_of_port[port] & (XDPCTL_SERVICES - 1);
}

static __always_inline void remember_client(const struct xdpctl_addr *addr, __u64 now)
{
	struct xdpctl_addr key = xdpctl_known_key(addr);
	struct xdpctl_known_client *known = bpf_map_lookup_elem(&known_clients, &key);
	struct xdpctl_known_client fresh = {.first_ns = now, .last_ns = now};

	if (known)
		known->last_ns = now;
	else
		bpf_map_update_elem(&known_clients, &key, &fresh, BPF_NOEXIST);
}

/* A handshake became a socket: the guard's proof, and in peace a known client. */
static __always_inline void handshake_completed(struct bpf_sock_ops *ops,
						const struct xdpctl_addr *addr)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	const struct xdpctl_policy *policy = words ? active_policy(words) : NULL;
	struct xdpctl_service_counters *here;
	struct xdpctl_guard *guard;
	__u64 now = kernel_now_ns();
	__u32 slot;

	if (!policy)
		return;
	peer_opened(addr, words->secret);
	slot = service_of(ops, words, policy);
	guard = bpf_map_lookup_elem(&guards, &slot);
	here = bpf_map_lookup_elem(&service_counters, &slot);
	if (!guard || !here)
		return;
	/* Connections of the host to itself came past no guard. */
	if (slot && !bpf_map_lookup_elem(&own_addresses, addr)) {
		here->established++;
		syn_completed(guard);
		note_established(guard, proof_bit(addr, words->secret));
	}
	barrier_var(slot); /* its bounds are lost on the stack */
	if (!is_attacked(guard, now) || policy->services[slot & (XDPCTL_SERVICES - 1)].lockdown)
		remember_client(addr, now);
}

static __always_inline void client_closed(const struct xdpctl_addr *addr)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	struct xdpctl_client *client = bpf_map_lookup_elem(&clients, addr);

	if (words)
		peer_closed(addr, words->secret, kernel_now_ns());
	/* 0 where the entry is younger than the connection. */
	if (client && __sync_fetch_and_add(&client->connections, -1) == 0)
		__sync_fetch_and_add(&client->connections, 1);
}

#endif
