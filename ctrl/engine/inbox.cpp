// SPDX-License-Identifier: Apache-2.0
#include "engine/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace xdpctl
{

Inbox::Inbox() : wake_(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) {}

void Inbox::post(std::function<void()> work)
{
    const std::lock_guard lock(mutex_);
    if (closed_) {
        return;
    }
    waiting_.push_back(std::move(work));
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof(one));
}

std::function<void()> Inbox::take()
{
    const std::lock_guard lock(mutex_);
    uint64_t one = 0;
    if (read(wake_.get(), &one, sizeof(one)) < 0 || waiting_.empty()) {
        return {};
    }
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    return next;
}

void Inbox::run()
{
    if (const auto work = take()) {
        work();
    }
}

void Inbox::close()
{
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
}

} // namespace xdpctl
