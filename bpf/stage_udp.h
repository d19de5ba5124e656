/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* UDP: is somebody here waiting for it? Asks the kernel's own socket table. */
#ifndef XDPCTL_BPF_STAGE_UDP_H
#define XDPCTL_BPF_STAGE_UDP_H

#include "conntrack.h"
#include "own_address.h"
#include "session.h"
#include "stage_parse.h"
#include "stray.h"

#define PORT_DNS 53
#define PORT_NTP 123
#define PRIVILEGED_PORTS 1024	  /* a translator keeps clients below it there (RFC 4787) */
#define NTP_BYTES 8		  /* enough of every mode's header, RFC 5905, 9327 */
#define NTP_MODE 7		  /* bits of the first byte */
#define NTP_CONTROL 6		  /* RFC 9327; 7 is private, ntpdc's */
#define NTP_CONTROL_RESPONSE 0x80 /* of the second byte */
#define NTP_PRIVATE_RESPONSE 0x80 /* of the first byte */
#define DNS_BYTES 12
#define DNS_RESPONSE 0x80 /* QR, RFC 1035 section 4.1.1 */

enum udp_content {
	UDP_CONTENT_OTHER, /* of a protocol that is not read here */
	UDP_CONTENT_QUESTION,
	UDP_CONTENT_ANSWER,
	UDP_CONTENT_CONTROL_ANSWER, /* of NTP's modes 6 and 7, which attackers ask for */
};

/* A byte of the payload, of which there are at least so many; -1 where there are not. */
static __always_inline int payload_byte(const struct xdp_md *ctx, const struct headers *hdr,
					__u32 at, __u32 least_bytes)
{
	__u32 offset = hdr->transport;
	const __u8 *payload;

	if (offset > HEADERS_BYTES_MAX)
		return -1;
	barrier_var(offset);
	payload = (void *)(long)ctx->data + offset;
	payload += sizeof(struct udphdr);
	if ((void *)(payload + least_bytes) > (void *)(long)ctx->data_end)
		return -1;
	return payload[at];
}

static __always_inline enum udp_content ntp_content(const struct xdp_md *ctx,
						    const struct headers *hdr)
{
	int first = payload_byte(ctx, hdr, 0, NTP_BYTES);
	int second = payload_byte(ctx, hdr, 1, NTP_BYTES);

	if (first < 0)
		return UDP_CONTENT_OTHER;
	switch (first & NTP_MODE) {
	case 1: /* symmetric active */
	case 3: /* client */
		return UDP_CONTENT_QUESTION;
	case 2: /* symmetric passive */
	case 4: /* server */
		return UDP_CONTENT_ANSWER;
	case NTP_CONTROL:
		return second & NTP_CONTROL_RESPONSE ? UDP_CONTENT_CONTROL_ANSWER
						     : UDP_CONTENT_QUESTION;
	case NTP_CONTROL + 1:
		return first & NTP_PRIVATE_RESPONSE ? UDP_CONTENT_CONTROL_ANSWER
						    : UDP_CONTENT_QUESTION;
	default: /* broadcast, reserved */
		return UDP_CONTENT_OTHER;
	}
}

/* What the datagram is by its content, where one of its ports says which protocol it has:
 * an enum udp_content. Global, so that the verifier looks at it once. */
__noinline int xdpctl_udp_content(struct xdp_md *ctx, const struct headers *hdr)
{
	__be16 sport, dport;

	if (!hdr)
		return UDP_CONTENT_OTHER;
	sport = hdr->sport;
	dport = hdr->dport;
	if (sport == bpf_htons(PORT_NTP) || dport == bpf_htons(PORT_NTP))
		return ntp_content(ctx, hdr);
	if (sport == bpf_htons(PORT_DNS) || dport == bpf_htons(PORT_DNS)) {
		int flags = payload_byte(ctx, hdr, 2, DNS_BYTES);

		return flags < 0	      ? UDP_CONTENT_OTHER
		       : flags & DNS_RESPONSE ? UDP_CONTENT_ANSWER
					      : UDP_CONTENT_QUESTION;
	}
	return UDP_CONTENT_OTHER;
}

static __always_inline bool asks_conntrack(const struct packet *pkt)
{
	return pkt->policy->host & XDPCTL_HOST_CONNTRACK;
}

/* Both sides have spoken: not just a packet that came in before this one. */
static __always_inline bool is_answer(int status)
{
	return status != CONNTRACK_NONE && status & IPS_SEEN_REPLY;
}

/*
 * A socket without a peer: of a server, or of somebody who asks without connect(2). A
 * question is one from whatever port. What looks like the answer of a reflector to a
 * server's port has a limit of its own, since nothing tells whether it was asked for.
 */
static __always_inline enum xdpctl_reason judge_at_socket(struct packet *pkt, bool reflected)
{
	int content; /* enum udp_content */
	__be16 dport = pkt->hdr.dport;

	if (!reflected)
		return XDPCTL_NEXT;
	content = xdpctl_udp_content(pkt->ctx, &pkt->hdr);
	if (content == UDP_CONTENT_QUESTION)
		return XDPCTL_NEXT;
	pkt->suspect = true;
	if (content == UDP_CONTENT_CONTROL_ANSWER ||
	    (content == UDP_CONTENT_ANSWER &&
	     (dport == bpf_htons(PORT_DNS) || dport == bpf_htons(PORT_NTP))) ||
	    (content == UDP_CONTENT_OTHER && pkt->hdr.sport != dport &&
	     bpf_ntohs(pkt->hdr.sport) < PRIVILEGED_PORTS &&
	     bpf_ntohs(dport) < pkt->policy->ephemeral_least))
		pkt->limit_class = XDPCTL_LIMIT_REFLECTED;
	return XDPCTL_NEXT;
}

/* Of another host, a virtual machine or a container (routed, bridged, macvlan): there
 * is no socket here to ask, and what is bridged conntrack does not see either. */
static __always_inline enum xdpctl_reason judge_forwarded(struct packet *pkt, bool reflected)
{
	pkt->suspect = reflected;
	if (reflected && asks_conntrack(pkt) &&
	    is_answer(xdpctl_conntrack_status(pkt->ctx, &pkt->hdr)))
		return XDPCTL_PASSED;
	return XDPCTL_NEXT;
}

/* Clients and relays of DHCP read packet sockets, which no lookup finds (RFC 2131, 8415). */
static __always_inline bool is_dhcp(const struct headers *hdr)
{
	if (hdr->family == XDPCTL_IPV4)
		return hdr->sport == bpf_htons(67) &&
		       (hdr->dport == bpf_htons(68) || hdr->dport == bpf_htons(67));
	return hdr->sport == bpf_htons(547) &&
	       (hdr->dport == bpf_htons(546) || hdr->dport == bpf_htons(547));
}

static __always_inline enum xdpctl_reason judge_without_socket(struct packet *pkt, bool reflected)
{
	int status = CONNTRACK_NONE;

	if (asks_conntrack(pkt))
		status = xdpctl_conntrack_status(pkt->ctx, &pkt->hdr);
	if (status != CONNTRACK_NONE && status & CONNTRACK_IS_REPLY)
		return XDPCTL_PASSED; /* it was asked for */
	/* Of a flow to a published port: that it is served says nothing of how much. */
	if (status != CONNTRACK_NONE && status & (IPS_SEEN_REPLY | IPS_DST_NAT)) {
		pkt->is_answered = is_answer(status);
		return XDPCTL_NEXT;
	}
	reflected = reflected && xdpctl_udp_content(pkt->ctx, &pkt->hdr) != UDP_CONTENT_QUESTION;
	/* The port may be translated to another host, or the socket be where no lookup
	 * finds it: within a limit. */
	if (pkt->policy->host & XDPCTL_HOST_UNSEEN || (asks_conntrack(pkt) && !reflected)) {
		pkt->limit_class = XDPCTL_LIMIT_UDP_UNKNOWN;
		return XDPCTL_NEXT;
	}
	if (stray_passes(pkt, reflected ? XDPCTL_STRAY_REFLECTION : XDPCTL_STRAY_UDP))
		return XDPCTL_NEXT;
	return reflected ? XDPCTL_REFLECTION : XDPCTL_UDP_NO_SOCKET;
}

static __always_inline enum xdpctl_reason stage_udp(struct packet *pkt)
{
	const struct xdpctl_policy *policy = pkt->policy;
	bool reflected;
	int session;

	/* Groups hear announcements, which nobody asks for. */
	if (pkt->hdr.protocol != IPPROTO_UDP || !pkt->hdr.has_ports || is_link_local(pkt) ||
	    is_dhcp(&pkt->hdr) || is_group(pkt))
		return XDPCTL_NEXT;
	reflected = has_port(&policy->reflectors, pkt->hdr.sport);
	if (!is_own(pkt))
		return judge_forwarded(pkt, reflected);
	if (has_port(&policy->udp_services[pkt->hdr.family & 1], pkt->hdr.dport))
		return judge_at_socket(pkt, reflected);
	session = xdpctl_session_of(pkt->ctx, &pkt->hdr);
	if (session == XDPCTL_SESSION_ESTABLISHED)
		return XDPCTL_PASSED;
	return session == XDPCTL_SESSION_NONE ? judge_without_socket(pkt, reflected)
					      : judge_at_socket(pkt, reflected);
}

#endif
