// SPDX-License-Identifier: Apache-2.0
// Owns the decisions: the configuration, what was set by hand, the policy, the
// tick. All of it belongs to one thread, see engine/inbox.h; what takes time is work of jobs.
#pragma once

#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <set>

#include "api/control.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/config_check.h"
#include "daemon/at_risk.h"
#include "daemon/bouncer.h"
#include "daemon/feeds.h"
#include "daemon/geo_sets.h"
#include "daemon/guards.h"
#include "daemon/kernel_settings.h"
#include "daemon/state.h"
#include "dataplane/dataplane.h"
#include "engine/hold.h"
#include "engine/jobs.h"
#include "feeds/fetch.h"
#include "telemetry/sampler.h"

namespace xdpctl
{

// The program on the interfaces, as the controller sees it.
class Interfaces
{
  public:
    virtual ~Interfaces() = default;
    virtual Result<Attachment> attach(const std::string& name, AttachMode mode) = 0;
    virtual Result<> detach(const std::string& name) = 0;
    virtual std::vector<Attachment> list() = 0;
    // What panic took the program off; see dataplane/panic.h.
    virtual std::vector<std::string> freed_by_panic() { return {}; }
    virtual void forget_freed() {}
};

// Where the controller learns about the host; a function so that tests have theirs.
using ReadHostFacts = std::function<Result<HostFacts>()>;

struct ControllerSetup {
    std::string version;
    std::string config_path;
    Config config;
    std::map<Condition, std::string> conditions; // that last as long as this run
    ReadHostFacts read_host;
    SysctlAccess sysctls;
    // What takes packets from these interfaces without a socket that can be found.
    std::function<UnseenReceivers(std::span<const uint32_t> ifindexes)> read_receivers = [](auto) {
        return UnseenReceivers{};
    };
    // How feeds and CrowdSec are asked, on the thread of a job; none: not at all.
    std::function<Result<Fetched>(const FeedJob& job, const Stop& stop)> fetch_feed;
    std::function<Result<Decisions>(const BouncerJob& job, const Stop& stop)> ask_crowdsec;
    bool sees_handshakes = true; // the clients program is attached
    bool fresh_maps = false;     // nothing of an earlier run is in them
    HostLook look{};
};

inline constexpr uint64_t tick_ns = 250 * ns_per_ms; // between two ticks

class Controller
{
  public:
    // All three must outlive it. Once `jobs` has threads, their results come by its inbox.
    Controller(Dataplane& plane, Interfaces& interfaces, Jobs& jobs, ControllerSetup setup);

    // Takes over what was set by hand and commits the first policy.
    Result<> start();
    // Attaches what is configured and keeps what is attached already; an error
    // only where nothing at all could be attached.
    Result<> attach_configured();

    void tick();
    // Reads the ring buffer; also called between ticks when it fills.
    void drain_events();

    // Of now, on the deciding thread.
    Status status();
    TopLists top(size_t most);
    std::vector<LogEvent> events(uint64_t since);
    Result<std::vector<BanInfo>> bans();
    Result<BanResult> ban(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin);
    Result<size_t> lift(const BanFilter& filter);
    std::string not_saved();
    Result<size_t> allow(Spared which, const std::vector<Prefix>& prefixes, bool force = false);
    Result<size_t> disallow(Spared which, const std::vector<Prefix>& prefixes);
    Result<> set_mode(xdpctl_mode mode);
    Result<> set_guard(uint16_t port, std::optional<xdpctl_guard_mode> mode);
    Result<> set_lockdown(uint16_t port, std::optional<bool> on);
    Result<Attachment> attach(const std::string& interface);
    Result<bool> detach(const std::string& interface);
    Result<PanicEnd> end_panic();
    Result<Control::Checked> check(const std::string& toml, const std::string& name, Caller caller);
    Result<std::vector<std::string>> diff(const std::string& toml, const std::string& name,
                                          Caller caller);
    Result<Control::Applied> apply(const std::string& toml, const std::string& name, Caller caller);
    Result<Control::Applied> reload();
    Result<Explanation> explain(const Bytes& frame);

    Result<> refresh_feed(const std::string& name, bool force);

    Result<> set_geo(uint16_t port, const std::optional<GeoRule>& rule, bool force);

    // The file of bans, with the room that writing it may take.
    struct BanFile {
        std::string directory;
        std::string path;
        uint64_t bytes = 0;

        Result<> check_room() const; // on the disk, which may be slow
    };
    BanFile ban_file() const;
    // Ready once the disk has said whether it has room for the file of bans.
    std::shared_future<Result<>> ask_room();
    // Why what was changed is lost at the next boot, though in force now; else empty. `room`:
    // whether the disk has room for the file of bans.
    std::string not_saved(const Result<>& room);
    // Ready once what was set by hand until now is on the disk, or cannot be.
    std::shared_future<void> state_saved() const { return state_saved_; }
    // At the stop, on this thread: what no job has written yet.
    void save_now();

    const Config& config() const { return config_; }
    // At a stop that detaches: nothing of the guard's needs is left behind.
    void put_back_sysctls();
    // Of the last tick, or of what was changed since. From any thread.
    std::shared_ptr<const Status> report() const { return report_.load(); }
    void publish_report() { report_ = std::make_shared<const Status>(status()); }
    // The deciding thread did something for so long.
    void note_hold(uint64_t held_ns) { holds_.note(held_ns, steady_ns()); }
    // Why metrics are not exported; empty where they are.
    void set_metrics_problem(std::string why);

  private:
    xdpctl_mode mode_in_force() const { return hand_.mode.value_or(config_.mode); }
    PolicySpec policy_spec(const Config& config, const HandState& hand) const;
    HostSpec host_spec(const Config& config, const HandState& hand) const;
    void add_blocks(const Config& config, const HandState& hand, PolicySpec& spec) const;
    void learn_peacetime(const std::vector<DeviceCounters>& devices);
    // Commits config and hand together, then keeps and saves them; else nothing changed.
    Result<> change(Config config, HandState hand);
    // The same again, where it is the host that changed.
    void commit_again();
    void save_state();
    void state_saved(const Result<>& saved);
    void set_condition(Condition id, const std::string& text, const std::string& identity);
    void set_condition(Condition id, const std::string& text) { set_condition(id, text, text); }
    void follow_conditions();
    void watch_jobs();
    std::string missing_text() const;
    std::string conntrack_text() const;
    std::vector<AllowInfo> spared(Spared which) const;
    std::string allow_text();
    std::string feed_copies_text() const;
    std::vector<std::string> missing_interfaces() const;
    HostLook look() const;
    Result<Config> config_of(const std::string& toml, const std::string& name, Caller caller) const;
    Result<> check_host(const Config& wanted, const std::string& toml, const std::string& name,
                        std::vector<std::string>& warnings);
    Result<> attach_now(const std::string& interface, AttachMode mode);
    Result<BanResult> put_bans(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin);
    Result<> ban_hosts(const std::vector<BanWish>& hosts, xdpctl_ban_origin origin);
    bool add_network(HandState& hand, const BanWish& wish, xdpctl_ban_origin origin) const;
    std::map<std::string, uint32_t> number_reasons(const std::set<std::string>& texts);
    Result<> make_room(size_t wanted);
    void note(EventKind kind, std::string text, log::Level level = log::Level::info);
    std::string list_name(uint16_t list) const;
    std::vector<Explanation::Stand> stands_of(const Address& source) const;
    void tick_steps();
    template <typename T> Result<> set_by_hand(uint16_t port,
                                               std::map<uint16_t, T> HandState::*setting,
                                               std::optional<T> value, const std::string& what);
    // A job whose result is in the report at once.
    template <typename Work, typename Done> void start_job(Work work, Done done)
    {
        jobs_.start(std::move(work), [this, done = std::move(done)](auto&& result) mutable {
            done(std::forward<decltype(result)>(result));
            if (started_) {
                publish_report();
            }
        });
    }
    void look_at_host();
    void take_host(Result<HostFacts>&& facts);
    void follow_services();
    void remember_refusal(const Attachment& attachment, AttachMode mode);
    void follow_links();
    void follow_routes();
    std::vector<std::string> unseen_receivers() const;
    bool sockets_unseen(const Config& config) const;
    std::string unseen_text() const;
    std::string limits_text() const;
    bool can_answer(const LinkFacts& link);
    void watch_guards();
    static constexpr uint64_t trust_rest_most_ns = 86400 * ns_per_s;
    uint64_t trust_moved_ns_ = 0; // when the bound of trusted clients moved last; 0: not looked yet
    void trust_older_clients(const std::vector<GuardReading>& readings);
    void want_sysctls(const Sysctls& wanted);
    bool is_service(uint16_t port) const { return host_.backlogs.contains(port); }
    Result<std::vector<std::string>> attach_fresh(const std::vector<std::string>& interfaces,
                                                  AttachMode mode);
    const Attachment* attachment_of(const std::string& interface) const; // null: not attached
    void attach_missing();
    void adopt_connections();
    void follow_older_connections();
    void keep_older_connections(std::vector<SocketInfo> connections);
    void mark_older_connections();
    void refresh_protected();
    void protection_changed(const ProtectedSet& before);
    void note_protection(const ProtectedSet& before, const ProtectedSet& now);
    void lift_protected_bans(const std::vector<Protected>& added);
    void note_spared_parts(const ProtectedSet& before);
    std::vector<std::string> protection_warnings() const;
    void tell_limit(const std::string& limit, const std::string& problem);
    void refresh_attachments();
    void sweep_bans();
    void publish(const std::vector<ClientSample>& clients);
    void configure_bouncer();
    size_t lift_but(const std::set<Prefix>& kept);
    size_t lift_bans(const BanFilter& filter);
    struct LiftPlan {
        std::vector<Address> forgotten;   // nothing of them stays
        std::vector<BanEntry> replaced;   // strikes stay, or the ban of another jail
        std::vector<HandBan> prefix_bans; // those that stay
        size_t count = 0;
    };
    LiftPlan plan_lift(const BanFilter& filter, std::vector<HandBan>& shared) const;
    bool is_lifted(const BanFilter& filter, const std::vector<HandBan>& shared,
                   const HandBan& known) const;
    void renew(std::vector<HandBan>& shared, const Address& source, const xdpctl_ban& known,
               xdpctl_ban& ban);
    HandBan hand_ban_of(const Address& source, const xdpctl_ban& ban) const;
    std::string bound_share(std::vector<BanWish>& wishes) const;
    std::string fit_decisions(std::vector<BanWish>& wishes) const;
    std::optional<CrowdSecStatus> crowdsec_status() const;
    void configure_feeds();
    void fetch_feeds();
    void feed_fetched(const FeedJob& job, Fetched fetched);
    void feed_failed(const FeedJob& job, const Error& error);
    void read_next_feed();
    struct FeedRead;
    void end_read();
    Result<> take_read(const FeedJob& job, const FeedRead& read);
    Result<> feed_read(const FeedJob& job, const FeedRead& read);
    Result<> accept_feed(const FeedJob& job, const FeedRead& read, const FeedConfig& config) const;
    void note_feed(const FeedJob& job, const FeedRead& read, size_t count_before);
    void save_feed_copy(const FeedJob& job, const std::shared_ptr<const FeedRead>& read);
    void ask_crowdsec();
    void decisions_fetched(const BouncerJob& job, const Decisions& decisions);
    void decisions_failed(const BouncerJob& job, const Error& error);
    void follow_geo();
    void take_geo(const GeoSets& before, Result<GeoSets::Plan>&& plan, const std::string& stamp);
    void load_feed_copies();
    void load_bans();
    struct BanSave;
    BanSave bans_to_save();
    void save_bans();
    void bans_saved(const BanSave& save, const Result<>& saved, uint64_t work_ns);
    static GeoConfig geo_wanted(const Config& config, const HandState& hand);
    void suspend_geo_unless_readable();
    Result<> set_geo_networks(const GeoSets::Plan& plan);
    void keep_geo(GeoSets::Plan plan);
    struct Lockout {
        std::string text;
        bool certain = false;
    };
    std::optional<Lockout> geo_lockout(const GeoSets::Plan& plan, std::vector<Prefix> allow) const;
    Result<> check_geo_lockout(const GeoConfig& wanted, const std::vector<Prefix>& allow,
                               std::vector<std::string>& warnings);
    void spare_from_feeds();
    Result<> set_feed(const std::string& name, const std::vector<Prefix>& prefixes);
    std::vector<FeedStatus> feeds() const;
    GeoStatus geo(const std::vector<ListStatus>& lists) const;
    std::vector<ListStatus> list_statuses();

    Dataplane& plane_;
    Interfaces& interfaces_;
    Jobs& jobs_;
    ControllerSetup setup_;
    Config config_;
    HandState hand_;
    StateFile state_file_;
    HostFacts host_;
    std::shared_ptr<const ProtectedSet> protected_ = std::make_shared<ProtectedSet>();
    std::vector<Protected> protected_by_host_; // what it was made of
    AskedServers asked_;
    std::vector<ListEntry> committed_blocks_;       // of lists.block and banned networks
    std::map<std::string, std::string> limits_hit_; // what does not fit, by what it is of
    Guards guards_;
    KernelSettings kernel_;
    Feeds feeds_;
    Bouncer bouncer_;
    GeoSets geo_;
    bool host_in_work_ = false; // it is being read, as are the others
    uint64_t host_begin_ns_ = 0;
    bool older_in_work_ = false;
    bool geo_in_work_ = false;
    size_t feeds_in_work_ = 0;
    struct ToRead {
        FeedJob job;
        Fetched fetched;
        uint64_t fetched_unix_s = 0;
    };
    std::deque<ToRead> feeds_to_read_; // one after the other: a large list takes much memory
    bool feed_in_read_ = false;
    bool bans_in_work_ = false;
    uint64_t bans_begin_ns_ = 0;
    uint64_t next_ban_save_ns_ = 0;
    bool state_in_work_ = false;
    uint64_t state_begin_ns_ = 0;
    bool state_changed_ = false; // since it was last given to a job
    std::promise<void> state_promise_;
    std::shared_future<void> state_saved_ = state_promise_.get_future().share();
    FeedCopies feed_copies_;
    std::map<std::string, std::vector<Prefix>> feed_prefixes_; // in force
    HostSpec committed_host_;
    Baseline baseline_;
    uint64_t held_by_limits_ = 0; // packets, at the last look
    std::vector<GuardStatus> guard_statuses_;
    std::vector<SocketInfo> older_;    // connections from before the start
    std::set<std::string> answerless_; // interfaces on which no answer is sent
    // Whether answers leave an interface: what was sent and what failed, absolute.
    struct AnswerProof {
        bool known = false;
        uint64_t answered = 0;
        uint64_t errors = 0;
        uint64_t off_until_ns = 0;
    };
    std::map<uint32_t, AnswerProof> answer_proofs_; // by ifindex
    Sampler sampler_;
    EventLog log_{4096};
    AtRisk at_risk_;
    std::vector<Attachment> attachments_;
    std::map<uint32_t, std::string> device_names_;
    std::set<std::string> wanted_;                       // interfaces that shall be attached
    std::map<std::string, std::string> attach_problems_; // of the last try, by interface
    Conditions conditions_;
    BanCounts ban_counts_;
    uint64_t ban_entries_ = 0;
    bool bans_changed_ = false;   // since they were saved
    uint64_t ban_file_bytes_ = 0; // of the last one that was written
    uint64_t client_entries_ = 0;
    uint64_t started_ns_ = 0;
    uint64_t next_sweep_ns_ = 0;
    uint64_t next_host_ns_ = 0;
    uint64_t next_older_ns_ = 0;
    bool started_ = false;
    bool config_ok_ = true;
    std::string config_error_;
    // Why something is not as it should be; empty: it is.
    std::string state_problem_;
    std::string bans_problem_;
    std::map<std::string, std::string> unsaved_feeds_; // why, by name
    std::string policy_problem_;
    std::string plane_problem_; // at the last tick
    std::string host_problem_;
    std::string metrics_problem_;
    uint64_t next_save_ns_ = 0; // of a state that could not be saved
    std::atomic<std::shared_ptr<const Status>> report_ = std::make_shared<const Status>();
    HoldMeter holds_;
    bool large_work_done_ = false; // its memory is to be given back
    std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
};

} // namespace xdpctl
