// SPDX-License-Identifier: Apache-2.0
#include "replay/capture.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/units.h"
#include "replay/offload.h"
#include "replay/pcapng.h"

namespace xdpctl
{
namespace
{

constexpr int linktype_raw = 101; // DLT_RAW, which is 12 or 14 in memory
constexpr int dlt_raw_openbsd = 14;
constexpr size_t loopback_bytes = 4;
constexpr size_t sll_bytes = 16;
constexpr size_t sll2_bytes = 20;
constexpr size_t frame_bytes_max = 1 << 20; // beyond that the length is broken
constexpr const char* supported = "Ethernet, raw IP, Linux cooked and BSD loopback are";

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

std::string link_name(int link)
{
    const char* name = pcap_datalink_val_to_description(link);
    return fmt::format("{} ({})", link, name != nullptr ? name : "unknown");
}

// Classic pcap, by libpcap: both byte orders, micro- and nanoseconds, old variants.
class PcapReader : public RecordReader
{
  public:
    static Result<std::unique_ptr<RecordReader>> open(UniqueFile file)
    {
        std::array<char, PCAP_ERRBUF_SIZE> problem{};
        pcap_t* handle = pcap_fopen_offline_with_tstamp_precision(
            file.get(), PCAP_TSTAMP_PRECISION_NANO, problem.data());
        if (handle == nullptr) {
            return failure(ErrorKind::unreadable, "{}", problem.data());
        }
        (void)file.release(); // pcap_close closes it
        std::unique_ptr<RecordReader> reader(new PcapReader(handle));
        const int link = pcap_datalink(handle);
        if (!is_supported_link(link)) {
            return failure(ErrorKind::unreadable, "link type {} is not supported: {}",
                           link_name(link), supported);
        }
        return reader;
    }

    Result<std::optional<CaptureRecord>> next() override
    {
        pcap_pkthdr* header = nullptr;
        const u_char* data = nullptr;
        const int code = pcap_next_ex(handle_.get(), &header, &data);
        if (code == PCAP_ERROR_BREAK) {
            return std::optional<CaptureRecord>();
        }
        if (code != 1) {
            if (std::feof(pcap_file(handle_.get())) == 0) {
                return failure(ErrorKind::unreadable, "{}", pcap_geterr(handle_.get()));
            }
            cut_ = "the file ends inside a record";
            return std::optional<CaptureRecord>();
        }
        CaptureRecord record;
        record.link = pcap_datalink(handle_.get());
        record.time_ns = static_cast<uint64_t>(std::max<long>(header->ts.tv_sec, 0)) * ns_per_s +
                         static_cast<uint64_t>(header->ts.tv_usec); // nanoseconds, as asked for
        record.wire_bytes = header->len;
        record.bytes.assign(data, data + header->caplen);
        return std::optional(std::move(record));
    }

    uint64_t read_bytes() const override
    {
        return static_cast<uint64_t>(std::max(0L, std::ftell(pcap_file(handle_.get()))));
    }

  private:
    explicit PcapReader(pcap_t* handle) : handle_(handle, pcap_close) {}

    std::unique_ptr<pcap_t, void (*)(pcap_t*)> handle_;
};

} // namespace

bool is_supported_link(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_RAW:
    case dlt_raw_openbsd:
    case linktype_raw:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
        return true;
    default:
        return false;
    }
}

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
    case DLT_NULL: // an address family whose number and byte order differ by system
    case DLT_LOOP:
        if (frame.size() < loopback_bytes) {
            return std::nullopt;
        }
        return raw_ip(frame.subspan(loopback_bytes));
    default:
        return is_supported_link(link) ? std::optional(raw_ip(frame)) : std::nullopt;
    }
}

Result<Capture> Capture::open(const CaptureFile& file)
{
    auto stream = file.stream();
    if (!stream) {
        return stream.error();
    }
    Capture capture(file);
    if (file.head(4) == PcapngReader::magic) {
        capture.reader_ = std::make_unique<PcapngReader>(std::move(*stream), file.bytes());
        return capture;
    }
    auto reader = PcapReader::open(std::move(*stream));
    if (!reader) {
        return reader.error().in(file.name());
    }
    capture.reader_ = std::move(*reader);
    return capture;
}

Result<Capture> Capture::open(const std::string& path)
{
    auto file = CaptureFile::open(path);
    if (!file) {
        return file.error();
    }
    auto owned = std::make_unique<CaptureFile>(std::move(*file));
    auto capture = open(*owned);
    if (capture) {
        capture->owned_ = std::move(owned);
    }
    return capture;
}

Result<std::optional<CapturedFrame>> Capture::next()
{
    while (true) {
        number_++;
        auto record = reader_->next();
        if (!record) {
            return record.error().in(fmt::format("{}: frame {}", name_, number_));
        }
        if (!*record) {
            return std::optional<CapturedFrame>();
        }
        if (!is_supported_link((*record)->link)) {
            left_out_[link_name((*record)->link)]++;
            continue;
        }
        CapturedFrame frame;
        frame.time_ns = (*record)->time_ns;
        const uint64_t missing = (*record)->wire_bytes -
                                 std::min<uint64_t>((*record)->wire_bytes, (*record)->bytes.size());
        auto bytes = to_ethernet((*record)->link, (*record)->bytes);
        frame.bytes = bytes ? std::move(*bytes) : Bytes{};
        frame.impossible_length = (*record)->wire_bytes > frame_bytes_max;
        if (missing > 0 && !frame.impossible_length) {
            frame.headers_cut = !has_headers(frame.bytes);
            frame.completed = !frame.headers_cut;
            frame.bytes.resize(frame.bytes.size() + (frame.completed ? missing : 0));
        }
        frame.length_completed = complete_ip_length(frame.bytes);
        return std::optional(std::move(frame));
    }
}

std::string Capture::cut() const
{
    const std::string& why = file_cut_.empty() ? reader_->cut() : file_cut_;
    return why.empty() ? "" : fmt::format("{}, after frame {}", why, number_ - 1);
}

} // namespace xdpctl
