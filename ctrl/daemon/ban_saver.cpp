// SPDX-License-Identifier: Apache-2.0
#include "daemon/ban_saver.h"

#include <malloc.h>

#include <chrono>

namespace xdpctl
{
namespace
{

using std::chrono::steady_clock;

constexpr auto rest = std::chrono::seconds(2);
constexpr int rest_per_work = 20; // so that many bans do not keep the disk busy
constexpr size_t large_bytes = 1UL << 20;

} // namespace

BanSaver::BanSaver(Controller& controller) : controller_(controller), thread_([this] { run(); }) {}

BanSaver::~BanSaver()
{
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
    controller_.save_bans();
}

void BanSaver::run()
{
    std::unique_lock lock(mutex_);
    while (!stop_) {
        const auto begin = steady_clock::now();
        if (controller_.save_bans() > large_bytes) {
            malloc_trim(0); // its text and a copy of the bans are free again
        }
        const auto work = steady_clock::now() - begin;
        wake_.wait_for(lock, rest + work * rest_per_work, [this] { return stop_; });
    }
}

} // namespace xdpctl
