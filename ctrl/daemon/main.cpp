// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <net/if.h>

#include <algorithm>
#include <map>
#include <set>

#include <CLI/CLI.hpp>

#include "api/server.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/panic.h"
#include "daemon/config_check.h"
#include "daemon/control_on_loop.h"
#include "daemon/controller.h"
#include "daemon/loop.h"
#include "daemon/privileges.h"
#include "daemon/requests.h"
#include "dataplane/attachment.h"
#include "dataplane/bpf_dataplane.h"
#include "dataplane/panic.h"
#include "exporter/exporter.h"
#include "host/netlink.h"
#include "host/network.h"
#include "host/sysctl.h"

namespace xdpctl
{
namespace
{

Result<LinkFacts> read_link(const std::string& name)
{
    const auto links = links_here();
    if (!links) {
        return links.error().in("interfaces");
    }
    const uint32_t ifindex = if_nametoindex(name.c_str()); // knows alternative names too
    const auto found = std::find_if(links->begin(), links->end(), [ifindex](const LinkInfo& link) {
        return link.ifindex == ifindex;
    });
    return found == links->end() ? Result<LinkFacts>(no_interface(name))
                                 : facts_of_link(*found, *links);
}

// The program, of this build or an earlier one, that runs on the interface; -1: none.
int program_of_ours_on(uint32_t ifindex, const BpfObject& object)
{
    for (const int program : {object.program(), object.previous_program()}) {
        for (const Attachment& attachment : attachments(program_id_of(program))) {
            if (attachment.ifindex == ifindex) {
                return program;
            }
        }
    }
    return -1;
}

// An interface on which the data path can filter. One that is not fit for it, but was
// attached before it became so, goes on being filtered where that does no harm.
Result<LinkFacts> attachable_link(const std::string& name, const BpfObject& object)
{
    auto link = read_link(name);
    if (!link || link->refusal.empty()) {
        return link;
    }
    const int program = program_of_ours_on(link->ifindex, object);
    if (program >= 0 && link->has_ethernet) {
        log::warning("{}", link->refusal);
        return link;
    }
    if (program >= 0) {
        if (auto done = xdpctl::detach(program, link->name); !done) {
            log::error("{}", done.error().message);
        }
    }
    return failure(ErrorKind::refused, "{}", link->refusal);
}

uint32_t device_flags(const LinkFacts& link)
{
    return (link.has_ethernet ? 0U : XDPCTL_DEVICE_NO_ETHERNET) |
           (link.partial_checksums ? XDPCTL_DEVICE_PARTIAL_CHECKSUMS : 0U);
}

// Of what may be chosen, native XDP, unless the host's own traffic would pay for it.
Result<Attachment> attach_to(BpfObject& object, const LinkFacts& link, AttachMode mode)
{
    const bool spare_host = mode == AttachMode::automatic && !link.native_costs.empty();
    auto attachment = xdpctl::attach(object, link.name, spare_host ? AttachMode::generic : mode);
    if (attachment && spare_host && !attachment->native) {
        attachment->native_refusal = link.native_costs;
    }
    return attachment;
}

class RealInterfaces final : public Interfaces
{
  public:
    RealInterfaces(BpfObject& object, BpfDataplane& plane, std::string pin_directory)
        : object_(object), plane_(&plane), pin_directory_(std::move(pin_directory))
    {
    }
    std::vector<std::string> freed_by_panic() override
    {
        return xdpctl::freed_by_panic(pin_directory_);
    }
    void forget_freed() override { xdpctl::forget_freed(pin_directory_); }

    // The data path must know how the frames begin before it meets the first.
    Result<Attachment> attach(const std::string& name, AttachMode mode) override
    {
        const auto link = attachable_link(name, object_);
        if (!link) {
            return link.error();
        }
        std::set<uint32_t> attached;
        for (const Attachment& other : list()) {
            attached.insert(other.ifindex);
        }
        auto is_new = plane_->register_device(link->ifindex, device_flags(*link), attached);
        if (!is_new) {
            return is_new.error().in(name);
        }
        auto attachment = attach_to(object_, *link, mode);
        if (!attachment) {
            if (*is_new) {
                plane_->forget_device(link->ifindex);
            }
            return attachment;
        }
        if (attachment->shared) {
            shared_[name] = {*attachment, program_on(attachment->ifindex)};
        }
        return attachment;
    }
    Result<> detach(const std::string& name) override
    {
        auto done = xdpctl::detach(object_.program(), name);
        if (!done && done.error().kind == ErrorKind::not_found && shared_.contains(name)) {
            return failure(ErrorKind::permission,
                           "detaching from {} behind libxdp's dispatcher needs CAP_SYS_ADMIN, "
                           "which xdpctld gives up after its start: take it out of interfaces = "
                           "[...], then `xdpctl panic` as root and restart xdpctld",
                           name);
        }
        return done;
    }
    // Once the capabilities are gone nobody can look behind a dispatcher; but
    // one that is still the same still runs us.
    std::vector<Attachment> list() override
    {
        std::vector<Attachment> found = attached();
        for (const auto& [name, behind] : shared_) {
            const bool seen = std::any_of(found.begin(), found.end(),
                                          [&name = name](const Attachment& attachment) {
                                              return attachment.interface == name;
                                          });
            if (!seen && program_on(behind.attachment.ifindex) == behind.dispatcher) {
                found.push_back(behind.attachment);
            }
        }
        return found;
    }

  private:
    // Most links of a host with containers run no program, which one look at all of them says.
    std::vector<Attachment> attached() const
    {
        const auto links = links_here();
        if (!links) {
            return attachments(object_.program_id());
        }
        std::vector<Attachment> found;
        for (const LinkInfo& link : *links) {
            const auto attachment =
                link.runs_xdp ? attachment_on(link.name, link.ifindex, object_.program_id())
                              : std::nullopt;
            if (attachment) {
                found.push_back(*attachment);
            }
        }
        return found;
    }

    struct Behind {
        Attachment attachment;
        uint32_t dispatcher; // program id
    };

    BpfObject& object_;
    BpfDataplane* plane_;
    std::string pin_directory_;
    std::map<std::string, Behind> shared_;
};

void tell_origin(const BpfObject& object)
{
    switch (object.origin()) {
    case Origin::loaded:
        log::info("loaded the data path");
        break;
    case Origin::adopted:
        log::info("adopted the running data path; it never stopped");
        break;
    case Origin::upgraded:
        log::info("loaded a new program on the pinned maps");
        break;
    case Origin::replaced:
        log::info("loaded the data path anew");
        break;
    }
}

// Until libxdp has loaded the program there are no maps to write a policy to.
// So the first interface is attached in monitor mode with empty lists, which
// is what zeroed maps mean, and the policy follows at once. In panic none is.
Result<> bring_into_kernel(BpfObject& object, const Config& config, bool panic)
{
    if (object.in_kernel()) {
        return Done{};
    }
    // One that is attached alone goes on until it is replaced, when the policy is there.
    const auto previous = attachments(object.previous_program_id());
    const bool filters_alone = std::any_of(previous.begin(), previous.end(),
                                           [](const Attachment& a) { return !a.shared; });
    if (panic || filters_alone) {
        return object.load();
    }
    std::optional<Error> problem;
    for (const std::string& name : config.interfaces) {
        const auto link = attachable_link(name, object);
        const auto attached =
            link ? attach_to(object, *link, config.attach) : Result<Attachment>(link.error());
        if (attached) {
            return Done{};
        }
        log::error("{}", attached.error().message);
        problem = attached.error();
    }
    return problem ? Result<>(*problem) : object.load();
}

// Interfaces that still run the program of an earlier build, which are those
// that are not configured any more.
void free_previous(BpfObject& object)
{
    for (const Attachment& attachment : attachments(object.previous_program_id())) {
        if (auto done = detach(object.previous_program(), attachment.interface); !done) {
            log::error("{}", done.error().message);
            return; // its pin stays, so that panic can reach it
        }
        log::info("{}: detached, it is not configured", attachment.interface);
    }
    object.discard_previous();
}

void detach_all(RealInterfaces& interfaces, const std::string& pin_directory)
{
    bool freed = true;
    for (const Attachment& attachment : interfaces.list()) {
        if (auto done = interfaces.detach(attachment.interface); !done) {
            log::error("{}", done.error().message);
            freed = false;
        }
    }
    if (!freed) {
        log::error("an interface still filters: its pins are kept, `xdpctl panic` frees it");
        return;
    }
    if (is_panic_in_force(pin_directory)) { // the next start must know
        log::info("stopped; {}", panic_text);
        return;
    }
    BpfObject::unpin(pin_directory);
    log::info("stopped; detached, nothing filters now");
}

// Metrics are of help, not of need: an address that is taken holds up nothing, and is
// tried again.
class MetricsServer
{
  public:
    MetricsServer(Controller& controller, std::string listen)
        : controller_(controller), listen_(std::move(listen))
    {
        follow();
    }
    void follow()
    {
        if (listen_.empty() || exporter_ || steady_ns() < next_ns_) {
            return;
        }
        next_ns_ = steady_ns() + retry_ns;
        auto started = Exporter::start([this] { return controller_.report(); }, listen_);
        controller_.set_metrics_problem(started ? "" : started.error().message);
        exporter_ = started ? std::move(*started) : nullptr;
    }

  private:
    static constexpr uint64_t retry_ns = 5 * ns_per_s;
    Controller& controller_;
    std::string listen_;
    std::unique_ptr<Exporter> exporter_;
    uint64_t next_ns_ = 0;
};

constexpr size_t job_threads = 12; // more than there are kinds of jobs: none waits for another

struct Options {
    std::string config_path = "/etc/xdpctl/xdpctl.toml";
    bool verbose = false;
};

Result<> run(const Options& options)
{
    auto text = read_file(options.config_path);
    if (!text) {
        return text.error().in("reading the configuration");
    }
    auto config = parse_config(*text, options.config_path);
    if (!config) {
        return config.error();
    }
    for (const ConfigFinding& finding : check_config(*config, HostLook::real())) {
        log::warning("{}", to_string(finding, *text, options.config_path));
    }
    if (auto done = block_signals(); !done) {
        return done;
    }
    LoadOptions load{config->maps, false, false, config->pin_directory};
    load.frags = std::any_of(config->interfaces.begin(), config->interfaces.end(), needs_frags);
    if (auto done = ensure_bpffs(config->pin_directory); !done) {
        return done;
    }
    const auto lock = lock_pins(config->pin_directory);
    if (!lock) {
        return lock.error();
    }
    const bool panic = is_panic_in_force(config->pin_directory); // also if the maps are replaced
    auto object = BpfObject::open(load);
    if (!object) {
        return object.error();
    }
    if (auto done = bring_into_kernel(**object, *config, panic); !done) {
        return done;
    }
    auto plane = BpfDataplane::create(**object);
    if (!plane) {
        return plane.error();
    }
    if (panic) {
        (*plane)->set_bypass(true);
    }
    tell_origin(**object);

    ControllerSetup setup{XDPCTL_VERSION,
                          options.config_path,
                          *config,
                          {},
                          [reader = std::make_shared<HostReader>()] { return reader->read(); },
                          {read_sysctl, write_sysctl}};
    setup.read_receivers = [reader = std::make_shared<UnseenReceiversReader>()](auto ifindexes) {
        return reader->read(ifindexes);
    };
    setup.fetch_feed = fetch_feed;
    setup.ask_crowdsec = ask_crowdsec;
    setup.look = HostLook::real();
    if (!(*object)->size_mismatches().empty()) {
        setup.conditions[Condition::map_size_kept] =
            fmt::format("map sizes are kept until the data path is loaded anew: {}",
                        fmt::join((*object)->size_mismatches(), "; "));
    }
    auto cgroup = attach_clients(**object, config->cgroup, config->pin_directory);
    if (!cgroup) {
        setup.conditions[Condition::handshakes_unseen] =
            cgroup.error().message +
            "; the SYN guard sees no completed handshakes and does not turn itself on";
        setup.sees_handshakes = false;
    }
    setup.fresh_maps =
        (*object)->origin() == Origin::loaded || (*object)->origin() == Origin::replaced;
    RealInterfaces interfaces(**object, **plane, config->pin_directory);
    Inbox inbox;
    Jobs jobs(inbox);
    Controller controller(**plane, interfaces, jobs, std::move(setup));
    ControlOnLoop control(controller, inbox);
    if (auto done = controller.start(); !done) {
        return done;
    }
    if (auto done = controller.attach_configured(); !done) {
        return done;
    }
    free_previous(**object);
    auto api = ApiServer::bind(control, config->socket_path, config->socket_group);
    if (!api) {
        return api.error();
    }
    // Capabilities belong to threads: give them up before any is made.
    if (auto done = drop_privileges(); !done) {
        return done;
    }
    jobs.start_threads(job_threads);
    controller.tick(); // so that there is a report
    (*api)->serve();
    MetricsServer metrics(controller, config->metrics_listen);
    log::info("ready: {} mode, {} interfaces", to_string(controller.report()->mode),
              controller.report()->attachments.size());
    auto ended =
        run_loop(controller, inbox, (*plane)->events_epoll_fd(), [&metrics] { metrics.follow(); });

    inbox.close(); // nobody changes anything any more
    jobs.stop();   // nor writes
    controller.save_now();
    api->reset();
    if (controller.config().on_stop == OnStop::detach) {
        controller.put_back_sysctls();
        detach_all(interfaces, config->pin_directory);
    } else {
        log::info("stopped; the data path goes on filtering");
    }
    return ended;
}

// Lists and answers of many megabytes come and go on several threads. Fixed thresholds give their
// pages back when they are freed; the usual ones grow with what was freed before (mallopt(3)).
void bound_memory()
{
    constexpr int kept_bytes = 1 << 20;
    constexpr int arenas = 4;
    mallopt(M_MMAP_THRESHOLD, kept_bytes);
    mallopt(M_TRIM_THRESHOLD, kept_bytes);
    mallopt(M_ARENA_MAX, arenas);
}

} // namespace
} // namespace xdpctl

int main(int argc, char** argv)
{
    xdpctl::bound_memory();
    xdpctl::Options options;
    CLI::App app("Loads the xdpctl data path, watches, decides, exports counters.", "xdpctld");
    app.add_option("-c,--config", options.config_path, "configuration file")->capture_default_str();
    app.add_flag("-v,--verbose", options.verbose, "log details");
    app.set_version_flag("--version", XDPCTL_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        const int code = app.exit(problem);
        return code == 0 ? 0 : static_cast<int>(xdpctl::ErrorKind::usage);
    }
    if (options.verbose) {
        xdpctl::log::set_level(xdpctl::log::Level::debug);
    }
    const auto done = xdpctl::run(options);
    if (!done) {
        xdpctl::log::error("{}", done.error().message);
        return static_cast<int>(done.error().kind);
    }
    return 0;
}
