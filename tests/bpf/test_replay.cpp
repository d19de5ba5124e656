// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <netinet/in.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <pcap/pcap.h>
#include <unistd.h>

#include "bpf/object_pool.h"
#include "harness/catch.h"
#include "harness/literals.h"
#include "replay/replay.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

class CaptureWriter
{
  public:
    CaptureWriter()
        : handle_(pcap_open_dead(DLT_EN10MB, 65535)), dumper_(pcap_dump_open(handle_, path.c_str()))
    {
    }
    ~CaptureWriter()
    {
        close();
        std::filesystem::remove(path);
    }
    void add(uint64_t time_us, const Bytes& frame)
    {
        pcap_pkthdr header{};
        header.ts.tv_sec = static_cast<time_t>(time_us / 1000000);
        header.ts.tv_usec = static_cast<suseconds_t>(time_us % 1000000);
        header.caplen = header.len = static_cast<uint32_t>(frame.size());
        pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, frame.data());
    }
    void close()
    {
        if (dumper_ != nullptr) {
            pcap_dump_close(dumper_);
            pcap_close(handle_);
            dumper_ = nullptr;
        }
    }
    const std::string path = fmt::format("/tmp/xdpctl-replay-{}.pcap", getpid());

  private:
    pcap_t* handle_;
    pcap_dumper_t* dumper_;
};

ReplayReport replay(const std::string& path, const Config& config = {},
                    std::vector<Prefix> protect = {}, std::vector<ServicePort> services = {},
                    bool closed = false)
{
    auto object = fresh_object(Replayer::load_options(config));
    INFO((object ? "" : object.error().message));
    REQUIRE(object);
    auto replayer = Replayer::create(config, std::move(*object));
    INFO((replayer ? "" : replayer.error().message));
    REQUIRE(replayer);
    auto report = (*replayer)->run(path, {protect, services, closed}, {});
    INFO((report ? "" : report.error().message));
    REQUIRE(report);
    return *report;
}

Address real_client(bool ipv6)
{
    return ipv6 ? "2001:db8:c::1"_ip : "198.51.100.7"_ip;
}

Address the_server(bool ipv6)
{
    return ipv6 ? "2001:db8::80"_ip : "192.0.2.80"_ip;
}

// A client that shakes hands and then sends `packets` in ten seconds.
void add_busy_client(CaptureWriter& file, bool ipv6, uint64_t packets)
{
    const Address client = real_client(ipv6);
    const Address server = the_server(ipv6);
    file.add(1'000'000, FrameBuilder(client, server).tcp(4000, 80, tcp_syn).build());
    file.add(1'000'001, FrameBuilder(server, client).tcp(80, 4000, tcp_syn | tcp_ack).build());
    for (uint64_t i = 0; i < packets; i++) {
        file.add(1'000'002 + i * 10'000'000 / packets,
                 FrameBuilder(client, server).tcp(4000, 80, tcp_ack).build());
    }
}

} // namespace

TEST_CASE("who sends much on his own connections is no attacker, in both families")
{
    for (const bool ipv6 : {false, true}) {
        CaptureWriter busy;
        add_busy_client(busy, ipv6, 30000);
        busy.close();
        const ReplayReport report = replay(busy.path);
        CHECK(report.outgoing == 1);
        CHECK(report.dropped == 0);
    }
}

TEST_CASE("what comes under a client's address without a connection is not held against it")
{
    CaptureWriter file;
    add_busy_client(file, false, 100);
    for (uint64_t i = 0; i < 30000; i++) {
        file.add(12'000'000 + i * 100,
                 FrameBuilder(real_client(false), the_server(false))
                     .tcp(static_cast<uint16_t>(20000 + i % 20000), 80, tcp_ack)
                     .build());
    }
    file.close();
    const ReplayReport report = replay(file.path);
    CHECK(report.dropped > 20000);
    CHECK(report.drops[XDPCTL_NO_SESSION] == report.dropped); // what belongs to no connection
}

TEST_CASE("replay is deterministic")
{
    CaptureWriter file;
    add_busy_client(file, false, 20000);
    file.close();
    const std::string first = to_json(replay(file.path)).dump();
    for (int i = 0; i < 3; i++) {
        CHECK(to_json(replay(file.path)).dump() == first);
    }
}

TEST_CASE("large frames are judged in pieces, short ones skipped and counted, nothing is left out")
{
    CaptureWriter file;
    file.add(1, FrameBuilder("198.51.100.7"_ip, "192.0.2.80"_ip).udp(1, 2).payload(9000).build());
    file.add(2, Bytes(9));
    file.add(3, FrameBuilder("198.51.100.7"_ip, "192.0.2.80"_ip).udp(1, 2).build());
    file.add(4, FrameBuilder("192.0.2.80"_ip, "198.51.100.7"_ip).udp(2, 1).build());
    file.add(5, FrameBuilder("198.51.100.7"_ip, "192.0.2.80"_ip).icmp(8, 0).payload(9000).build());
    file.close();
    const ReplayReport report = replay(file.path, {}, {"192.0.2.0/24"_net});
    CHECK(report.frames == 5);
    CHECK(report.segmented == 1);
    CHECK(report.segments == 7);
    CHECK(report.by_headers == 1);
    CHECK(report.too_short == 1);
    CHECK(report.outgoing == 1);
    CHECK(report.judged == 9);
    CHECK(report.dropped == 0);
    const ReplayReport other = replay(file.path, {}, {"203.0.113.0/24"_net});
    CHECK(other.judged == 0);
    CHECK(other.elsewhere == 4);
}

TEST_CASE("a segment that its sender's card would have finished is judged by its ports")
{
    for (const bool ipv6 : {false, true}) {
        CaptureWriter file;
        add_busy_client(file, ipv6, 10);
        Bytes large = FrameBuilder(real_client(ipv6), the_server(ipv6))
                          .tcp(4000, 80, tcp_ack)
                          .payload(30000)
                          .build();
        large[ipv6 ? 18 : 16] = large[ipv6 ? 19 : 17] = 0;
        file.add(20'000'000, large);
        file.close();
        const ReplayReport report = replay(file.path);
        CHECK(report.lengths_completed == 1);
        CHECK(report.segmented == 1);
        CHECK(report.dropped == 0);
    }
}

TEST_CASE("stamps that go back change nothing")
{
    Config config;
    REQUIRE(parse_limit("source 1000pps", XDPCTL_LIMIT_UDP, config.limits));
    std::vector<uint64_t> dropped;
    std::vector<double> seconds;
    for (const int variant : {0, 1, 2}) {
        CaptureWriter file;
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t time_us = 1'700'000'000'000'000 + i * 10;
            time_us -= variant == 1 && i % 2 == 1 ? 1000 : 0;
            time_us += variant == 2 && i % 3000 == 7 ? 7200'000'000 : 0;
            file.add(time_us,
                     FrameBuilder(real_client(false), the_server(false)).udp(4000, 53).build());
        }
        file.close();
        const ReplayReport report =
            replay(file.path, config, {"192.0.2.80"_net}, {{IPPROTO_UDP, 53}});
        dropped.push_back(report.dropped);
        CHECK(report.seconds == Approx(0.2).margin(0.01));
    }
    CHECK(dropped[0] > 19000);
    CHECK(dropped[1] == Approx(dropped[0]).margin(100));
    CHECK(dropped[2] == Approx(dropped[0]).margin(100));
}

TEST_CASE("a capture of one direction proves no closed port")
{
    const Expectation held = *parse_expectation("held>=90%");
    for (const bool ipv6 : {false, true}) {
        const auto make = [ipv6](CaptureWriter& file, bool answers) {
            for (uint64_t i = 0; i < 2000; i++) {
                file.add(1'000'000 + i * 100, FrameBuilder(real_client(ipv6), the_server(ipv6))
                                                  .udp(static_cast<uint16_t>(2000 + i), 9999)
                                                  .payload(30)
                                                  .build());
                if (answers && i % 100 == 0) {
                    file.add(1'000'000 + i * 100, FrameBuilder(the_server(ipv6), real_client(ipv6))
                                                      .icmp(ipv6 ? 1 : 3, ipv6 ? 4 : 3)
                                                      .payload(40)
                                                      .build());
                }
            }
            file.close();
        };
        CaptureWriter one_way;
        make(one_way, false);
        const ReplayReport report = replay(one_way.path);
        CHECK(report.one_way);
        CHECK(report.unproven[XDPCTL_UDP_NO_SOCKET] == report.drops[XDPCTL_UDP_NO_SOCKET]);
        const Check unproven = check(report, held);
        CHECK_FALSE(unproven.holds);
        CHECK_THAT(unproven.why, Catch::Contains("--assume closed"));
        CHECK(check(replay(one_way.path, {}, {}, {}, true), held).holds);
        CHECK(check(replay(one_way.path, {}, {}, {{IPPROTO_UDP, 53}}), held).holds);

        CaptureWriter both_ways;
        make(both_ways, true);
        const ReplayReport answered = replay(both_ways.path);
        CHECK_FALSE(answered.one_way);
        CHECK(check(answered, held).holds);
    }
}

TEST_CASE("every capture replays, legitimate ones lose only what no kernel would take")
{
    if (!std::filesystem::exists(CAPTURES "/INDEX.tsv")) {
        WARN("SKIPPED: no captures at " CAPTURES);
        return;
    }
    std::ifstream index(CAPTURES "/INDEX.tsv");
    std::string line;
    std::getline(index, line);
    // These hold the questions to a server only, not its answers.
    const std::map<std::string, std::vector<ServicePort>> one_way = {
        {"legit_ipv6/zeek-zeek__NTP-digest.pcap", {{IPPROTO_UDP, 123}}},
        {"legit_ipv6/seladb-PcapPlusPlus__ipv6_options.pcap", {{IPPROTO_UDP, 42}}}};
    size_t files = 0;
    while (std::getline(index, line)) {
        const std::string name = line.substr(0, line.find('\t'));
        INFO(name);
        const auto stated = one_way.find(name);
        const auto services = stated == one_way.end() ? std::vector<ServicePort>{} : stated->second;
        const ReplayReport report = replay(CAPTURES "/" + name, {}, {}, services);
        files++;
        CHECK(report.frames + report.segments - report.segmented ==
              report.judged + report.outgoing + report.elsewhere + report.skipped());
        if (name.starts_with("legit_")) {
            // Anonymised and loopback addresses, which ip_route_input refuses too.
            const auto unroutable = [](const ReplayReport& r) {
                return r.packets[XDPCTL_MARTIAN_SOURCE] + r.packets[XDPCTL_MARTIAN_DESTINATION];
            };
            if (name.find("sanitized") != std::string::npos) {
                continue; // its addresses were replaced one by one: no answer fits its question
            }
            CHECK(report.dropped == unroutable(report));
            // Also while the guards of their services answer.
            Config guarded;
            guarded.guard.mode = XDPCTL_GUARD_ON;
            const ReplayReport answered = replay(CAPTURES "/" + name, guarded, {}, services);
            CHECK(answered.dropped == unroutable(answered));
        }
    }
    CHECK(files > 50);
}
