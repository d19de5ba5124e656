// SPDX-License-Identifier: Apache-2.0
#include "engine/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <exception>
#include <utility>

#include "base/log.h"

namespace xdpctl
{

Inbox::Inbox() : wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void Inbox::post(std::function<void()> work)
{
    const std::lock_guard lock(mutex_);
    if (closed_) {
        return;
    }
    waiting_.push_back(std::move(work));
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof(one)); // fails only where it is readable already
}

std::vector<std::function<void()>> Inbox::take()
{
    const std::lock_guard lock(mutex_);
    uint64_t count = 0;
    (void)!read(wake_.get(), &count, sizeof(count));
    return std::exchange(waiting_, {});
}

void Inbox::run()
{
    for (const std::function<void()>& work : take()) {
        try {
            work();
        } catch (const std::exception& problem) { // no memory; the others are done all the same
            log::error("{}", problem.what());
        }
    }
}

void Inbox::close()
{
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
}

} // namespace xdpctl
