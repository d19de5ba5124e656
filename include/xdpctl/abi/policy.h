/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the operator decided, as the data path reads it. A policy is written
 * into the slot that is not active, then xdpctl_control.active_slot flips:
 * a packet reads that word once and sees one generation only.
 */
#ifndef XDPCTL_ABI_POLICY_H
#define XDPCTL_ABI_POLICY_H

#include <linux/types.h>

#include "limits.h"

/*
 * Times are on the data path's clock: nanoseconds that advance with the
 * kernel's jiffies, from an arbitrary start. xdpctl_judgement.time_ns tells it.
 */

#define XDPCTL_POLICY_SLOTS 2

enum xdpctl_mode {
	XDPCTL_MODE_MONITOR = 0, /* count what would be dropped, pass it */
	XDPCTL_MODE_ENFORCE = 1,
};

/* X(ID, name, text): what the SYN guard of a service may do. */
#define XDPCTL_GUARD_MODES(X)                                                           \
	X(OFF, "off", "nothing, and measures nothing")                                  \
	X(ARMED, "armed", "measures and tells of an attack, but leaves the SYNs alone") \
	X(ON, "on", "answers every SYN with a cookie")                                  \
	X(AUTO, "auto", "answers with cookies while the service is attacked")

enum xdpctl_guard_mode {
#define XDPCTL_GUARD_MODE_ENUM(id, name, text) XDPCTL_GUARD_##id,
	XDPCTL_GUARD_MODES(XDPCTL_GUARD_MODE_ENUM)
#undef XDPCTL_GUARD_MODE_ENUM
};

/* A service is a TCP port with a listener here, of both families. */
#define XDPCTL_SERVICES 256 /* slot 0: every port that no listener here has */
#define XDPCTL_PORTS 65536

struct xdpctl_service {
	__u64 admit_interval_ns; /* between two new clients in lockdown */
	__u32 capacity;		 /* unfinished handshakes that the listener holds */
	__u16 port;		 /* host byte order; 0: this slot is free */
	__u8 guard;		 /* enum xdpctl_guard_mode */
	__u8 lockdown;		 /* 1: known clients first, others as admitted */
};

/* Bits of xdpctl_policy.host: what the host does, so what must be asked. */
#define XDPCTL_HOST_CONNTRACK 1 /* it tracks connections that have no socket here */
#define XDPCTL_HOST_BLIND 2	/* nobody tells of completed handshakes: no cgroup */
/* Sockets of its addresses may be where no lookup finds them: bound to a VLAN or bridge above
 * the interface, or behind IPVS, a TC or XDP program, or NAT without connection tracking. */
#define XDPCTL_HOST_UNSEEN 4

/* What becomes of an IP protocol other than TCP, UDP and ICMP. */
#define XDPCTL_PROTOCOL_ACTIONS(X)                              \
	X(LIMIT, "limit", "passes within the class `protocol`") \
	X(PASS, "pass", "passes")                               \
	X(DROP, "drop", "is dropped")

enum xdpctl_protocol_action {
#define XDPCTL_PROTOCOL_ENUM(id, name, text) XDPCTL_PROTOCOL_##id,
	XDPCTL_PROTOCOL_ACTIONS(XDPCTL_PROTOCOL_ENUM)
#undef XDPCTL_PROTOCOL_ENUM
};

/* X(ID, name, text): tunnels that may end here; bits of xdpctl_policy.tunnels. */
#define XDPCTL_TUNNELS(X)                                        \
	X(GRE, "gre", "GRE with IP or Ethernet in it, RFC 2784") \
	X(IPIP, "ipip", "IPv4 or IPv6 in IP, RFC 2003, 2473")    \
	X(VXLAN, "vxlan", "Ethernet in UDP port 4789, RFC 7348")

enum xdpctl_tunnel {
#define XDPCTL_TUNNEL_ENUM(id, name, text) XDPCTL_TUNNEL_##id,
	XDPCTL_TUNNELS(XDPCTL_TUNNEL_ENUM)
#undef XDPCTL_TUNNEL_ENUM
};

/*
 * Whom a service is for. A code is a country or an AS number that some rule names; its
 * bit is in the leaf of every source that has it. Asked of new connections and of UDP.
 */
struct xdpctl_geo_rule {
	__u64 only;   /* 0, or codes: a source with none of them is refused */
	__u64 closed; /* codes: a source with one of them is refused */
};
#define XDPCTL_GEO_CODES 64
#define XDPCTL_GEO_RULES 256 /* 0: no rule */

/* One bit for each port, in host byte order. */
struct xdpctl_port_set {
	__u64 word[XDPCTL_PORTS / 64];
};

struct xdpctl_policy {
	__u64 generation;	  /* counts commits since the maps were made */
	__u64 observed_reasons;	  /* bit r: reason r is counted, not enforced */
	__u64 sample_interval_ns; /* per CPU, between two events; 0: none */
	__u32 mode;		  /* enum xdpctl_mode */
	/* Between two packets that nothing here asked for, which the kernel shall answer:
	 * of each kind on the whole host, 0: none passes; of a /24 or /64. */
	__u64 stray_interval_ns;
	__u64 stray_prefix_interval_ns;
	__u64 syn_prefix_interval_ns;  /* between two SYNs of a /24 or /64; 0: no limit */
	__u64 syn_service_interval_ns; /* between two SYNs to a port; 0: no limit */
	__u32 host;		       /* XDPCTL_HOST_* */
	__u32 rmem_max;		       /* sysctl net.core.rmem_max, bytes */
	__u32 tunnels;		       /* bit: enum xdpctl_tunnel; what is inside is judged */
	__u32 mss_most;		       /* that a cookie's SYN-ACK may advertise, bytes */
	__u32 ephemeral_least;	       /* sockets at ports from here on ask, they do not serve */
	/* By family: bytes that unfinished datagrams of strangers may hold; 0: no limit. */
	__u32 reassembly_room[2];
	struct xdpctl_limit limits[XDPCTL_LIMIT_CLASS_SLOTS][XDPCTL_LIMIT_LEVEL_COUNT];
	struct xdpctl_service services[XDPCTL_SERVICES];
	__u8 service_of_port[XDPCTL_PORTS];  /* slot; ports in host byte order */
	__u8 geo_rule_of_port[XDPCTL_PORTS]; /* TCP and UDP, likewise */
	struct xdpctl_geo_rule geo_rules[XDPCTL_GEO_RULES];
	__u8 protocols[256]; /* enum xdpctl_protocol_action */
	/* By family: UDP ports with a socket that is bound to every address and has
	 * no peer. Others are looked up. */
	struct xdpctl_port_set udp_services[2];
	struct xdpctl_port_set reflectors;   /* UDP source ports that answer strangers */
	struct xdpctl_port_set tcp_services; /* ports that are served without a socket here */
};

/* Addresses are 128 bits, network byte order; IPv4 is mapped (::ffff:a.b.c.d). */
struct xdpctl_addr {
	__be32 word[4];
};

#endif
