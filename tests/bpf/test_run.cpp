// SPDX-License-Identifier: Apache-2.0
#include "bpf/test_run.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "base/hash.h"
#include "dataplane/bpf_object.h"
#include "harness/catch.h"
#include "harness/skip.h"

namespace xdpctl::testing
{
namespace
{

std::map<std::string, std::set<uint32_t>>& ended_here()
{
    static std::map<std::string, std::set<uint32_t>> ended;
    return ended;
}

// A file for each test case: its name, then the reasons that it met.
std::string record_of(const std::string& name)
{
    return fmt::format("{}/{:016x}", shared_directory(), hash_bytes(name));
}

void write_record(const std::string& name, const std::set<uint32_t>& reasons)
{
    std::filesystem::create_directories(shared_directory());
    std::ofstream record(record_of(name));
    record << name << '\n';
    for (const uint32_t reason : reasons) {
        record << reason << '\n';
    }
}

struct Recorder : CatchListener {
    using CatchListener::CatchListener;

    void testCaseStarting(const Catch::TestCaseInfo& info) override
    {
        CatchListener::testCaseStarting(info);
        reasons_met().clear();
    }
    void testCaseEnded(const Catch::TestCaseStats& stats) override
    {
        CatchListener::testCaseEnded(stats);
        if (shared_directory().empty()) {
            ended_here()[info_of(stats).name] = reasons_met();
        } else {
            write_record(info_of(stats).name, reasons_met());
        }
    }
};

CATCH_REGISTER_LISTENER(Recorder)

} // namespace

std::optional<std::string> skip_all_because()
{
    if (geteuid() != 0) {
        return "loading BPF programs needs root";
    }
    return std::nullopt;
}

const std::string& shared_directory()
{
    static const std::string directory = [] {
        const char* set = std::getenv("XDPCTL_TEST_RUN");
        return std::string(set != nullptr ? set : "");
    }();
    return directory;
}

std::string shared_pins()
{
    return fmt::format("/sys/fs/bpf/xdpctl_tests_{:016x}", hash_bytes(shared_directory()));
}

void remove_pins()
{
    if (!shared_directory().empty()) {
        std::filesystem::remove_all(shared_pins());
    }
}

void begin_run()
{
    remove_pins();
    if (!shared_directory().empty()) {
        std::filesystem::remove_all(shared_directory());
    }
}

std::set<uint32_t>& reasons_met()
{
    static std::set<uint32_t> met;
    return met;
}

std::map<std::string, std::set<uint32_t>> reasons_by_case()
{
    if (shared_directory().empty()) {
        return ended_here();
    }
    std::map<std::string, std::set<uint32_t>> all;
    std::error_code absent;
    for (const auto& file : std::filesystem::directory_iterator(shared_directory(), absent)) {
        std::ifstream record(file.path());
        std::string name;
        std::getline(record, name);
        std::set<uint32_t>& reasons = all[name];
        for (uint32_t reason = 0; record >> reason;) {
            reasons.insert(reason);
        }
    }
    return all;
}

} // namespace xdpctl::testing
