// SPDX-License-Identifier: Apache-2.0
// Writes a capture of one kind of packet, for tcpreplay in the tests and the demo.
// usage: mkpcap FILE COUNT SOURCE DESTINATION KIND [DPORT]
//   KIND: syn ack null xmas udp; SOURCE may end in "+": the last two bytes count up
#include <cstdio>
#include <cstring>

#include <pcap/pcap.h>

#include "core/frame.h"

using namespace xdpctl;

namespace
{

Bytes build(const Address& src, const Address& dst, const std::string& kind, uint16_t sport,
            uint16_t dport)
{
    FrameBuilder frame(src, dst);
    if (kind == "udp") {
        return frame.udp(sport, dport).payload(32).build();
    }
    const uint8_t flags = kind == "syn"    ? tcp_syn
                          : kind == "ack"  ? tcp_ack
                          : kind == "xmas" ? tcp_fin | tcp_psh | tcp_urg
                                           : 0;
    return frame.tcp(sport, dport, flags).payload(6).build();
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 6) {
        fmt::print(stderr, "usage: mkpcap FILE COUNT SOURCE DESTINATION KIND [DPORT]\n");
        return 2;
    }
    const long count = std::atol(argv[2]);
    std::string source = argv[3];
    const bool counting = source.ends_with('+');
    if (counting) {
        source.pop_back();
    }
    const auto src = parse_address(source);
    const auto dst = parse_address(argv[4]);
    if (!src || !dst || count <= 0) {
        fmt::print(stderr, "mkpcap: wrong address or count\n");
        return 2;
    }
    const auto dport = static_cast<uint16_t>(argc > 6 ? std::atoi(argv[6]) : 80);
    pcap_t* handle = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t* dumper = pcap_dump_open(handle, argv[1]);
    if (dumper == nullptr) {
        fmt::print(stderr, "mkpcap: {}\n", pcap_geterr(handle));
        return 1;
    }
    for (long i = 0; i < count; i++) {
        Address from = *src;
        if (counting) {
            from.bytes[14] = static_cast<uint8_t>(i >> 8);
            from.bytes[15] = static_cast<uint8_t>(i);
        }
        const Bytes frame =
            build(from, *dst, argv[5], static_cast<uint16_t>(1024 + i % 60000), dport);
        pcap_pkthdr header{};
        header.ts.tv_sec = 1 + i / 10000; // 10,000 packets per second
        header.ts.tv_usec = i % 10000 * 100;
        header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
        pcap_dump(reinterpret_cast<u_char*>(dumper), &header, frame.data());
    }
    pcap_dump_close(dumper);
    pcap_close(handle);
    return 0;
}
