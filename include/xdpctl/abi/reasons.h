/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Why a packet left the data path: the one list.
 *
 * Every packet gets exactly one reason. This list makes the BPF enum, the C++
 * table, the metric label, the CLI text and the documentation; nothing repeats
 * it. Append new reasons at the end: counters survive an upgrade by position.
 */
#ifndef XDPCTL_ABI_REASONS_H
#define XDPCTL_ABI_REASONS_H

/* X(ID, name, question that the stage answers), in the order they run. */
#define XDPCTL_STAGES(X)                                                    \
	X(CONTROL, "control", "is filtering switched on?")                  \
	X(PARSE, "parse", "can the headers be read safely?")                \
	X(ALLOW, "allow", "is the source on the allow list?")               \
	X(BLOCK, "block", "is the source banned or on a block list?")       \
	X(SANITY, "sanity", "do the headers contradict themselves?")        \
	X(SESSION, "session", "is the source a client that proved itself?") \
	X(END, "end", "did any stage object?")

/* X(ID, name, stage, verdict, text). Verdict: what happens under `enforce`. */
#define XDPCTL_REASONS(X)                                                                    \
	X(PASSED, "passed", END, PASS, "no stage objected")                                  \
	X(BYPASSED, "bypassed", CONTROL, PASS, "filtering was switched off by panic")        \
	X(NOT_IP, "not_ip", PARSE, PASS, "neither IPv4 nor IPv6 (ARP, LLDP, PPPoE, ...)")    \
	X(ALLOWED, "allowed", ALLOW, PASS, "source is on the allow list")                    \
	X(BANNED, "banned", BLOCK, DROP, "source is banned until a deadline")                \
	X(BLOCKED, "blocked", BLOCK, DROP, "source is inside a blocked prefix")              \
	X(FRAME_TRUNCATED, "frame_truncated", PARSE, DROP,                                   \
	  "frame ends inside the Ethernet or VLAN header")                                   \
	X(VLAN_DEPTH, "vlan_depth", PARSE, DROP, "more than two VLAN tags")                  \
	X(IPV4_HEADER, "ipv4_header", PARSE, DROP,                                           \
	  "IPv4 header cut short, wrong version or length below 20")                         \
	X(IPV4_LENGTH, "ipv4_length", PARSE, DROP,                                           \
	  "IPv4 total length contradicts the header or the frame")                           \
	X(IPV6_HEADER, "ipv6_header", PARSE, DROP, "IPv6 header cut short or wrong version") \
	X(IPV6_LENGTH, "ipv6_length", PARSE, DROP, "IPv6 payload length exceeds the frame")  \
	X(IPV6_EXTENSION, "ipv6_extension", PARSE, DROP,                                     \
	  "IPv6 extension headers cut short or more than eight")                             \
	X(FRAGMENT_OVERSIZE, "fragment_oversize", PARSE, DROP,                               \
	  "fragment ends beyond 65535 bytes (ping of death)")                                \
	X(FRAGMENT_TINY, "fragment_tiny", PARSE, DROP,                                       \
	  "first fragment does not hold the transport header (RFC 1858)")                    \
	X(TCP_HEADER, "tcp_header", PARSE, DROP,                                             \
	  "TCP header cut short or its data offset is impossible")                           \
	X(UDP_HEADER, "udp_header", PARSE, DROP,                                             \
	  "UDP header cut short or its length contradicts the packet")                       \
	X(ICMP_HEADER, "icmp_header", PARSE, DROP, "ICMP header cut short")                  \
	X(MARTIAN_SOURCE, "martian_source", SANITY, DROP,                                    \
	  "source address cannot appear on a wire (RFC 6890)")                               \
	X(MARTIAN_DESTINATION, "martian_destination", SANITY, DROP,                          \
	  "destination address cannot appear on a wire (RFC 6890)")                          \
	X(LAND, "land", SANITY, DROP, "source and destination address are the same")         \
	X(PORT_ZERO, "port_zero", SANITY, DROP, "TCP from or to port 0, or UDP to port 0")   \
	X(TCP_NULL, "tcp_null", SANITY, DROP, "TCP without any flag")                        \
	X(TCP_SYN_FIN, "tcp_syn_fin", SANITY, DROP, "TCP with SYN and FIN")                  \
	X(TCP_SYN_RST, "tcp_syn_rst", SANITY, DROP, "TCP with SYN and RST")                  \
	X(TCP_XMAS, "tcp_xmas", SANITY, DROP, "TCP with FIN, PSH and URG but no ACK")        \
	X(TCP_FLAGS, "tcp_flags", SANITY, DROP,                                              \
	  "TCP flags in another combination that no stack sends")

enum xdpctl_stage {
#define XDPCTL_STAGE_ENUM(id, name, text) XDPCTL_STAGE_##id,
	XDPCTL_STAGES(XDPCTL_STAGE_ENUM)
#undef XDPCTL_STAGE_ENUM
			      XDPCTL_STAGE_COUNT,
};

enum xdpctl_verdict {
	XDPCTL_VERDICT_PASS = 0,
	XDPCTL_VERDICT_DROP = 1,
};

enum xdpctl_reason {
	XDPCTL_NEXT = 0, /* no reason yet: ask the next stage */
#define XDPCTL_REASON_ENUM(id, name, stage, verdict, text) XDPCTL_##id,
	XDPCTL_REASONS(XDPCTL_REASON_ENUM)
#undef XDPCTL_REASON_ENUM
			       XDPCTL_REASON_COUNT,
	};

/* Reasons fit a 64-bit mask; counters reserve a cell for each. */
#define XDPCTL_REASON_SLOTS 64

/* Bit r is set where reason r drops under `enforce`. */
#define XDPCTL_REASON_DROP_BIT(id, name, stage, verdict, text) \
	| ((unsigned long long)XDPCTL_VERDICT_##verdict << XDPCTL_##id)
#define XDPCTL_DROP_REASONS (0ULL XDPCTL_REASONS(XDPCTL_REASON_DROP_BIT))

#endif
