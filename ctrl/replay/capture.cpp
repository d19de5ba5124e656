// SPDX-License-Identifier: Apache-2.0
#include "replay/capture.h"

#include <pcap/pcap.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr size_t sll_bytes = 16;
constexpr size_t sll2_bytes = 20;
constexpr size_t frame_bytes_max = 1 << 20; // beyond that the file is broken

Bytes with_ethernet(std::span<const uint8_t> packet, uint8_t type_high, uint8_t type_low)
{
    constexpr std::array<uint8_t, 12> addresses = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    Bytes out(addresses.size() + 2 + packet.size());
    auto at = std::copy(addresses.begin(), addresses.end(), out.begin());
    *at++ = type_high;
    *at++ = type_low;
    std::copy(packet.begin(), packet.end(), at);
    return out;
}

Bytes raw_ip(std::span<const uint8_t> packet)
{
    const bool ipv6 = !packet.empty() && packet[0] >> 4 == 6;
    return with_ethernet(packet, ipv6 ? 0x86 : 0x08, ipv6 ? 0xdd : 0x00);
}

bool is_supported(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
        return true;
    default:
        return false;
    }
}

} // namespace

std::optional<Bytes> to_ethernet(int link, std::span<const uint8_t> frame)
{
    switch (link) {
    case DLT_EN10MB:
        return Bytes(frame.begin(), frame.end());
    case DLT_LINUX_SLL:
        if (frame.size() < sll_bytes) {
            return std::nullopt;
        }
        return with_ethernet(frame.subspan(sll_bytes), frame[14], frame[15]);
    case DLT_LINUX_SLL2:
        if (frame.size() < sll2_bytes) {
            return std::nullopt;
        }
        return with_ethernet(frame.subspan(sll2_bytes), frame[0], frame[1]);
    default:
        return raw_ip(frame);
    }
}

Result<Capture> Capture::open(const std::string& path)
{
    Capture capture;
    capture.path_ = path;
    std::array<char, PCAP_ERRBUF_SIZE> problem{};
    capture.handle_ = {pcap_open_offline_with_tstamp_precision(
                           path.c_str(), PCAP_TSTAMP_PRECISION_NANO, problem.data()),
                       pcap_close};
    if (!capture.handle_) {
        struct stat info {
        };
        const bool absent = stat(path.c_str(), &info) != 0 && errno == ENOENT;
        const std::string why(problem.data());
        return failure(absent ? ErrorKind::not_found : ErrorKind::failed, "{}",
                       why.find(path) == std::string::npos ? path + ": " + why : why);
    }
    capture.link_ = pcap_datalink(capture.handle_.get());
    if (!is_supported(capture.link_)) {
        const char* name = pcap_datalink_val_to_description(capture.link_);
        return failure("{}: link type {} ({}) is not supported: Ethernet, raw IP and Linux cooked "
                       "are",
                       path, capture.link_, name != nullptr ? name : "unknown");
    }
    struct stat info {
    };
    if (stat(path.c_str(), &info) == 0) {
        capture.file_bytes_ = static_cast<uint64_t>(info.st_size);
    }
    return capture;
}

uint64_t Capture::read_bytes() const
{
    FILE* file = pcap_file(handle_.get());
    return file != nullptr ? static_cast<uint64_t>(std::max(0L, ftell(file))) : 0;
}

Result<std::optional<CapturedFrame>> Capture::next()
{
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    number_++;
    const int code = pcap_next_ex(handle_.get(), &header, &data);
    if (code == PCAP_ERROR_BREAK) {
        return std::optional<CapturedFrame>();
    }
    if (code != 1) {
        return failure("{}: frame {}: {}", path_, number_, pcap_geterr(handle_.get()));
    }
    if (header->len > frame_bytes_max) {
        return failure("{}: frame {}: a length of {} bytes is impossible", path_, number_,
                       header->len);
    }
    CapturedFrame frame;
    frame.time_ns = static_cast<uint64_t>(std::max<long>(header->ts.tv_sec, 0)) * ns_per_s +
                    static_cast<uint64_t>(header->ts.tv_usec); // nanoseconds, as asked for
    Bytes whole(data, data + header->caplen);
    frame.completed = header->caplen < header->len;
    whole.resize(std::max(header->caplen, header->len));
    auto bytes = to_ethernet(link_, whole);
    frame.bytes = bytes ? std::move(*bytes) : Bytes{};
    return std::optional(std::move(frame));
}

} // namespace xdpctl
