// SPDX-License-Identifier: Apache-2.0
// pcapng (draft-ietf-opsawg-pcapng) with any number of sections, interfaces, link
// types and byte orders: libpcap refuses a second link type or snap length.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "replay/capture_file.h"
#include "replay/record.h"

namespace xdpctl
{

class PcapngReader : public RecordReader
{
  public:
    static constexpr std::string_view magic{"\x0a\x0d\x0d\x0a", 4};

    PcapngReader(UniqueFile file, uint64_t file_bytes)
        : file_(std::move(file)), file_bytes_(file_bytes)
    {
    }

    Result<std::optional<CaptureRecord>> next() override;
    uint64_t read_bytes() const override { return at_; }

  private:
    struct Interface {
        int link = 0;
        uint32_t snap_bytes = 0; // 0: no limit
        uint8_t resolution = 6;  // if_tsresol: 10^-n seconds, with the top bit 2^-n
        int64_t offset_s = 0;    // if_tsoffset
    };
    struct Block {
        uint32_t type = 0;
        uint64_t bytes = 0; // of the whole block
        std::vector<uint8_t> body;
    };

    // Nothing at the end, or where the last block is cut.
    Result<std::optional<Block>> next_block();
    Result<uint64_t> block_bytes(std::array<uint8_t, 12> head);
    Result<> add_interface(const Block& block);
    Result<std::optional<CaptureRecord>> packet_of(const Block& block) const;
    Result<CaptureRecord> enhanced(std::span<const uint8_t> body, bool obsolete) const;
    Result<CaptureRecord> simple(std::span<const uint8_t> body) const;
    Result<CaptureRecord> record(uint32_t interface, uint64_t ticks, uint32_t captured,
                                 uint32_t wire, std::span<const uint8_t> data) const;

    uint16_t get16(std::span<const uint8_t> bytes, size_t at) const;
    uint32_t get32(std::span<const uint8_t> bytes, size_t at) const;
    uint64_t get64(std::span<const uint8_t> bytes, size_t at) const;
    bool read(uint8_t* to, size_t count);
    Error damaged(std::string_view what) const;

    UniqueFile file_;
    uint64_t file_bytes_;
    uint64_t at_ = 0;       // offset of the next byte
    uint64_t block_at_ = 0; // of the current block
    bool big_endian_ = false;
    std::vector<Interface> interfaces_; // of the current section
};

} // namespace xdpctl
