// SPDX-License-Identifier: Apache-2.0
// A controller on a data path and a host in memory; its state is in a directory of its own.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/control_on_loop.h"
#include "harness/deciding_thread.h"
#include "harness/fake_dataplane.h"
#include "harness/literals.h"

namespace xdpctl::testing
{

class FakeDaemon
{
  public:
    FakeDaemon()
    {
        log::set_level(log::Level::error);
        forget_state();
        Config config;
        config.state_directory = directory();
        config.interfaces = {"eth0"};
        ControllerSetup setup{"1", directory() + "/x.toml", config, {}, {}, {}};
        setup.read_host = [] { return Result<HostFacts>(host()); };
        setup.sysctls.read = [](const std::string&) { return Result<std::string>("1"); };
        setup.sysctls.write = [](const std::string&, const std::string&) {
            return Result<>(Done{});
        };
        controller_ = std::make_unique<Controller>(plane_, interfaces_, jobs_, std::move(setup));
        if (auto started = controller_->start(); !started) {
            fmt::print(stderr, "no controller: {}\n", started.error().message);
            std::abort();
        }
        controller_->tick();
        control_ = std::make_unique<ControlOnLoop>(*controller_, inbox_);
        loop_.emplace(inbox_);
    }
    ~FakeDaemon()
    {
        loop_.reset();
        forget_state();
    }
    FakeDaemon(const FakeDaemon&) = delete;
    FakeDaemon& operator=(const FakeDaemon&) = delete;

    Control& control() { return *control_; }
    void pass_time(uint64_t ns)
    {
        inbox_.ask([this, ns] {
            plane_.now += ns;
            controller_->tick();
        });
    }
    // In memory where the host has it: each change is written with fsync(2).
    static std::string directory()
    {
        static const std::string path = fmt::format(
            "{}/xdpctl-fuzz-{}", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
        return path;
    }

  private:
    static HostFacts host()
    {
        HostFacts facts;
        facts.addresses = {"198.51.100.1"_ip};
        facts.dependencies = {{"198.51.100.1"_net, Protection::OWN_ADDRESS, "eth0"}};
        facts.services = {{IPPROTO_TCP, {}, 443, true}, {IPPROTO_UDP, {}, 53, false}};
        facts.backlogs = {{443, 128}};
        facts.accounts = {{443, 1000}};
        facts.served_ports = {53, 443};
        return facts;
    }
    static void forget_state()
    {
        std::error_code nothing_there;
        std::filesystem::remove_all(directory(), nothing_there);
    }

    FakeDataplane plane_;
    FakeInterfaces interfaces_;
    Inbox inbox_;
    Jobs jobs_{inbox_};
    std::unique_ptr<Controller> controller_;
    std::unique_ptr<ControlOnLoop> control_;
    std::optional<DecidingThread> loop_;
};

} // namespace xdpctl::testing
