// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <random>

#include <xdpctl/abi/maps.h>

#include "core/policy.h"
#include "core/units.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint64_t now = 1000;

// What the data path does: longest match over 128 bits.
std::string by_longest_match(const CompiledPolicy& policy, const Address& address)
{
    const PrefixEntry* best = nullptr;
    for (const PrefixEntry& entry : policy.prefixes) {
        const Address network = Address::from_abi(entry.key.addr);
        bool match = true;
        for (uint32_t bit = 0; bit < entry.key.length && match; bit++) {
            const int shift = 7 - static_cast<int>(bit % 8);
            match = (network.bytes[bit / 8] >> shift & 1) == (address.bytes[bit / 8] >> shift & 1);
        }
        if (match && (best == nullptr || entry.key.length > best->key.length)) {
            best = &entry;
        }
    }
    if (best == nullptr || best->leaf.verdict == 0) {
        return "none";
    }
    if (best->leaf.verdict == XDPCTL_PREFIX_ALLOW) {
        return "allow";
    }
    return now < best->leaf.deadline_ns ? "block" : "none";
}

// What the operator means.
std::string by_meaning(const PolicySpec& spec, const Address& address)
{
    for (const Prefix& prefix : spec.allow) {
        if (prefix.contains(address)) {
            return "allow";
        }
    }
    for (const PrefixBan& ban : spec.block) {
        if (ban.prefix.contains(address) && now < ban.deadline_ns) {
            return "block";
        }
    }
    return "none";
}

} // namespace

TEST_CASE("allow beats block, whichever is wider")
{
    PolicySpec spec;
    spec.allow = {"192.0.2.0/24"_net, "2001:db8:1::/48"_net, "198.51.100.5"_net};
    spec.block = {{"192.0.0.0/16"_net, XDPCTL_NO_DEADLINE},
                  {"192.0.2.128/25"_net, XDPCTL_NO_DEADLINE},
                  {"2001:db8::/32"_net, XDPCTL_NO_DEADLINE},
                  {"198.51.100.0/24"_net, XDPCTL_NO_DEADLINE}};
    const CompiledPolicy policy = compile_policy(spec, 1);
    CHECK(by_longest_match(policy, "192.0.2.200"_ip) == "allow");
    CHECK(by_longest_match(policy, "192.0.3.1"_ip) == "block");
    CHECK(by_longest_match(policy, "2001:db8:1::1"_ip) == "allow");
    CHECK(by_longest_match(policy, "2001:db8:2::1"_ip) == "block");
    CHECK(by_longest_match(policy, "198.51.100.5"_ip) == "allow");
    CHECK(by_longest_match(policy, "203.0.113.1"_ip) == "none");
}

TEST_CASE("::/0 does not speak for IPv4")
{
    PolicySpec spec;
    spec.block = {{"::/0"_net, XDPCTL_NO_DEADLINE}};
    const CompiledPolicy policy = compile_policy(spec, 1);
    CHECK(by_longest_match(policy, "192.0.2.1"_ip) == "none");
    CHECK(by_longest_match(policy, "2001:db8::1"_ip) == "block");
}

TEST_CASE("the longest match means what the operator means, for random policies")
{
    const uint64_t seed = 7;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const auto random_prefix = [&random] {
        const bool ipv4 = random() % 2 == 0;
        // Few distinct bits, so that prefixes nest and collide.
        Address address = ipv4 ? "10.0.0.0"_ip : "2001:db8::"_ip;
        const size_t byte = ipv4 ? 13 : 4;
        address.bytes[byte] = static_cast<uint8_t>(random() % 4 << 6);
        const auto length = static_cast<uint8_t>((ipv4 ? 96 + 8 : 32) + random() % 3);
        Prefix prefix{address, length};
        if (length % 8 == 0) {
            prefix.address.bytes[byte] = 0;
        } else if (length % 8 == 1) {
            prefix.address.bytes[byte] &= 0x80;
        }
        if (random() % 16 == 0) {
            prefix = ipv4 ? "0.0.0.0/0"_net : "::/0"_net;
        }
        return prefix;
    };
    for (int round = 0; round < 3000; round++) {
        PolicySpec spec;
        for (uint64_t i = random() % 4; i > 0; i--) {
            spec.allow.push_back(random_prefix());
        }
        for (uint64_t i = random() % 6; i > 0; i--) {
            const uint64_t deadline[] = {500, 1500, 2500, XDPCTL_NO_DEADLINE};
            spec.block.push_back({random_prefix(), deadline[random() % 4]});
        }
        const CompiledPolicy policy = compile_policy(spec, 1);
        for (int i = 0; i < 8; i++) {
            for (Address address : {"10.0.0.1"_ip, "2001:db8::1"_ip}) {
                address.bytes[address.is_ipv4() ? 13 : 4] = static_cast<uint8_t>(i << 5);
                INFO("round " << round << ", " << to_string(address));
                REQUIRE(by_longest_match(policy, address) == by_meaning(spec, address));
            }
        }
    }
}

TEST_CASE("the sample rate is shared by the CPUs")
{
    PolicySpec spec;
    spec.samples_per_second = 200;
    CHECK(compile_policy(spec, 4).policy.sample_interval_ns == ns_per_s / 50);
    spec.samples_per_second = 0;
    CHECK(compile_policy(spec, 4).policy.sample_interval_ns == 0);
}
