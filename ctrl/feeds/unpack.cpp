// SPDX-License-Identifier: Apache-2.0
#include "feeds/unpack.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace xdpctl
{
namespace
{

using namespace std::string_view_literals;

struct Format {
    std::string_view magic;
    std::string_view name;
    size_t offset = 0;
};

constexpr std::string_view gzip_magic = "\x1f\x8b"sv;

constexpr std::array formats = {
    Format{"PK\x03\x04"sv, "a zip archive"},
    Format{"PK\x05\x06"sv, "an empty zip archive"},
    Format{"BZh"sv, "compressed with bzip2"},
    Format{"\xfd\x37zXZ\0"sv, "compressed with xz"},
    Format{"\x28\xb5\x2f\xfd"sv, "compressed with zstd"},
    Format{"\x04\x22\x4d\x18"sv, "compressed with lz4"},
    Format{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive"},
    Format{"Rar!\x1a\x07"sv, "a rar archive"},
    Format{"%PDF-"sv, "a PDF"},
    Format{"SQLite format 3\0"sv, "an SQLite database"},
    Format{"ustar"sv, "a tar archive", 257},
};

Result<> check_text(std::string_view bytes)
{
    const auto* format = std::find_if(formats.begin(), formats.end(), [bytes](const Format& f) {
        return bytes.size() > f.offset && bytes.substr(f.offset).starts_with(f.magic);
    });
    if (format != formats.end()) {
        return failure("it is {}: text and gzip are understood", format->name);
    }
    const bool is_utf16 = bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff");
    if (!is_utf16 && bytes.find('\0') != std::string_view::npos) {
        return failure("it is binary, not text");
    }
    return Done{};
}

// Frees what zlib took.
class Inflater
{
  public:
    Inflater()
    {
        constexpr int gzip_only = 16;
        ready_ = inflateInit2(&stream_, MAX_WBITS + gzip_only) == Z_OK;
    }
    ~Inflater()
    {
        if (ready_) {
            inflateEnd(&stream_);
        }
    }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    bool ready() const { return ready_; }
    z_stream& stream() { return stream_; }

  private:
    z_stream stream_{};
    bool ready_ = false;
};

Result<std::string> inflate_all(std::string& bytes, size_t bytes_most)
{
    Inflater inflater;
    if (!inflater.ready()) {
        return failure("no memory to unpack it");
    }
    z_stream& stream = inflater.stream();
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    std::string text;
    std::array<char, 65536> part{};
    for (int state = Z_OK; state != Z_STREAM_END || stream.avail_in > 0;) {
        if (state == Z_STREAM_END && inflateReset(&stream) != Z_OK) { // one more member follows
            return failure("no memory to unpack it");
        }
        stream.next_out = reinterpret_cast<Bytef*>(part.data());
        stream.avail_out = part.size();
        state = inflate(&stream, Z_NO_FLUSH);
        if (state == Z_BUF_ERROR) {
            return failure("it is gzip that is cut short");
        }
        if (state != Z_OK && state != Z_STREAM_END) {
            return failure("it is gzip that is damaged{}{}", stream.msg != nullptr ? ": " : "",
                           stream.msg != nullptr ? stream.msg : "");
        }
        const size_t got = part.size() - stream.avail_out;
        if (text.size() + got > bytes_most) {
            return failure("it unpacks to more than {} bytes", bytes_most);
        }
        text.append(part.data(), got);
    }
    return text;
}

} // namespace

Result<std::string> unpack(std::string bytes, size_t bytes_most)
{
    if (bytes.size() > bytes_most) {
        return failure("larger than {} bytes", bytes_most);
    }
    if (bytes.starts_with(gzip_magic)) {
        auto text = inflate_all(bytes, bytes_most);
        if (!text) {
            return text;
        }
        bytes = std::move(*text);
    }
    const auto checked = check_text(bytes);
    return checked ? Result<std::string>(std::move(bytes)) : checked.error();
}

} // namespace xdpctl
