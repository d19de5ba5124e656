/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Is there still room? Token buckets of constant memory: <xdpctl/abi/limits.h>.
 * Connections (TCP) are the guard's matter.
 */
#ifndef XDPCTL_BPF_STAGE_LIMIT_H
#define XDPCTL_BPF_STAGE_LIMIT_H

#include "clock.h"
#include "known.h"
#include "session.h"

#define QUIET_SHARE 8 /* of its limit, what a quiet source uses at most */
#define WIDE_FACTOR 8 /* times as much, for whom is trusted or was answered */
#define QUIET_LEVEL XDPCTL_LIMIT_LEVEL_COUNT /* has buckets of its own */

/* The bucket of one key, in both rows. */
struct bucket {
	__u64 *a;
	__u64 *b;
	__u64 debt_ns;
};

/* Plain values: the verifier looks at the function below once. */
struct limit_request {
	__u64 now;
	__u64 seed;
	__u32 limit_class;
	__u32 policy_slot;
	__u32 suspect;
	__u32 wide; /* WIDE_FACTOR times as much for the source and its prefixes */
	__u32 look_only;
};

struct limit_question {
	const struct headers *hdr;
	const struct limit_request *request;
	const struct xdpctl_limit *limits; /* of the class, by level */
	enum { QUIET_UNKNOWN, QUIET, HEAVY } quiet;
};

static __always_inline bool find_bucket(const struct limit_question *ask, __u64 high, __u64 low,
					__u32 level, struct bucket *out)
{
	__u64 hash = xdpctl_bucket_hash(high, low, ask->request->seed + level);
	__u32 first = xdpctl_bucket_index(hash, 0), second = xdpctl_bucket_index(hash, 1);

	out->a = bpf_map_lookup_elem(&buckets, &first);
	out->b = bpf_map_lookup_elem(&buckets, &second);
	if (!out->a || !out->b)
		return false;
	out->debt_ns = xdpctl_bucket_debt(*out->a, *out->b, ask->request->now);
	return true;
}

static __always_inline bool is_limited(const struct xdpctl_limit *limit)
{
	return limit->packet_ns || limit->byte_cost;
}

/* Takes the packet's cost where no more than `room` is spent in advance. */
static __always_inline bool take(const struct limit_question *ask, const struct xdpctl_limit *limit,
				 const struct bucket *bucket, __u64 room)
{
	__u64 cost;

	if (bucket->debt_ns > room)
		return false;
	cost = xdpctl_packet_cost(limit, ask->hdr->frame_bytes);
	if (!ask->request->look_only)
		xdpctl_bucket_take(bucket->a, bucket->b,
				   ask->request->now + bucket->debt_ns + cost);
	return true;
}

static __always_inline __u64 high_word(const struct xdpctl_addr *addr)
{
	return (__u64)addr->word[0] << 32 | addr->word[1];
}

static __always_inline __u64 low_word(const struct xdpctl_addr *addr)
{
	return (__u64)addr->word[2] << 32 | addr->word[3];
}

static __always_inline bool has_room(const struct limit_question *ask,
				     const struct xdpctl_addr *source, __u32 level)
{
	struct xdpctl_limit limit = ask->limits[level];
	struct bucket bucket;

	if (ask->request->wide) {
		limit.packet_ns /= WIDE_FACTOR;
		limit.byte_cost /= WIDE_FACTOR;
	}
	if (!is_limited(&limit) ||
	    !find_bucket(ask, high_word(source), low_word(source), level, &bucket))
		return true;
	return take(ask, &limit, &bucket, limit.burst_ns);
}

/* Counted only where it gets narrow; a source is quiet until it is seen to be heavy. */
static __always_inline bool is_quiet(struct limit_question *ask)
{
	struct xdpctl_limit limit = ask->limits[XDPCTL_LEVEL_SOURCE];
	const struct xdpctl_addr *src = &ask->hdr->src;
	struct bucket bucket;

	if (ask->quiet != QUIET_UNKNOWN)
		return ask->quiet == QUIET;
	ask->quiet = ask->request->suspect ? HEAVY : QUIET;
	limit.packet_ns *= QUIET_SHARE;
	limit.byte_cost *= QUIET_SHARE;
	if (is_limited(&limit) &&
	    find_bucket(ask, high_word(src), low_word(src), QUIET_LEVEL, &bucket) &&
	    !take(ask, &limit, &bucket, limit.burst_ns))
		ask->quiet = HEAVY;
	return ask->quiet == QUIET;
}

/*
 * Where it gets narrow, heavy sources find no room first, then the quiet, and who
 * proved himself in peacetime last of all.
 */
static __always_inline bool shared_has_room(struct limit_question *ask, __u64 high, __u64 low,
					    __u32 level)
{
	const struct xdpctl_limit *limit = &ask->limits[level];
	struct bucket bucket;
	__u64 room;

	if (!is_limited(limit) || !find_bucket(ask, high, low, level, &bucket))
		return true;
	room = limit->burst_ns / 2;
	if (bucket.debt_ns > room && is_quiet(ask))
		room = limit->burst_ns;
	if (bucket.debt_ns > room && bucket.debt_ns <= limit->burst_ns * 2 &&
	    is_known(&ask->hdr->src))
		room = limit->burst_ns * 2;
	return take(ask, limit, &bucket, room);
}

/* So narrow that only the known get through, which is asked before the buckets of the
 * source: under a flood from everywhere those are never in the cache. */
static __always_inline bool is_hopeless(const struct limit_question *ask, __u64 high, __u64 low,
					__u32 level)
{
	const struct xdpctl_limit *limit = &ask->limits[level];
	struct bucket bucket;

	if (!is_limited(limit) || !find_bucket(ask, high, low, level, &bucket))
		return false;
	return bucket.debt_ns > limit->burst_ns * 2 ||
	       (bucket.debt_ns > limit->burst_ns && !is_known(&ask->hdr->src));
}

static __always_inline enum xdpctl_reason ask_levels(struct limit_question *ask)
{
	const struct headers *hdr = ask->hdr;
	__u64 port = (__u64)hdr->dport << 8 | hdr->protocol;
	__u64 service = high_word(&hdr->dst) ^ port << 32, address = low_word(&hdr->dst);
	struct xdpctl_addr prefix = prefix_of(&hdr->src), network = network_of(&hdr->src);
	struct xdpctl_addr carpet = prefix_of(&hdr->dst);

	if (is_hopeless(ask, service, address, XDPCTL_LEVEL_SERVICE))
		return XDPCTL_SERVICE_LIMITED;
	if (is_hopeless(ask, high_word(&carpet), low_word(&carpet), XDPCTL_LEVEL_DESTINATION))
		return XDPCTL_DESTINATION_LIMITED;
	if (!has_room(ask, &hdr->src, XDPCTL_LEVEL_SOURCE))
		return XDPCTL_SOURCE_LIMITED;
	if (!has_room(ask, &prefix, XDPCTL_LEVEL_PREFIX) ||
	    !has_room(ask, &network, XDPCTL_LEVEL_NETWORK))
		return XDPCTL_PREFIX_LIMITED;
	if (!shared_has_room(ask, service, address, XDPCTL_LEVEL_SERVICE))
		return XDPCTL_SERVICE_LIMITED;
	if (!shared_has_room(ask, high_word(&carpet), low_word(&carpet), XDPCTL_LEVEL_DESTINATION))
		return XDPCTL_DESTINATION_LIMITED;
	return XDPCTL_NEXT;
}

/* Other classes than UDP are small: it matters what is limited, not on which level. */
static __always_inline enum xdpctl_reason reason_of_class(__u32 limit_class,
							  enum xdpctl_reason level)
{
	switch (limit_class) {
	case XDPCTL_LIMIT_UDP:
	case XDPCTL_LIMIT_FORWARDED:
		return level;
	case XDPCTL_LIMIT_REFLECTED:
		return XDPCTL_REFLECTION;
	case XDPCTL_LIMIT_TCP_UNKNOWN:
		return XDPCTL_NO_SESSION;
	case XDPCTL_LIMIT_UDP_UNKNOWN:
		return XDPCTL_UDP_NO_SOCKET;
	case XDPCTL_LIMIT_ORPHAN:
		return XDPCTL_FRAGMENT_ORPHAN;
	case XDPCTL_LIMIT_PROTOCOL:
		return XDPCTL_PROTOCOL_LIMITED;
	default:
		return XDPCTL_ICMP_LIMITED;
	}
}

/* XDPCTL_NEXT, or the reason of the level that has no room. */
__noinline int xdpctl_limit(const struct headers *hdr, const struct limit_request *request)
{
	struct limit_question ask = {.hdr = hdr, .request = request};
	const struct xdpctl_policy *policy;
	__u32 slot, limit_class;

	if (!hdr || !request)
		return XDPCTL_NEXT;
	slot = request->policy_slot;
	policy = bpf_map_lookup_elem(&policies, &slot);
	if (!policy)
		return XDPCTL_NEXT;
	limit_class = request->limit_class;
	barrier_var(limit_class); /* the verifier of 6.1 forgets the bounds of spilled words */
	ask.limits = policy->limits[limit_class & (XDPCTL_LIMIT_CLASS_SLOTS - 1)];
	return ask_levels(&ask);
}

static __always_inline void count_offered(const struct packet *pkt)
{
	__u32 limit_class = pkt->limit_class;
	struct xdpctl_cell *offered;

	barrier_var(limit_class);
	offered = &pkt->counters->offered[limit_class & (XDPCTL_LIMIT_CLASS_SLOTS - 1)];
	offered->packets++;
	offered->bytes += pkt->hdr.frame_bytes;
}

static __always_inline enum xdpctl_reason stage_limit(const struct packet *pkt)
{
	struct limit_request request = {
		.now = now_ns(pkt),
		.seed = pkt->control->secret ^ (__u64)pkt->limit_class << 56,
		.limit_class = pkt->limit_class,
		.policy_slot = pkt->slot,
		.suspect = pkt->suspect,
		.wide = pkt->stand.is_trusted || pkt->is_answered,
		.look_only = pkt->dry_run,
	};
	enum xdpctl_reason level;

	if (pkt->hdr.protocol == IPPROTO_TCP && !pkt->limit_class)
		return XDPCTL_NEXT; /* the guard's matter */
	if (!pkt->dry_run)
		count_offered(pkt);
	level = xdpctl_limit(&pkt->hdr, &request);
	return level == XDPCTL_NEXT ? XDPCTL_NEXT : reason_of_class(pkt->limit_class, level);
}

#endif
