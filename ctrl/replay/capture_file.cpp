// SPDX-License-Identifier: Apache-2.0
#include "replay/capture_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

namespace xdpctl
{
namespace
{

struct Magic {
    std::string_view bytes;
    const char* what;
};

constexpr std::string_view gzip_magic("\x1f\x8b", 2);
constexpr std::array other_packers = {
    Magic{std::string_view("\x28\xb5\x2f\xfd", 4), "zstd"},
    Magic{std::string_view("\xfd\x37zXZ\0", 6), "xz"},
    Magic{std::string_view("BZh", 3), "bzip2"},
    Magic{std::string_view("\x04\x22\x4d\x18", 4), "lz4"},
    Magic{std::string_view("PK\x03\x04", 4), "zip"},
};

// What fopencookie calls; the offset is this object's, not the descriptor's.
struct Cursor {
    int fd;
    uint64_t size;
    uint64_t at = 0;
};

ssize_t read_cursor(void* cookie, char* buffer, size_t count)
{
    auto* cursor = static_cast<Cursor*>(cookie);
    const uint64_t left = cursor->size - std::min(cursor->at, cursor->size);
    const ssize_t got =
        pread(cursor->fd, buffer, std::min<uint64_t>(count, left), static_cast<off_t>(cursor->at));
    cursor->at += got > 0 ? static_cast<uint64_t>(got) : 0;
    return got;
}

int seek_cursor(void* cookie, off64_t* offset, int whence)
{
    auto* cursor = static_cast<Cursor*>(cookie);
    const auto base = whence == SEEK_SET   ? 0
                      : whence == SEEK_CUR ? static_cast<off64_t>(cursor->at)
                                           : static_cast<off64_t>(cursor->size);
    if (base + *offset < 0) {
        errno = EINVAL;
        return -1;
    }
    *offset += base;
    cursor->at = static_cast<uint64_t>(*offset);
    return 0;
}

int close_cursor(void* cookie)
{
    delete static_cast<Cursor*>(cookie);
    return 0;
}

Result<Fd> open_input(const std::string& path)
{
    if (path != "-") {
        Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd.valid()) {
            return errno == ENOENT ? failure(ErrorKind::not_found, "{}: no such file", path)
                                   : system_failure(errno, path);
        }
        return fd;
    }
    if (isatty(STDIN_FILENO) == 1) {
        return failure(ErrorKind::usage, "-: standard input is a terminal, not a capture");
    }
    Fd fd(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    return fd.valid() ? Result<Fd>(std::move(fd)) : system_failure(errno, "-: standard input");
}

std::string copy_directory()
{
    const char* configured = std::getenv("TMPDIR");
    return configured != nullptr && *configured != '\0' ? configured : "/var/tmp";
}

Result<Fd> make_unlinked()
{
    const std::string directory = copy_directory();
    std::string path = directory + "/xdpctl-capture-XXXXXX";
    Fd fd(mkostemp(path.data(), O_CLOEXEC));
    if (!fd.valid()) {
        return system_failure(
            errno,
            fmt::format("a temporary file in {} (TMPDIR names another directory)", directory));
    }
    unlink(path.c_str());
    return fd;
}

Result<> append(int fd, const char* data, size_t count)
{
    while (count > 0) {
        const ssize_t put = ::write(fd, data, count);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return system_failure(
                errno,
                fmt::format("copying it to {} (TMPDIR names another directory)", copy_directory()));
        }
        data += put;
        count -= static_cast<size_t>(put);
    }
    return Done{};
}

std::string gzip_problem(gzFile gzip)
{
    int code = Z_OK;
    const char* text = gzerror(gzip, &code);
    if (code == Z_ERRNO) {
        return fmt::format("{}", system_failure(errno, "reading it").message);
    }
    return fmt::format("the gzip stream is damaged: {}", text);
}

} // namespace

// gzread takes what is not gzip as it is.
Result<> CaptureFile::copy(int from, uint64_t copy_max)
{
    auto target = make_unlinked();
    if (!target) {
        return target.error();
    }
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> gzip(gzdopen(dup(from), "rb"), gzclose);
    if (!gzip) {
        return failure("out of memory");
    }
    std::vector<char> buffer(1 << 18);
    gzbuffer(gzip.get(), 1 << 17);
    int got = 0;
    while ((got = gzread(gzip.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
        bytes_ += static_cast<uint64_t>(got);
        if (bytes_ > copy_max) {
            return failure(ErrorKind::unreadable,
                           "more than {} bytes would have to be copied: decompress or save it to "
                           "a file, and replay that",
                           copy_max);
        }
        if (auto done = append(target->get(), buffer.data(), static_cast<size_t>(got)); !done) {
            return done;
        }
    }
    if (got < 0) {
        return failure(ErrorKind::unreadable, "{}", gzip_problem(gzip.get()));
    }
    int code = Z_OK;
    gzerror(gzip.get(), &code);
    if (code == Z_BUF_ERROR) {
        cut_ = "the gzip stream ends early";
    }
    fd_ = std::move(*target);
    return Done{};
}

Result<CaptureFile> CaptureFile::open(const std::string& path, uint64_t copy_max)
{
    auto input = open_input(path);
    if (!input) {
        return input.error();
    }
    struct stat info {
    };
    if (fstat(input->get(), &info) != 0) {
        return system_failure(errno, path);
    }
    if (S_ISDIR(info.st_mode)) {
        return failure(ErrorKind::unreadable, "{}: is a directory, not a capture", path);
    }
    CaptureFile file;
    file.name_ = path;
    std::array<char, 2> begin{};
    const bool at_begin = S_ISREG(info.st_mode) && lseek(input->get(), 0, SEEK_CUR) == 0;
    const ssize_t got = at_begin ? pread(input->get(), begin.data(), begin.size(), 0) : 0;
    if (!at_begin || (got == 2 && std::string_view(begin.data(), 2) == gzip_magic)) {
        if (auto done = file.copy(input->get(), copy_max); !done) {
            return done.error().in(path);
        }
    } else {
        file.fd_ = std::move(*input);
        file.bytes_ = static_cast<uint64_t>(info.st_size);
    }
    if (file.bytes_ == 0) {
        return failure(ErrorKind::unreadable, "{}: empty{}{}", path, file.cut_.empty() ? "" : ": ",
                       file.cut_);
    }
    const std::string head = file.head(8);
    for (const Magic& packer : other_packers) {
        if (head.starts_with(packer.bytes)) {
            return failure(ErrorKind::unreadable,
                           "{}: packed with {}, which is not read (gzip is): unpack it first", path,
                           packer.what);
        }
    }
    return file;
}

Result<UniqueFile> CaptureFile::stream() const
{
    auto* cursor = new Cursor{fd_.get(), bytes_};
    UniqueFile file(fopencookie(cursor, "rb", {read_cursor, nullptr, seek_cursor, close_cursor}),
                    std::fclose);
    if (!file) {
        delete cursor;
        return system_failure(errno, name_);
    }
    return file;
}

std::string CaptureFile::head(size_t count) const
{
    std::string text(std::min<uint64_t>(count, bytes_), '\0');
    const ssize_t got = pread(fd_.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
}

} // namespace xdpctl
