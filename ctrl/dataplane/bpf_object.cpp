// SPDX-License-Identifier: Apache-2.0
#include "dataplane/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <optional>

#include <xdpctl/abi/maps.h>

#include "base/capabilities.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "dataplane/ban_store.h"
#include "dataplane/kernel_words.h"
#include "dataplane/layout.h"

// bpftool writes the word of C, which clang++ does not know.
#define _Bool bool
#include "xdpctl.skel.h"
#undef _Bool

namespace xdpctl
{
namespace
{

// Every map of the contract, by name.
const std::vector<std::string>& map_names()
{
    static const std::vector<std::string> names = {
#define XDPCTL_MAP_NAME(name, type, key, value, entries, flags, sized) #name,
        XDPCTL_MAPS(XDPCTL_MAP_NAME)
#undef XDPCTL_MAP_NAME
            XDPCTL_PREFIX_TABLES_MAP,
        XDPCTL_EVENTS_MAP,
    };
    return names;
}

// Called by libbpf and libxdp, which are C: words for which there is no memory are not heard.
int print_libbpf(enum libbpf_print_level, const char* format, va_list args) noexcept
try {
    // The verifier's log comes as one message of any length.
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(nullptr, 0, format, again);
    va_end(again);
    std::string line(static_cast<size_t>(std::max(length, 0)) + 1, '\0');
    vsnprintf(line.data(), line.size(), format, args);
    line.erase(line.find_last_not_of(std::string_view("\n\0", 2)) + 1);
    KernelWords::hear(line);
    // What else matters comes back to us as an error; this is for the curious.
    log::write(log::Level::debug, line);
    return length;
} catch (const std::exception&) {
    return 0;
}

int print_libxdp(enum libxdp_print_level, const char* format, va_list args) noexcept
{
    return print_libbpf(LIBBPF_DEBUG, format, args);
}

uint32_t entries_of(int fd)
{
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.max_entries : 0;
}

uint32_t pinned_entries(const std::string& directory, const char* name)
{
    const Fd fd(bpf_obj_get(BpfObject::pin_path(directory, name).c_str()));
    return entries_of(fd.get());
}

// The kernel says EPERM or, from the verifier, EACCES.
Error explain_load_error(int code)
{
    const std::string missing = missing_bpf_capabilities({CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON});
    if ((code == -EACCES || code == -EPERM) && !missing.empty()) {
        return failure(ErrorKind::permission,
                       "the kernel refused the data path: {} is missing (run as root)", missing);
    }
    if (code == -EACCES) {
        return failure(
            "the kernel's verifier refused the data path; --verbose shows its log, which "
            "belongs in a report");
    }
    if (code == -EPERM) {
        return failure(ErrorKind::permission,
                       "the kernel refused the data path, although CAP_BPF, CAP_NET_ADMIN and "
                       "CAP_PERFMON are there: does this run in a user namespace?");
    }
    return system_failure(code, "loading the data path (run with --verbose for the kernel's log)");
}

// The coarse clocks advance by one jiffy (kernel/time/hrtimer.c, KTIME_LOW_RES).
uint64_t jiffy_ns()
{
    timespec resolution{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    return static_cast<uint64_t>(resolution.tv_nsec);
}

// In the kernel itself or in this module of it, if it is loaded.
bool kernel_has_function(const char* function, const char* module)
{
    btf* kernel = btf__load_vmlinux_btf();
    if (kernel == nullptr) {
        return false;
    }
    bool found = btf__find_by_name_kind(kernel, function, BTF_KIND_FUNC) > 0;
    if (!found) {
        btf* part = btf__load_module_btf(module, kernel);
        found = part != nullptr && btf__find_by_name_kind(part, function, BTF_KIND_FUNC) > 0;
        btf__free(part);
    }
    btf__free(kernel);
    return found;
}

uint64_t object_hash()
{
    size_t size = 0;
    const void* data = xdpctl_bpf__elf_bytes(&size);
    return hash_bytes({static_cast<const char*>(data), size});
}

// Somebody may have removed one of them.
bool are_pinned(const std::string& directory, const std::vector<std::string>& names)
{
    return std::all_of(names.begin(), names.end(), [&directory](const std::string& name) {
        return Fd(bpf_obj_get(BpfObject::pin_path(directory, name).c_str())).valid();
    });
}

// None where a version wrote it whose record has another size: the kernel copies as many bytes as
// the map's values have.
std::optional<xdpctl_meta> read_meta(int fd)
{
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    const uint32_t zero = 0;
    xdpctl_meta meta{};
    const bool is_read = bpf_obj_get_info_by_fd(fd, &info, &length) == 0 &&
                         info.key_size == sizeof(zero) && info.value_size == sizeof(meta) &&
                         bpf_map_lookup_elem(fd, &zero, &meta) == 0;
    return is_read ? std::optional(meta) : std::nullopt;
}

// Whoever else can write there decides what we attach.
Result<> own_directory(const std::string& directory)
{
    struct stat status {
    };
    if (stat(directory.c_str(), &status) != 0) {
        return system_failure(errno, directory);
    }
    return status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0
               ? Result<>(Done{})
               : failure(ErrorKind::refused,
                         "paths.pins: {} belongs to user {}, mode {:o}: others could put programs "
                         "there; remove it, or `chown {} {}` and `chmod 700 {}`",
                         directory, status.st_uid, status.st_mode & 07777U, geteuid(), directory,
                         directory);
}

} // namespace

uint32_t program_id_of(int fd)
{
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

Result<> ensure_bpffs(const std::string& pin_directory)
{
    const std::string root = "/sys/fs/bpf";
    if (!pin_directory.starts_with(root + "/") || pin_directory.find("/..") != std::string::npos) {
        return failure(ErrorKind::invalid_config, "paths.pins: {} is not below {}", pin_directory,
                       root);
    }
    struct statfs fs {
    };
    if (statfs(root.c_str(), &fs) != 0 || fs.f_type != BPF_FS_MAGIC) {
        if (mount("bpf", root.c_str(), "bpf", 0, "mode=0700") != 0) {
            return failure(errno == EPERM ? ErrorKind::permission : ErrorKind::failed,
                           "{} is not a bpf file system: run `mount -t bpf bpf {}`", root, root);
        }
        log::info("mounted a bpf file system at {}", root);
    }
    auto made = make_directories(pin_directory);
    return made ? own_directory(pin_directory) : made;
}

Result<Fd> lock_pins(const std::string& pin_directory)
{
    Fd directory(::open(pin_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) {
        return system_failure(errno, pin_directory);
    }
    if (flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? failure(ErrorKind::refused, "another xdpctld already runs on the pins in {}",
                             pin_directory)
                   : system_failure(errno, "locking " + pin_directory);
    }
    return directory;
}

std::string BpfObject::pin_path(const std::string& directory, const std::string& name)
{
    return directory + "/" + name;
}

void BpfObject::unpin(const std::string& directory)
{
    std::vector<std::string> names = map_names();
    names.insert(names.end(), {pin::program, pin::judge, pin::clients, pin::clients_link,
                               pin::previous_program, pin::previous_control, pin::freed});
    for (const std::string& name : names) {
        unlink(pin_path(directory, name).c_str());
    }
    rmdir(directory.c_str());
}

BpfObject::~BpfObject()
{
    if (attachable_ != nullptr) {
        xdp_program__close(attachable_);
    }
    xdpctl_bpf__destroy(skeleton_);
}

int BpfObject::map(const std::string& name) const
{
    return maps_.at(name).get();
}

uint32_t BpfObject::program_id() const
{
    return program_id_of(program_.get());
}

Result<std::unique_ptr<BpfObject>> BpfObject::open(const LoadOptions& options)
{
    libbpf_set_print(print_libbpf);
    libxdp_set_print(print_libxdp);
    std::unique_ptr<BpfObject> object(new BpfObject());
    object->options_ = options;
    if (!options.pin_directory.empty()) {
        if (auto done = ensure_bpffs(options.pin_directory); !done) {
            return done.error();
        }
        if (auto done = object->adopt(); !done) {
            return done.error();
        }
    }
    if (object->origin_ != Origin::adopted) {
        if (auto done = object->prepare(); !done) {
            return done.error();
        }
    }
    return object;
}

// Reads `meta` of the pins, if any, and decides what to do with them.
Result<> BpfObject::adopt()
{
    const std::string& directory = options_.pin_directory;
    const auto at = [&directory](const char* name) { return pin_path(directory, name); };
    // Left where an earlier start was interrupted while it replaced a program.
    previous_program_ = Fd(bpf_obj_get(at(pin::previous_program).c_str()));
    previous_program_id_ = program_id_of(previous_program_.get());

    const Fd meta_fd(bpf_obj_get(at("meta").c_str()));
    if (!meta_fd.valid()) {
        return errno == ENOENT ? Result<>(Done{})
                               : system_failure(errno, "opening the pins in " + directory);
    }
    const std::optional<xdpctl_meta> meta = read_meta(meta_fd.get());
    program_ = Fd(bpf_obj_get(at(pin::program).c_str()));
    const bool same_layout = meta && meta->layout == layout_hash();
    const bool same_object = meta && meta->object == object_hash() && meta->frags == options_.frags;
    const bool has_maps = are_pinned(directory, map_names());
    const bool has_programs = are_pinned(directory, {pin::program, pin::judge, pin::clients});
    if (!same_layout || !same_object || !has_maps || !has_programs) {
        return make_way(same_layout && has_maps);
    }
    origin_ = Origin::adopted;
    for (const std::string& name : map_names()) {
        maps_[name] = Fd(bpf_obj_get(pin_path(directory, name).c_str()));
        if (!maps_[name].valid()) {
            return system_failure(errno, "opening the pinned map " + name);
        }
    }
    judge_ = Fd(bpf_obj_get(pin_path(directory, pin::judge).c_str()));
    clients_ = Fd(bpf_obj_get(pin_path(directory, pin::clients).c_str()));
    if (!judge_.valid() || !clients_.valid()) {
        return system_failure(errno, "opening the pinned programs in " + directory);
    }
    note_sizes();
    return Done{};
}

// Keeps the running program in reach under another name, and frees the rest.
Result<> BpfObject::make_way(bool keep_maps)
{
    const std::string& directory = options_.pin_directory;
    const auto at = [&directory](const std::string& name) { return pin_path(directory, name); };
    if (program_.valid()) {
        std::rename(at(pin::program).c_str(), at(pin::previous_program).c_str());
        previous_program_ = std::move(program_);
        program_ = Fd();
        previous_program_id_ = program_id_of(previous_program_.get());
    }
    for (const char* name : {pin::judge, pin::clients, pin::clients_link}) {
        unlink(at(name).c_str());
    }
    if (keep_maps) {
        origin_ = Origin::upgraded;
        return Done{};
    }
    log::warning("the pinned maps are not complete, or have another layout than this version: "
                 "counters start anew, bans are those of the file");
    origin_ = Origin::replaced;
    std::rename(at("control").c_str(), at(pin::previous_control).c_str());
    previous_known_ = Fd(bpf_obj_get(at("known_clients").c_str()));
    for (const std::string& name : map_names()) {
        unlink(at(name).c_str());
    }
    return Done{};
}

void BpfObject::discard_previous()
{
    unlink(pin_path(options_.pin_directory, pin::previous_program).c_str());
    unlink(pin_path(options_.pin_directory, pin::previous_control).c_str());
    previous_program_ = Fd();
    previous_program_id_ = 0;
}

Result<> BpfObject::prepare()
{
    skeleton_ = xdpctl_bpf__open();
    if (skeleton_ == nullptr) {
        return system_failure(errno, "opening the embedded data path");
    }
    skeleton_->rodata->xdpctl_frags = options_.frags;
    skeleton_->rodata->xdpctl_replay = options_.replay;
    skeleton_->rodata->xdpctl_tick_ns = jiffy_ns();
    skeleton_->rodata->xdpctl_conntrack = kernel_has_function("bpf_xdp_ct_lookup", "nf_conntrack");
    const MapsConfig& sizes = options_.maps;
    uint32_t buckets = BanStore::buckets_for(sizes.bans > 0 ? sizes.bans : XDPCTL_BANS);
    if (origin_ == Origin::upgraded) {
        buckets = pinned_entries(options_.pin_directory, "ban_tags");
    }
    bpf_map__set_max_entries(skeleton_->maps.ban_tags, buckets);
    bpf_map__set_max_entries(skeleton_->maps.ban_slots, buckets * XDPCTL_BAN_LANES);
    skeleton_->rodata->xdpctl_ban_mask = buckets - 1;
    if (sizes.clients > 0) {
        bpf_map__set_max_entries(skeleton_->maps.clients, sizes.clients);
    }
    if (sizes.known_clients > 0) {
        bpf_map__set_max_entries(skeleton_->maps.known_clients, sizes.known_clients);
    }
    bpf_map__set_max_entries(skeleton_->maps.events, sizes.events_bytes);
    if (options_.replay) {
        bpf_map__set_max_entries(skeleton_->maps.replay_sockets, XDPCTL_REPLAY_SOCKETS);
    }
    if (options_.frags) {
        bpf_program__set_flags(skeleton_->progs.xdpctl_judge, BPF_F_XDP_HAS_FRAGS);
        bpf_program__set_flags(skeleton_->progs.xdpctl, BPF_F_XDP_HAS_FRAGS);
    }
    if (options_.pin_directory.empty()) {
        return Done{};
    }
    for (const std::string& name : map_names()) {
        bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
        const std::string path = pin_path(options_.pin_directory, name);
        if (origin_ == Origin::upgraded) {
            // Keep what is there, also where the configuration wants another size.
            const Fd pinned(bpf_obj_get(path.c_str()));
            if (!pinned.valid() || bpf_map__reuse_fd(map, pinned.get()) != 0) {
                return system_failure(errno, "reusing the pinned map " + name);
            }
        }
        bpf_map__set_pin_path(map, path.c_str());
    }
    return Done{};
}

Result<xdp_program*> BpfObject::attachable()
{
    if (attachable_ != nullptr) {
        return attachable_;
    }
    if (skeleton_ != nullptr) {
        DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = skeleton_->obj, .prog_name = "xdpctl");
        attachable_ = xdp_program__create(&opts);
    } else {
        attachable_ = xdp_program__from_fd(dup(program_.get()));
    }
    if (const long problem = libxdp_get_error(attachable_); problem != 0) {
        attachable_ = nullptr;
        return system_failure(static_cast<int>(problem), "preparing the program for libxdp");
    }
    if (skeleton_ != nullptr) {
        xdp_program__set_xdp_frags_support(attachable_, options_.frags);
    }
    return attachable_;
}

Result<> BpfObject::load()
{
    if (in_kernel()) {
        return Done{};
    }
    if (const int code = bpf_object__load(skeleton_->obj); code != 0) {
        return explain_load_error(code);
    }
    return finish();
}

Result<> BpfObject::take_descriptors()
{
    for (const std::string& name : map_names()) {
        const int fd = bpf_object__find_map_fd_by_name(skeleton_->obj, name.c_str());
        maps_[name] = Fd(dup(fd));
    }
    program_ = Fd(dup(bpf_program__fd(skeleton_->progs.xdpctl)));
    judge_ = Fd(dup(bpf_program__fd(skeleton_->progs.xdpctl_judge)));
    clients_ = Fd(dup(bpf_program__fd(skeleton_->progs.xdpctl_clients)));
    if (!program_.valid() || !judge_.valid() || !clients_.valid()) {
        return failure("the data path was not loaded completely");
    }
    return Done{};
}

Result<> BpfObject::finish()
{
    if (in_kernel()) {
        return Done{};
    }
    if (auto done = take_descriptors(); !done) {
        return done;
    }
    if (options_.pin_directory.empty()) {
        return Done{};
    }
    const std::array<std::pair<const char*, int>, 3> pins = {{{pin::program, program_.get()},
                                                              {pin::judge, judge_.get()},
                                                              {pin::clients, clients_.get()}}};
    for (const auto& [name, fd] : pins) {
        if (bpf_obj_pin(fd, pin_path(options_.pin_directory, name).c_str()) != 0) {
            return system_failure(errno,
                                  fmt::format("pinning {} in {}", name, options_.pin_directory));
        }
    }
    carry_known_clients();
    // Last: its presence says that the pins are complete.
    const uint32_t zero = 0;
    const xdpctl_meta meta = {
        .layout = layout_hash(), .object = object_hash(), .frags = options_.frags, .unused = 0};
    if (bpf_map_update_elem(map("meta"), &zero, &meta, BPF_ANY) != 0) {
        return system_failure(errno, "writing the map meta");
    }
    if (origin_ == Origin::upgraded) {
        note_sizes();
    }
    return Done{};
}

// Known clients survive a change of the layout, where their own map kept its types: what they
// are known for took them days. What cannot be copied is learned anew.
void BpfObject::carry_known_clients()
{
    bpf_map_info before{}, now{};
    uint32_t size = sizeof before;
    if (!previous_known_.valid() ||
        bpf_obj_get_info_by_fd(previous_known_.get(), &before, &size) != 0 ||
        bpf_obj_get_info_by_fd(map("known_clients"), &now, &size) != 0 ||
        before.key_size != now.key_size || before.value_size != now.value_size) {
        return;
    }
    xdpctl_addr key{}, next{};
    xdpctl_known_client client{};
    uint32_t carried = 0;
    const void* from = nullptr; // the first one
    while (carried < before.max_entries &&
           bpf_map_get_next_key(previous_known_.get(), from, &next) == 0) {
        key = next;
        from = &key;
        if (bpf_map_lookup_elem(previous_known_.get(), &key, &client) == 0 &&
            bpf_map_update_elem(map("known_clients"), &key, &client, BPF_NOEXIST) == 0) {
            carried++;
        }
    }
    previous_known_ = Fd();
    log::info("{} known clients were taken over", carried);
}

void BpfObject::note_sizes()
{
    const auto note = [this](const char* what, uint32_t is, uint32_t configured) {
        if (configured > 0 && is != configured) {
            size_mismatches_.push_back(fmt::format("{}: {}, configured {}", what, is, configured));
        }
    };
    const MapsConfig& sizes = options_.maps;
    note("bans", entries_of(map("ban_tags")) * XDPCTL_BAN_LANES,
         sizes.bans > 0 ? BanStore::buckets_for(sizes.bans) * XDPCTL_BAN_LANES : 0);
    note("clients", entries_of(map("clients")), sizes.clients);
    note("known_clients", entries_of(map("known_clients")), sizes.known_clients);
    note(XDPCTL_EVENTS_MAP, entries_of(map(XDPCTL_EVENTS_MAP)), sizes.events_bytes);
}

} // namespace xdpctl
