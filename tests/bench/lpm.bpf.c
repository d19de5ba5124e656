// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The usual way to block prefixes in XDP: the kernel's LPM trie. A peer to measure. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

struct key {
    __u32 length;
    __u8 address[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1); /* set before load */
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct key);
    __type(value, __u32);
} blocked SEC(".maps");

SEC("xdp")
int lpm(struct xdp_md* ctx)
{
    void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = data + sizeof(*eth);
    struct ipv6hdr* ip6 = data + sizeof(*eth);
    struct key key = {.length = 128};

    if ((void*)(ip + 1) > end)
        return XDP_PASS;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        key.address[10] = key.address[11] = 0xff;
        __builtin_memcpy(key.address + 12, &ip->saddr, 4);
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void*)(ip6 + 1) <= end) {
        __builtin_memcpy(key.address, &ip6->saddr, 16);
    } else {
        return XDP_PASS;
    }
    return bpf_map_lookup_elem(&blocked, &key) ? XDP_DROP : XDP_PASS;
}
