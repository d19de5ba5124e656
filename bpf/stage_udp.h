/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* UDP: is somebody here waiting for it? Asks the kernel's own socket table. */
#ifndef XDPCTL_BPF_STAGE_UDP_H
#define XDPCTL_BPF_STAGE_UDP_H

#include "conntrack.h"
#include "own_address.h"
#include "session.h"

#define PORT_DNS 53
#define PORT_NTP 123
#define PRIVILEGED_PORTS 1024 /* no client or address translator sends from below */
#define NTP_BYTES 48	      /* RFC 5905, without extensions */
#define DNS_RESPONSE 0x80     /* QR, RFC 1035 section 4.1.1 */

static __always_inline bool has_port(const struct xdpctl_port_set *set, __be16 port)
{
	__u32 number = bpf_ntohs(port);

	barrier_var(number); /* the verifier of 6.1 forgets bounds when bytes are swapped */
	return set->word[number >> 6 & (XDPCTL_PORTS / 64 - 1)] >> (number & 63) & 1;
}

/* The first byte or the third of the payload; -1 where there is none. */
static __always_inline int payload_byte(const struct packet *pkt, __u32 at, __u32 least_bytes)
{
	__u32 offset = pkt->hdr.transport;
	const __u8 *payload;

	if (offset > HEADERS_BYTES_MAX)
		return -1;
	barrier_var(offset);
	payload = (void *)(long)pkt->ctx->data + offset;
	payload += sizeof(struct udphdr);
	if ((void *)(payload + least_bytes) > (void *)(long)pkt->ctx->data_end)
		return -1;
	return payload[at];
}

/* Time, not control or private messages, which is what attackers use (mode 6, 7). */
static __always_inline bool is_ntp_time(const struct packet *pkt)
{
	int flags = payload_byte(pkt, 0, NTP_BYTES);

	return flags >= 0 && (flags & 7) >= 1 && (flags & 7) <= 5;
}

static __always_inline bool is_dns_question(const struct packet *pkt)
{
	int flags = payload_byte(pkt, 2, 12);

	return flags >= 0 && !(flags & DNS_RESPONSE);
}

/*
 * From a reflector's port to a service: servers that talk to each other (NTP, SIP)
 * use one port on both sides. Above 1023 it may be a client behind a translator.
 */
static __always_inline enum xdpctl_reason reflected_to_service(struct packet *pkt)
{
	__u32 port = bpf_ntohs(pkt->hdr.sport);

	pkt->suspect = true;
	if (pkt->hdr.sport != pkt->hdr.dport)
		return port < PRIVILEGED_PORTS ? XDPCTL_REFLECTION : XDPCTL_NEXT;
	if (port == PORT_NTP && !is_ntp_time(pkt))
		return XDPCTL_REFLECTION;
	if (port == PORT_DNS && !is_dns_question(pkt))
		return XDPCTL_REFLECTION;
	return XDPCTL_NEXT;
}

static __always_inline bool asks_conntrack(const struct packet *pkt)
{
	return pkt->policy->host & XDPCTL_HOST_CONNTRACK;
}

/* Both sides have spoken: not just a packet that came in before this one. */
static __always_inline bool is_answer(__s64 status)
{
	return status != CONNTRACK_NONE && status & IPS_SEEN_REPLY;
}

/* Of another host, a virtual machine or a container (routed, bridged, macvlan): there
 * is no socket here to ask, and what is bridged conntrack does not see either. */
static __always_inline enum xdpctl_reason judge_forwarded(struct packet *pkt, bool reflected)
{
	pkt->suspect = reflected;
	if (reflected && asks_conntrack(pkt) && is_answer(conntrack_status(pkt->ctx, &pkt->hdr)))
		return XDPCTL_PASSED;
	return XDPCTL_NEXT;
}

/* Clients of DHCP read packet sockets, which no lookup finds (RFC 2131, RFC 8415). */
static __always_inline bool is_dhcp_answer(const struct headers *hdr)
{
	if (hdr->family == XDPCTL_IPV4)
		return hdr->sport == bpf_htons(67) && hdr->dport == bpf_htons(68);
	return hdr->sport == bpf_htons(547) && hdr->dport == bpf_htons(546);
}

static __always_inline enum xdpctl_reason judge_without_socket(struct packet *pkt, bool reflected)
{
	bool unseen = pkt->policy->host & XDPCTL_HOST_STACKED;
	__s64 status = CONNTRACK_NONE;

	if (asks_conntrack(pkt))
		status = conntrack_status(pkt->ctx, &pkt->hdr);
	if (is_answer(status))
		return XDPCTL_PASSED;
	if (status != CONNTRACK_NONE && status & IPS_DST_NAT)
		return XDPCTL_NEXT; /* one-way, to a container's port */
	/* It may be a port that is translated, or a socket that is bound to a device
	 * above this one: within a limit. */
	if (unseen || (asks_conntrack(pkt) && !reflected)) {
		pkt->limit_class = XDPCTL_LIMIT_UDP_UNKNOWN;
		return XDPCTL_NEXT;
	}
	return reflected ? XDPCTL_REFLECTION : XDPCTL_UDP_NO_SOCKET;
}

static __always_inline enum xdpctl_reason stage_udp(struct packet *pkt)
{
	const struct xdpctl_policy *policy = pkt->policy;
	bool reflected;
	int session;

	if (pkt->hdr.protocol != IPPROTO_UDP || !pkt->hdr.has_ports || is_link_local(pkt) ||
	    is_dhcp_answer(&pkt->hdr))
		return XDPCTL_NEXT;
	reflected = has_port(&policy->reflectors, pkt->hdr.sport);
	/* Groups hear announcements (mDNS), and nobody's answers. */
	if (is_group(pkt))
		return reflected && pkt->hdr.sport != pkt->hdr.dport ? XDPCTL_REFLECTION
								     : XDPCTL_NEXT;
	if (!is_own(pkt))
		return judge_forwarded(pkt, reflected);
	if (has_port(&policy->udp_services[pkt->hdr.family & 1], pkt->hdr.dport))
		return reflected ? reflected_to_service(pkt) : XDPCTL_NEXT;
	session = xdpctl_session_of(pkt->ctx, &pkt->hdr);
	if (session == XDPCTL_SESSION_ESTABLISHED)
		return XDPCTL_PASSED;
	if (session == XDPCTL_SESSION_NONE)
		return judge_without_socket(pkt, reflected);
	/* Somebody's question went out without connect(2), or it is a server. */
	pkt->suspect = reflected;
	if (reflected && pkt->hdr.sport == bpf_htons(PORT_NTP) && !is_ntp_time(pkt))
		return XDPCTL_REFLECTION;
	return XDPCTL_NEXT;
}

#endif
