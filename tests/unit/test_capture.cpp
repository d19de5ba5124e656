// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <fstream>

#include <pcap/pcap.h>
#include <unistd.h>
#include <zlib.h>

#include "harness/catch.h"
#include "harness/literals.h"
#include "replay/capture.h"
#include "replay/offload.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

struct TemporaryFile {
    std::string path = fmt::format("/tmp/xdpctl-test-{}.pcap", getpid());
    ~TemporaryFile() { std::remove(path.c_str()); }
    std::string content() const
    {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::string& content) const
    {
        std::ofstream(path, std::ios::binary).write(content.data(), content.size());
    }
};

void write_pcap(const std::string& path, int link, const Bytes& frame, uint32_t captured,
                int frames = 1)
{
    pcap_t* handle = pcap_open_dead(link, 65535);
    pcap_dumper_t* dumper = pcap_dump_open(handle, path.c_str());
    REQUIRE(dumper != nullptr);
    pcap_pkthdr header{};
    header.ts.tv_sec = 7;
    header.caplen = captured;
    header.len = static_cast<uint32_t>(frame.size());
    for (int i = 0; i < frames; i++) {
        pcap_dump(reinterpret_cast<u_char*>(dumper), &header, frame.data());
    }
    pcap_dump_close(dumper);
    pcap_close(handle);
}

struct Read {
    std::vector<CapturedFrame> frames;
    std::string cut;
    std::string problem;
    std::map<std::string, uint64_t> left_out;
};

Read read_all(const std::string& path)
{
    Read read;
    auto capture = Capture::open(path);
    if (!capture) {
        read.problem = capture.error().message;
        return read;
    }
    while (true) {
        auto frame = capture->next();
        if (!frame) {
            read.problem = frame.error().message;
            return read;
        }
        if (!*frame) {
            break;
        }
        read.frames.push_back(std::move(**frame));
    }
    read.cut = capture->cut();
    read.left_out = capture->left_out();
    return read;
}

Bytes udp_frame(size_t payload = 50)
{
    return FrameBuilder("192.0.2.1"_ip, "192.0.2.2"_ip).udp(1, 2).payload(payload).build();
}

// Blocks of pcapng in either byte order.
class Pcapng
{
  public:
    explicit Pcapng(bool big_endian = false) : big_(big_endian) {}

    Pcapng& section()
    {
        std::string body;
        put32(body, 0x1a2b3c4d);
        put16(body, 1);
        put16(body, 0);
        put32(body, 0xffffffff);
        put32(body, 0xffffffff);
        return block(0x0a0d0d0a, body);
    }
    // `resolution`: if_tsresol; 0xff: no such option.
    Pcapng& interface(uint16_t link, uint8_t resolution = 0xff, uint32_t snap = 0)
    {
        std::string body;
        put16(body, link);
        put16(body, 0);
        put32(body, snap);
        if (resolution != 0xff) {
            put16(body, 9);
            put16(body, 1);
            body += static_cast<char>(resolution);
            body += std::string(3, '\0');
            put32(body, 0);
        }
        return block(1, body);
    }
    Pcapng& packet(uint32_t interface, uint64_t ticks, const Bytes& frame, uint32_t wire = 0)
    {
        std::string body;
        put32(body, interface);
        put32(body, static_cast<uint32_t>(ticks >> 32));
        put32(body, static_cast<uint32_t>(ticks));
        put32(body, static_cast<uint32_t>(frame.size()));
        put32(body, wire > 0 ? wire : static_cast<uint32_t>(frame.size()));
        body.append(frame.begin(), frame.end());
        return block(6, body);
    }
    Pcapng& simple_packet(const Bytes& frame)
    {
        std::string body;
        put32(body, static_cast<uint32_t>(frame.size()));
        body.append(frame.begin(), frame.end());
        return block(3, body);
    }
    Pcapng& block(uint32_t type, std::string body)
    {
        body.resize((body.size() + 3) / 4 * 4);
        const auto bytes = static_cast<uint32_t>(body.size() + 12);
        put32(text, type);
        put32(text, bytes);
        text += body;
        put32(text, bytes);
        return *this;
    }
    std::string text;

  private:
    void put16(std::string& out, uint16_t value) const
    {
        const char high = static_cast<char>(value >> 8);
        const char low = static_cast<char>(value);
        out += big_ ? high : low;
        out += big_ ? low : high;
    }
    void put32(std::string& out, uint32_t value) const
    {
        put16(out, static_cast<uint16_t>(big_ ? value >> 16 : value));
        put16(out, static_cast<uint16_t>(big_ ? value : value >> 16));
    }
    bool big_;
};

std::string gzipped(const std::string& content)
{
    const TemporaryFile file;
    gzFile gzip = gzopen(file.path.c_str(), "wb");
    gzwrite(gzip, content.data(), static_cast<unsigned>(content.size()));
    gzclose(gzip);
    return file.content();
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
    Bytes loopback = {2, 0, 0, 0};
    loopback.insert(loopback.end(), ip.begin(), ip.end());
    const std::vector<std::pair<int, Bytes>> links = {{DLT_EN10MB, ethernet},
                                                      {DLT_RAW, ip},
                                                      {DLT_LINUX_SLL, sll},
                                                      {DLT_LINUX_SLL2, sll2},
                                                      {DLT_NULL, loopback}};
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

TEST_CASE("a frame whose headers were cut is not completed: zeros would be a verdict")
{
    const TemporaryFile file;
    for (const bool ipv6 : {false, true}) {
        const Address src = ipv6 ? "2001:db8::1"_ip : "192.0.2.1"_ip;
        const Address dst = ipv6 ? "2001:db8::2"_ip : "192.0.2.2"_ip;
        const uint32_t l4 = ipv6 ? 54 : 34;
        const uint32_t quote = 8 + (ipv6 ? 48 : 28);
        const std::vector<std::pair<Bytes, uint32_t>> needed = {
            {FrameBuilder(src, dst).tcp(1, 2, tcp_syn).payload(100).build(), l4 + 20},
            {FrameBuilder(src, dst).udp(1, 2).payload(100).build(), l4 + 8},
            {FrameBuilder(src, dst).icmp(ipv6 ? 128 : 8, 0).payload(100).build(), l4 + 8},
            {FrameBuilder(src, dst).icmp(ipv6 ? 1 : 3, 3).payload(100).build(), l4 + quote},
            {FrameBuilder(src, dst).protocol(47).payload(100).build(), l4}};
        for (const auto& [frame, bytes] : needed) {
            for (const uint32_t captured : {bytes, bytes - 1, 20U, 13U}) {
                INFO("ipv6 " << ipv6 << ", " << captured << " of " << bytes);
                write_pcap(file.path, DLT_EN10MB, frame, captured);
                const Read read = read_all(file.path);
                REQUIRE(read.frames.size() == 1);
                CHECK(read.frames[0].headers_cut == (captured < bytes));
                CHECK(read.frames[0].completed == (captured >= bytes));
                CHECK(read.frames[0].bytes.size() == (captured < bytes ? captured : frame.size()));
            }
        }
    }
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

TEST_CASE("a capture cut in its last packet is read as far as it goes and says so")
{
    const TemporaryFile file;
    const Bytes frame = udp_frame();
    write_pcap(file.path, DLT_EN10MB, frame, static_cast<uint32_t>(frame.size()), 3);
    const std::string whole = file.content();
    CHECK(read_all(file.path).cut.empty());
    // Inside the data and inside the record's header.
    for (const size_t missing : {size_t{1}, frame.size(), frame.size() + 15}) {
        INFO(missing);
        file.write(whole.substr(0, whole.size() - missing));
        const Read read = read_all(file.path);
        CHECK(read.problem.empty());
        CHECK(read.frames.size() == 2);
        CHECK_THAT(read.cut, Catch::Contains("after frame 2"));
    }
    // A record that is damaged is not cut: what follows is lost.
    std::string damaged = whole;
    damaged[24 + 16 + frame.size() + 11] = '\x7f'; // captured length of the second
    file.write(damaged);
    CHECK_THAT(read_all(file.path).problem, Catch::Contains("frame 2"));
}

TEST_CASE("both byte orders and resolutions of pcap are read")
{
    const TemporaryFile file;
    const Bytes frame = udp_frame();
    for (const bool big : {false, true}) {
        for (const bool nano : {false, true}) {
            INFO("big " << big << ", nanoseconds " << nano);
            std::string text;
            const auto put = [&](uint32_t value, int bytes) {
                for (int i = 0; i < bytes; i++) {
                    text += static_cast<char>(value >> 8 * (big ? bytes - 1 - i : i));
                }
            };
            put(nano ? 0xa1b23c4d : 0xa1b2c3d4, 4);
            put(2, 2);
            put(4, 2);
            put(0, 4);
            put(0, 4);
            put(65535, 4);
            put(1, 4);
            put(7, 4);
            put(nano ? 5000 : 5, 4);
            put(static_cast<uint32_t>(frame.size()), 4);
            put(static_cast<uint32_t>(frame.size()), 4);
            text.append(frame.begin(), frame.end());
            file.write(text);
            const Read read = read_all(file.path);
            REQUIRE(read.frames.size() == 1);
            CHECK(read.frames[0].time_ns == 7'000'005'000);
            CHECK(read.frames[0].bytes == frame);
        }
    }
}

TEST_CASE("gzip is read from a file, also one that ends early")
{
    const TemporaryFile file;
    const Bytes frame = udp_frame();
    write_pcap(file.path, DLT_EN10MB, frame, static_cast<uint32_t>(frame.size()), 500);
    const std::string packed = gzipped(file.content());
    file.write(packed);
    CHECK(read_all(file.path).frames.size() == 500);
    CHECK(read_all(file.path).cut.empty());
    file.write(packed.substr(0, packed.size() - 20));
    const Read early = read_all(file.path);
    CHECK(early.problem.empty());
    CHECK(early.frames.size() > 0);
    CHECK_THAT(early.cut, Catch::Contains("gzip stream ends early"));
    std::string damaged = packed;
    damaged[packed.size() - 6] ^= 1; // its checksum
    file.write(damaged);
    CHECK_THAT(read_all(file.path).problem, Catch::Contains("gzip stream is damaged"));
    file.write(packed);
    const auto bounded = CaptureFile::open(file.path, 1000);
    REQUIRE_FALSE(bounded);
    CHECK(bounded.error().kind == ErrorKind::unreadable);
    CHECK_THAT(bounded.error().message, Catch::Contains("more than 1000 bytes"));
}

TEST_CASE("pcapng with several sections, byte orders, interfaces, links and resolutions")
{
    const Bytes frame = udp_frame();
    const Bytes ip(frame.begin() + 14, frame.end());
    const TemporaryFile file;
    Pcapng little;
    little.section()
        .interface(DLT_EN10MB)           // microseconds
        .interface(101, 9, 128)          // raw IP, nanoseconds, another snap length
        .interface(DLT_LINUX_SLL2, 0x8a) // 2^-10 s
        .interface(DLT_IEEE802_11)
        .block(5, std::string(8, 'x')) // statistics
        .packet(0, 7'000'005, frame)
        .packet(1, 7'000'005'001, ip)
        .packet(3, 1, frame)
        .simple_packet(frame);
    Pcapng big(true);
    big.section().interface(DLT_EN10MB, 3).packet(0, 8'001, frame).packet(0, 9'000, frame, 2000);
    file.write(little.text + big.text);
    const Read read = read_all(file.path);
    CHECK(read.problem.empty());
    CHECK(read.cut.empty());
    REQUIRE(read.frames.size() == 5);
    CHECK(read.frames[0].time_ns == 7'000'005'000);
    CHECK(read.frames[1].time_ns == 7'000'005'001);
    CHECK(Bytes(read.frames[1].bytes.begin() + 12, read.frames[1].bytes.end()) ==
          Bytes(frame.begin() + 12, frame.end()));
    CHECK(read.frames[2].time_ns == 0);
    CHECK(read.frames[3].time_ns == 8'001'000'000);
    CHECK(read.frames[3].bytes == frame);
    CHECK(read.frames[4].completed);
    CHECK(read.frames[4].bytes.size() == 2000);
    REQUIRE(read.left_out.size() == 1);
    CHECK(read.left_out.begin()->second == 1);

    // Cut anywhere in the last block it says so and keeps what is before it.
    for (const size_t missing : {size_t{1}, size_t{60}, frame.size() + 20}) {
        file.write(little.text.substr(0, little.text.size() - missing));
        const Read cut = read_all(file.path);
        CHECK(cut.problem.empty());
        CHECK(cut.frames.size() == 2);
        CHECK_THAT(cut.cut, Catch::Contains("the file ends inside the block"));
    }
}

TEST_CASE("a damaged pcapng names the place")
{
    const TemporaryFile file;
    Pcapng pcapng;
    pcapng.section().interface(DLT_EN10MB).packet(0, 1, udp_frame()).packet(9, 1, udp_frame());
    file.write(pcapng.text);
    CHECK_THAT(read_all(file.path).problem,
               Catch::Contains("frame 2: damaged at byte") && Catch::Contains("interface 9"));
    std::string lengths = Pcapng().section().interface(DLT_EN10MB).text;
    lengths[lengths.size() - 4] ^= 1;
    file.write(lengths);
    CHECK_THAT(read_all(file.path).problem, Catch::Contains("lengths of a block differ"));
    file.write(std::string("\x0a\x0d\x0d\x0a", 4) + std::string(40, 'x'));
    CHECK_THAT(read_all(file.path).problem, Catch::Contains("byte-order magic"));
}

TEST_CASE("what is no capture ends in one line with the cause")
{
    const TemporaryFile file;
    const std::vector<std::pair<std::string, std::string>> inputs = {
        {"", "empty"},
        {std::string("\x28\xb5\x2f\xfd", 4) + "zzzz", "zstd"},
        {std::string("\xfd\x37zXZ\0", 6) + "zzzz", "xz"},
        {"BZh91AY", "bzip2"},
        {std::string("\xd4\xc3\xb2\xa1", 4), "truncated"},
        {gzipped(""), "empty"}};
    for (const auto& [content, cause] : inputs) {
        INFO(cause);
        file.write(content);
        const auto capture = Capture::open(file.path);
        REQUIRE_FALSE(capture);
        CHECK(capture.error().kind == ErrorKind::unreadable);
        CHECK_THAT(capture.error().message, Catch::Contains(cause) && Catch::Contains(file.path));
        CHECK(capture.error().message.find('\n') == std::string::npos);
    }
    CHECK_THAT(Capture::open("/tmp").error().message, Catch::Contains("directory"));
}

TEST_CASE("IP lengths of 0 that an offloading sender leaves are completed, malformed ones not")
{
    for (const bool ipv6 : {false, true}) {
        const Address src = ipv6 ? "2001:db8::1"_ip : "192.0.2.1"_ip;
        const Address dst = ipv6 ? "2001:db8::2"_ip : "192.0.2.2"_ip;
        const auto zeroed = [ipv6](Bytes frame, size_t vlan_bytes = 0) {
            const size_t at = 14 + vlan_bytes + (ipv6 ? 4 : 2);
            frame[at] = frame[at + 1] = 0;
            return frame;
        };
        const Bytes data =
            FrameBuilder(src, dst).tcp(1, 2, tcp_ack | tcp_psh).payload(3000).build();
        Bytes completed = zeroed(data);
        CHECK(complete_ip_length(completed));
        CHECK(completed == data);
        CHECK_FALSE(complete_ip_length(completed));

        const Bytes tagged = FrameBuilder(src, dst).vlan(5).udp(1, 2).payload(3000).build();
        completed = zeroed(tagged, 4);
        CHECK(complete_ip_length(completed));
        CHECK(completed == tagged);

        // What no card segments is malformed, and stays so.
        for (const Bytes& frame :
             {FrameBuilder(src, dst).tcp(1, 2, tcp_syn).payload(9).build(),
              FrameBuilder(src, dst).tcp(1, 2, tcp_ack).build(),
              FrameBuilder(src, dst).tcp(1, 2, 0).payload(9).build(),
              FrameBuilder(src, dst).icmp(8, 0).payload(9).build(),
              FrameBuilder(src, dst).fragment(0, true).udp(1, 2).payload(64).build()}) {
            Bytes malformed = zeroed(frame);
            const Bytes before = malformed;
            CHECK_FALSE(complete_ip_length(malformed));
            CHECK(malformed == before);
        }
    }
}

TEST_CASE("a frame larger than a buffer becomes what was on the wire")
{
    for (const bool ipv6 : {false, true}) {
        const Address src = ipv6 ? "2001:db8::1"_ip : "192.0.2.1"_ip;
        const Address dst = ipv6 ? "2001:db8::2"_ip : "192.0.2.2"_ip;
        const size_t headers = ipv6 ? 60 : 40;
        const WireFrames tcp = fit_buffer(FrameBuilder(src, dst)
                                              .sequence(0xfffffff0, 1)
                                              .tcp(1, 2, tcp_ack | tcp_psh)
                                              .payload(9000)
                                              .build(),
                                          3520);
        CHECK(tcp.segmented);
        REQUIRE(tcp.frames.size() == (9000 + 1499 - headers) / (1500 - headers));
        size_t payload = 0;
        for (size_t i = 0; i < tcp.frames.size(); i++) {
            const Bytes& frame = tcp.frames[i];
            CHECK(frame.size() <= 1514);
            const size_t ip = frame.size() - 14;
            const size_t at = ipv6 ? 18 : 16;
            CHECK(frame[at] * 256U + frame[at + 1] == (ipv6 ? ip - 40 : ip));
            const size_t l4 = ipv6 ? 54 : 34;
            const uint32_t sequence = static_cast<uint32_t>(frame[l4 + 4]) << 24 |
                                      static_cast<uint32_t>(frame[l4 + 5]) << 16 |
                                      static_cast<uint32_t>(frame[l4 + 6]) << 8 | frame[l4 + 7];
            CHECK(sequence == 0xfffffff0 + static_cast<uint32_t>(payload));
            CHECK(((frame[l4 + 13] & tcp_psh) != 0) == (i + 1 == tcp.frames.size()));
            payload += ip - headers;
        }
        CHECK(payload == 9000);

        const WireFrames udp =
            fit_buffer(FrameBuilder(src, dst).vlan(3).udp(1, 2).payload(5000).build(), 3520);
        CHECK(udp.segmented);
        CHECK(udp.frames.size() == 4);

        const WireFrames icmp =
            fit_buffer(FrameBuilder(src, dst).icmp(8, 0).payload(5000).build(), 3520);
        CHECK_FALSE(icmp.segmented);
        REQUIRE(icmp.frames.size() == 1);
        CHECK(icmp.frames[0].size() == 3520);
        const size_t at = ipv6 ? 18 : 16;
        CHECK(icmp.frames[0][at] * 256U + icmp.frames[0][at + 1] == 3520 - (ipv6 ? 54U : 14U));
    }
    // A contradiction stays one.
    Bytes liar = FrameBuilder("192.0.2.1"_ip, "192.0.2.2"_ip).udp(1, 2).payload(5000).build();
    liar[16] = 0x7f;
    const WireFrames kept = fit_buffer(liar, 3520);
    CHECK_FALSE(kept.segmented);
    CHECK(kept.frames[0][16] == 0x7f);
}
