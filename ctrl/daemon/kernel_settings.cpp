// SPDX-License-Identifier: Apache-2.0
#include "daemon/kernel_settings.h"

namespace xdpctl
{

std::optional<std::string> KernelSettings::before(const std::string& name) const
{
    const auto found = changed_.find(name);
    return found != changed_.end() ? std::optional(found->second.before) : std::nullopt;
}

std::string KernelSettings::problem() const
{
    std::string text;
    for (const auto& [name, why] : problems_) {
        text += (text.empty() ? "" : "; ") + why;
    }
    return text;
}

std::vector<std::string>
KernelSettings::want(const Sysctls& wanted,
                     const std::function<void(const ChangedSysctls&)>& remember)
{
    std::vector<std::string> said;
    std::erase_if(problems_,
                  [&wanted](const auto& problem) { return !wanted.contains(problem.first); });
    const ChangedSysctls changed = changed_;
    for (const auto& [name, change] : changed) {
        if (wanted.contains(name)) {
            continue;
        }
        const auto is = access_.read(name);
        // Whoever changed it since meant it.
        if (is && *is == change.ours && *is != change.before) {
            const auto done = access_.write(name, change.before);
            said.push_back(done ? fmt::format("{} put back to {}", name, change.before)
                                : done.error().message);
        }
        changed_.erase(name);
        remember(changed_);
    }
    for (const auto& [name, value] : wanted) {
        const auto is = access_.read(name);
        if (is && *is == value) {
            problems_.erase(name);
            continue;
        }
        if (is) {
            changed_[name] = {before(name).value_or(*is), value};
            remember(changed_);
        }
        const auto done = is ? access_.write(name, value) : Result<>(is.error());
        if (done) {
            problems_.erase(name);
            said.push_back(fmt::format("{} set from {} to {}", name, *is, value));
            continue;
        }
        if (changed_.erase(name) > 0) {
            remember(changed_);
        }
        problems_[name] = done.error().message;
    }
    return said;
}

} // namespace xdpctl
