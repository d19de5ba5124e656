// SPDX-License-Identifier: Apache-2.0
// The controller for other threads. What is read comes from the last report and waits for nothing;
// what changes something is done on the deciding thread, and waited for.
#pragma once

#include <memory>

#include "api/control.h"
#include "daemon/controller.h"
#include "engine/inbox.h"

namespace xdpctl
{

class ControlOnLoop final : public Control
{
  public:
    // Both must outlive it. The deciding thread runs the inbox.
    ControlOnLoop(Controller& controller, Inbox& inbox) : controller_(controller), inbox_(inbox) {}

    std::shared_ptr<const Status> status() override { return controller_.report(); }
    TopLists top(size_t most) override { return controller_.top(most); }
    std::vector<LogEvent> events(uint64_t since) override { return controller_.events(since); }

    Result<std::vector<BanInfo>> bans() override;
    Result<BanResult> ban(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin) override;
    Result<size_t> lift(const BanFilter& filter) override;
    std::string not_saved() override;
    Result<size_t> allow(Spared which, const std::vector<Prefix>& prefixes, bool force) override;
    Result<size_t> disallow(Spared which, const std::vector<Prefix>& prefixes) override;
    Result<> set_mode(xdpctl_mode mode) override;
    Result<> set_guard(uint16_t port, std::optional<xdpctl_guard_mode> mode) override;
    Result<> set_lockdown(uint16_t port, std::optional<bool> on) override;
    Result<Attachment> attach(const std::string& interface) override;
    Result<bool> detach(const std::string& interface) override;
    Result<PanicEnd> end_panic() override;
    Result<Checked> check(const std::string& toml, const std::string& name, Caller caller) override;
    Result<std::vector<std::string>> diff(const std::string& toml, const std::string& name,
                                          Caller caller) override;
    Result<Applied> apply(const std::string& toml, const std::string& name, Caller caller) override;
    Result<Applied> reload() override;
    Result<> refresh_feed(const std::string& name, bool force) override;
    Result<> set_geo(uint16_t port, const std::optional<GeoRule>& rule, bool force) override;
    Result<Explanation> explain(const Bytes& frame) override;

  private:
    // What comes of `verb` is in the report before its caller knows.
    template <typename Verb> auto change(Verb verb)
    {
        return inbox_.ask([this, &verb] {
            auto result = verb(controller_);
            controller_.publish_report();
            return result;
        });
    }

    Controller& controller_;
    Inbox& inbox_;
};

} // namespace xdpctl
