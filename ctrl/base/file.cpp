// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/fd.h"

namespace xdpctl
{
Result<std::string> read_file(const std::string& path, size_t bytes_most)
{
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
        return errno == ENOENT ? failure(ErrorKind::not_found, "{}: no such file", path)
                               : system_failure(errno, path);
    }
    std::string content;
    char buffer[65536];
    ssize_t got = 0;
    while ((got = ::read(fd.get(), buffer, sizeof(buffer))) > 0) {
        content.append(buffer, static_cast<size_t>(got));
        if (content.size() > bytes_most) {
            return failure("{}: larger than {} bytes", path, bytes_most);
        }
    }
    if (got < 0) {
        return system_failure(errno, path);
    }
    return content;
}

Result<> write_file_atomic(const std::string& path, const std::string& content)
{
    const std::string temporary = path + ".new";
    {
        const Fd fd(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd.valid()) {
            return system_failure(errno, temporary);
        }
        for (size_t done = 0; done < content.size();) {
            const ssize_t put = ::write(fd.get(), content.data() + done, content.size() - done);
            if (put < 0) {
                return system_failure(errno, temporary);
            }
            done += static_cast<size_t>(put);
        }
        if (::fsync(fd.get()) != 0) {
            return system_failure(errno, temporary);
        }
    }
    if (std::rename(temporary.c_str(), path.c_str()) != 0) {
        return system_failure(errno, path);
    }
    return Done{};
}

Result<> check_room(const std::string& path, uint64_t bytes)
{
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) {
        return system_failure(errno, path);
    }
    constexpr uint64_t least = 4096;
    const int problem = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(std::max(bytes, least)));
    ::unlink(path.c_str());
    return problem != 0 ? Result<>(system_failure(problem, path)) : Done{};
}

Result<> make_directories(const std::string& path)
{
    std::error_code problem;
    std::filesystem::create_directories(path, problem);
    if (problem) {
        return system_failure(problem.value(), path);
    }
    return Done{};
}

} // namespace xdpctl
