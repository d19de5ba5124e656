// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Source of a flood: run with BPF_F_TEST_XDP_LIVE_FRAMES, it writes each frame
 * anew (pages come back as the receiver left them) and sends it out.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

#define TEMPLATE_WORDS 16 /* of 8 bytes */

/* Set before load. */
const volatile __u64 flood_template[TEMPLATE_WORDS] = {};
const volatile __u32 flood_words = 0; /* of the frame; the last may be shorter */
const volatile __u32 flood_family = 4;
const volatile __u32 flood_source[4] = {}; /* network byte order */
const volatile __u32 flood_mask[4] = {};   /* bits of the source that are random */
const volatile __u32 flood_spread = 0;     /* so many sources, scattered; 0: all of the mask */
const volatile __u32 flood_transport = 0;  /* offset of TCP or UDP ports; 0: leave them */
const volatile __u32 flood_checksum = 0;   /* offset of the transport's checksum; 0: none */
const volatile __u32 flood_sequence = 0;   /* 1: random TCP sequence number */

__u64 flood_random = 1; /* state; the seed before load */

/* xorshift64 (Marsaglia 2003). */
static __always_inline __u64 next_random(void)
{
    __u64 x = flood_random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    flood_random = x;
    return x;
}

static __always_inline __u16 fold(__u64 sum)
{
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32 & 0xffff) + (sum >> 48);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Replaces a word and notes what that changes in the checksum (RFC 1624). */
static __always_inline void put(__u32* where, __u32 value, __u64* delta)
{
    *delta += (__u64)(__u32) ~*where + value;
    *where = value;
}

/* The word of the address that tells the sources apart, see spread_source of flood.cpp. */
static __always_inline __u32 random_bits(__u32 word)
{
    if (!flood_spread)
        return next_random();
    return word == (flood_family == 4 ? 0 : 1) ? next_random() % flood_spread * 0x9e3779b1 : 0;
}

static __always_inline int put_sources(void* data, void* end, __u64* delta)
{
    __u32 words = flood_family == 4 ? 1 : 4, i;
    __u32* source = data + sizeof(struct ethhdr) + (flood_family == 4 ? 12 : 8);

    if ((void*)(source + 4) > end)
        return 0;
    for (i = 0; i < 4; i++)
        if (i < words)
            put(source + i, flood_source[i] | (bpf_htonl(random_bits(i)) & flood_mask[i]), delta);
    return 1;
}

static __always_inline void add_to_checksum(__u16* check, __u64 delta)
{
    *check = ~fold((__u16) ~*check + delta);
}

SEC("xdp")
int flood(struct xdp_md* ctx)
{
    void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    __u64 delta = 0, header;
    __u32 i;

    for (i = 0; i < TEMPLATE_WORDS; i++) {
        __u64* word = data + i * 8;

        if (i >= flood_words || (void*)(word + 1) > end)
            break;
        *word = flood_template[i];
    }
    if (!put_sources(data, end, &delta))
        return XDP_DROP;
    header = delta;
    if (flood_transport) {
        __u32* ports = data + flood_transport;

        if ((void*)(ports + 2) > end)
            return XDP_DROP;
        /* The source port, 1024 and above; the destination's is kept. */
        put(ports, (*ports & bpf_htonl(0xffff)) | bpf_htonl((1024 + next_random() % 64000) << 16),
            &delta);
        if (flood_sequence)
            put(ports + 1, next_random(), &delta);
    }
    if (flood_checksum) {
        __u16* check = data + flood_checksum;

        if ((void*)(check + 1) > end)
            return XDP_DROP;
        add_to_checksum(check, delta);
    }
    if (flood_family == 4) {
        struct iphdr* ip = data + sizeof(struct ethhdr);

        if ((void*)(ip + 1) > end)
            return XDP_DROP;
        add_to_checksum(&ip->check, header);
    }
    return XDP_TX;
}

/*
 * At the attacker's end. What comes back to forged addresses ends here, as on a real network it
 * would somewhere else; what is for the attacker itself passes.
 */
SEC("xdp")
int answer_sink(struct xdp_md* ctx)
{
    void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct ipv6hdr* ip6 = data + sizeof(*eth);
    struct iphdr* ip = data + sizeof(*eth);

    if ((void*)(ip6 + 1) > end)
        return XDP_PASS;
    /* 203.0.113.2 and 2001:db8:a::2, see lab.sh; and neighbour discovery. */
    if (eth->h_proto == bpf_htons(ETH_P_IP))
        return ip->daddr == bpf_htonl(0xcb007102) ? XDP_PASS : XDP_DROP;
    if (eth->h_proto == bpf_htons(ETH_P_IPV6) && ip6->nexthdr == IPPROTO_TCP)
        return ip6->daddr.in6_u.u6_addr32[3] == bpf_htonl(2) &&
                       ip6->daddr.in6_u.u6_addr32[1] == bpf_htonl(0x000a0000)
                   ? XDP_PASS
                   : XDP_DROP;
    return XDP_PASS;
}

SEC("xdp")
int pass(struct xdp_md* ctx)
{
    (void)ctx;
    return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md* ctx)
{
    (void)ctx;
    return XDP_DROP;
}

SEC("xdp")
int transmit(struct xdp_md* ctx)
{
    (void)ctx;
    return XDP_TX;
}
