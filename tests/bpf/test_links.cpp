// SPDX-License-Identifier: Apache-2.0
// Interfaces with and without an Ethernet header.
#include <linux/bpf.h>

#include "bpf/loaded.h"
#include "core/frame.h"
#include "core/reasons.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

constexpr uint32_t lo = 1; // where frames of BPF_PROG_TEST_RUN come from
constexpr size_t ethernet_bytes = 14;

Bytes without_ethernet(const Bytes& frame)
{
    return {frame.begin() + ethernet_bytes, frame.end()};
}

FrameBuilder between(const char* src, const char* dst)
{
    return {*parse_address(src), *parse_address(dst)};
}

std::string judged(Loaded& loaded, const Bytes& frame)
{
    const auto judgement = loaded.plane->judge(frame, 0);
    INFO((judgement ? "" : judgement.error().message));
    REQUIRE(judgement);
    return fmt::format("{} family {} list {} action {}", reason_info(judgement->reason).name,
                       judgement->family, judgement->list, judgement->action);
}

// Every first two bytes of an IPv4 source that would be an EtherType of ours.
const std::vector<const char*> odd_sources = {"8.0.1.2", "129.0.1.2", "134.221.1.2", "136.168.1.2"};

} // namespace

TEST_CASE("a frame without an Ethernet header is judged as one with it")
{
    Loaded loaded;
    loaded.spec.block = {{"203.0.113.0/24"_net, XDPCTL_NO_DEADLINE},
                         {"2001:db8:bad::/48"_net, XDPCTL_NO_DEADLINE}};
    loaded.commit();
    std::vector<FrameBuilder> frames;
    for (const auto& [src, dst] :
         std::vector<std::pair<const char*, const char*>>{{"198.51.100.1", "192.0.2.1"},
                                                          {"203.0.113.9", "192.0.2.1"},
                                                          {"192.0.2.1", "192.0.2.1"},
                                                          {"2001:db8::1", "2001:db8::2"},
                                                          {"2001:db8:bad::1", "2001:db8::2"},
                                                          {"2001:db8::2", "2001:db8::2"}}) {
        const auto ip = between(src, dst);
        frames.insert(frames.end(),
                      {FrameBuilder(ip).udp(1000, 2000), FrameBuilder(ip).tcp(1000, 80, 0),
                       FrameBuilder(ip).tcp(1000, 80, tcp_syn),
                       FrameBuilder(ip).icmp(8, 0).payload(40),
                       FrameBuilder(ip).fragment(8, true).udp(1, 2).payload(64),
                       FrameBuilder(ip).extension(0, 6).extension(60, 14).udp(1, 2),
                       FrameBuilder(ip).protocol(47).payload(30)});
    }
    for (const char* src : odd_sources) {
        frames.push_back(between(src, "192.0.2.1").udp(1000, 2000));
    }
    for (const FrameBuilder& builder : frames) {
        const Bytes whole = builder.build();
        for (const size_t cut : {size_t{0}, size_t{1}, whole.size() - 28}) {
            const Bytes frame(whole.begin(), whole.end() - cut);
            INFO("frame of " << frame.size() << " bytes");
            REQUIRE(loaded.plane->register_device(lo));
            const std::string with = judged(loaded, frame);
            REQUIRE(loaded.plane->register_device(lo, XDPCTL_DEVICE_NO_ETHERNET));
            CHECK(judged(loaded, without_ethernet(frame)) == with);
        }
    }
}

TEST_CASE("without a link header other protocols than IP pass")
{
    Loaded loaded;
    REQUIRE(loaded.plane->register_device(lo, XDPCTL_DEVICE_NO_ETHERNET));
    for (const uint8_t first : {0x00, 0x0f, 0x50, 0xff}) {
        Bytes frame(64, 0);
        frame[0] = first;
        CHECK_THAT(judged(loaded, frame),
                   Catch::StartsWith("not_ip") && Catch::Contains("action 2"));
    }
    Bytes cut(ethernet_bytes, 0);
    cut[0] = 0x45;
    CHECK_THAT(judged(loaded, cut), Catch::StartsWith("ipv4_header"));
    cut[0] = 0x60;
    CHECK_THAT(judged(loaded, cut), Catch::StartsWith("ipv6_header"));
}

TEST_CASE("the program that is attached reads frames as their device has them")
{
    Loaded loaded;
    loaded.spec.block = {{"203.0.113.0/24"_net, XDPCTL_NO_DEADLINE},
                         {"2001:db8:bad::/48"_net, XDPCTL_NO_DEADLINE}};
    loaded.commit();
    const auto action = [&loaded](const FrameBuilder& frame, bool ethernet) {
        const Bytes whole = frame.build();
        return loaded.plane->run(ethernet ? whole : without_ethernet(whole))->action;
    };
    const auto good4 = between("8.0.1.2", "192.0.2.1").icmp(8, 0).payload(40);
    const auto good6 = between("2001:db8::1", "2001:db8::2").icmp(128, 0).payload(40);
    const auto bad4 = between("203.0.113.9", "192.0.2.1").icmp(8, 0).payload(40);
    const auto bad6 = between("2001:db8:bad::9", "2001:db8::2").icmp(128, 0).payload(40);
    // Slot 0, which is that of the ports of bonds; then with one of its own.
    for (const char* device : {"nobody registered", "Ethernet", "none", "forgotten"}) {
        INFO(device);
        const std::string text = device;
        if (text == "forgotten") {
            loaded.plane->forget_device(lo);
        } else if (text != "nobody registered") {
            const auto is_new = loaded.plane->register_device(
                lo, text == "Ethernet" ? 0 : XDPCTL_DEVICE_NO_ETHERNET);
            REQUIRE(is_new);
            CHECK(*is_new == (text == "Ethernet"));
        }
        CHECK(action(good4, text != "none") == XDP_PASS);
        CHECK(action(good6, text != "none") == XDP_PASS);
        CHECK(action(bad4, text != "none") == XDP_DROP);
        CHECK(action(bad6, text != "none") == XDP_DROP);
    }
}
