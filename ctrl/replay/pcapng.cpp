// SPDX-License-Identifier: Apache-2.0
#include "replay/pcapng.h"

#include <algorithm>
#include <limits>

#include "core/units.h"

namespace xdpctl
{
namespace
{

constexpr uint32_t block_section = 0x0a0d0d0a;
constexpr uint32_t block_interface = 1;
constexpr uint32_t block_packet_obsolete = 2;
constexpr uint32_t block_packet_simple = 3;
constexpr uint32_t block_packet_enhanced = 6;
constexpr uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr uint32_t byte_order_swapped = 0x4d3c2b1a;
constexpr uint16_t option_end = 0;
constexpr uint16_t option_resolution = 9;
constexpr uint16_t option_offset = 14;
constexpr size_t block_overhead = 12;           // type, length, length again
constexpr uint64_t block_bytes_max = 16U << 20; // of those that are read
constexpr size_t interfaces_max = 65536;

bool is_read(uint32_t type)
{
    return type == block_section || type == block_interface || type == block_packet_obsolete ||
           type == block_packet_simple || type == block_packet_enhanced;
}

// Saturates: what does not fit is no time that a capture could have.
uint64_t to_ns(uint64_t ticks, uint8_t resolution, int64_t offset_s)
{
    const unsigned exponent = resolution & 0x7f;
    unsigned __int128 units_per_s = 1;
    if (resolution & 0x80) {
        units_per_s <<= std::min(exponent, 100U);
    } else {
        for (unsigned i = 0; i < std::min(exponent, 28U); i++) {
            units_per_s *= 10;
        }
    }
    const auto whole = static_cast<__int128>(ticks / units_per_s) + offset_s;
    // The fraction: below one second, so at most 2^64 ticks are left to scale.
    const unsigned __int128 part = ticks % units_per_s;
    const auto ns = whole * static_cast<__int128>(ns_per_s) +
                    static_cast<__int128>(part * ns_per_s / units_per_s);
    constexpr auto most = static_cast<__int128>(std::numeric_limits<uint64_t>::max());
    return static_cast<uint64_t>(std::clamp<__int128>(ns, 0, most));
}

} // namespace

uint16_t PcapngReader::get16(std::span<const uint8_t> bytes, size_t at) const
{
    const unsigned first = bytes[at];
    const unsigned second = bytes[at + 1];
    return static_cast<uint16_t>(big_endian_ ? first << 8 | second : second << 8 | first);
}

uint32_t PcapngReader::get32(std::span<const uint8_t> bytes, size_t at) const
{
    const uint32_t first = get16(bytes, at);
    const uint32_t second = get16(bytes, at + 2);
    return big_endian_ ? first << 16 | second : second << 16 | first;
}

uint64_t PcapngReader::get64(std::span<const uint8_t> bytes, size_t at) const
{
    const uint64_t first = get32(bytes, at);
    const uint64_t second = get32(bytes, at + 4);
    return big_endian_ ? first << 32 | second : second << 32 | first;
}

Error PcapngReader::damaged(std::string_view what) const
{
    return failure(ErrorKind::unreadable, "damaged at byte {}: {}", block_at_, what);
}

// False at the end of the file.
bool PcapngReader::read(uint8_t* to, size_t count)
{
    const size_t got = std::fread(to, 1, count, file_.get());
    at_ += got;
    return got == count;
}

// `head`: type, length and, of a section header, the byte-order magic.
Result<uint64_t> PcapngReader::block_bytes(std::array<uint8_t, 12> head)
{
    if (get32(head, 0) == block_section) { // reads the same in either order
        big_endian_ = false;
        const uint32_t order = get32(head, 8);
        if (order != byte_order_magic && order != byte_order_swapped) {
            return damaged("a section header without byte-order magic");
        }
        big_endian_ = order == byte_order_swapped;
    }
    const uint32_t bytes = get32(head, 4);
    if (bytes < block_overhead) {
        return damaged(fmt::format("a block of {} bytes", bytes));
    }
    return (bytes + 3ULL) / 4 * 4;
}

Result<std::optional<PcapngReader::Block>> PcapngReader::next_block()
{
    block_at_ = at_;
    if (at_ == file_bytes_) {
        return std::optional<Block>();
    }
    std::array<uint8_t, 12> head{};
    const auto cut = [this]() {
        cut_ = fmt::format("the file ends inside the block at byte {}", block_at_);
        return std::optional<Block>();
    };
    if (!read(head.data(), head.size())) {
        return cut();
    }
    const auto length = block_bytes(head);
    if (!length) {
        return length.error();
    }
    Block block{get32(head, 0), *length, {}};
    if (*length > file_bytes_ - block_at_) {
        return cut();
    }
    if (!is_read(block.type)) {
        at_ = block_at_ + *length;
        return std::fseek(file_.get(), static_cast<long>(at_), SEEK_SET) == 0
                   ? Result<std::optional<Block>>(std::move(block))
                   : damaged("it cannot be stepped over");
    }
    if (*length > block_bytes_max) {
        return damaged(fmt::format("a block of {} bytes", *length));
    }
    // The twelve bytes read hold the first four of the body, or the closing length.
    std::vector<uint8_t> rest(*length - head.size());
    if (!read(rest.data(), rest.size())) {
        return cut();
    }
    block.body.assign(head.begin() + 8, head.end());
    block.body.insert(block.body.end(), rest.begin(), rest.end());
    if (get32(block.body, block.body.size() - 4) != get32(head, 4)) {
        return damaged("the two lengths of a block differ");
    }
    block.body.resize(block.body.size() - 4);
    return std::optional(std::move(block));
}

Result<> PcapngReader::add_interface(const Block& block)
{
    const std::span<const uint8_t> body = block.body;
    if (body.size() < 8 || interfaces_.size() == interfaces_max) {
        return damaged("an interface that cannot be");
    }
    Interface interface;
    interface.link = get16(body, 0);
    interface.snap_bytes = get32(body, 4);
    for (size_t at = 8; at + 4 <= body.size();) {
        const uint16_t code = get16(body, at);
        const size_t bytes = get16(body, at + 2);
        at += 4;
        if (code == option_end || bytes > body.size() - at) {
            break;
        }
        if (code == option_resolution && bytes == 1) {
            interface.resolution = body[at];
        } else if (code == option_offset && bytes == 8) {
            interface.offset_s = static_cast<int64_t>(get64(body, at));
        }
        at += (bytes + 3) / 4 * 4;
    }
    interfaces_.push_back(interface);
    return Done{};
}

Result<CaptureRecord> PcapngReader::record(uint32_t interface, uint64_t ticks, uint32_t captured,
                                           uint32_t wire, std::span<const uint8_t> data) const
{
    if (interface >= interfaces_.size()) {
        return damaged(fmt::format("a packet of interface {}, which is not described", interface));
    }
    if (captured > data.size()) {
        return damaged(
            fmt::format("{} bytes of a packet in a block that holds {}", captured, data.size()));
    }
    const Interface& from = interfaces_[interface];
    data = data.first(captured);
    return CaptureRecord{from.link,
                         ticks == 0 ? 0 : to_ns(ticks, from.resolution, from.offset_s),
                         wire,
                         {data.begin(), data.end()}};
}

Result<CaptureRecord> PcapngReader::enhanced(std::span<const uint8_t> body, bool obsolete) const
{
    constexpr size_t header = 20;
    if (body.size() < header) {
        return damaged("a packet block without its header");
    }
    // The obsolete one has 16 bits of interface and 16 of dropped packets.
    const uint32_t interface = obsolete ? get16(body, 0) : get32(body, 0);
    const uint64_t ticks = static_cast<uint64_t>(get32(body, 4)) << 32 | get32(body, 8);
    return record(interface, ticks, get32(body, 12), get32(body, 16), body.subspan(header));
}

// Of the first interface, without a time; cut by its snap length.
Result<CaptureRecord> PcapngReader::simple(std::span<const uint8_t> body) const
{
    if (body.size() < 4 || interfaces_.empty()) {
        return damaged("a packet block without its header or interface");
    }
    const uint32_t wire = get32(body, 0);
    const uint32_t snap = interfaces_[0].snap_bytes;
    return record(0, 0, snap == 0 ? wire : std::min(wire, snap), wire, body.subspan(4));
}

Result<std::optional<CaptureRecord>> PcapngReader::packet_of(const Block& block) const
{
    auto packet = block.type == block_packet_simple
                      ? simple(block.body)
                      : enhanced(block.body, block.type == block_packet_obsolete);
    return packet ? Result(std::optional(std::move(*packet))) : packet.error();
}

Result<std::optional<CaptureRecord>> PcapngReader::next()
{
    while (true) {
        auto block = next_block();
        if (!block) {
            return block.error();
        }
        if (!*block) {
            return std::optional<CaptureRecord>();
        }
        switch ((*block)->type) {
        case block_section:
            if ((*block)->body.size() < 16 || get16((*block)->body, 4) != 1) {
                return damaged("a section of another version than 1");
            }
            interfaces_.clear();
            break;
        case block_interface:
            if (auto done = add_interface(**block); !done) {
                return done.error();
            }
            break;
        case block_packet_obsolete:
        case block_packet_simple:
        case block_packet_enhanced:
            return packet_of(**block);
        default:
            break; // names, statistics, secrets, custom blocks
        }
    }
}

} // namespace xdpctl
