/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The options of a SYN, read as the kernel reads them (tcp_parse_options of
 * net/ipv4/tcp_input.c). Plain C without BPF, so that it can be fuzzed.
 */
#ifndef XDPCTL_BPF_TCP_OPTIONS_H
#define XDPCTL_BPF_TCP_OPTIONS_H

#include <linux/types.h>

#define TCP_OPTIONS_BYTES_MAX 40
#define TCP_OPTIONS_BUFFER 64 /* a power of two above it, so that an index can be masked */
#define TCP_WSCALE_MAX 14     /* RFC 7323 */

enum tcp_option {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_MSS = 2,
	TCP_OPTION_WSCALE = 3,
	TCP_OPTION_SACK_PERMITTED = 4,
	TCP_OPTION_TIMESTAMP = 8,
	TCP_OPTION_MD5 = 19, /* RFC 2385 */
	TCP_OPTION_AO = 29,  /* RFC 5925 */
};

struct tcp_options {
	__be32 tsval;
	__u16 mss; /* 0: absent */
	__u8 wscale;
	__u8 has_wscale;
	__u8 has_sack;
	__u8 has_timestamp;
	__u8 has_signature; /* MD5 or AO */
};

/* Lies in a map, not on the stack: of what it holds there the verifier knows
 * nothing, so that all turns of the loop below look the same to it. */
struct tcp_option_reader {
	__u8 bytes[TCP_OPTIONS_BUFFER];
	struct tcp_options found;
	volatile __u32 at;
};

static inline __u8 tcp_option_byte(const struct tcp_option_reader *reader, __u32 at)
{
	return reader->bytes[at & (TCP_OPTIONS_BUFFER - 1)];
}

/* One option at `at`, of `size` bytes that lie inside the header. */
static inline void read_tcp_option(struct tcp_option_reader *reader, __u32 at, __u8 kind, __u8 size)
{
	struct tcp_options *out = &reader->found;
	__u32 i;

	if (kind == TCP_OPTION_MSS && size == 4) {
		__u16 mss = tcp_option_byte(reader, at + 2) << 8 | tcp_option_byte(reader, at + 3);

		if (mss)
			out->mss = mss;
	} else if (kind == TCP_OPTION_WSCALE && size == 3) {
		__u8 wscale = tcp_option_byte(reader, at + 2);

		out->has_wscale = 1;
		out->wscale = wscale > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : wscale;
	} else if (kind == TCP_OPTION_SACK_PERMITTED && size == 2) {
		out->has_sack = 1;
	} else if (kind == TCP_OPTION_MD5 || kind == TCP_OPTION_AO) {
		out->has_signature = 1;
	} else if (kind == TCP_OPTION_TIMESTAMP && size == 10) {
		out->has_timestamp = 1;
		for (i = 0; i < 4; i++)
			((__u8 *)&out->tsval)[i] = tcp_option_byte(reader, at + 2 + i);
	}
}

/*
 * Reads the options in reader->bytes, of which `length` are valid, at most
 * TCP_OPTIONS_BYTES_MAX, into reader->found, which begins as zeros. What follows a
 * malformed option is ignored.
 */
static inline void parse_tcp_options(struct tcp_option_reader *reader, __u32 length)
{
	__u32 steps;

	reader->at = 0;
	for (steps = 0; steps < TCP_OPTIONS_BYTES_MAX; steps++) {
		__u32 at = reader->at;
		__u8 kind, size;

		if (at >= length)
			return;
		kind = tcp_option_byte(reader, at);
		if (kind == TCP_OPTION_END)
			return;
		if (kind == TCP_OPTION_NOP) {
			reader->at = at + 1;
			continue;
		}
		if (at + 2 > length)
			return;
		size = tcp_option_byte(reader, at + 1);
		if (size < 2 || at + size > length)
			return;
		read_tcp_option(reader, at, kind, size);
		reader->at = at + size;
	}
}

#endif
