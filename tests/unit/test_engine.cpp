// SPDX-License-Identifier: Apache-2.0
#include "harness/catch.h"

#include <thread>

#include <poll.h>

#include "engine/hold.h"
#include "engine/inbox.h"
#include "engine/jobs.h"
#include "harness/deciding_thread.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

bool is_readable(int fd)
{
    pollfd waiting{fd, POLLIN, 0};
    return poll(&waiting, 1, 0) == 1;
}

} // namespace

TEST_CASE("what is posted is done one by one, in its order")
{
    Inbox inbox;
    std::string done;
    CHECK_FALSE(is_readable(inbox.fd()));
    inbox.run(); // nothing
    inbox.post([&done] { done += "a"; });
    inbox.post([&done] { done += "b"; });
    inbox.run();
    CHECK(done == "a");
    CHECK(is_readable(inbox.fd()));
    inbox.run();
    CHECK(done == "ab");
    CHECK_FALSE(is_readable(inbox.fd()));
}

TEST_CASE("a question is answered by the deciding thread, or not at all once the inbox is closed")
{
    Inbox inbox;
    {
        const DecidingThread deciding(inbox);
        const auto here = std::this_thread::get_id();
        CHECK(inbox.ask([] { return std::this_thread::get_id(); }) != here);
        CHECK_THROWS_AS(inbox.ask([]() -> int { throw std::bad_alloc(); }), std::bad_alloc);
        CHECK(inbox.ask([] { return 7; }) == 7); // and it goes on
    }
    inbox.close();
    CHECK_THROWS_AS(inbox.ask([] { return 7; }), std::future_error);
}

TEST_CASE("a job works on a thread of its own and hands its result to the deciding one")
{
    Inbox inbox;
    Jobs jobs(inbox);
    const auto here = std::this_thread::get_id();
    jobs.start([](const Stop&) { return Result<std::thread::id>(std::this_thread::get_id()); },
               [here](const Result<std::thread::id>& thread) { CHECK(*thread == here); });
    jobs.start_threads(2);
    std::vector<std::thread::id> threads;
    std::string problem;
    jobs.start([](const Stop&) { return Result<std::thread::id>(std::this_thread::get_id()); },
               [&threads](const Result<std::thread::id>& thread) { threads.push_back(*thread); });
    jobs.start([](const Stop&) -> Result<> { throw std::runtime_error("no room"); },
               [&problem](const Result<>& done) { problem = done.error().message; });
    while (threads.empty() || problem.empty()) {
        pollfd waiting{inbox.fd(), POLLIN, 0};
        REQUIRE(poll(&waiting, 1, 10000) == 1);
        inbox.run();
    }
    CHECK(threads[0] != here);
    CHECK(problem == "no room");
}

TEST_CASE("jobs that wait are told to stop, and what is not begun is not done")
{
    Inbox inbox;
    Jobs jobs(inbox);
    jobs.start_threads(1);
    std::promise<void> begun;
    std::atomic<int> ended = 0;
    const auto wait = [&](const Stop& stop) -> Result<> {
        begun.set_value();
        while (!stop) {
            std::this_thread::yield();
        }
        ended++;
        return Done{};
    };
    jobs.start(wait, [](const Result<>&) { FAIL("nobody decides any more"); });
    begun.get_future().wait();
    jobs.start(wait, [](const Result<>&) { FAIL("nobody decides any more"); });
    inbox.close();
    jobs.stop();
    CHECK(ended == 1);
    inbox.run();
}

TEST_CASE("the longest hold is that of the last minutes")
{
    constexpr uint64_t s = 1'000'000'000;
    HoldMeter holds;
    CHECK(holds.longest_ns(600 * s) == 0);
    holds.note(7, 600 * s);
    holds.note(5, 601 * s);
    CHECK(holds.longest_ns(659 * s) == 7);
    holds.note(3, 661 * s);
    CHECK(holds.longest_ns(719 * s) == 7); // of the minute before
    CHECK(holds.longest_ns(721 * s) == 3);
    CHECK(holds.longest_ns(900 * s) == 0);
}
