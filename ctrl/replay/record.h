// SPDX-License-Identifier: Apache-2.0
// One packet record of a capture, as the file holds it, and who reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "core/frame.h"

namespace xdpctl
{

struct CaptureRecord {
    int link = 0;            // LINKTYPE_* of the interface (pcap-linktype(7))
    uint64_t time_ns = 0;    // since 1970; 0: the file has none
    uint64_t wire_bytes = 0; // before the snap length cut it
    Bytes bytes;
};

// One per file format.
class RecordReader
{
  public:
    virtual ~RecordReader() = default;
    // Nothing at the end of the file; cut() then says whether it came too early.
    // An error: the file is damaged, what follows cannot be found.
    virtual Result<std::optional<CaptureRecord>> next() = 0;
    // Where the last record is not whole; empty where it is.
    const std::string& cut() const { return cut_; }
    virtual uint64_t read_bytes() const = 0; // of the file: for progress

  protected:
    std::string cut_;
};

} // namespace xdpctl
