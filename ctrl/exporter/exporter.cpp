// SPDX-License-Identifier: Apache-2.0
#include "exporter/exporter.h"

#include <algorithm>

#include <prometheus/client_metric.h>
#include <prometheus/text_serializer.h>

#include "core/reasons.h"
#include "host/listen.h"
#include "http/server.h"

namespace xdpctl
{
namespace
{

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using CellField = __u64 xdpctl_cell::*;

constexpr size_t head_bytes_most = 16UL << 10;
constexpr size_t body_bytes_most = 4UL << 10; // a scrape has none

class Family
{
  public:
    Family(std::string name, std::string help, MetricType type)
    {
        family_.name = std::move(name);
        family_.help = std::move(help);
        family_.type = type;
    }

    void add(double value, Labels labels = {})
    {
        ClientMetric metric;
        metric.label = std::move(labels);
        if (family_.type == MetricType::Counter) {
            metric.counter.value = value;
        } else {
            metric.gauge.value = value;
        }
        family_.metric.push_back(std::move(metric));
    }

    MetricFamily take() { return std::move(family_); }

  private:
    MetricFamily family_;
};

// The cells of one reason are always there once the reason was met, so that
// rate() sees them begin; reasons never met cost no series.
void add_outcome(std::vector<MetricFamily>& out, const Snapshot& snapshot,
                 const OutcomeInfo& outcome, CellField field, std::string_view unit)
{
    Family family(
        fmt::format("xdpctl_{}_{}_total", outcome.name, unit),
        fmt::format("{} {}, by reason.", unit == "packets" ? "Packets" : "Bytes", outcome.text),
        MetricType::Counter);
    for (const DeviceSnapshot& device : snapshot.devices) {
        for (size_t f = 0; f < XDPCTL_FAMILY_COUNT; f++) {
            for (size_t d = 0; d < XDPCTL_DISPOSITION_COUNT; d++) {
                for (const ReasonInfo& reason : reasons) {
                    const xdpctl_cell& cell = device.counters.cells[f][d][reason.id];
                    if (outcome_of(d, reason.verdict).id == outcome.id && cell.packets > 0) {
                        family.add(static_cast<double>(cell.*field),
                                   {{"device", device.name},
                                    {"family", std::string(family_names[f])},
                                    {"reason", std::string(reason.name)}});
                    }
                }
            }
        }
    }
    out.push_back(family.take());
}

void add_received(std::vector<MetricFamily>& out, const Snapshot& snapshot, CellField field,
                  std::string_view unit)
{
    Family family(
        fmt::format("xdpctl_received_{}_total", unit),
        fmt::format("{} that entered the data path.", unit == "packets" ? "Packets" : "Bytes"),
        MetricType::Counter);
    for (const DeviceSnapshot& device : snapshot.devices) {
        for (size_t f = 0; f < XDPCTL_FAMILY_COUNT; f++) {
            uint64_t sum = 0;
            for (const auto& disposition : device.counters.cells[f]) {
                for (const xdpctl_cell& cell : disposition) {
                    sum += cell.*field;
                }
            }
            family.add(static_cast<double>(sum),
                       {{"device", device.name}, {"family", std::string(family_names[f])}});
        }
    }
    out.push_back(family.take());
}

void add_traffic(std::vector<MetricFamily>& out, const Snapshot& snapshot)
{
    const std::array<std::pair<std::string_view, CellField>, 2> units = {
        {{"packets", &xdpctl_cell::packets}, {"bytes", &xdpctl_cell::bytes}}};
    for (const auto& [unit, field] : units) {
        add_received(out, snapshot, field, unit);
        for (const OutcomeInfo& outcome : outcomes) {
            add_outcome(out, snapshot, outcome, field, unit);
        }
    }
}

void add_bans(std::vector<MetricFamily>& out, const Snapshot& snapshot)
{
    Family bans("xdpctl_bans", "Bans in force.", MetricType::Gauge);
    for (size_t origin = 0; origin < ban_origin_names.size(); origin++) {
        for (size_t family = 0; family < 2; family++) {
            bans.add(static_cast<double>(snapshot.bans.active[origin][family]),
                     {{"source", std::string(ban_origin_names[origin])},
                      {"family", std::string(family_names[family])}});
        }
    }
    out.push_back(bans.take());
}

std::string service_name(const GuardStatus& guard)
{
    return guard.port == 0 ? "other" : fmt::format("tcp/{}", guard.port);
}

void add_guards(std::vector<MetricFamily>& out, const Snapshot& snapshot)
{
    Family cookies("xdpctl_syn_cookies_total",
                   "SYN cookies of the guard: sent, accepted in an ACK, or missing from a packet "
                   "without a connection.",
                   MetricType::Counter);
    Family active("xdpctl_attack_active", "1 while a service is attacked.", MetricType::Gauge);
    Family attacks("xdpctl_attacks_total", "Attacks that began.", MetricType::Counter);
    Family state("xdpctl_guard_state", "1 for what the guard of a service does now.",
                 MetricType::Gauge);
    Family handshakes("xdpctl_handshakes_total", "Handshakes that the kernel completed.",
                      MetricType::Counter);
    uint64_t sent = 0;
    uint64_t accepted = 0;
    uint64_t rejected = 0;
    uint64_t established = 0;
    for (const GuardStatus& guard : snapshot.guards) {
        const std::string service = service_name(guard);
        sent += guard.cookies;
        accepted += guard.accepted;
        rejected += guard.rejected;
        established += guard.established;
        active.add(guard.attacked ? 1 : 0, {{"service", service}, {"vector", "syn_flood"}});
        attacks.add(static_cast<double>(guard.attacks),
                    {{"service", service}, {"vector", "syn_flood"}});
        state.add(1, {{"service", service}, {"state", std::string(to_string(guard.state))}});
    }
    cookies.add(static_cast<double>(sent), {{"result", "sent"}});
    cookies.add(static_cast<double>(accepted), {{"result", "accepted"}});
    cookies.add(static_cast<double>(rejected), {{"result", "rejected"}});
    handshakes.add(static_cast<double>(established));
    for (Family* family : {&cookies, &active, &attacks, &state, &handshakes}) {
        out.push_back(family->take());
    }
}

void add_maps(std::vector<MetricFamily>& out, const Snapshot& snapshot)
{
    Family entries("xdpctl_map_entries", "Entries of a map of the data path.", MetricType::Gauge);
    Family most("xdpctl_map_max_entries", "Room of a map of the data path.", MetricType::Gauge);
    for (const MapUsage& map : snapshot.maps) {
        entries.add(static_cast<double>(map.entries), {{"map", map.name}});
        most.add(static_cast<double>(map.max_entries), {{"map", map.name}});
    }
    out.push_back(entries.take());
    out.push_back(most.take());
}

// All of them, so that a rule finds the ones that do not hold too.
void add_conditions(std::vector<MetricFamily>& out, const std::vector<ActiveCondition>& active)
{
    Family family("xdpctl_condition",
                  "1 while a state lasts that the operator must know of; `xdpctl status` has its "
                  "text.",
                  MetricType::Gauge);
    for (const ConditionInfo& info : conditions) {
        const bool holds = std::any_of(active.begin(), active.end(),
                                       [&info](const auto& one) { return one.id == info.id; });
        family.add(holds ? 1 : 0, {{"condition", std::string(info.name)},
                                   {"severity", std::string(to_string(info.severity))}});
    }
    out.push_back(family.take());
}

void add_state(std::vector<MetricFamily>& out, const Status& status)
{
    const auto gauge = [&out](const char* name, const char* help, double value,
                              Labels labels = {}) {
        Family family(name, help, MetricType::Gauge);
        family.add(value, std::move(labels));
        out.push_back(family.take());
    };
    Family attached("xdpctl_program_attached",
                    "1 where the program runs on the device; mode is native, generic or none.",
                    MetricType::Gauge);
    for (const Attachment& attachment : status.attachments) {
        attached.add(1, {{"device", attachment.interface},
                         {"mode", attachment.native ? "native" : "generic"}});
    }
    for (const std::string& missing : status.missing_interfaces) {
        attached.add(0, {{"device", missing}, {"mode", "none"}});
    }
    out.push_back(attached.take());
    Family wanted("xdpctl_interface_wanted", "1 where the program shall run on the device.",
                  MetricType::Gauge);
    for (const std::string& name : status.wanted_interfaces) {
        wanted.add(1, {{"device", name}});
    }
    out.push_back(wanted.take());
    add_conditions(out, status.conditions);
    gauge("xdpctl_conntrack_entries", "Connections that netfilter tracks.",
          static_cast<double>(status.conntrack_entries));
    gauge("xdpctl_conntrack_max_entries", "Room for them; 0 where there is no table.",
          static_cast<double>(status.conntrack_max_entries));
    gauge("xdpctl_enforcing", "1 in enforce mode, 0 in monitor mode.",
          status.mode == XDPCTL_MODE_ENFORCE ? 1 : 0);
    gauge("xdpctl_panic", "1 while panic passes every packet.", status.bypass ? 1 : 0);
    gauge("xdpctl_policy_generation", "Commits of the policy since the maps were made.",
          static_cast<double>(status.generation));
    gauge("xdpctl_config_last_reload_successful", "1 where the last reload was taken.",
          status.config_ok ? 1 : 0);
    gauge("xdpctl_longest_hold_seconds",
          "Longest time in the last minutes for which a request had to wait for xdpctld.",
          static_cast<double>(status.longest_hold_ns) / ns_per_s);
    gauge("xdpctl_services", "Listening sockets discovered on the host.",
          static_cast<double>(status.services.size()));
    gauge("xdpctl_build_info", "Always 1; the version is in the label.", 1,
          {{"version", status.version}});
    Family lost("xdpctl_events_lost_total", "Packet events for which the ring buffer had no room.",
                MetricType::Counter);
    lost.add(static_cast<double>(status.snapshot->events_lost));
    out.push_back(lost.take());
}

void add_lists(std::vector<MetricFamily>& out, const Status& status)
{
    Family entries("xdpctl_list_prefixes", "Prefixes of a list.", MetricType::Gauge);
    Family packets("xdpctl_list_packets_total", "Packets that a list spoke for.",
                   MetricType::Counter);
    Family bytes("xdpctl_list_bytes_total", "Bytes of them.", MetricType::Counter);
    for (const ListStatus& list : status.lists) {
        for (size_t family = 0; family < 2; family++) {
            entries.add(static_cast<double>(list.prefixes[family]),
                        {{"list", list.name}, {"family", std::string(family_names[family])}});
        }
        packets.add(static_cast<double>(list.met.packets), {{"list", list.name}});
        bytes.add(static_cast<double>(list.met.bytes), {{"list", list.name}});
    }
    Family memory("xdpctl_lists_memory_bytes", "Memory of all lists.", MetricType::Gauge);
    memory.add(static_cast<double>(status.list_bytes));
    for (Family* family : {&entries, &packets, &bytes, &memory}) {
        out.push_back(family->take());
    }
}

void add_feeds(std::vector<MetricFamily>& out, const Status& status)
{
    Family fetched("xdpctl_feed_last_success_timestamp_seconds",
                   "When what is in force was last confirmed.", MetricType::Gauge);
    Family stale("xdpctl_feed_stale", "1 where three refreshes or more are overdue.",
                 MetricType::Gauge);
    Family refused("xdpctl_feed_refused_entries",
                   "Entries that were not taken: not understood, too wide, or of this host.",
                   MetricType::Gauge);
    Family refreshes("xdpctl_feed_refreshes_total", "Tries to fetch a feed.", MetricType::Counter);
    for (const FeedStatus& feed : status.feeds) {
        const Labels name = {{"feed", feed.name}};
        fetched.add(static_cast<double>(feed.fetched_unix_s.value_or(0)), name);
        stale.add(feed.stale ? 1 : 0, name);
        const auto add_refused = [&](const char* why, size_t count) {
            refused.add(static_cast<double>(count), {{"feed", feed.name}, {"why", why}});
        };
        add_refused("not_understood", feed.faults);
        add_refused("too_wide", feed.too_wide);
        add_refused("protected", feed.protected_here);
        const std::array<const char*, 3> results = {"changed", "unchanged", "failed"};
        for (size_t i = 0; i < results.size(); i++) {
            refreshes.add(static_cast<double>(feed.refreshes[i]),
                          {{"feed", feed.name}, {"result", results[i]}});
        }
    }
    for (Family* family : {&fetched, &stale, &refused, &refreshes}) {
        out.push_back(family->take());
    }
}

void add_crowdsec(std::vector<MetricFamily>& out, const Status& status)
{
    if (!status.crowdsec) {
        return;
    }
    Family answered("xdpctl_crowdsec_last_success_timestamp_seconds",
                    "When CrowdSec last answered.", MetricType::Gauge);
    Family stale("xdpctl_crowdsec_stale", "1 where answers are overdue.", MetricType::Gauge);
    Family asked("xdpctl_crowdsec_requests_total", "Times that CrowdSec was asked.",
                 MetricType::Counter);
    answered.add(static_cast<double>(status.crowdsec->answered_unix_s.value_or(0)), {});
    stale.add(status.crowdsec->stale ? 1 : 0, {});
    asked.add(static_cast<double>(status.crowdsec->answers), {{"result", "answered"}});
    asked.add(static_cast<double>(status.crowdsec->failures), {{"result", "failed"}});
    for (Family* family : {&answered, &stale, &asked}) {
        out.push_back(family->take());
    }
}

HttpResponse plain_text(unsigned int status, std::string text)
{
    return {status, std::move(text), "text/plain; charset=utf-8"};
}

HttpResponse error_page(unsigned int status)
{
    return plain_text(status, status == 408 ? "the request was not complete in time\n"
                                            : "the request cannot be answered\n");
}

HttpResponse respond(const ReadStatus& read_status, const HttpRequest& request)
{
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (!reads || request.path != "/metrics") {
        return plain_text(404, "GET /metrics only\n");
    }
    return {200, prometheus::TextSerializer().Serialize(metrics_of(*read_status())),
            "text/plain; version=0.0.4; charset=utf-8"};
}

} // namespace

std::vector<MetricFamily> metrics_of(const Status& status)
{
    std::vector<MetricFamily> families;
    add_traffic(families, *status.snapshot);
    add_bans(families, *status.snapshot);
    add_guards(families, *status.snapshot);
    add_maps(families, *status.snapshot);
    add_lists(families, status);
    add_feeds(families, status);
    add_crowdsec(families, status);
    add_state(families, status);
    return families;
}

Result<std::unique_ptr<Exporter>> Exporter::start(ReadStatus read_status, const std::string& listen)
{
    auto listeners = listen_at(listen);
    if (!listeners) {
        return listeners.error().in("metrics are not exported: metrics.listen");
    }
    HttpSetup setup;
    setup.head_bytes_most = head_bytes_most;
    setup.body_bytes_most = body_bytes_most;
    setup.handle = [read_status = std::move(read_status)](const HttpRequest& request,
                                                          HttpAnswer answer) {
        answer(respond(read_status, request)); // here: scrapes wait for each other anyway
    };
    setup.error_page = error_page;
    auto server = HttpServer::create(std::move(setup), std::move(*listeners));
    if (!server) {
        return server.error().in("metrics are not exported");
    }
    (*server)->serve();
    return std::unique_ptr<Exporter>(new Exporter(std::move(*server)));
}

Exporter::Exporter(std::unique_ptr<HttpServer> server) : server_(std::move(server)) {}
Exporter::~Exporter() = default;

} // namespace xdpctl
