// SPDX-License-Identifier: Apache-2.0
#include "host/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "base/file.h"

namespace xdpctl
{
namespace
{

// As sysctl(8): a slash in a name stands for a dot.
std::string path_of(std::string name)
{
    for (char& c : name) {
        c = c == '.' ? '/' : c == '/' ? '.' : c;
    }
    return "/proc/sys/" + name;
}

} // namespace

std::string sysctl_word(std::string word)
{
    std::replace(word.begin(), word.end(), '.', '/');
    return word;
}

Result<std::string> read_sysctl(const std::string& name)
{
    auto text = read_file(path_of(name));
    if (!text) {
        return text.error();
    }
    return text->substr(0, text->find('\n'));
}

Result<> write_sysctl(const std::string& name, const std::string& value)
{
    const Fd fd(open(path_of(name).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid() ||
        write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
        return system_failure(errno, fmt::format("setting {} to {}", name, value));
    }
    return Done{};
}

} // namespace xdpctl
