// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <filesystem>
#include <map>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <prometheus/metric_family.h>

#include "base/fd.h"
#include "exporter/exporter.h"
#include "harness/answer.h"
#include "harness/catch.h"
#include "harness/fake_dataplane.h"

using namespace xdpctl;
using namespace xdpctl::testing;

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

namespace
{

Result<std::unique_ptr<Exporter>> start(const std::string& listen)
{
    return Exporter::start([] { return std::make_shared<const Status>(busy_status()); }, listen);
}

sockaddr_in ipv4(uint16_t port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

sockaddr_in6 ipv6(uint16_t port)
{
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    return address;
}

template <typename Address> Fd connected(const Address& address)
{
    Fd fd(socket(reinterpret_cast<const sockaddr&>(address).sa_family, SOCK_STREAM | SOCK_CLOEXEC,
                 0));
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0
               ? std::move(fd)
               : Fd();
}

// "" where nobody listens.
template <typename Address>
std::string asked(const Address& address, std::string_view what = "GET /metrics")
{
    const Fd fd = connected(address);
    const std::string request =
        fmt::format("{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", what);
    (void)!send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    return fd.valid() ? answer_of(fd) : "";
}

// A port that nobody has, and the socket that has it.
std::pair<uint16_t, Fd> bound_port()
{
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = ipv4(0);
    socklen_t length = sizeof(address);
    REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    return {ntohs(address.sin_port), std::move(fd)};
}

uint16_t free_port()
{
    return bound_port().first;
}

bool no_ipv6()
{
    const Fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in6 address = ipv6(0);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        return false;
    }
    WARN("SKIPPED: needs IPv6");
    return true;
}

} // namespace

TEST_CASE("metrics are one path, for GET and HEAD")
{
    const uint16_t port = free_port();
    const auto exporter = start(fmt::format("127.0.0.1:{}", port));
    REQUIRE(exporter);
    const std::string metrics = asked(ipv4(port));
    CHECK_THAT(metrics, Catch::StartsWith("HTTP/1.1 200"));
    CHECK_THAT(metrics, Catch::Contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    CHECK_THAT(metrics, Catch::Contains("\nxdpctl_build_info{"));
    CHECK_THAT(asked(ipv4(port), "HEAD /metrics"),
               Catch::StartsWith("HTTP/1.1 200") && Catch::EndsWith("\r\n\r\n"));
    for (const char* other : {"GET /", "GET /metrics/", "POST /metrics", "DELETE /metrics"}) {
        CHECK_THAT(asked(ipv4(port), other), Catch::StartsWith("HTTP/1.1 404"));
    }
    std::vector<Fd> idle; // more than are served at a time
    for (int i = 0; i < 100; i++) {
        idle.push_back(connected(ipv4(port)));
        (void)!send(idle.back().get(), "G", 1, MSG_NOSIGNAL);
    }
    CHECK_THAT(asked(ipv4(port)), Catch::StartsWith("HTTP/1.1 200"));
}

TEST_CASE("metrics listen at each address of both families that is configured")
{
    if (no_ipv6()) {
        return;
    }
    const auto served = [](const std::string& listen, uint16_t port) {
        const auto exporter = start(listen);
        INFO(listen);
        REQUIRE(exporter);
        return std::pair(!asked(ipv4(port)).empty(), !asked(ipv6(port)).empty());
    };
    const uint16_t port = free_port();
    CHECK(served(fmt::format("[::1]:{}", port), port) == std::pair(false, true));
    CHECK(served(fmt::format("127.0.0.1:{}", port), port) == std::pair(true, false));
    CHECK(served(fmt::format("127.0.0.1:{0},[::1]:{0}", port), port) == std::pair(true, true));
    CHECK(served(fmt::format("{}", port), port) == std::pair(true, true));
    CHECK(served(fmt::format("0.0.0.0:{}", port), port) == std::pair(true, false));
    CHECK(served(fmt::format("[::]:{}", port), port) == std::pair(false, true));
}

TEST_CASE("an address for metrics that is taken is named with the kernel's reason")
{
    const auto [port, taken] = bound_port();
    const auto why = [](const std::string& listen) {
        const auto exporter = start(listen);
        REQUIRE_FALSE(exporter);
        return exporter.error().message;
    };
    const std::string words = "metrics are not exported: metrics.listen: ";
    const std::string address = fmt::format("127.0.0.1:{}", port);
    CHECK(why(address) == words + address + ": cannot listen: Address already in use");
    // All of them or none: what could be bound is free again.
    const uint16_t other = free_port();
    CHECK(why(fmt::format("127.0.0.1:{},{}", other, address)) ==
          words + address + ": cannot listen: Address already in use");
    CHECK(start(fmt::format("127.0.0.1:{}", other)));
    CHECK(why(fmt::format("{}", port)) ==
          words + fmt::format("{}: cannot listen: Address already in use", port));
    CHECK(why("192.0.2.77:9417") ==
          words + "192.0.2.77:9417: cannot listen: Cannot assign requested address");
}
