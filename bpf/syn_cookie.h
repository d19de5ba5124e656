/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel's own SYN cookies (net/ipv4/syncookies.c), made and checked before
 * the kernel sees the packet. Making one marks the listener, which therefore
 * accepts the ACK by itself.
 */
#ifndef XDPCTL_BPF_SYN_COOKIE_H
#define XDPCTL_BPF_SYN_COOKIE_H

#include "ban_table.h"
#include "clock.h"
#include "guard_state.h"
#include "listener.h"
#include "peers.h"
#include "session.h"
#include "stage_parse.h"
#include "tcp_options.h"

/* Low bits of a cookie's timestamp (cookie_init_timestamp). */
#define TIMESTAMP_OPTION_BITS 6
#define TIMESTAMP_NO_WSCALE 0xf
#define TIMESTAMP_SACK 0x10
#define TIMESTAMP_ECN 0x20

#define IPV4_MSS_DEFAULT 536 /* where the SYN names none: RFC 9293, RFC 8200 */
#define IPV6_MSS_DEFAULT 1220

#define TCP_CWR_ECE 0xc0
#define TCP_RESERVED_AE 0x01 /* of byte 12: asks for accurate ECN */

/* The SYN as the cookie helper wants it: the options that matter, at fixed size. */
struct bare_syn {
	struct tcphdr tcp;
	__be32 mss_option;
};

union ip_header {
	struct iphdr v4;
	struct ipv6hdr v6;
};

/* A copy: the packet's own may be followed by anything, and the verifier loses
 * track of pointers into it. */
static __always_inline bool copy_tcp_header(const struct xdp_md *ctx, const struct headers *hdr,
					    struct tcphdr *out)
{
	__u32 offset = hdr->transport;
	const struct tcphdr *tcp;

	if (offset > HEADERS_BYTES_MAX)
		return false;
	barrier_var(offset);
	tcp = (void *)(long)ctx->data + offset;
	if ((void *)(tcp + 1) > (void *)(long)ctx->data_end)
		return false;
	__builtin_memcpy(out, tcp, sizeof(*out));
	return true;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tcp_option_reader);
} option_readers SEC(".maps");

/* Options in any order. */
static __always_inline void read_any_options(struct xdp_md *ctx, __u32 offset, __u32 length,
					     struct tcp_options *out)
{
	const __u32 zero = 0;
	struct tcp_option_reader *reader = bpf_map_lookup_elem(&option_readers, &zero);

	if (!reader || length < 4 || length > TCP_OPTIONS_BYTES_MAX)
		return;
	/* The same once more, for the verifier of 6.1, which forgets the bounds of
	 * what was spilled. */
	barrier_var(length);
	length = ((length - 1) & (TCP_OPTIONS_BUFFER - 1)) + 1;
	__builtin_memset(&reader->found, 0, sizeof(reader->found));
	if (bpf_xdp_load_bytes(ctx, offset, reader->bytes, length))
		return;
	parse_tcp_options(reader, length);
	*out = reader->found;
}

/* The order that Linux uses: MSS, SACK, timestamp, no-op, window scale. */
static __always_inline bool read_linux_options(const struct xdp_md *ctx, const struct headers *hdr,
					       struct tcp_options *out)
{
	__u32 offset = hdr->transport;
	const __be32 *word;

	if (offset > HEADERS_BYTES_MAX)
		return false;
	barrier_var(offset);
	word = (void *)(long)ctx->data + offset;
	word += sizeof(struct tcphdr) / 4;
	if ((void *)(word + 5) > (void *)(long)ctx->data_end)
		return false;
	if ((word[0] & bpf_htonl(0xffff0000)) != bpf_htonl(0x02040000) ||
	    word[1] != bpf_htonl(0x0402080a) ||
	    (word[4] & bpf_htonl(0xffffff00)) != bpf_htonl(0x01030300))
		return false;
	out->mss = bpf_ntohl(word[0]) & 0xffff;
	out->tsval = word[2];
	out->wscale = bpf_ntohl(word[4]) & 0xff;
	if (out->wscale > TCP_WSCALE_MAX)
		out->wscale = TCP_WSCALE_MAX;
	out->has_sack = out->has_timestamp = out->has_wscale = 1;
	return true;
}

static __always_inline void read_options(struct xdp_md *ctx, const struct headers *hdr,
					 const struct tcphdr *tcp, struct tcp_options *out)
{
	if (tcp->doff == 5 || (tcp->doff == 10 && read_linux_options(ctx, hdr, out)))
		return;
	read_any_options(ctx, hdr->transport + sizeof(*tcp), tcp->doff * 4 - sizeof(*tcp), out);
}

/* Only what a cookie is computed over. */
static __always_inline void write_addresses(const struct headers *hdr, union ip_header *ip)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	if (hdr->family == XDPCTL_IPV4) {
		ip->v4.version = 4;
		ip->v4.ihl = 5;
		ip->v4.saddr = ipv4_of(&hdr->src);
		ip->v4.daddr = ipv4_of(&hdr->dst);
	} else {
		ip->v6.version = 6;
		__builtin_memcpy(&ip->v6.saddr, &hdr->src, sizeof(ip->v6.saddr));
		__builtin_memcpy(&ip->v6.daddr, &hdr->dst, sizeof(ip->v6.daddr));
	}
}

/* What the packet's place and time say to an answer; plain values. */
struct answer_setting {
	__u64 now_ns;
	__u64 secret;
	__u32 device; /* slot */
	__u32 mss;    /* advmss of the interface's routes; 0: no answers there */
	__u32 rmem_max;
	__u32 now_ms;	  /* CLOCK_MONOTONIC, which TCP's timestamps count */
	__u32 look_only;  /* 1: leave no trace */
	__u32 ask_always; /* 1: nobody tells who has a connection */
	__s32 route;	  /* of xdpctl_find_route */
};

#define TERMS_SLOTS 512 /* a power of two */
#define TERMS_FRESH_NS (NS_PER_S / 10)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TERMS_SLOTS + 1); /* the last one is for looking only */
	__type(key, __u32);
	__type(value, struct listener_terms);
} terms_of_listeners SEC(".maps");

/* Only listeners write here, so that a simple hash is enough (Knuth's factors). */
static __always_inline struct listener_terms *terms_slot(const struct headers *hdr, bool look_only)
{
	__u32 hash = bpf_ntohl(hdr->dst.word[3]) * 2654435761U + bpf_ntohs(hdr->dport) * 40503U;
	__u32 slot = look_only ? TERMS_SLOTS : hash >> 16 & (TERMS_SLOTS - 1);

	return bpf_map_lookup_elem(&terms_of_listeners, &slot);
}

static __always_inline bool are_fresh(const struct listener_terms *terms, const struct headers *hdr,
				      __u32 device, __u64 now_ns)
{
	return now_ns < terms->fresh_until_ns && terms->port == hdr->dport &&
	       terms->device == device && same_address(&terms->local, &hdr->dst);
}

static __always_inline void keep_terms(struct listener_terms *terms, const struct headers *hdr,
				       const struct answer_setting *setting)
{
	terms->local = hdr->dst;
	terms->port = hdr->dport;
	terms->device = setting->device;
	terms->fresh_until_ns = setting->now_ns + TERMS_FRESH_NS;
}

/* RFC 3168 section 6.1.1, as tcp_ecn_create_request decides. */
static __always_inline bool grants_ecn(const struct headers *hdr, const struct tcphdr *tcp,
				       __u8 sysctl)
{
	bool accurate = ((const __u8 *)tcp)[12] & TCP_RESERVED_AE;

	if ((hdr->tcp_flags & TCP_CWR_ECE) != TCP_CWR_ECE)
		return false;
	return sysctl == 1 || sysctl == 2 || (sysctl && !accurate);
}

/* tcp_synack_options: without a timestamp a cookie can carry no option but MSS. */
static __always_inline void grant(const struct headers *hdr, const struct tcphdr *tcp,
				  const struct tcp_options *asked,
				  const struct listener_terms *terms, struct syn_answer *answer)
{
	answer->mss = terms->mss;
	answer->window = terms->window;
	answer->tos = terms->tos;
	answer->ttl = terms->ttl;
	if (!asked->has_timestamp || !terms->grants_timestamp)
		return;
	answer->with_timestamp = 1;
	answer->peer_tsval = asked->tsval;
	answer->window = terms->window_beside_timestamp;
	answer->with_sack = asked->has_sack && terms->grants_sack;
	answer->with_wscale = asked->has_wscale && terms->grants_wscale;
	answer->wscale = terms->wscale;
	answer->with_ecn = grants_ecn(hdr, tcp, terms->ecn);
}

/* The timestamp carries the options back to us in the client's ACK. */
static __always_inline __u32 cookie_timestamp(const struct syn_answer *answer, __u32 now_ms,
					      __u8 peer_wscale)
{
	__u32 options = answer->with_wscale ? peer_wscale : TIMESTAMP_NO_WSCALE;
	__u32 low = (1 << TIMESTAMP_OPTION_BITS) - 1;
	__u32 value;

	options |= answer->with_sack ? TIMESTAMP_SACK : 0;
	options |= answer->with_ecn ? TIMESTAMP_ECN : 0;
	value = (now_ms & ~low) | options;
	return (now_ms & low) < options ? value - low - 1 : value;
}

/*
 * >= 0: the cookie in the low 32 bits. Without a socket it is the same one: the
 * socket is asked whether it wants cookies now, and marked as one that gives them.
 */
static __always_inline __s64 kernel_cookie(const struct headers *hdr, struct bpf_sock *sk,
					   __be32 seq, __u16 mss)
{
	struct bare_syn syn = {};
	union ip_header ip;

	syn.tcp.source = hdr->sport;
	syn.tcp.dest = hdr->dport;
	syn.tcp.seq = seq;
	syn.tcp.doff = sizeof(syn) / 4;
	syn.tcp.syn = 1;
	syn.mss_option = bpf_htonl(TCP_OPTION_MSS << 24 | 4 << 16 | mss);
	write_addresses(hdr, &ip);
	if (hdr->family == XDPCTL_IPV4) {
		if (!sk)
			return bpf_tcp_raw_gen_syncookie_ipv4(&ip.v4, &syn.tcp, sizeof(syn));
		return bpf_tcp_gen_syncookie(sk, &ip, sizeof(ip.v4), &syn.tcp, sizeof(syn));
	}
	if (!sk)
		return bpf_tcp_raw_gen_syncookie_ipv6(&ip.v6, &syn.tcp, sizeof(syn));
	return bpf_tcp_gen_syncookie(sk, &ip, sizeof(ip.v6), &syn.tcp, sizeof(syn));
}

/* `sk`: the listener, or NULL where its terms are fresh. SYN_LIMITED: no cookie. */
static __always_inline enum xdpctl_reason answer_syn(struct xdp_md *ctx, const struct headers *hdr,
						     const struct answer_setting *setting,
						     const struct listener_terms *terms,
						     struct bpf_sock *sk)
{
	struct syn_answer *answer = answer_of_cpu();
	struct tcp_options asked = {};
	struct tcphdr tcp;
	__s64 cookie;

	if (!answer || !copy_tcp_header(ctx, hdr, &tcp))
		return XDPCTL_NEXT;
	__builtin_memset(answer, 0, sizeof(*answer));
	read_options(ctx, hdr, &tcp, &asked);
	if (asked.has_signature && terms->is_signed) /* only the kernel can answer it */
		return XDPCTL_SYN_LIMITED;
	if (!asked.mss)
		asked.mss = hdr->family == XDPCTL_IPV4 ? IPV4_MSS_DEFAULT : IPV6_MSS_DEFAULT;
	if (terms->user_mss && terms->user_mss < asked.mss)
		asked.mss = terms->user_mss;
	grant(hdr, &tcp, &asked, terms, answer);
	answer->route = setting->route;
	answer->peer_seq = tcp.seq;
	answer->tsval = cookie_timestamp(answer, setting->now_ms, asked.wscale);
	cookie = kernel_cookie(hdr, sk, tcp.seq, asked.mss);
	answer->cookie = cookie;
	return cookie < 0 ? XDPCTL_SYN_LIMITED : XDPCTL_SYN_ANSWERED;
}

static __always_inline enum xdpctl_reason
ask_listener(struct xdp_md *ctx, const struct headers *hdr, const struct answer_setting *setting,
	     struct listener_terms *terms, struct bpf_sock *sk)
{
	const struct tcp_sock *listener = bpf_skc_to_tcp_sock(sk);
	enum xdpctl_reason reason;

	if (!listener)
		return XDPCTL_NEXT;
	read_listener(listener, hdr->family, setting->mss, setting->rmem_max, terms);
	reason = answer_syn(ctx, hdr, setting, terms, sk);
	if (reason == XDPCTL_SYN_ANSWERED && !setting->look_only)
		keep_terms(terms, hdr, setting);
	if (reason != XDPCTL_SYN_LIMITED)
		return reason;
	if (accept_queue_is_full(listener))
		return XDPCTL_ACCEPT_QUEUE;
	/* With tcp_syncookies=1 the kernel makes none while it has room itself. */
	return sysctls_of(listener)->sysctl_tcp_syncookies ? XDPCTL_PASSED : XDPCTL_SYN_LIMITED;
}

/*
 * SYN_ANSWERED and the answer; or NEXT where the SYN belongs to a connection,
 * PASSED where the listener has room for it, ACCEPT_QUEUE, or SYN_LIMITED where no
 * cookie can be made. Global, as
 * xdpctl_check_cookie is: the verifier looks at it once, not on every path of
 * the pipeline.
 */
__noinline int xdpctl_make_cookie(struct xdp_md *ctx, const struct headers *hdr,
				  const struct answer_setting *setting)
{
	struct listener_terms *terms;
	int reason = XDPCTL_NEXT;
	struct bpf_sock *sk;

	if (!hdr || !setting)
		return XDPCTL_NEXT;
	if (xdpctl_replay)
		return replay_session(hdr) == XDPCTL_SESSION_LISTENER ? XDPCTL_SYN_ANSWERED
								      : XDPCTL_NEXT;
	terms = terms_slot(hdr, setting->look_only);
	if (!terms)
		return XDPCTL_NEXT;
	if (!setting->mss)
		return XDPCTL_SYN_LIMITED;
	if (!setting->ask_always && are_fresh(terms, hdr, setting->device, setting->now_ns) &&
	    !may_be_connected(&hdr->src, setting->secret, setting->now_ns))
		return answer_syn(ctx, hdr, setting, terms, NULL);
	sk = find_tcp_socket(ctx, hdr);
	if (!sk)
		return XDPCTL_SYN_LIMITED;
	if (sk->state == BPF_TCP_LISTEN) {
		terms->fresh_until_ns = 0; /* while they are written */
		reason = ask_listener(ctx, hdr, setting, terms, sk);
	}
	bpf_sk_release(sk);
	return reason;
}

enum cookie_check {
	COOKIE_NOT_NEEDED, /* the packet belongs to a connection */
	COOKIE_VALID,
	COOKIE_VALID_QUEUE_FULL, /* but the kernel has no room for it now */
	COOKIE_RESET,		 /* the client does not want the connection: a health check */
	COOKIE_INVALID,
	COOKIE_IMPOSSIBLE, /* a listener, and not an ACK that could carry one */
	COOKIE_NO_SOCKET,
};

/* The cookie is in what the segment acknowledges, also where it is a RST, which the
 * helper would refuse. */
static __always_inline bool kernel_takes_cookie(struct xdp_md *ctx, const struct headers *hdr,
						struct bpf_sock *sk)
{
	struct tcphdr tcp;
	union ip_header ip;

	if (!copy_tcp_header(ctx, hdr, &tcp))
		return false;
	tcp.rst = 0;
	write_addresses(hdr, &ip);
	if (hdr->family == XDPCTL_IPV4)
		return !bpf_tcp_check_syncookie(sk, &ip, sizeof(ip.v4), &tcp, sizeof(tcp));
	return !bpf_tcp_check_syncookie(sk, &ip, sizeof(ip.v6), &tcp, sizeof(tcp));
}

static __always_inline bool is_ack(const struct headers *hdr)
{
	return (hdr->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK;
}

static __always_inline enum cookie_check
check_with_listener(struct xdp_md *ctx, const struct headers *hdr, struct bpf_sock *sk)
{
	const struct tcp_sock *listener;

	if ((hdr->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_ACK)
		return COOKIE_IMPOSSIBLE;
	if (!kernel_takes_cookie(ctx, hdr, sk))
		return is_ack(hdr) ? COOKIE_INVALID : COOKIE_IMPOSSIBLE;
	if (!is_ack(hdr))
		return COOKIE_RESET;
	listener = bpf_skc_to_tcp_sock(sk);
	return listener && accept_queue_is_full(listener) ? COOKIE_VALID_QUEUE_FULL : COOKIE_VALID;
}

/* In a capture the handshakes are its own: an ACK that ends one is valid. */
static __always_inline enum cookie_check check_in_replay(const struct headers *hdr)
{
	enum xdpctl_session session = replay_session(hdr);

	if (session == XDPCTL_SESSION_ESTABLISHED)
		return COOKIE_NOT_NEEDED;
	if (session == XDPCTL_SESSION_HALF_OPEN)
		return is_ack(hdr) ? COOKIE_VALID : COOKIE_NOT_NEEDED;
	if (session == XDPCTL_SESSION_NONE)
		return COOKIE_NO_SOCKET;
	return is_ack(hdr) ? COOKIE_INVALID : COOKIE_IMPOSSIBLE;
}

/* Of a packet that is not a SYN: an enum cookie_check. */
__noinline int xdpctl_check_cookie(struct xdp_md *ctx, const struct headers *hdr)
{
	int result = COOKIE_NOT_NEEDED;
	struct bpf_sock *sk;

	if (!hdr)
		return result;
	if (xdpctl_replay)
		return check_in_replay(hdr);
	sk = find_tcp_socket(ctx, hdr);
	if (!sk)
		return COOKIE_NO_SOCKET;
	if (sk->state == BPF_TCP_LISTEN)
		result = check_with_listener(ctx, hdr, sk);
	bpf_sk_release(sk);
	return result;
}

/*
 * The listener's queues, for judge_queue(). With tcp_syncookies=2 the kernel itself
 * keeps no unfinished handshakes, so that their number says nothing.
 */
__noinline int xdpctl_listener_queue(struct xdp_md *ctx, const struct headers *hdr)
{
	const struct tcp_sock *listener;
	int result = QUEUE_UNKNOWN;
	struct bpf_sock *sk;

	if (!hdr || xdpctl_replay)
		return result;
	sk = find_tcp_socket(ctx, hdr);
	if (!sk)
		return result;
	listener = sk->state == BPF_TCP_LISTEN ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (listener && sysctls_of(listener)->sysctl_tcp_syncookies != 2)
		result = queue_of(listener);
	bpf_sk_release(sk);
	return result;
}

#define SEGMENT_BYTES_MAX 64 /* a TCP header with all its options, and a little */

union segment_copy {
	__be32 word[SEGMENT_BYTES_MAX / 4];
	struct {
		__be16 before[8];
		__be16 checksum; /* RFC 9293, 3.1 */
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, union segment_copy);
} segments SEC(".maps");

/* The sum of so many bytes of the frame, which must be 1 to SEGMENT_BYTES_MAX; 0 where
 * they cannot be read. */
static __always_inline __u64 sum_bytes(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	const __u32 zero = 0;
	union segment_copy *copy = bpf_map_lookup_elem(&segments, &zero);
	__u64 sum = 0;
	int i;

	if (!copy || !bytes || bytes > SEGMENT_BYTES_MAX || offset > HEADERS_BYTES_MAX)
		return 0;
	barrier_var(bytes);
	bytes = ((bytes - 1) & (SEGMENT_BYTES_MAX - 1)) + 1; /* for the verifier of 6.1 */
	__builtin_memset(copy, 0, sizeof(*copy));
	if (bpf_xdp_load_bytes(ctx, offset, copy, bytes))
		return 0;
#pragma unroll
	for (i = 0; i < SEGMENT_BYTES_MAX / 4; i++)
		sum += copy->word[i];
	return sum;
}

static __always_inline __u32 segment_bytes(const struct xdp_md *ctx, const struct headers *hdr)
{
	__u32 network = hdr->network, header = hdr->transport - hdr->network;
	const void *data_end = (void *)(long)ctx->data_end;
	const void *ip;

	if (network > HEADERS_BYTES_MAX)
		return 0;
	barrier_var(network);
	ip = (void *)(long)ctx->data + network;
	if (ip + sizeof(struct ipv6hdr) > data_end)
		return 0;
	if (hdr->family == XDPCTL_IPV4)
		return bpf_ntohs(((const struct iphdr *)ip)->tot_len) - header;
	return bpf_ntohs(((const struct ipv6hdr *)ip)->payload_len) + sizeof(struct ipv6hdr) -
	       header;
}

/* The checksum that was left to a card: of the pseudo-header alone. */
static __always_inline bool is_partial(struct xdp_md *ctx, __u16 checksum, __u64 pseudo_header)
{
	const __u32 zero = 0;
	const struct xdpctl_control *words = bpf_map_lookup_elem(&control, &zero);
	__u32 slot;

	if (!words || checksum != (__u16)~fold(pseudo_header))
		return false;
	slot = device_slot(ctx, words);
	return words->devices[slot & (XDPCTL_DEVICE_SLOTS - 1)].flags &
	       XDPCTL_DEVICE_PARTIAL_CHECKSUMS;
}

/*
 * 1 where the kernel will take this segment: it is whole and its checksums are right.
 * Only such is evidence: a right cookie can be sent in a segment that never arrives.
 * Longer ones than an ACK are not summed, and are none.
 */
__noinline int xdpctl_segment_is_sound(struct xdp_md *ctx, const struct headers *hdr)
{
	const __u32 zero = 0;
	const union segment_copy *copy = bpf_map_lookup_elem(&segments, &zero);
	__u64 sum, pseudo_header;
	__u32 bytes, header;

	if (!hdr || !copy || hdr->fragment_bytes)
		return 0;
	if (xdpctl_replay) /* captures are cut short */
		return 1;
	header = hdr->transport - hdr->network;
	bytes = segment_bytes(ctx, hdr);
	if (hdr->family == XDPCTL_IPV4 && fold(sum_bytes(ctx, hdr->network, header)))
		return 0;
	sum = sum_bytes(ctx, hdr->transport, bytes);
	if (!sum)
		return 0;
	pseudo_header = sum_address(hdr, &hdr->src) + sum_address(hdr, &hdr->dst) +
			bpf_htonl(IPPROTO_TCP << 16 | bytes);
	return !fold(sum + pseudo_header) || is_partial(ctx, copy->checksum, pseudo_header);
}

#endif
