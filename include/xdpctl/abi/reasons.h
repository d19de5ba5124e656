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
#define XDPCTL_STAGES(X)                                                               \
	X(CONTROL, "control", "is filtering switched on?")                             \
	X(PARSE, "parse", "can the headers be read safely?")                           \
	X(ALLOW, "allow", "is the source on the allow list?")                          \
	X(BLOCK, "block", "is the source banned or on a block list?")                  \
	X(SANITY, "sanity", "do the headers contradict themselves?")                   \
	X(SESSION, "session", "is the source a client that proved itself?")            \
	X(GEO, "geo", "is the service open to its country and AS?")                    \
	X(GUARD, "guard", "is its service flooded, and is it real?")                   \
	X(FRAGMENT, "fragment", "does it belong to a datagram whose begin was taken?") \
	X(UDP, "udp", "is somebody here waiting for it?")                              \
	X(ICMP, "icmp", "is it about something that happened here?")                   \
	X(PROTOCOL, "protocol", "may this protocol come in?")                          \
	X(LIMIT, "limit", "is there still room for it?")                               \
	X(END, "end", "did any stage object?")

/*
 * X(ID, name, stage, verdict, text). Verdict: what happens under `enforce`: PASS
 * to the kernel, DROP, or ANSWER to the sender, so that the kernel never sees it.
 */
#define XDPCTL_REASONS(X)                                                                          \
	X(PASSED, "passed", END, PASS, "no stage objected")                                        \
	X(BYPASSED, "bypassed", CONTROL, PASS, "filtering was switched off by panic")              \
	X(NOT_IP, "not_ip", PARSE, PASS, "neither IPv4 nor IPv6 (ARP, LLDP, PPPoE, ...)")          \
	X(ALLOWED, "allowed", ALLOW, PASS, "source is on the allow list")                          \
	X(BANNED, "banned", BLOCK, DROP, "source is banned until a deadline")                      \
	X(BLOCKED, "blocked", BLOCK, DROP, "source is inside a blocked prefix")                    \
	X(FRAME_TRUNCATED, "frame_truncated", PARSE, DROP,                                         \
	  "frame ends inside the Ethernet or VLAN header")                                         \
	X(VLAN_DEPTH, "vlan_depth", PARSE, DROP, "more than two VLAN tags")                        \
	X(IPV4_HEADER, "ipv4_header", PARSE, DROP,                                                 \
	  "IPv4 header cut short, wrong version or length below 20")                               \
	X(IPV4_LENGTH, "ipv4_length", PARSE, DROP,                                                 \
	  "IPv4 total length contradicts the header or the frame")                                 \
	X(IPV6_HEADER, "ipv6_header", PARSE, DROP, "IPv6 header cut short or wrong version")       \
	X(IPV6_LENGTH, "ipv6_length", PARSE, DROP, "IPv6 payload length exceeds the frame")        \
	X(IPV6_EXTENSION, "ipv6_extension", PARSE, DROP,                                           \
	  "IPv6 extension headers cut short, more than eight, or two Fragment headers")            \
	X(FRAGMENT_OVERSIZE, "fragment_oversize", PARSE, DROP,                                     \
	  "fragment ends beyond 65535 bytes (ping of death)")                                      \
	X(FRAGMENT_TINY, "fragment_tiny", PARSE, DROP,                                             \
	  "first fragment does not hold the transport header (RFC 1858)")                          \
	X(TCP_HEADER, "tcp_header", PARSE, DROP,                                                   \
	  "TCP header cut short or its data offset is impossible")                                 \
	X(UDP_HEADER, "udp_header", PARSE, DROP,                                                   \
	  "UDP header cut short or its length contradicts the packet")                             \
	X(ICMP_HEADER, "icmp_header", PARSE, DROP, "ICMP header cut short")                        \
	X(MARTIAN_SOURCE, "martian_source", SANITY, DROP,                                          \
	  "source address cannot appear on a wire (RFC 6890)")                                     \
	X(MARTIAN_DESTINATION, "martian_destination", SANITY, DROP,                                \
	  "destination address cannot appear on a wire (RFC 6890)")                                \
	X(LAND, "land", SANITY, DROP, "source and destination are one address of this host")       \
	X(PORT_ZERO, "port_zero", SANITY, DROP, "TCP from or to port 0, or UDP to port 0")         \
	X(TCP_NULL, "tcp_null", SANITY, DROP, "TCP without any flag")                              \
	X(TCP_SYN_FIN, "tcp_syn_fin", SANITY, DROP, "TCP with SYN and FIN")                        \
	X(TCP_SYN_RST, "tcp_syn_rst", SANITY, DROP, "TCP with SYN and RST")                        \
	X(TCP_XMAS, "tcp_xmas", SANITY, DROP, "TCP with FIN, PSH and URG but no ACK")              \
	X(TCP_FLAGS, "tcp_flags", SANITY, DROP,                                                    \
	  "TCP flags in another combination that no stack sends")                                  \
	X(SYN_ANSWERED, "syn_answered", GUARD, ANSWER,                                             \
	  "SYN to a guarded service, answered with a cookie by the data path")                     \
	X(COOKIE_ACCEPTED, "cookie_accepted", GUARD, PASS,                                         \
	  "ACK with a valid SYN cookie: the client is real")                                       \
	X(COOKIE_REJECTED, "cookie_rejected", GUARD, DROP,                                         \
	  "ACK to a guarded service without a connection or a valid SYN cookie")                   \
	X(NO_SESSION, "no_session", GUARD, DROP,                                                   \
	  "TCP that is no SYN and belongs to no connection, beyond the rate for such")             \
	X(ACCEPT_QUEUE, "accept_queue", GUARD, DROP,                                               \
	  "SYN while the service leaves completed connections waiting: its queue is full")         \
	X(SYN_LIMITED, "syn_limited", GUARD, DROP,                                                 \
	  "SYN beyond the limit of its source prefix or service, where cookies cannot be used")    \
	X(LOCKDOWN, "lockdown", GUARD, DROP,                                                       \
	  "new client of a service in lockdown, beyond the rate that is admitted")                 \
	X(FRAGMENT_ORPHAN, "fragment_orphan", FRAGMENT, DROP,                                      \
	  "fragment whose first was dropped or not seen, beyond the limit for such")               \
	X(FRAGMENT_OVERLAP, "fragment_overlap", FRAGMENT, DROP,                                    \
	  "fragment that overlaps another of its datagram (teardrop, RFC 5722)")                   \
	X(REFLECTION, "reflection", UDP, DROP,                                                     \
	  "answer of a UDP reflector (DNS, NTP, ...) that nobody here asked for, beyond the rate") \
	X(UDP_NO_SOCKET, "udp_no_socket", UDP, DROP,                                               \
	  "UDP to a port where nothing listens, beyond the rate for such")                         \
	X(ICMP_UNSOLICITED, "icmp_unsolicited", ICMP, DROP,                                        \
	  "ICMP error about a connection that is not there, beyond the rate for such")             \
	X(ICMP_HOPS, "icmp_hops", ICMP, DROP,                                                      \
	  "neighbour discovery that came through a router: hop limit below 255 (RFC 4861)")        \
	X(ICMP_LIMITED, "icmp_limited", LIMIT, DROP, "ICMP beyond the limit of its type")          \
	X(PROTOCOL_REFUSED, "protocol_refused", PROTOCOL, DROP,                                    \
	  "IP protocol that the configuration drops")                                              \
	X(PROTOCOL_LIMITED, "protocol_limited", LIMIT, DROP,                                       \
	  "protocol other than TCP, UDP and ICMP, beyond its limit")                               \
	X(SOURCE_LIMITED, "source_limited", LIMIT, DROP, "source beyond its limit")                \
	X(PREFIX_LIMITED, "prefix_limited", LIMIT, DROP,                                           \
	  "source's /24 and /16, or /64 and /48, beyond their limit")                              \
	X(SERVICE_LIMITED, "service_limited", LIMIT, DROP,                                         \
	  "service beyond its limit, and the source neither known nor quiet enough")               \
	X(DESTINATION_LIMITED, "destination_limited", LIMIT, DROP,                                 \
	  "destination's /24 or /64 beyond its limit (carpet bombing)")                            \
	X(GEO_REFUSED, "geo_refused", GEO, DROP,                                                   \
	  "service narrowed to other countries or AS numbers, or closed for the source's")         \
	X(FRAGMENT_UNFINISHED, "fragment_unfinished", FRAGMENT, DROP,                              \
	  "fragment while unfinished datagrams hold half of the kernel's room for reassembly")

enum xdpctl_stage {
#define XDPCTL_STAGE_ENUM(id, name, text) XDPCTL_STAGE_##id,
	XDPCTL_STAGES(XDPCTL_STAGE_ENUM)
#undef XDPCTL_STAGE_ENUM
			      XDPCTL_STAGE_COUNT,
};

enum xdpctl_verdict {
	XDPCTL_VERDICT_PASS = 0,
	XDPCTL_VERDICT_DROP = 1,
	XDPCTL_VERDICT_ANSWER = 2,
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

/* Bit r is set where the verdict of reason r is this one. */
#define XDPCTL_VERDICT_BIT(wanted, id, verdict) \
	| ((unsigned long long)(XDPCTL_VERDICT_##verdict == XDPCTL_VERDICT_##wanted) << XDPCTL_##id)
#define XDPCTL_DROP_BIT(id, name, stage, verdict, text) XDPCTL_VERDICT_BIT(DROP, id, verdict)
#define XDPCTL_ANSWER_BIT(id, name, stage, verdict, text) XDPCTL_VERDICT_BIT(ANSWER, id, verdict)
#define XDPCTL_DROP_REASONS (0ULL XDPCTL_REASONS(XDPCTL_DROP_BIT))
#define XDPCTL_ANSWER_REASONS (0ULL XDPCTL_REASONS(XDPCTL_ANSWER_BIT))

#endif
