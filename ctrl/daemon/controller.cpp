// SPDX-License-Identifier: Apache-2.0
#include "daemon/controller.h"

#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/answer_routes.h"
#include "core/panic.h"
#include "daemon/ban_file.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t host_interval_ns = ns_per_s;
constexpr uint64_t answers_off_ns = 60 * ns_per_s;
constexpr uint64_t older_interval_ns = 60 * ns_per_s; // half of what a mark lasts
constexpr uint64_t top_window_ns = 10 * ns_per_s;

uint32_t cpus()
{
    return std::max(1U, std::thread::hardware_concurrency());
}

template <typename T> bool erase_value(std::vector<T>& values, const T& value)
{
    return std::erase(values, value) > 0;
}

} // namespace

Controller::Controller(Dataplane& plane, Interfaces& interfaces, Jobs& jobs, ControllerSetup setup)
    : plane_(plane), interfaces_(interfaces), jobs_(jobs), setup_(std::move(setup)),
      config_(setup_.config), state_file_(config_.state_directory), kernel_(setup_.sysctls),
      feed_copies_(config_.state_directory), started_ns_(plane.now_ns())
{
    state_promise_.set_value();
}

void Controller::note(EventKind kind, std::string text, log::Level level)
{
    log::write(level, fmt::format("{}: {}", kind.name(), text));
    log_.add(unix_ms(), kind, std::move(text));
}

PolicySpec Controller::policy_spec(const Config& config, const HandState& hand) const
{
    PolicySpec spec = policy_of(config);
    spec.mode = hand.mode.value_or(config.mode);
    spec.allow.insert(spec.allow.end(), hand.allow.begin(), hand.allow.end());
    spec.trusted.insert(spec.trusted.end(), hand.trusted.begin(), hand.trusted.end());
    spec.host = host_spec(config, hand);
    add_blocks(config, hand, spec);
    return spec;
}

HostSpec Controller::host_spec(const Config& config, const HandState& hand) const
{
    HostSpec spec = guards_.spec(config, hand, host_);
    for (const Service& service : host_.services) {
        if (service.protocol == IPPROTO_UDP && service.address == Address{}) {
            spec.udp_services.emplace(service.ipv6, service.port);
        }
    }
    spec.flags |= sockets_unseen(config) ? XDPCTL_HOST_UNSEEN : 0U;
    spec.flags |= host_.receivers.translates ? XDPCTL_HOST_CONNTRACK : 0U;
    spec.tcp_ports = host_.receivers.tcp_ports;
    spec.udp_ports = host_.receivers.udp_ports;
    spec.mss_most = host_.receivers.mss_most;
    for (size_t family = 0; family < spec.reassembly_room.size(); family++) {
        spec.reassembly_room[family] = static_cast<uint32_t>(std::min<uint64_t>(
            host_.network.reassembly_bytes[family] / 2, std::numeric_limits<int32_t>::max()));
    }
    spec.ephemeral_least = host_.network.ephemeral_least;
    spec.limits = limits_of(config.limits, baseline_.peaks());
    return spec;
}

// Of what comes to the limits, while nothing is held by them.
void Controller::learn_peacetime(const std::vector<DeviceCounters>& devices)
{
    Baseline::Counts offered{};
    uint64_t held = 0;
    for (const DeviceCounters& device : devices) {
        for (size_t c = 0; c < offered.size(); c++) {
            offered[c].packets += device.offered[c].packets;
            offered[c].bytes += device.offered[c].bytes;
        }
        for (const auto& family : device.cells) {
            for (const auto& disposition : family) {
                for (const ReasonInfo& reason : reasons) {
                    held += reason.stage == XDPCTL_STAGE_LIMIT ? disposition[reason.id].packets : 0;
                }
            }
        }
    }
    const bool calm = held == held_by_limits_;
    held_by_limits_ = held;
    baseline_.observe(plane_.now_ns(), offered, calm, mode_in_force() == XDPCTL_MODE_MONITOR);
    hand_.peaks = baseline_.peaks(); // saved with the next change
    if (!(limits_of(config_.limits, baseline_.peaks()) == committed_host_.limits)) {
        commit_again();
    }
}

// Connections that are older than we are: nobody told the data path of them.
void Controller::adopt_connections()
{
    auto connections = service_connections(host_);
    if (!connections) {
        log::warning("{}", connections.error().message);
        return;
    }
    std::map<Address, uint32_t> clients;
    for (const SocketInfo& socket : *connections) {
        clients[socket.peer] += socket.established ? 1 : 0;
    }
    for (const auto& [source, count] : clients) {
        (void)plane_.seed_client(source, count); // best effort: they reconnect
    }
    for (SocketInfo& socket : *connections) {
        socket.established = false; // it may change: not part of who it is
    }
    older_ = std::move(*connections);
    mark_older_connections();
}

// As long as they last, which nobody will tell either.
void Controller::follow_older_connections()
{
    if (older_.empty() || older_in_work_ || plane_.now_ns() < next_older_ns_) {
        return;
    }
    next_older_ns_ = plane_.now_ns() + older_interval_ns;
    older_in_work_ = true;
    HostFacts asked;
    asked.services = host_.services;
    start_job([asked = std::move(asked)](const Stop&) { return service_connections(asked); },
              [this](Result<std::vector<SocketInfo>>&& connections) {
                  older_in_work_ = false;
                  if (connections) { // else asked again
                      keep_older_connections(std::move(*connections));
                  }
              });
}

void Controller::keep_older_connections(std::vector<SocketInfo> connections)
{
    for (SocketInfo& socket : connections) {
        socket.established = false;
    }
    std::sort(connections.begin(), connections.end());
    std::erase_if(older_, [&connections](const SocketInfo& socket) {
        return !std::binary_search(connections.begin(), connections.end(), socket);
    });
    mark_older_connections();
}

void Controller::mark_older_connections()
{
    next_older_ns_ = plane_.now_ns() + older_interval_ns;
    for (const SocketInfo& socket : older_) {
        plane_.mark_peer(socket.peer);
    }
}

Result<> Controller::change(Config config, HandState hand)
{
    auto geo = geo_.plan(geo_wanted(config, hand));
    if (!geo) {
        return geo.error();
    }
    if (auto done = set_geo_networks(*geo); !done) {
        return done;
    }
    PolicySpec spec = policy_spec(config, hand);
    spec.geo = geo->rules();
    std::vector<ListEntry> blocks = spec.block;
    blocks.insert(blocks.end(), spec.bans.begin(), spec.bans.end());
    auto committed = plane_.commit(compile_policy(spec, cpus()));
    if (!committed) {
        return committed.error();
    }
    committed_host_ = spec.host;
    committed_blocks_ = std::move(blocks);
    keep_geo(std::move(*geo));
    config_ = std::move(config);
    hand_ = std::move(hand);
    hand_.geo_bits = geo_.in_force().bits;
    refresh_protected();
    configure_feeds();
    configure_bouncer();
    policy_problem_ = "";
    save_state(); // a failure does not undo what is in force
    return Done{};
}

Result<> Controller::start()
{
    auto [hand, put_aside] = state_file_.load();
    if (!put_aside.empty()) {
        setup_.conditions[Condition::state_put_aside] = put_aside;
    }
    if (auto readings = plane_.guards()) {
        guards_.adopt(*readings);
    }
    kernel_.adopt(hand.sysctls);
    baseline_ = Baseline(hand.peaks);
    refresh_attachments(); // what an earlier daemon left
    const Clocks clocks{plane_.now_ns(), time_or_saved(unix_s(), hand.saved_unix_s)};
    for (auto* bans : {&hand.prefix_bans, &hand.shared_bans}) {
        for (HandBan& ban : *bans) {
            ban.deadline_ns = ban.until_unix_s ? deadline_of(*ban.until_unix_s, clocks)
                                               : uint64_t{XDPCTL_NO_DEADLINE};
        }
    }
    hand_ = std::move(hand); // before the host is followed, which commits what is set by hand
    look_at_host();
    adopt_connections();
    refresh_protected();
    suspend_geo_unless_readable();
    configure_feeds();
    load_feed_copies();                 // so that the first policy has them
    bans_changed_ = !setup_.fresh_maps; // an earlier run may not have saved its last
    if (setup_.fresh_maps) {
        load_bans();
    }
    lift_protected_bans(protected_->entries()); // of an earlier run
    started_ = true;
    auto done = change(config_, hand_);
    if (done && config_.crowdsec.url.empty()) { // configured away while nobody ran
        lift_but({});
    }
    follow_conditions();
    return done;
}

Result<> Controller::attach_configured()
{
    wanted_ = {config_.interfaces.begin(), config_.interfaces.end()};
    for (const Attachment& attachment : interfaces_.list()) {
        if (wanted_.insert(attachment.interface).second) {
            log::info("{}: attached, though not configured; `xdpctl detach` frees it",
                      attachment.interface);
        }
    }
    for (const std::string& name : interfaces_.freed_by_panic()) {
        wanted_.insert(name); // also where it was attached by hand
    }
    if (plane_.bypass()) {
        refresh_attachments();
        return Done{};
    }
    size_t attached = 0;
    std::optional<Error> problem;
    for (const std::string& name : wanted_) {
        if (auto done = attach_now(name, config_.attach); done) {
            attached++;
        } else {
            problem = done.error();
        }
    }
    if (problem && attached == 0) {
        return *problem;
    }
    return Done{};
}

Result<> Controller::attach_now(const std::string& interface, AttachMode mode)
{
    auto attachment = interfaces_.attach(interface, mode);
    if (!attachment) {
        attach_problems_[interface] = attachment.error().message;
        return attachment.error();
    }
    attach_problems_.erase(interface);
    std::string text =
        fmt::format("{}: {} XDP, {}", interface, attachment->native ? "native" : "generic",
                    attachment->shared ? "shared through libxdp's dispatcher"
                                       : "alone (no dispatcher on this kernel)");
    if (!attachment->native_refusal.empty()) {
        text += fmt::format("; not native, because {}", attachment->native_refusal);
    }
    note("interface", std::move(text));
    remember_refusal(*attachment, mode);
    refresh_attachments();
    follow_links();
    return Done{};
}

// For status, also after a restart, when the interface is found attached.
void Controller::remember_refusal(const Attachment& attachment, AttachMode mode)
{
    std::map<std::string, std::string> refusals = hand_.native_refusals;
    if (!attachment.native_refusal.empty()) {
        refusals[attachment.interface] = attachment.native_refusal;
    } else if (attachment.native || mode == AttachMode::generic) {
        refusals.erase(attachment.interface);
    }
    if (refusals != hand_.native_refusals) {
        hand_.native_refusals = std::move(refusals);
        save_state();
    }
}

const Attachment* Controller::attachment_of(const std::string& interface) const
{
    const auto found = std::find_if(
        attachments_.begin(), attachments_.end(),
        [&interface](const Attachment& attachment) { return attachment.interface == interface; });
    return found != attachments_.end() ? &*found : nullptr;
}

void Controller::refresh_attachments()
{
    attachments_ = interfaces_.list();
    for (Attachment& attachment : attachments_) {
        device_names_[attachment.ifindex] = attachment.interface;
        const auto refusal = hand_.native_refusals.find(attachment.interface);
        if (!attachment.native && refusal != hand_.native_refusals.end()) {
            attachment.native_refusal = refusal->second;
        }
    }
}

// An interface that went away and came back is protected again.
void Controller::attach_missing()
{
    if (plane_.bypass()) {
        return;
    }
    for (const std::string& name : wanted_) {
        if (attachment_of(name) == nullptr && attach_now(name, config_.attach)) {
            return; // attachments_ changed; the next one in a second
        }
    }
}

void Controller::look_at_host()
{
    if (host_in_work_) {
        return;
    }
    std::vector<uint32_t> filtered;
    for (const Attachment& attachment : attachments_) {
        filtered.push_back(attachment.ifindex);
    }
    host_in_work_ = true;
    host_begin_ns_ = plane_.now_ns();
    start_job(
        [read = setup_.read_host, read_receivers = setup_.read_receivers,
         filtered = std::move(filtered)](const Stop&) {
            auto facts = read();
            if (facts) {
                facts->receivers = read_receivers(filtered);
            }
            return facts;
        },
        [this](Result<HostFacts>&& facts) { take_host(std::move(facts)); });
}

void Controller::take_host(Result<HostFacts>&& facts)
{
    host_in_work_ = false;
    host_problem_ = facts ? "" : "the host cannot be read: " + facts.error().message;
    if (!facts) {
        return;
    }
    for (const Service& service : facts->services) {
        if (started_ns_ != 0 && next_host_ns_ != 0 &&
            !std::binary_search(host_.services.begin(), host_.services.end(), service)) {
            note("service", to_string(service) + " appeared");
        }
    }
    for (const Service& service : host_.services) {
        if (!std::binary_search(facts->services.begin(), facts->services.end(), service)) {
            note("service", to_string(service) + " is gone");
        }
    }
    facts->sees_handshakes = setup_.sees_handshakes;
    facts->network.conntrack |= host_.network.conntrack; // once seen, it may come back
    host_ = std::move(*facts);
    asked_.observe(host_.questions, host_.served_ports, host_.open_udp_ports, plane_.now_ns());
    refresh_protected();
    next_host_ns_ = plane_.now_ns() + host_interval_ns;
    follow_services();
    follow_links();
    follow_routes();
}

// Which way answers of the data path go; and who must be heard on a crowded link.
void Controller::follow_routes()
{
    const auto below = [this](uint32_t ifindex) {
        std::vector<uint32_t> devices;
        for (const LinkFacts& link : host_.network.links) {
            if (attachment_of(link.name) != nullptr && link.carries.contains(ifindex)) {
                devices.push_back(link.ifindex);
                if (link.has_ports) {
                    devices.push_back(0); // its ports, which nobody registered
                }
            }
        }
        return devices;
    };
    const bool in_vrf = std::any_of(host_.network.links.begin(), host_.network.links.end(),
                                    [this](const LinkFacts& link) {
                                        return link.in_vrf && attachment_of(link.name) != nullptr;
                                    });
    plane_.set_answer_routes(in_vrf ? std::nullopt : answer_routes_of(host_.routing, below));
    std::vector<Address> heard;
    for (const Protected& dependency : host_.dependencies) {
        if (dependency.as == Protection::GATEWAY) {
            heard.push_back(dependency.prefix.address);
        }
    }
    for (const Neighbour& neighbour : host_.routing.neighbours) {
        if (neighbour.in_use && !below(neighbour.ifindex).empty()) {
            heard.push_back(neighbour.address);
        }
    }
    for (const Address& address : heard) {
        if (auto done = plane_.remember_client(address); !done) {
            log::debug("{}", done.error().message);
            return; // the same for all of them
        }
    }
}

// A new listener gets its guard, and the data path learns what else changed.
void Controller::follow_services()
{
    const ServiceSlots::Changes changes = guards_.follow(host_, config_, hand_);
    for (const uint8_t slot : changes.reset) {
        if (auto done = plane_.reset_service(slot); !done) {
            log::error("{}", done.error().message);
        }
    }
    tell_limit("services",
               changes.homeless.empty()
                   ? ""
                   : fmt::format("{} services have no SYN guard, the first is tcp/{}: there is "
                                 "room for {}; those that are configured come first",
                                 changes.homeless.size(), changes.homeless.front(),
                                 XDPCTL_SERVICES - 1));
    const auto own = plane_.set_own_addresses(host_.addresses);
    tell_limit("own addresses", own ? "" : own.error().message);
    // Not before start() has all lists: a policy without them would replace what is in force.
    if (started_ && !(host_spec(config_, hand_) == committed_host_)) {
        commit_again();
    }
}

void Controller::follow_links()
{
    // A bond runs the program on its ports, which nobody registered: they get
    // what all interfaces can do.
    uint16_t least_ipv4 = UINT16_MAX;
    uint16_t least_ipv6 = UINT16_MAX;
    for (LinkFacts& link : host_.network.links) {
        const bool attached = attachment_of(link.name) != nullptr;
        if (attached) {
            read_driver_facts(link);
        }
        const bool answers = !attached || can_answer(link);
        const auto ipv4 = static_cast<uint16_t>(answers ? link.advmss_ipv4 : 0);
        const auto ipv6 = static_cast<uint16_t>(answers ? link.advmss_ipv6 : 0);
        plane_.set_answer_mss(link.ifindex, ipv4, ipv6);
        if (attached) {
            least_ipv4 = std::min(least_ipv4, ipv4);
            least_ipv6 = std::min(least_ipv6, ipv6);
        }
    }
    if (least_ipv4 != UINT16_MAX) {
        plane_.set_answer_mss(0, least_ipv4, least_ipv6);
    }
}

bool Controller::can_answer(const LinkFacts& link)
{
    AnswerProof& proof = answer_proofs_[link.ifindex];
    const AnswerProof before = proof;
    uint64_t answered = 0;
    for (const DeviceSnapshot& device : snapshot_->devices) {
        // What the ports of a bond answer is counted under slot 0.
        if (device.counters.ifindex == link.ifindex ||
            (!link.ports.empty() && device.counters.ifindex == 0)) {
            for (const auto& family : device.counters.cells) {
                answered += family[XDPCTL_EFFECTIVE][XDPCTL_SYN_ANSWERED].packets;
            }
        }
    }
    proof.answered = answered;
    proof.errors = link.answer_errors;
    const uint64_t errors = proof.errors - std::min(before.errors, proof.errors);
    const uint64_t sent = answered - std::min(before.answered, answered);
    const uint64_t now = plane_.now_ns();
    // Most of several, not a full ring now and then.
    if (before.known && errors >= 3 && errors * 10 >= sent * 9) {
        proof.off_until_ns = now + answers_off_ns;
    }
    proof.known = true;
    std::string why;
    if (!link.no_answers.empty()) {
        why = link.no_answers;
    } else if (link.loses_vlan_tags()) {
        why = fmt::format("receive VLAN offload strips the tag that an answer needs; `ethtool -K "
                          "{} rxvlan off`",
                          link.name);
    } else if (now < proof.off_until_ns) {
        why = fmt::format("its driver sends no answers (xdp_tx errors); on a veth the other end "
                          "must run an XDP program. Tried again in {}",
                          format_duration(answers_off_ns));
    }
    if (why.empty()) {
        answerless_.erase(link.name);
    } else if (answerless_.insert(link.name).second) {
        note("guard", fmt::format("{}: NO COOKIES, SYNs are limited instead: {}", link.name, why));
    }
    return why.empty();
}

void Controller::watch_guards()
{
    auto readings = plane_.guards();
    if (!readings) {
        plane_problem_ = readings.error().message;
        return;
    }
    std::erase_if(*readings, [](const GuardReading& r) { return r.slot > 0 && !r.present; });
    const uint64_t now = plane_.now_ns();
    for (GuardReading& reading : *readings) {
        reading.enforced = mode_in_force() == XDPCTL_MODE_ENFORCE && !plane_.bypass() &&
                           (config_.observed_reasons >> XDPCTL_SYN_ANSWERED & 1) == 0;
    }
    for (std::string& text : guards_.watch(*readings, now)) {
        note("guard", std::move(text));
    }
    trust_older_clients(*readings);
    guard_statuses_.clear();
    for (const GuardReading& reading : *readings) {
        GuardStatus& status = guard_statuses_.emplace_back(guard_status(reading, now));
        status.by_hand = hand_.guards.contains(status.port) || hand_.lockdown.contains(status.port);
    }
    const bool works = config_.guard.sysctls && mode_in_force() == XDPCTL_MODE_ENFORCE &&
                       !plane_.bypass() && !attachments_.empty();
    const std::string syncookies = kernel_.before("net.ipv4.tcp_syncookies")
                                       .value_or(std::to_string(host_.network.tcp_syncookies));
    want_sysctls(works ? sysctls_for(guard_statuses_, syncookies) : Sysctls{});
}

// Those who come while a service is attacked, or came in the minutes before, may belong to it:
// the bound stands still meanwhile, for a day at most. Ports without a listener, which everybody
// scans, do not count.
void Controller::trust_older_clients(const std::vector<GuardReading>& readings)
{
    const uint64_t now = plane_.now_ns();
    const bool calm =
        std::none_of(readings.begin(), readings.end(), [now](const GuardReading& reading) {
            return reading.slot > 0 &&
                   (now < reading.state.attack_until_ns || reading.service.lockdown != 0);
        });
    const bool fresh = setup_.fresh_maps && trust_moved_ns_ == 0; // these maps know no bound
    if (calm || fresh) {
        plane_.trust_clients_before(now - std::min(now, config_.guard.known_after_ns));
        trust_moved_ns_ = now;
    } else if (trust_moved_ns_ == 0) { // it stands where an earlier daemon left it
        trust_moved_ns_ = now;
    } else if (now - trust_moved_ns_ > trust_rest_most_ns) {
        plane_.trust_clients_before(now - trust_rest_most_ns);
    }
}

void Controller::want_sysctls(const Sysctls& wanted)
{
    const auto remember = [this](const ChangedSysctls& changed) {
        hand_.sysctls = changed;
        // Before the sysctl is changed: a crash must not forget what it was.
        state_saved(state_file_.save(hand_));
        state_changed_ = state_changed_ || state_in_work_; // what a job writes now is older
    };
    for (std::string& text : kernel_.want(wanted, remember)) {
        note("guard", std::move(text));
    }
}

void Controller::put_back_sysctls()
{
    want_sysctls({});
}

void Controller::tick()
{
    plane_problem_.clear();
    tick_steps();
    follow_conditions();
    publish_report();
    if (std::exchange(large_work_done_, false)) {
        malloc_trim(0);
    }
}

void Controller::tick_steps()
{
    const uint64_t now = plane_.now_ns();
    drain_events();
    if (now >= next_host_ns_) {
        next_host_ns_ = now + host_interval_ns;
        look_at_host();
        refresh_attachments();
        attach_missing();
        follow_geo();
    }
    if (now >= next_sweep_ns_) {
        sweep_bans();
    }
    follow_older_connections();
    fetch_feeds();
    ask_crowdsec();
    save_bans();
    auto clients = plane_.clients();
    if (!clients) {
        plane_problem_ = clients.error().message;
        return;
    }
    client_entries_ = clients->size();
    watch_guards();
    publish(*clients);
}

void Controller::publish(const std::vector<ClientSample>& clients)
{
    auto devices = plane_.counters();
    if (!devices) {
        plane_problem_ = devices.error().message;
        return;
    }
    learn_peacetime(*devices);
    snapshot_ = std::make_shared<const Snapshot>(
        sampler_.take({.time_ns = plane_.now_ns(),
                       .devices = std::move(*devices),
                       .clients = clients,
                       .bans = ban_counts_,
                       .guards = guard_statuses_,
                       .maps = {{"bans", ban_entries_, plane_.max_bans()},
                                {"clients", client_entries_, plane_.max_clients()}}},
                      device_names_));
}

void Controller::drain_events()
{
    plane_.drain_events([this](const xdpctl_event& event) {
        at_risk_.add(event);
        log_.add(unix_ms(), event);
    });
}

Status Controller::status()
{
    Status status;
    status.version = setup_.version;
    status.uptime_ns = plane_.now_ns() - started_ns_;
    status.longest_hold_ns = holds_.longest_ns(steady_ns());
    status.mode = mode_in_force();
    status.mode_overridden = hand_.mode && *hand_.mode != config_.mode;
    status.bypass = plane_.bypass();
    status.generation = plane_.generation();
    status.config_path = setup_.config_path;
    status.config_ok = config_ok_;
    status.config_error = config_error_;
    status.limits = committed_host_.limits;
    status.peaks = baseline_.peaks();
    status.attachments = attachments_;
    status.wanted_interfaces = {wanted_.begin(), wanted_.end()};
    status.missing_interfaces = missing_interfaces();
    status.conntrack_entries = host_.network.conntrack_entries;
    status.conntrack_max_entries = host_.network.conntrack_max_entries;
    status.services = host_.services;
    status.allowed = spared(Spared::allowed);
    status.trusted = spared(Spared::trusted);
    status.block_prefixes = config_.block.size() + hand_.prefix_bans.size();
    status.max_bans = plane_.max_bans();
    follow_conditions();
    status.conditions = conditions_.active();
    status.protected_set = protected_;
    status.feeds = feeds();
    status.crowdsec = crowdsec_status();
    status.lists = list_statuses();
    status.geo = geo(status.lists);
    status.list_bytes = plane_.list_bytes();
    status.snapshot = snapshot_;
    return status;
}

TopLists Controller::top(size_t most)
{
    const auto report = this->report();
    const uint64_t now = report->snapshot->time_ns;
    return {report->snapshot->clients,
            log_.top_dropped(now > top_window_ns ? now - top_window_ns : 0, most)};
}

std::vector<LogEvent> Controller::events(uint64_t since)
{
    return log_.since(since);
}

namespace
{

// Of a configuration, or of what is set by hand.
template <typename Lists> auto& list_of(Spared list, Lists& lists)
{
    return list == Spared::allowed ? lists.allow : lists.trusted;
}

const char* name_of(Spared list)
{
    return list == Spared::allowed ? "the allow list" : "the trusted list";
}

} // namespace

std::vector<AllowInfo> Controller::spared(Spared which) const
{
    std::vector<AllowInfo> list;
    for (const Prefix& prefix : list_of(which, config_)) {
        list.push_back({prefix, true});
    }
    for (const Prefix& prefix : list_of(which, hand_)) {
        list.push_back({prefix, false});
    }
    return list;
}

Result<size_t> Controller::allow(Spared which, const std::vector<Prefix>& prefixes, bool force)
{
    for (const Prefix& prefix : prefixes) {
        if (const auto why = force ? std::nullopt : too_wide_to_allow(prefix)) {
            return failure(ErrorKind::refused, "{}; `--force` allows it", *why);
        }
    }
    HandState hand = hand_;
    std::vector<Prefix>& list = list_of(which, hand);
    const size_t before = list.size();
    for (const Prefix& prefix : prefixes) {
        if (std::find(list.begin(), list.end(), prefix) == list.end()) {
            list.push_back(prefix);
        }
    }
    const size_t added = list.size() - before;
    if (auto done = change(config_, std::move(hand)); !done) {
        return done.error();
    }
    note("config", fmt::format("{} prefixes added to {} by the operator", added, name_of(which)));
    return added;
}

Result<size_t> Controller::disallow(Spared which, const std::vector<Prefix>& prefixes)
{
    HandState hand = hand_;
    for (const Prefix& prefix : prefixes) {
        if (erase_value(list_of(which, hand), prefix)) {
            continue;
        }
        const std::vector<Prefix>& configured = list_of(which, config_);
        return std::find(configured.begin(), configured.end(), prefix) != configured.end()
                   ? failure(ErrorKind::refused, "{} is on {} by {}: remove it there",
                             to_string(prefix), name_of(which), setup_.config_path)
                   : failure(ErrorKind::not_found, "{} is not on {}", to_string(prefix),
                             name_of(which));
    }
    const HandState before = std::exchange(hand_, hand); // who is shut out without it
    std::vector<std::string> warnings;
    const auto safe = check_geo_lockout(geo_wanted(config_, hand), spared_by(config_), warnings);
    hand_ = before;
    if (!safe) {
        return safe.error();
    }
    if (auto done = change(config_, std::move(hand)); !done) {
        return done.error();
    }
    note("config",
         fmt::format("{} prefixes taken off {} by the operator", prefixes.size(), name_of(which)));
    return prefixes.size();
}

Result<> Controller::set_mode(xdpctl_mode mode)
{
    HandState hand = hand_;
    hand.mode = mode;
    if (auto done = change(config_, std::move(hand)); !done) {
        return done;
    }
    note("mode", fmt::format("{} by the operator", to_string(mode)));
    return Done{};
}

// Of one service; nothing: as configured.
template <typename T>
Result<> Controller::set_by_hand(uint16_t port, std::map<uint16_t, T> HandState::*setting,
                                 std::optional<T> value, const std::string& what)
{
    if (!is_service(port)) {
        return failure(ErrorKind::not_found, "no TCP listener on port {} that others can reach",
                       port);
    }
    HandState hand = hand_;
    if (value) {
        (hand.*setting)[port] = *value;
    } else {
        (hand.*setting).erase(port);
    }
    if (auto done = change(config_, std::move(hand)); !done) {
        return done;
    }
    note("guard", fmt::format("tcp/{}: {}", port, what));
    tick(); // so that the next look shows it, and the sysctls follow
    return Done{};
}

Result<> Controller::set_guard(uint16_t port, std::optional<xdpctl_guard_mode> mode)
{
    return set_by_hand(port, &HandState::guards, mode,
                       mode ? fmt::format("guard {} by the operator", to_string(*mode))
                            : "guard as configured");
}

Result<> Controller::set_lockdown(uint16_t port, std::optional<bool> on)
{
    return set_by_hand(port, &HandState::lockdown, on,
                       !on   ? "lockdown as configured"
                       : *on ? "lockdown begun by the operator"
                             : "lockdown ended by the operator");
}

Result<Attachment> Controller::attach(const std::string& interface)
{
    if (plane_.bypass()) { // it would show as attached and filter nothing
        return failure(ErrorKind::refused, "{}", panic_text);
    }
    if (auto done = attach_now(interface, config_.attach); !done) {
        return done.error();
    }
    wanted_.insert(interface);
    if (const Attachment* attachment = attachment_of(interface)) {
        return *attachment;
    }
    return failure("{} was attached and is gone again", interface);
}

Result<bool> Controller::detach(const std::string& interface)
{
    auto done = interfaces_.detach(interface);
    // One that is not attached, in panic or because it went away, is not to be any more.
    const bool awaited =
        !done && done.error().kind == ErrorKind::not_found && wanted_.contains(interface);
    if (!done && !awaited) {
        return done.error();
    }
    wanted_.erase(interface);
    attach_problems_.erase(interface);
    refresh_attachments();
    note("interface", interface + (awaited ? ": not waited for any more, by the operator"
                                           : ": detached by the operator"));
    return !awaited;
}

Result<PanicEnd> Controller::end_panic()
{
    if (!plane_.bypass()) {
        return failure(ErrorKind::not_found, "panic is not in force");
    }
    for (const std::string& name : interfaces_.freed_by_panic()) {
        wanted_.insert(name);
    }
    refresh_attachments(); // panic may have freed them a moment ago
    PanicEnd end;
    for (const std::string& name : missing_interfaces()) {
        if (auto done = attach_now(name, config_.attach); !done) {
            end.failed.push_back({name, done.error().message});
        }
    }
    end.attached = attachments_;
    plane_.set_bypass(false);
    interfaces_.forget_freed();
    note("panic", fmt::format("ended by the operator: {} interfaces are filtered, {} are not",
                              end.attached.size(), end.failed.size()));
    tick(); // so that the next look shows it
    return end;
}

HostLook Controller::look() const
{
    HostLook look = setup_.look;
    look.refuses_ban = [this](const Prefix& prefix) {
        return protected_->refuses(prefix, Authority::configuration);
    };
    const auto port_of = [](const std::string& address) {
        return address.substr(address.rfind(':') + 1);
    };
    look.can_listen = [this, port_of, can_listen = look.can_listen](const std::string& addresses) {
        const bool free_at_restart =
            metrics_problem_.empty() && port_of(addresses) == port_of(config_.metrics_listen);
        return free_at_restart || !can_listen ? Result<>(Done{}) : can_listen(addresses);
    };
    return look;
}

// What the running configuration has as well was not brought in by this one: a mend of
// something else must not wait for it.
Result<> Controller::check_host(const Config& wanted, const std::string& toml,
                                const std::string& name, std::vector<std::string>& warnings)
{
    HostLook look = this->look();
    look.read_geo = [this](const GeoConfig& geo) -> Result<> {
        const auto plan = geo_.plan(geo);
        return plan ? Result<>(Done{}) : plan.error();
    };
    std::vector<ConfigFinding> findings = check_config(wanted, look);
    const std::vector<ConfigFinding> before = check_config(config_, look);
    for (ConfigFinding& finding : findings) {
        const bool known = std::find(before.begin(), before.end(), finding) != before.end();
        finding.refuses = finding.refuses && !known;
        if (!finding.refuses) {
            warnings.push_back(to_string(finding, toml, name));
        }
    }
    const auto problem = refusal(findings, toml, name);
    return problem ? Result<>(*problem) : Result<>(Done{});
}

// The configuration that the text means, where the caller may ask for it.
Result<Config> Controller::config_of(const std::string& toml, const std::string& name,
                                     Caller caller) const
{
    auto parsed = parse_config(toml, name);
    if (!parsed || caller == Caller::root) {
        return parsed;
    }
    std::vector<std::string> lines;
    for (std::string& key : host_keys_changed(config_, *parsed)) {
        lines.push_back(to_string(
            {std::move(key), "only root may set it to something else than what is in force"}, toml,
            name));
    }
    return lines.empty()
               ? std::move(parsed)
               : Result<Config>(failure(ErrorKind::refused, "{}", fmt::join(lines, "\n")));
}

Result<Control::Checked> Controller::check(const std::string& toml, const std::string& name,
                                           Caller caller)
{
    const auto parsed = config_of(toml, name, caller);
    if (!parsed) {
        return parsed.error();
    }
    Control::Checked checked;
    if (auto done = check_host(*parsed, toml, name, checked.warnings); !done) {
        return done.error();
    }
    if (auto safe =
            check_geo_lockout(geo_wanted(*parsed, hand_), spared_by(*parsed), checked.warnings);
        !safe) {
        return safe.error();
    }
    return checked;
}

Result<std::vector<std::string>> Controller::diff(const std::string& toml, const std::string& name,
                                                  Caller caller)
{
    const auto config = config_of(toml, name, caller);
    if (!config) {
        return config.error();
    }
    return diff_configs(config_, *config);
}

// Attaches the interfaces that were not configured before: all, or none and why.
Result<std::vector<std::string>>
Controller::attach_fresh(const std::vector<std::string>& interfaces, AttachMode mode)
{
    std::vector<std::string> fresh;
    for (const std::string& interface : interfaces) {
        if (plane_.bypass() || wanted_.contains(interface)) {
            continue;
        }
        if (auto done = attach_now(interface, mode); !done) {
            for (const std::string& undone : fresh) {
                (void)interfaces_.detach(undone);
            }
            return done.error().in("nothing was changed");
        }
        fresh.push_back(interface);
    }
    return fresh;
}

Result<Control::Applied> Controller::apply(const std::string& toml, const std::string& name,
                                           Caller caller)
{
    const auto parsed = config_of(toml, name, caller);
    if (!parsed) {
        return parsed.error();
    }
    Control::Applied applied{diff_configs(config_, *parsed), {}};
    for (const std::string& key : needs_reload(config_, *parsed)) {
        applied.warnings.push_back(key + " takes effect when xdpctld starts again; how it is "
                                         "attached, and the size of a map, only after a stop with "
                                         "on_stop = \"detach\"");
    }
    if (hand_.mode && *hand_.mode != parsed->mode) {
        applied.warnings.push_back(fmt::format(
            "the mode stays {}, set by hand; `xdpctl mode {}` follows the configuration",
            to_string(*hand_.mode), to_string(parsed->mode)));
    }
    for (const auto& [port, rule] : parsed->geo.services) {
        if (hand_.geo.contains(port)) {
            applied.warnings.push_back(fmt::format(
                "geo.services: port {} stays as it was set by hand; `xdpctl geo set {} --default` "
                "follows the configuration",
                port, port));
        }
    }
    if (auto done = check_host(*parsed, toml, name, applied.warnings); !done) {
        return done.error().in("nothing was changed");
    }
    if (auto safe =
            check_geo_lockout(geo_wanted(*parsed, hand_), spared_by(*parsed), applied.warnings);
        !safe) {
        return safe.error().in("nothing was changed");
    }
    const std::vector<std::string> before = config_.interfaces;
    auto fresh = attach_fresh(parsed->interfaces, parsed->attach);
    if (!fresh) {
        return fresh.error();
    }
    if (auto done = change(*parsed, hand_); !done) {
        for (const std::string& interface : *fresh) {
            (void)interfaces_.detach(interface);
        }
        return done.error();
    }
    wanted_.insert(fresh->begin(), fresh->end());
    for (const std::string& interface : before) {
        const auto& now = config_.interfaces;
        if (std::find(now.begin(), now.end(), interface) == now.end()) {
            wanted_.erase(interface);
            attach_problems_.erase(interface);
            if (auto done = interfaces_.detach(interface);
                !done && done.error().kind != ErrorKind::not_found) {
                applied.warnings.push_back(done.error().message);
            }
        }
    }
    if (plane_.bypass()) {
        applied.warnings.emplace_back(panic_text);
    }
    refresh_attachments();
    note("config", fmt::format("{} applied, {} keys changed", name, applied.changes.size()));
    return applied;
}

Result<Control::Applied> Controller::reload()
{
    auto text = read_file(setup_.config_path);
    auto applied = text ? apply(*text, setup_.config_path, Caller::root)
                        : Result<Control::Applied>(text.error());
    config_ok_ = applied.ok();
    config_error_ = applied ? "" : applied.error().message;
    if (!applied) {
        note("config", "reload refused, nothing changed: " + config_error_);
    }
    return applied;
}

std::string Controller::list_name(uint16_t list) const
{
    constexpr std::array names = {
#define XDPCTL_LIST_NAME(id, name, text) name,
        XDPCTL_LISTS(XDPCTL_LIST_NAME)
#undef XDPCTL_LIST_NAME
    };
    const std::string feed = feeds_.name_of(list);
    return list < names.size() ? names[list] : !feed.empty() ? feed : fmt::format("list {}", list);
}

std::vector<ListStatus> Controller::list_statuses()
{
    std::vector<ListStatus> all;
    if (const auto usage = plane_.lists()) {
        for (const ListUsage& list : *usage) {
            all.push_back({list_name(list.list), {list.prefixes[0], list.prefixes[1]}, list.met});
        }
    }
    return all;
}

// Every list and ban that the source is on, and why.
std::vector<Explanation::Stand> Controller::stands_of(const Address& source) const
{
    std::vector<Explanation::Stand> stands;
    const auto told_by = [](uint32_t origin, const std::string& reason) {
        return fmt::format("by {}{}{}", ban_origin_name(origin), reason.empty() ? "" : ": ",
                           reason);
    };
    for (const auto& [address, ban] : plane_.find_bans({&source, 1})) {
        if (plane_.now_ns() < ban.deadline_ns) {
            stands.push_back({std::string(reason_info(XDPCTL_BANNED).name),
                              {address, 128},
                              told_by(ban.origin, hand_.ban_reasons.text_of(ban.reason))});
        }
    }
    for (const ListMatch& match : plane_.covering(source)) {
        Explanation::Stand stand{list_name(match.list), match.prefix, ""};
        if (match.list == XDPCTL_LIST_GEO) {
            stand.why =
                fmt::format("{}", fmt::join(codes_of(match.codes, geo_.in_force().bits), " "));
        }
        for (const HandBan& ban : hand_.prefix_bans) {
            if (match.list == XDPCTL_LIST_BANS && ban.prefix.contains(match.prefix)) {
                stand.prefix = ban.prefix; // the table holds it in parts where some is spared
                stand.why = told_by(ban.origin, ban.reason);
            }
        }
        stands.push_back(std::move(stand));
    }
    return stands;
}

Result<Explanation> Controller::explain(const Bytes& frame)
{
    // As it would be judged on the interface that its answer would leave by.
    auto judgement = plane_.judge(frame, attachments_.empty() ? 0 : attachments_[0].ifindex);
    for (size_t i = 1;
         i < attachments_.size() && judgement && judgement->reason == XDPCTL_SYN_LIMITED; i++) {
        judgement = plane_.judge(frame, attachments_[i].ifindex);
    }
    if (!judgement) {
        return judgement.error();
    }
    Explanation explanation{*judgement, "", {}, {}};
    if (judgement->list != XDPCTL_LIST_NONE) {
        explanation.list = list_name(static_cast<uint16_t>(judgement->list));
    }
    if (const auto info = read_frame(frame)) {
        explanation.stands = stands_of(info->src);
    }
    return explanation;
}

} // namespace xdpctl
