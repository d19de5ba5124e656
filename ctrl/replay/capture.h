// SPDX-License-Identifier: Apache-2.0
// Frames of a pcap or pcapng file, as Ethernet whatever the link was.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/frame.h"

struct pcap;

namespace xdpctl
{

struct CapturedFrame {
    uint64_t time_ns = 0;   // since 1970, as captured
    Bytes bytes;            // from the Ethernet header on, as long as on the wire
    bool completed = false; // cut by the snap length; zeros were added
};

class Capture
{
  public:
    // Ethernet, raw IP and Linux cooked (SLL, SLL2) links; others are an error.
    static Result<Capture> open(const std::string& path);

    // Nothing at the end. An error names the file and the frame's number.
    Result<std::optional<CapturedFrame>> next();

    // Bytes of the file, and how many were read: for progress.
    uint64_t file_bytes() const { return file_bytes_; }
    uint64_t read_bytes() const;

  private:
    Capture() : handle_(nullptr, nullptr) {}

    std::string path_;
    std::unique_ptr<pcap, void (*)(pcap*)> handle_;
    int link_ = 0;
    uint64_t number_ = 0;
    uint64_t file_bytes_ = 0;
};

// The Ethernet frame of a link-layer frame; nothing where it is shorter than
// its own link header.
std::optional<Bytes> to_ethernet(int link, std::span<const uint8_t> frame);

} // namespace xdpctl
