// SPDX-License-Identifier: Apache-2.0
// The real data path.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "core/sessions.h"
#include "dataplane/ban_store.h"
#include "dataplane/bpf_object.h"
#include "dataplane/dataplane.h"
#include "dataplane/prefix_tables.h"

struct ring_buffer;

namespace xdpctl
{

struct FrameVerdict {
    uint32_t action = 0; // enum xdp_action, as the program returned it
    xdpctl_judgement judgement{};
};

class BpfDataplane final : public Dataplane, public SocketTable
{
  public:
    // The object must be in the kernel. Keeps a reference to it.
    static Result<std::unique_ptr<BpfDataplane>> create(BpfObject& object, bool replay = false);
    ~BpfDataplane() override;

    uint64_t now_ns() const override;
    Result<uint64_t> commit(const CompiledPolicy& policy) override;
    uint64_t generation() const override;
    Result<> set_lists(std::span<const ListContent> lists) override;
    Result<std::vector<ListUsage>> lists() const override;
    std::vector<ListMatch> covering(const Address& address) const override;
    std::vector<ListMatch> entries_of(uint16_t list) const override;
    uint64_t list_bytes() const override;
    void set_bypass(bool on) override;
    bool bypass() const override;
    Result<> ban(std::span<const BanEntry> entries) override;
    Result<size_t> unban(std::span<const Address> sources) override;
    void visit_bans(const VisitBan& visit) const override;
    BanTable find_bans(std::span<const Address> sources) const override;
    Result<std::vector<DeviceCounters>> counters() const override;
    Result<std::vector<ClientSample>> clients() const override;
    Result<> seed_client(const Address& source, uint32_t connections) override;
    void mark_peer(const Address& source) override;
    Result<std::vector<GuardReading>> guards() const override;
    Result<> reset_service(uint8_t slot) override;
    void set_answer_mss(uint32_t ifindex, uint16_t ipv4, uint16_t ipv6) override;
    Result<> set_own_addresses(const std::vector<Address>& addresses) override;
    void set_answer_routes(const AnswerRoutes& routes) override;
    Result<> remember_client(const Address& source) override;
    void trust_clients_before(uint64_t time_ns) override;
    Result<xdpctl_judgement> judge(std::span<const uint8_t> frame, uint32_t ifindex) override;
    void drain_events(const std::function<void(const xdpctl_event&)>& on_event) override;
    uint32_t max_bans() const override { return BanStore::capacity(ban_tags_.size()); }
    uint32_t max_clients() const override { return max_entries("clients"); }

    // Counters of this interface get a slot of their own, and its frames are read as
    // they come there: XDPCTL_DEVICE_*. To be told before the program runs on it. Where no slot is
    // free, one of an interface that is not attached any more is taken. True where it is new.
    Result<bool> register_device(uint32_t ifindex, uint32_t flags = 0,
                                 const std::set<uint32_t>& attached = {});
    void forget_device(uint32_t ifindex);
    int events_epoll_fd() const;

    // Replay only. The attached program itself, with all its side effects.
    void set_clock(uint64_t now_ns);
    // `after`: where wanted, the frame as the program left it.
    Result<FrameVerdict> run(std::span<const uint8_t> frame, Bytes* after = nullptr);
    Result<> open_socket(const SocketKey& key, xdpctl_session session) override;
    Result<> close_socket(const SocketKey& key) override;
    Result<> client_opened(const SocketKey& socket) override;
    Result<> client_closed(const SocketKey& socket) override;

  private:
    Result<> remember(const Address& source, uint64_t first_ns) const;
    BpfDataplane(BpfObject& object, bool replay) : object_(object), replay_(replay) {}

    uint32_t max_entries(const char* map) const;
    Result<> map_bans();
    Result<> map_lists();
    Result<FrameVerdict> test_run(int program, std::span<const uint8_t> frame, uint32_t ifindex,
                                  Bytes* after = nullptr) const;
    Result<> change_connections(const Address& client, int by);
    void set_clock_offset();
    const xdpctl_policy& active_policy() const;

    BpfObject& object_;
    bool replay_;
    // Memory that is shared with the data path.
    xdpctl_control* control_ = nullptr;
    std::span<xdpctl_ban_tags> ban_tags_;
    std::span<xdpctl_ban_slot> ban_slots_;
    std::span<xdpctl_guard> guards_;
    std::span<xdpctl_policy> policies_;
    std::span<xdpctl_peers> peers_;
    std::span<uint64_t> prefix_kinds_;
    std::span<uint64_t> prefix_filter_;
    std::span<xdpctl_leaf> leaves_;
    std::optional<BanStore> bans_;
    std::optional<PrefixTables> tables_;
    size_t ban_entries_ = 0;
    bool no_readers_ = true;                    // no packet reads the policy that is not active
    std::optional<AnswerRoutes> answer_routes_; // as written; none: to be written
    std::optional<std::set<Address>> own_addresses_; // in the map; none: not read yet

    ring_buffer* ring_ = nullptr;
    std::function<void(const xdpctl_event&)> on_event_;
    mutable std::mutex clock_mutex_;
    mutable uint64_t last_now_ns_ = 0;       // of the data path's clock
    mutable uint64_t last_monotonic_ns_ = 0; // when it was asked
};

// The longest frame that BPF_PROG_TEST_RUN takes in one buffer.
inline constexpr size_t test_run_frame_max = 3520;
inline constexpr size_t test_run_frame_min = 14;

} // namespace xdpctl
