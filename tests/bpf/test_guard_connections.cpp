// SPDX-License-Identifier: Apache-2.0
// What belongs to a connection goes past the guard, and nothing else does.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf/guarded.h"
#include "harness/catch.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

// The program that learns of connections, on a cgroup that is mounted for it.
class Learning
{
  public:
    explicit Learning(const BpfObject& object)
    {
        REQUIRE(mkdtemp(directory_) != nullptr);
        REQUIRE(mount("none", directory_, "cgroup2", 0, nullptr) == 0);
        const Fd cgroup(open(directory_, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        link_ = Fd(bpf_link_create(object.clients(), cgroup.get(), BPF_CGROUP_SOCK_OPS, nullptr));
        REQUIRE(link_.valid());
    }
    ~Learning()
    {
        umount2(directory_, MNT_DETACH);
        rmdir(directory_);
    }
    Learning(const Learning&) = delete;
    Learning& operator=(const Learning&) = delete;

  private:
    char directory_[32] = "/tmp/xdpctl-cgroup-XXXXXX";
    Fd link_;
};

// A client whose segments go past the guard, and what passes on to the kernel.
struct Conversation {
    const Wire& wire;
    Guarded& guarded;
    bool ipv6;
    uint32_t sent = 0xfffffff0;
    uint32_t received = 0;

    std::string say(uint8_t flags, size_t payload = 0)
    {
        const Bytes frame = Wire::from_client(ipv6)
                                .tcp(client_port, port, flags)
                                .sequence(sent, received)
                                .payload(payload)
                                .build();
        const auto outcome = guarded.run(frame);
        if (outcome.action == XDP_PASS) {
            wire.send(frame);
        } else if (outcome.action == XDP_TX) {
            received = sequence_of(outcome.frame) + 1;
        }
        return outcome.reason;
    }
    Fd connect(const Listener& listener)
    {
        CHECK(say(tcp_syn) == "syn_answered");
        CHECK(say(tcp_syn) == "syn_answered"); // once more: the same cookie
        sent++;
        CHECK(say(tcp_ack) == "cookie_accepted");
        Fd connection = listener.accept();
        REQUIRE(connection.valid());
        outlast_what_is_kept();
        return connection;
    }
    // So that the listener's terms are fresh.
    void somebody_else_comes() const
    {
        FrameBuilder other(ipv6 ? "2001:db8::9"_ip : "198.51.100.9"_ip, Wire::server(ipv6));
        CHECK(guarded.run(other.tcp(client_port, port, tcp_syn).build()).reason == "syn_answered");
    }
    // Of what the kernel sends, the first segment with these flags.
    bool hears(uint8_t flags) const
    {
        while (const auto frame = wire.receive()) {
            if ((frame->at(transport_of(*frame) + 13) & flags) == flags) {
                return true;
            }
        }
        return false;
    }
};

} // namespace

TEST_CASE("a SYN comes again whose handshake the kernel holds already")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    INFO((ipv6 ? "IPv6" : "IPv4"));
    Conversation client{wire, guarded, ipv6};
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1")); // the kernel has room itself
    CHECK(client.say(tcp_syn) == "passed");
    CHECK(client.hears(tcp_syn | tcp_ack)); // lost on its way to the client
    REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "2"));
    client.somebody_else_comes();
    CHECK(client.say(tcp_syn) == "passed"); // the kernel's, which answers it as before
    CHECK(client.hears(tcp_syn | tcp_ack));
}

TEST_CASE("keep-alives, crossing FINs and a port that is used again go past the guard")
{
    const Wire wire;
    const OneCpu pinned;
    Guarded guarded;
    const Learning learning(*guarded.object);
    const Listener listener({});
    const bool ipv6 = GENERATE(false, true);
    INFO((ipv6 ? "IPv6" : "IPv4"));
    REQUIRE(write_sysctl("net.ipv4.tcp_invalid_ratelimit", "0")); // challenges at once
    Conversation client{wire, guarded, ipv6};
    Fd connection = client.connect(listener);

    // RFC 9293 section 3.8.4: one before the next expected, with a byte or none.
    client.sent--;
    wire.forget();
    CHECK(client.say(tcp_ack) == "passed");
    CHECK(client.hears(tcp_ack));
    CHECK(client.say(tcp_ack, 1) == "passed");
    CHECK(client.hears(tcp_ack));
    client.sent++;

    client.somebody_else_comes();
    CHECK(client.say(tcp_syn) == "passed"); // of a client that lost its memory
    CHECK(client.hears(tcp_ack));           // RFC 5961: a challenge

    connection = Fd();
    CHECK(client.hears(tcp_fin));
    CHECK(client.say(tcp_fin | tcp_ack) == "passed"); // before it saw ours: CLOSING
    client.sent++;
    client.received++;
    CHECK(client.say(tcp_ack) == "passed"); // TIME_WAIT
    outlast_what_is_kept();
    CHECK(client.say(tcp_fin | tcp_ack) == "passed");

    client.sent += 100000; // beyond the last: may open anew (RFC 6191, RFC 9293 section 3.6.1)
    wire.forget();
    client.somebody_else_comes();
    CHECK(client.say(tcp_syn) == "passed");
    CHECK(client.hears(tcp_syn | tcp_ack));
}

TEST_CASE("what belongs to no connection ends at the guard")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const bool ipv6 : {false, true}) {
        const auto reason = [&](uint8_t flags, uint16_t to = port) {
            return guarded.run(Wire::from_client(ipv6).tcp(client_port, to, flags).build()).reason;
        };
        CHECK(reason(tcp_ack) == "cookie_rejected");
        CHECK(reason(tcp_ack | tcp_psh) == "cookie_rejected");
        CHECK(reason(tcp_fin | tcp_ack) == "cookie_rejected");
        CHECK(reason(tcp_rst) == "no_session");
        CHECK(reason(tcp_rst | tcp_ack) == "no_session");
        CHECK(reason(tcp_syn | tcp_ack) == "no_session");
        // A cookie of somebody else, and a number beside it.
        const auto answer = guarded.run(syn_of({"", linux_options}, ipv6).build());
        const uint32_t cookie = sequence_of(answer.frame);
        const auto with = [&](uint16_t from, uint32_t acknowledged) {
            return guarded
                .run(Wire::from_client(ipv6)
                         .tcp(from, port, tcp_ack)
                         .sequence(0xfffffff1, acknowledged)
                         .build())
                .reason;
        };
        CHECK(with(client_port, cookie + 1000) == "cookie_rejected");
        CHECK(with(client_port + 1, cookie + 1) == "cookie_rejected");
        CHECK(with(client_port, cookie + 1) == "cookie_accepted");
    }
    SECTION("handshakes that were open before the guard was on go through")
    {
        REQUIRE(write_sysctl("net.ipv4.tcp_syncookies", "1"));
        outlast_what_is_kept();
        for (const bool ipv6 : {false, true}) {
            wire.forget();
            wire.send(syn_of({"", linux_options}, ipv6).build());
            const auto kernel = wire.receive();
            REQUIRE(kernel);
            CHECK(guarded.run(ack_of(*kernel, ipv6).build()).reason == "passed");
        }
    }
}

TEST_CASE("off, armed and auto leave SYNs alone in peace, monitor mode tells only")
{
    const Wire wire;
    const Listener listener({});
    const Bytes syn = syn_of({"", linux_options}, false).build();
    const Bytes ack = Wire::from_client(true).tcp(client_port, port, tcp_ack).build();
    for (const auto mode : {XDPCTL_GUARD_OFF, XDPCTL_GUARD_ARMED, XDPCTL_GUARD_AUTO}) {
        Guarded guarded(mode);
        guarded.spec.strays_per_second = 64;
        guarded.commit();
        CHECK(guarded.run(syn).reason == "passed");
        CHECK(guarded.run(ack).reason == "passed");
    }
    Guarded guarded;
    guarded.spec.mode = XDPCTL_MODE_MONITOR;
    guarded.commit();
    const auto outcome = guarded.run(syn);
    CHECK(outcome.reason == "syn_answered");
    CHECK(outcome.disposition == XDPCTL_WOULD_DROP);
    CHECK(outcome.action == XDP_PASS);
    CHECK(outcome.frame == syn);
}

TEST_CASE("what follows a right ACK in the same breath passes before its socket is made")
{
    const Wire wire;
    Guarded guarded;
    const Listener listener({});
    for (const bool ipv6 : {false, true}) {
        const auto answer = guarded.run(syn_of({"", linux_options}, ipv6).build());
        const uint32_t cookie = sequence_of(answer.frame);
        CHECK(guarded.run(ack_of(answer.frame, ipv6).build()).reason == "cookie_accepted");
        const auto later = [&](uint8_t flags, uint16_t from) {
            return guarded
                .run(Wire::from_client(ipv6)
                         .tcp(from, port, flags)
                         .sequence(0xfffffff1 + 1448, cookie + 1)
                         .payload(500)
                         .build())
                .reason;
        };
        CHECK(later(tcp_ack | tcp_psh, client_port) == "passed");
        CHECK(later(tcp_ack | tcp_fin, client_port) == "passed");
        CHECK(later(tcp_ack | tcp_psh, client_port + 1) == "cookie_rejected");
    }
}
