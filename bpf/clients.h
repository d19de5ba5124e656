/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Learns the clients: called by the kernel once per accepted and once per
 * closed connection of the cgroup, at no cost per packet. A spoofed source
 * cannot complete a handshake, so it cannot write here.
 */
#ifndef XDPCTL_BPF_CLIENTS_H
#define XDPCTL_BPF_CLIENTS_H

#include "accepted.h"
#include "guard_state.h"
#include "peers.h"
#include "rate.h"

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

static __always_inline bool is_own_namespace(struct bpf_sock_ops *ops,
					     const struct xdpctl_control *words)
{
	return !words->netns_cookie || bpf_get_netns_cookie(ops) == words->netns_cookie;
}

/*
 * Who owns many prefixes shall not push out the clients of others: so many new ones per
 * second, and at once, of a /16 or /48, and of a /8 or /32.
 */
#define NEW_KNOWN_INTERVAL_NS (NS_PER_S / 10)
#define NEW_KNOWN_BURST 512
#define NEW_KNOWN_WIDE_INTERVAL_NS (NS_PER_S / 40)
#define NEW_KNOWN_WIDE_BURST 4096

static __always_inline bool takes_new_known(const struct xdpctl_addr *network, __u64 secret,
					    __u64 now, __u64 interval_ns, __u64 burst)
{
	__u64 question = secret ^ (__u64)BUCKET_NEW_KNOWN << 16 ^ interval_ns;
	__u32 bucket = xdpctl_ban_hash(network, question) & (XDPCTL_SLOW_BUCKETS - 1);
	__u64 *due = bpf_map_lookup_elem(&slow_buckets, &bucket);

	return !due || take_due(due, now, interval_ns, interval_ns * burst, false);
}

static __always_inline bool has_room_for_known(const struct xdpctl_addr *addr, __u64 secret,
					       __u64 now)
{
	struct xdpctl_addr network = network_of(addr), wide = network;

	if (wide.word[0] || wide.word[1])
		wide.word[1] = 0; /* its /32 */
	else
		wide.word[3] &= bpf_htonl(0xff000000);
	return takes_new_known(&wide, secret, now, NEW_KNOWN_WIDE_INTERVAL_NS,
			       NEW_KNOWN_WIDE_BURST) &&
	       takes_new_known(&network, secret, now, NEW_KNOWN_INTERVAL_NS, NEW_KNOWN_BURST);
}

/* `admitted`: in lockdown, so that it need not come again to be trusted. */
static __always_inline void remember_client(const struct xdpctl_addr *addr, __u64 secret, __u64 now,
					    bool admitted)
{
	struct xdpctl_addr key = xdpctl_known_key(addr);
	struct xdpctl_known_client *known = bpf_map_lookup_elem(&known_clients, &key);
	struct xdpctl_known_client fresh = {.first_ns = admitted ? 0 : now, .last_ns = now};

	if (known) {
		known->last_ns = now;
		if (admitted)
			known->first_ns = 0;
	} else if (has_room_for_known(addr, secret, now)) {
		bpf_map_update_elem(&known_clients, &key, &fresh, BPF_NOEXIST);
	}
}

/* Did it come by a cookie of ours? One such connection proves that they work. */
static __always_inline bool came_by_cookie(struct bpf_sock_ops *ops, const struct xdpctl_addr *addr,
					   __u64 secret, __u64 now)
{
	__be16 remote_port = OPS_WORD(ops, remote_port) >> 16; /* it is in the upper half */
	__be16 local_port = bpf_htons(OPS_WORD(ops, local_port));
	/* All are read before one is chosen, else the compiler chooses a context pointer. */
	__u32 ip4 = OPS_WORD(ops, local_ip4);
	struct xdpctl_addr local = {.word = {
					    OPS_WORD(ops, local_ip6[0]),
					    OPS_WORD(ops, local_ip6[1]),
					    OPS_WORD(ops, local_ip6[2]),
					    OPS_WORD(ops, local_ip6[3]),
				    }};

	barrier_var(ip4);
	if (ops->family == AF_INET) {
		local = (struct xdpctl_addr){};
		local.word[2] = bpf_htonl(0xffff);
		local.word[3] = ip4;
	}
	return was_accepted(connection_hash(addr, remote_port, &local, local_port, secret), now,
			    NS_PER_S);
}

/* `own`: the listener is of our namespace, so that its port names a service. */
static __always_inline void service_connected(struct bpf_sock_ops *ops,
					      const struct xdpctl_control *words,
					      const struct xdpctl_policy *policy,
					      const struct xdpctl_addr *addr, bool own, __u64 now)
{
	__u32 port = own ? OPS_WORD(ops, local_port) : 0, slot;
	struct xdpctl_service_counters *here;
	struct xdpctl_guard *guard;
	bool admitted;

	/* Connections of the host to itself came past no guard. */
	if (port >= XDPCTL_PORTS || bpf_map_lookup_elem(&own_addresses, addr))
		return;
	slot = policy->service_of_port[port] & (XDPCTL_SERVICES - 1);
	guard = bpf_map_lookup_elem(&guards, &slot);
	here = bpf_map_lookup_elem(&service_counters, &slot);
	if (!guard || !here)
		return;
	if (slot) {
		here->established++;
		syn_completed(guard);
		if (came_by_cookie(ops, addr, words->secret, now))
			note_proven(guard, now);
	}
	barrier_var(slot); /* its bounds are lost on the stack */
	admitted = policy->services[slot & (XDPCTL_SERVICES - 1)].lockdown &&
		   policy->mode == XDPCTL_MODE_ENFORCE && !words->bypass &&
		   !(policy->observed_reasons >> XDPCTL_LOCKDOWN & 1);
	if (admitted || !is_attacked(guard, now))
		remember_client(addr, words->secret, now, admitted);
}

/*
 * The program is called for every namespace of the machine. Clients are those of our own,
 * and of containers whose SYNs came in by our interfaces, which the filter of peers tells.
 */
static __always_inline void handshake_completed(struct bpf_sock_ops *ops,
						const struct xdpctl_addr *addr)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	const struct xdpctl_policy *policy = words ? active_policy(words) : NULL;
	__u64 now = kernel_now_ns();
	bool own;

	if (!policy)
		return;
	own = is_own_namespace(ops, words);
	if (!own && !may_be_connected(addr, words->secret, now))
		return;
	client_opened(addr);
	peer_opened(addr, words->secret);
	service_connected(ops, words, policy, addr, own, now);
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
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
