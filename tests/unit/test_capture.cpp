// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <cstdio>
#include <fstream>

#include <pcap/pcap.h>
#include <unistd.h>

#include "harness/literals.h"
#include "replay/capture.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

struct TemporaryFile {
    std::string path = fmt::format("/tmp/xdpctl-test-{}.pcap", getpid());
    ~TemporaryFile() { std::remove(path.c_str()); }
};

void write_pcap(const std::string& path, int link, const Bytes& frame, uint32_t captured)
{
    pcap_t* handle = pcap_open_dead(link, 65535);
    pcap_dumper_t* dumper = pcap_dump_open(handle, path.c_str());
    REQUIRE(dumper != nullptr);
    pcap_pkthdr header{};
    header.ts.tv_sec = 7;
    header.caplen = captured;
    header.len = static_cast<uint32_t>(frame.size());
    pcap_dump(reinterpret_cast<u_char*>(dumper), &header, frame.data());
    pcap_dump_close(dumper);
    pcap_close(handle);
}

} // namespace

TEST_CASE("every supported link becomes the same Ethernet packet")
{
    const Bytes ethernet =
        FrameBuilder("192.0.2.1"_ip, "192.0.2.2"_ip).udp(1, 2).payload(30).build();
    const Bytes ip(ethernet.begin() + 14, ethernet.end());
    Bytes sll(16, 0);
    sll[14] = 8;
    sll.insert(sll.end(), ip.begin(), ip.end());
    Bytes sll2(20, 0);
    sll2[0] = 8;
    sll2.insert(sll2.end(), ip.begin(), ip.end());
    const std::vector<std::pair<int, Bytes>> links = {
        {DLT_EN10MB, ethernet}, {DLT_RAW, ip}, {DLT_LINUX_SLL, sll}, {DLT_LINUX_SLL2, sll2}};
    for (const auto& [link, frame] : links) {
        INFO("link " << link);
        const TemporaryFile file;
        write_pcap(file.path, link, frame, static_cast<uint32_t>(frame.size()));
        auto capture = Capture::open(file.path);
        REQUIRE(capture);
        const auto read = capture->next();
        REQUIRE(read);
        REQUIRE(*read);
        CHECK((*read)->time_ns == 7'000'000'000);
        CHECK_FALSE((*read)->completed);
        CHECK(Bytes((*read)->bytes.begin() + 12, (*read)->bytes.end()) ==
              Bytes(ethernet.begin() + 12, ethernet.end()));
        CHECK_FALSE(*capture->next());
    }
}

TEST_CASE("a frame that was cut is completed with zeros and says so")
{
    const Bytes frame = FrameBuilder("192.0.2.1"_ip, "192.0.2.2"_ip).udp(1, 2).payload(500).build();
    const TemporaryFile file;
    write_pcap(file.path, DLT_EN10MB, frame, 60);
    auto capture = Capture::open(file.path);
    REQUIRE(capture);
    const auto read = capture->next();
    REQUIRE(read);
    CHECK((*read)->completed);
    CHECK((*read)->bytes.size() == frame.size());
}

TEST_CASE("what is no capture says why")
{
    CHECK(Capture::open("/nonexistent.pcap").error().kind == ErrorKind::not_found);
    const TemporaryFile file;
    std::ofstream(file.path) << "this is not a capture at all";
    const auto garbage = Capture::open(file.path);
    REQUIRE_FALSE(garbage);
    CHECK_THAT(garbage.error().message, Catch::Contains(file.path));
    write_pcap(file.path, DLT_IEEE802_11, Bytes(40), 40);
    const auto wireless = Capture::open(file.path);
    REQUIRE_FALSE(wireless);
    CHECK_THAT(wireless.error().message, Catch::Contains("is not supported"));
}

TEST_CASE("a capture that ends in the middle names the frame")
{
    const TemporaryFile file;
    const Bytes frame = FrameBuilder("192.0.2.1"_ip, "192.0.2.2"_ip).udp(1, 2).payload(50).build();
    write_pcap(file.path, DLT_EN10MB, frame, static_cast<uint32_t>(frame.size()));
    REQUIRE(truncate(file.path.c_str(), 60) == 0);
    auto capture = Capture::open(file.path);
    REQUIRE(capture);
    const auto read = capture->next();
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().message, Catch::Contains("frame 1"));
}
