// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <map>

#include <prometheus/metric_family.h>

#include "exporter/exporter.h"

using namespace xdpctl;

namespace
{

Status busy_status()
{
    auto snapshot = std::make_shared<Snapshot>();
    DeviceSnapshot device{"eth0", {}};
    for (auto& family : device.counters.cells) {
        for (size_t d = 0; d < family.size(); d++) {
            for (const ReasonInfo& reason : reasons) {
                if (d == XDPCTL_EFFECTIVE || reason.verdict != XDPCTL_VERDICT_PASS) {
                    family[d][reason.id] = {2, 120};
                }
            }
        }
    }
    snapshot->devices = {device};
    snapshot->maps = {{"bans", 1, 2}};
    Status status;
    status.version = "1";
    status.attachments = {{"eth0", 2, true, false}};
    status.wanted_interfaces = {"eth0", "eth1"};
    status.missing_interfaces = {"eth1"};
    status.conditions = {{Condition::conntrack_full, "full", 1}};
    status.conntrack_entries = 9;
    status.conntrack_max_entries = 10;
    status.snapshot = snapshot;
    return status;
}

} // namespace

TEST_CASE("received is passed, answered, dropped, or would have been")
{
    std::map<std::string, double> sums;
    for (const auto& family : metrics_of(busy_status())) {
        for (const auto& metric : family.metric) {
            sums[family.name] += metric.counter.value;
        }
    }
    for (const char* unit : {"packets", "bytes"}) {
        const auto sum = [&](const char* flow) {
            return sums[fmt::format("xdpctl_{}_{}_total", flow, unit)];
        };
        CHECK(sum("received") > 0);
        CHECK(sum("received") == sum("passed") + sum("answered") + sum("dropped") +
                                     sum("would_drop") + sum("would_answer"));
    }
}

TEST_CASE("every state that matters is a metric, also while it does not hold")
{
    std::map<std::string, std::map<std::string, double>> values; // by name, then first label
    for (const auto& family : metrics_of(busy_status())) {
        for (const auto& metric : family.metric) {
            values[family.name][metric.label.empty() ? "" : metric.label[0].value] =
                metric.gauge.value;
        }
    }
    CHECK(values["xdpctl_condition"].size() == conditions.size());
    CHECK(values["xdpctl_condition"]["conntrack_full"] == 1);
    CHECK(values["xdpctl_condition"]["state_not_saved"] == 0);
    CHECK(values["xdpctl_interface_wanted"].size() == 2);
    CHECK(values["xdpctl_program_attached"]["eth0"] == 1);
    CHECK(values["xdpctl_program_attached"]["eth1"] == 0);
    CHECK(values["xdpctl_conntrack_entries"][""] == 9);
    CHECK(values["xdpctl_conntrack_max_entries"][""] == 10);
}

TEST_CASE("even a host that met every reason has at most 500 series")
{
    size_t series = 0;
    Status status = busy_status(); // that enforces: it monitors nothing
    auto snapshot = std::make_shared<Snapshot>(*status.snapshot);
    for (DeviceSnapshot& device : snapshot->devices) {
        for (auto& family : device.counters.cells) {
            family[XDPCTL_WOULD_DROP].fill({});
        }
    }
    status.snapshot = snapshot;
    for (const auto& family : metrics_of(status)) {
        CHECK(family.name.rfind("xdpctl_", 0) == 0);
        CHECK_FALSE(family.help.empty());
        series += family.metric.size();
    }
    CHECK(series <= 500);
}
