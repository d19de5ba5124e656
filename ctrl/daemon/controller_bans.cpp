// SPDX-License-Identifier: Apache-2.0
// The controller's part for bans: by whom ever, and on disk.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/ban_file.h"
#include "daemon/controller.h"
#include "daemon/shared_bans.h"

namespace xdpctl
{
namespace
{

constexpr uint64_t sweep_interval_ns = 2 * ns_per_s;
constexpr uint64_t ban_save_interval_ns = 2 * ns_per_s;
constexpr uint64_t rest_per_work = 20; // so that many bans do not keep the disk busy
constexpr size_t large_bytes = 1UL << 20;
constexpr uint64_t ban_bytes_usual = 64; // of one ban in the file
constexpr uint64_t ban_bytes_more = 64UL << 10;

} // namespace

Controller::BanFile Controller::ban_file() const
{
    return {config_.state_directory, config_.state_directory + "/bans",
            std::max(ban_file_bytes_, ban_entries_ * ban_bytes_usual) + ban_bytes_more};
}

// After a reboot; what the host itself needs may have changed meanwhile.
void Controller::load_bans()
{
    const std::string path = ban_file().path;
    const auto text = read_file(path, ban_file_bytes_most);
    if (!text) {
        if (text.error().kind != ErrorKind::not_found) {
            note("ban", text.error().message);
        }
        return;
    }
    const uint64_t now = plane_.now_ns();
    auto bans = decode_bans(*text, {now, unix_s()});
    if (!bans) {
        note("ban",
             fmt::format("{}: not used: {}; it is kept as bans.bad", path, bans.error().message));
        std::rename(path.c_str(), (path + ".bad").c_str());
        return;
    }
    std::erase_if(*bans, [&](const SavedBan& saved) {
        return is_forgotten(saved.entry.ban, now) ||
               protected_->refuses({saved.entry.source, 128}, authority_of(saved.entry.ban));
    });
    std::set<std::string> texts;
    for (const SavedBan& saved : *bans) {
        texts.insert(saved.reason);
    }
    const auto reasons = number_reasons(texts);
    size_t restored = 0;
    Result<> done = Done{};
    for (auto saved = bans->begin(); saved != bans->end() && done; saved++) {
        saved->entry.ban.reason = reasons.at(saved->reason);
        done = plane_.ban({&saved->entry, 1});
        restored += done ? 1 : 0;
    }
    note("ban", fmt::format("{} of {} bans of before the boot are in force again{}", restored,
                            bans->size(), done ? "" : ": " + done.error().message));
}

// The bans are written some seconds after a change. What would stop that is found at once, so that
// the answer to the change can tell it.
Result<> Controller::BanFile::check_room() const
{
    const auto made = make_directories(directory);
    return made ? xdpctl::check_room(path + ".room", bytes) : made;
}

std::shared_future<Result<>> Controller::ask_room()
{
    const auto answer = std::make_shared<std::promise<Result<>>>();
    jobs_.start([file = ban_file()](const Stop&) { return file.check_room(); },
                [answer](const Result<>& room) { answer->set_value(room); });
    return answer->get_future().share();
}

std::string Controller::not_saved(const Result<>& room)
{
    bans_problem_ = room || !(bans_changed_ || bans_in_work_)
                        ? ""
                        : "bans are not saved: " + room.error().message;
    return bans_problem_.empty() || state_problem_.empty() ? bans_problem_ + state_problem_
                                                           : bans_problem_ + "; " + state_problem_;
}

// What a job writes.
struct Controller::BanSave {
    std::string directory;
    std::string file;
    Clocks clocks;
    BanReasons reasons;
    std::vector<BanEntry> bans;
    size_t bytes = 0; // of the file

    Result<> write()
    {
        const std::string text = encode_bans(bans, reasons, clocks);
        bytes = text.size();
        auto saved = make_directories(directory);
        return saved ? write_file_atomic(file, text) : saved;
    }
};

Controller::BanSave Controller::bans_to_save()
{
    BanSave save{config_.state_directory,
                 ban_file().path,
                 {plane_.now_ns(), unix_s()},
                 hand_.ban_reasons,
                 {},
                 0};
    save.bans.reserve(ban_entries_);
    plane_.visit_bans([&save](const Address& source, const xdpctl_ban& ban) {
        save.bans.push_back({source, ban});
    });
    bans_changed_ = false;
    return save;
}

// Where anything changed.
void Controller::save_bans()
{
    if (!bans_changed_ || bans_in_work_ || plane_.now_ns() < next_ban_save_ns_) {
        return;
    }
    bans_in_work_ = true;
    bans_begin_ns_ = plane_.now_ns();
    const auto save = std::make_shared<BanSave>(bans_to_save());
    const auto work_ns = std::make_shared<uint64_t>(0);
    start_job(
        [save, work_ns](const Stop&) {
            const uint64_t begin = steady_ns();
            auto saved = save->write();
            save->bans = {};
            *work_ns = steady_ns() - begin;
            return saved;
        },
        [this, save, work_ns](const Result<>& saved) {
            bans_in_work_ = false;
            bans_saved(*save, saved, *work_ns);
        });
}

void Controller::bans_saved(const BanSave& save, const Result<>& saved, uint64_t work_ns)
{
    next_ban_save_ns_ = plane_.now_ns() + ban_save_interval_ns + work_ns * rest_per_work;
    bans_changed_ = bans_changed_ || !saved; // tried again
    large_work_done_ = large_work_done_ || save.bytes > large_bytes;
    ban_file_bytes_ = saved ? save.bytes : ban_file_bytes_;
    bans_problem_ = saved ? "" : "bans are not saved: " + saved.error().message;
}

void Controller::save_now()
{
    if (state_changed_ || state_in_work_) {
        state_saved(state_file_.save(hand_));
        state_promise_.set_value(); // answers wait for it
    }
    if (bans_changed_ || bans_in_work_) {
        BanSave save = bans_to_save();
        const auto saved = save.write();
        bans_saved(save, saved, 0);
    }
}

void Controller::sweep_bans()
{
    const uint64_t now = plane_.now_ns();
    next_sweep_ns_ = now + sweep_interval_ns;
    BanCounts counts;
    std::vector<Address> forgotten;
    uint64_t entries = 0;
    plane_.visit_bans([&](const Address& source, const xdpctl_ban& ban) {
        entries++;
        if (now < ban.deadline_ns) {
            counts.active[std::min<uint32_t>(ban.origin, XDPCTL_BAN_ORIGIN_COUNT - 1)]
                         [source.is_ipv4() ? 0 : 1]++;
        } else if (is_forgotten(ban, now)) {
            forgotten.push_back(source);
        } else {
            counts.remembered++;
        }
    });
    if (auto removed = plane_.unban(forgotten); !removed) {
        log::error("{}", removed.error().message);
    }
    ban_entries_ = entries - forgotten.size();

    HandState kept = hand_;
    std::erase_if(kept.prefix_bans, [now](const HandBan& ban) { return ban.deadline_ns <= now; });
    for (const HandBan& ban : kept.prefix_bans) {
        counts.active[ban.origin][ban.prefix.is_ipv4() ? 0 : 1]++;
    }
    ban_counts_ = counts;
    for (auto* shared : {&kept.shared_bans, &hand_.shared_bans}) {
        std::erase_if(*shared, [now](const HandBan& ban) { return ban.deadline_ns <= now; });
    }
    if (kept.prefix_bans.size() != hand_.prefix_bans.size()) {
        if (auto done = change(config_, kept); !done) {
            log::error("{}", done.error().message);
        }
    }
}

// Their numbers, which also an adopted data path keeps.
std::map<std::string, uint32_t> Controller::number_reasons(const std::set<std::string>& texts)
{
    const BanReasons before = hand_.ban_reasons;
    std::optional<std::set<uint32_t>> used; // where it is asked for: in the table, and of these
    std::map<std::string, uint32_t> numbers;
    for (const std::string& text : texts) {
        numbers[text] = hand_.ban_reasons.number_of(text, [&] {
            if (!used) {
                used.emplace();
                plane_.visit_bans(
                    [&](const Address&, const xdpctl_ban& ban) { used->insert(ban.reason); });
            }
            for (const auto& [other, number] : numbers) {
                used->insert(number);
            }
            return *used;
        });
    }
    if (!(hand_.ban_reasons == before)) {
        save_state();
    }
    return numbers;
}

Result<std::vector<BanInfo>> Controller::bans()
{
    const uint64_t now = plane_.now_ns();
    const auto remaining = [now](uint64_t deadline) -> std::optional<uint64_t> {
        return deadline == XDPCTL_NO_DEADLINE ? std::nullopt : std::optional(deadline - now);
    };
    std::vector<BanInfo> list;
    plane_.visit_bans([&](const Address& source, const xdpctl_ban& ban) {
        if (now < ban.deadline_ns) {
            list.push_back({Prefix{source, 128}, remaining(ban.deadline_ns),
                            std::string(ban_origin_name(ban.origin)),
                            hand_.ban_reasons.text_of(ban.reason), ban.strikes, ban.hits});
        }
    });
    // Of a ban with protected parts, each of the others has its own.
    std::map<Prefix, std::optional<uint64_t>> hits;
    for (const ListMatch& entry : plane_.entries_of(XDPCTL_LIST_BANS)) {
        hits[entry.prefix] = entry.hits;
    }
    const auto hits_of = [&](const HandBan& ban) {
        std::optional<uint64_t> sum;
        for (const Prefix& part :
             protected_->blockable(ban.prefix, authority_of(ban.origin, ban.forced))) {
            if (const auto found = hits.find(part); found != hits.end() && found->second) {
                sum = sum.value_or(0) + *found->second;
            }
        }
        return sum;
    };
    for (const HandBan& ban : hand_.prefix_bans) {
        if (ban.deadline_ns > now) {
            list.push_back({ban.prefix, remaining(ban.deadline_ns),
                            std::string(ban_origin_name(ban.origin)), ban.reason, 0, hits_of(ban)});
        }
    }
    for (const Prefix& prefix : config_.block) {
        list.push_back({prefix, std::nullopt, "config", "", 0, std::nullopt});
    }
    std::sort(list.begin(), list.end(),
              [](const BanInfo& a, const BanInfo& b) { return a.prefix < b.prefix; });
    return list;
}

// Old offenders are forgotten before a new ban is refused.
Result<> Controller::make_room(size_t wanted)
{
    const uint64_t now = plane_.now_ns();
    size_t entries = 0;
    std::vector<Address> over;
    plane_.visit_bans([&](const Address& source, const xdpctl_ban& ban) {
        entries++;
        if (now >= ban.deadline_ns) {
            over.push_back(source);
        }
    });
    if (entries + wanted <= plane_.max_bans()) {
        return Done{};
    }
    auto removed = plane_.unban(over);
    return removed ? Result<>(Done{}) : removed.error();
}

namespace
{

// No program puts aside what the operator decided, nor shortens what another one did.
bool yields(xdpctl_ban_origin origin, uint64_t deadline_ns, uint32_t to, uint64_t its_deadline_ns)
{
    return origin != XDPCTL_BAN_OPERATOR && origin != to &&
           (to == XDPCTL_BAN_OPERATOR || its_deadline_ns >= deadline_ns);
}

} // namespace

Result<> Controller::ban_hosts(const std::vector<BanWish>& hosts, xdpctl_ban_origin origin)
{
    const uint64_t now = plane_.now_ns();
    std::vector<Address> sources;
    std::set<std::string> texts;
    for (const BanWish& host : hosts) {
        sources.push_back(host.prefix.address);
        texts.insert(host.reason);
    }
    const BanTable before = plane_.find_bans(sources);
    if (auto room = make_room(hosts.size() - std::min(before.size(), hosts.size())); !room) {
        return room;
    }
    const auto reasons = number_reasons(texts);
    const std::vector<HandBan> shared_before = hand_.shared_bans;
    std::vector<BanEntry> entries;
    for (const BanWish& host : hosts) {
        xdpctl_ban ban = {.deadline_ns = host.ttl_ns ? now + *host.ttl_ns : XDPCTL_NO_DEADLINE,
                          .added_ns = now,
                          .hits = 0,
                          .origin = static_cast<uint32_t>(origin),
                          .strikes = 0,
                          .reason = reasons.at(host.reason),
                          .flags = host.force ? XDPCTL_BAN_FORCED : 0U};
        const auto found = before.find(host.prefix.address);
        if (found != before.end()) {
            const xdpctl_ban& known = found->second;
            ban.hits = known.hits;
            ban.strikes = known.strikes;
            if (now < known.deadline_ns) {
                if (yields(origin, ban.deadline_ns, known.origin, known.deadline_ns)) {
                    continue;
                }
                ban.reason = host.reason.empty() ? known.reason : ban.reason;
                renew(hand_.shared_bans, host.prefix.address, known, ban);
            } else {
                forget_shared(hand_.shared_bans, host.prefix);
            }
        }
        entries.push_back({host.prefix.address, ban});
    }
    if (!(hand_.shared_bans == shared_before)) {
        save_state();
    }
    return plane_.ban(entries);
}

// A ban takes the place of one that is in force. Of two jails of fail2ban each keeps its own.
void Controller::renew(std::vector<HandBan>& shared, const Address& source, const xdpctl_ban& known,
                       xdpctl_ban& ban)
{
    if (ban.origin != XDPCTL_BAN_FAIL2BAN || known.origin != XDPCTL_BAN_FAIL2BAN) {
        forget_shared(shared, {source, 128});
        return;
    }
    const HandBan kept =
        share_ban(shared, hand_ban_of(source, known), hand_ban_of(source, ban), plane_.now_ns());
    ban.deadline_ns = kept.deadline_ns;
    ban.reason = hand_.ban_reasons.find(kept.reason); // all of them are or were in the table
}

HandBan Controller::hand_ban_of(const Address& source, const xdpctl_ban& ban) const
{
    HandBan same;
    same.prefix = {source, 128};
    same.origin = static_cast<xdpctl_ban_origin>(ban.origin);
    same.reason = hand_.ban_reasons.text_of(ban.reason);
    same.deadline_ns = ban.deadline_ns;
    if (ban.deadline_ns != XDPCTL_NO_DEADLINE) {
        same.until_unix_s =
            unix_s() +
            (ban.deadline_ns - std::min<uint64_t>(plane_.now_ns(), ban.deadline_ns)) / ns_per_s;
    }
    return same;
}

// False where it yields to one that is there.
bool Controller::add_network(HandState& hand, const BanWish& wish, xdpctl_ban_origin origin) const
{
    const uint64_t now = plane_.now_ns();
    HandBan ban;
    ban.prefix = wish.prefix;
    ban.origin = origin;
    ban.reason = BanReasons::clean(wish.reason);
    ban.forced = wish.force;
    if (wish.ttl_ns) {
        ban.until_unix_s = unix_s() + std::max<uint64_t>(*wish.ttl_ns / ns_per_s, 1);
        ban.deadline_ns = now + *wish.ttl_ns;
    }
    const auto known =
        std::find_if(hand.prefix_bans.begin(), hand.prefix_bans.end(),
                     [&wish](const HandBan& other) { return other.prefix == wish.prefix; });
    if (known == hand.prefix_bans.end()) {
        hand.prefix_bans.push_back(std::move(ban));
        return true;
    }
    if (now < known->deadline_ns &&
        yields(origin, ban.deadline_ns, known->origin, known->deadline_ns)) {
        return false;
    }
    const bool in_force = now < known->deadline_ns;
    ban.reason = in_force && ban.reason.empty() ? known->reason : ban.reason;
    if (in_force && origin == XDPCTL_BAN_FAIL2BAN && known->origin == origin) {
        ban = share_ban(hand.shared_bans, *known, ban, now);
    } else {
        forget_shared(hand.shared_bans, wish.prefix);
    }
    *known = std::move(ban);
    return true;
}

// All or nothing, but for what is protected.
Result<BanResult> Controller::put_bans(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin)
{
    BanResult result;
    if (wishes.empty()) {
        return result; // nothing to write either
    }
    std::vector<BanWish> hosts;
    HandState hand = hand_;
    bool networks = false;
    for (const BanWish& wish : wishes) {
        if (auto why = protected_->refuses(wish.prefix, authority_of(origin, wish.force))) {
            result.refused.push_back({wish.prefix, *why});
            continue;
        }
        // What CrowdSec may cover has a bound of its own.
        const bool any_width = wish.force || origin == XDPCTL_BAN_CROWDSEC;
        if (auto why = any_width ? std::nullopt : too_wide_to_block(wish.prefix)) {
            result.refused.push_back({wish.prefix, *why + ", or say --force"});
            continue;
        }
        result.added++;
        if (wish.prefix.is_host()) {
            hosts.push_back(wish);
        } else {
            networks = add_network(hand, wish, origin) || networks;
        }
    }
    const HandState before = hand_;
    if (networks) {
        if (auto done = change(config_, std::move(hand)); !done) {
            return done.error();
        }
    }
    if (auto done = ban_hosts(hosts, origin); !done) {
        if (networks) {
            (void)change(config_, before);
        }
        return done.error();
    }
    bans_changed_ = true;
    next_sweep_ns_ = 0;
    return result;
}

Result<BanResult> Controller::ban(const std::vector<BanWish>& wishes, xdpctl_ban_origin origin)
{
    auto result = put_bans(wishes, origin);
    if (result && result->added > 0) {
        const BanWish& first = wishes.front();
        note("ban",
             fmt::format("{} by {}, {}{}",
                         wishes.size() == 1 ? to_string(first.prefix)
                                            : fmt::format("{} entries", result->added),
                         origin == XDPCTL_BAN_OPERATOR ? "the operator" : ban_origin_name(origin),
                         first.ttl_ns ? "for " + format_duration(*first.ttl_ns) : "permanent",
                         first.reason.empty() ? "" : ": " + BanReasons::clean(first.reason)));
    }
    return result;
}

bool Controller::is_lifted(const BanFilter& filter, const std::vector<HandBan>& shared,
                           const HandBan& known) const
{
    return (!filter.inside || filter.inside->contains(known.prefix)) &&
           (!filter.origin || known.origin == *filter.origin) &&
           (!filter.reason || holds_ban(shared, known, *filter.reason));
}

// Where one origin lifts, strikes stay: the daemon remembers them. Where one reason is named,
// the bans of other jails stay.
Controller::LiftPlan Controller::plan_lift(const BanFilter& filter,
                                           std::vector<HandBan>& shared) const
{
    const uint64_t now = plane_.now_ns();
    LiftPlan plan;
    std::vector<Address> hosts;
    std::set<Prefix> networks;
    for (const Prefix& prefix : filter.prefixes.value_or(std::vector<Prefix>())) {
        if (prefix.is_host()) {
            hosts.push_back(prefix.address);
        } else {
            networks.insert(prefix);
        }
    }
    const auto release = [&](const Prefix& prefix) {
        if (filter.reason) {
            return release_ban(shared, prefix, *filter.reason, now);
        }
        forget_shared(shared, prefix);
        return std::optional<HandBan>();
    };
    const auto look = [&](const Address& source, const xdpctl_ban& ban) {
        if (!is_lifted(filter, shared, hand_ban_of(source, ban))) {
            return;
        }
        plan.count += now < ban.deadline_ns ? 1 : 0;
        xdpctl_ban rest = ban;
        if (const auto other = release({source, 128})) {
            rest.deadline_ns = other->deadline_ns;
            rest.reason = hand_.ban_reasons.find(other->reason);
            plan.replaced.push_back({source, rest});
        } else if (filter.origin && ban.strikes > 0) {
            rest.deadline_ns = std::min<uint64_t>(now, ban.deadline_ns);
            plan.replaced.push_back({source, rest});
        } else {
            plan.forgotten.push_back(source);
        }
    };
    if (filter.prefixes) {
        for (const auto& [source, ban] : plane_.find_bans(hosts)) {
            look(source, ban);
        }
    } else {
        plane_.visit_bans(look);
    }
    for (const HandBan& ban : hand_.prefix_bans) {
        const bool named = !filter.prefixes || networks.contains(ban.prefix);
        if (!named || !is_lifted(filter, shared, ban)) {
            plan.prefix_bans.push_back(ban);
            continue;
        }
        plan.count++;
        if (const auto other = release(ban.prefix)) {
            plan.prefix_bans.push_back(*other);
        }
    }
    return plan;
}

// How many were in force.
size_t Controller::lift_bans(const BanFilter& filter)
{
    HandState hand = hand_;
    LiftPlan plan = plan_lift(filter, hand.shared_bans);
    const auto removed = plane_.unban(plan.forgotten);
    const auto replaced = plane_.ban(plan.replaced);
    if (!removed || !replaced) {
        log::error("{}", !removed ? removed.error().message : replaced.error().message);
    }
    if (!(plan.prefix_bans == hand_.prefix_bans)) {
        hand.prefix_bans = std::move(plan.prefix_bans);
        if (auto done = change(config_, std::move(hand)); !done) {
            log::error("{}", done.error().message);
        }
    } else if (!(hand.shared_bans == hand_.shared_bans)) {
        hand_.shared_bans = std::move(hand.shared_bans);
        save_state();
    }
    bans_changed_ = bans_changed_ || !plan.forgotten.empty() || !plan.replaced.empty();
    next_sweep_ns_ = 0;
    return plan.count;
}

Result<size_t> Controller::lift(const BanFilter& filter)
{
    const size_t total = lift_bans(filter);
    const std::string by = filter.origin ? std::string(ban_origin_name(*filter.origin)) : "";
    if (total == 0) {
        std::string others;
        if (filter.prefixes && !filter.prefixes->empty()) {
            const Prefix& first = filter.prefixes->front();
            for (const Explanation::Stand& stand : stands_of(first.address)) {
                others += fmt::format("; {} is on {}: {}", to_string(first), stand.list,
                                      to_string(stand.prefix));
            }
        }
        return failure(ErrorKind::not_found, "none of these is banned by {}{}{}",
                       by.empty() ? "anybody here" : by,
                       filter.reason ? fmt::format(" for '{}'", *filter.reason) : "", others);
    }
    const bool one = filter.prefixes && filter.prefixes->size() == 1;
    note("unban",
         fmt::format("{} by {}{}",
                     one ? to_string(filter.prefixes->front()) : fmt::format("{} entries", total),
                     by.empty() ? "the operator" : by, filter.reason ? ", " + *filter.reason : ""));
    return total;
}

} // namespace xdpctl
