// SPDX-License-Identifier: Apache-2.0
#include "daemon/kernel_settings.h"

namespace xdpctl
{

void KernelSettings::set(const std::string& name, const std::string& value,
                         std::vector<std::string>& said)
{
    const auto is = access_.read(name);
    if (is && *is == value) {
        ours_[name] = value;
        return;
    }
    const auto done = is ? access_.write(name, value) : Result<>(is.error());
    if (!done) {
        if (std::exchange(problems_[name], done.error().message) != done.error().message) {
            said.push_back(done.error().message);
        }
        return;
    }
    problems_.erase(name);
    before_.try_emplace(name, *is);
    ours_[name] = value;
    said.push_back(fmt::format("{} set from {} to {}", name, *is, value));
}

void KernelSettings::put_back(const std::string& name, std::vector<std::string>& said)
{
    const std::string before = before_.at(name);
    const auto is = access_.read(name);
    const auto ours = ours_.find(name);
    // Whoever changed it since meant it.
    const bool still_ours = is && (ours == ours_.end() || *is == ours->second);
    if (still_ours && *is != before) {
        const auto done = access_.write(name, before);
        said.push_back(done ? fmt::format("{} put back to {}", name, before)
                            : done.error().message);
    }
    before_.erase(name);
    ours_.erase(name);
}

std::vector<std::string> KernelSettings::want(const Sysctls& wanted)
{
    std::vector<std::string> said;
    std::vector<std::string> over;
    for (const auto& [name, value] : before_) {
        if (!wanted.contains(name)) {
            over.push_back(name);
        }
    }
    for (const std::string& name : over) {
        put_back(name, said);
    }
    for (const auto& [name, value] : wanted) {
        set(name, value, said);
    }
    return said;
}

} // namespace xdpctl
