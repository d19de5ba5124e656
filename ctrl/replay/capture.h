// SPDX-License-Identifier: Apache-2.0
// Frames of a pcap or pcapng file, as Ethernet whatever the link was.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/frame.h"
#include "replay/capture_file.h"
#include "replay/record.h"

namespace xdpctl
{

struct CapturedFrame {
    uint64_t time_ns = 0;           // since 1970, as captured; 0: the file has none
    Bytes bytes;                    // from the Ethernet header on, as long as on the wire
    bool completed = false;         // cut by the snap length; zeros were added
    bool headers_cut = false;       // cut inside its headers: `bytes` is what was captured
    bool length_completed = false;  // its IP length was left to the sender's NIC
    bool impossible_length = false; // longer than any frame: `bytes` is what was captured
};

class Capture
{
  public:
    // Links: Ethernet, raw IP, Linux cooked (SLL, SLL2), BSD loopback. A pcap file of
    // another link is an error; in pcapng such interfaces are left out and counted.
    // Does not outlive `file`.
    static Result<Capture> open(const CaptureFile& file);
    static Result<Capture> open(const std::string& path); // to be read once

    // Nothing at the end. An error names the file and the frame's number.
    Result<std::optional<CapturedFrame>> next();

    // At the end: where and why it came too early; empty where the file is whole.
    std::string cut() const;
    // Frames that were left out, by the name of their link type.
    const std::map<std::string, uint64_t>& left_out() const { return left_out_; }

    // Bytes of the file, and how many were read: for progress.
    uint64_t file_bytes() const { return file_bytes_; }
    uint64_t read_bytes() const { return reader_->read_bytes(); }

  private:
    explicit Capture(const CaptureFile& file)
        : name_(file.name()), file_cut_(file.cut()), file_bytes_(file.bytes())
    {
    }

    std::string name_;
    std::string file_cut_;
    std::unique_ptr<CaptureFile> owned_;
    std::unique_ptr<RecordReader> reader_;
    std::map<std::string, uint64_t> left_out_;
    uint64_t number_ = 0; // of the frames read
    uint64_t file_bytes_;
};

// The Ethernet frame of a link-layer frame; nothing where it is shorter than its own
// link header or the link (LINKTYPE_* or DLT_*) is not supported.
std::optional<Bytes> to_ethernet(int link, std::span<const uint8_t> frame);
bool is_supported_link(int link);

} // namespace xdpctl
