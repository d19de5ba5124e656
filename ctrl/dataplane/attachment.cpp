// SPDX-License-Identifier: Apache-2.0
#include "dataplane/attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/log.h"
#include "dataplane/kernel_words.h"

namespace xdpctl
{
namespace
{

// 4096 - XDP_PACKET_HEADROOM 256 - sizeof(skb_shared_info) 320 - Ethernet 14 -
// two VLAN tags 8: what netdevs such as veth and virtio allow one buffer.
constexpr int single_buffer_mtu = 3498;

constexpr unsigned int dispatcher_priority = 10; // early; libxdp's default is 50

struct Attached {
    uint32_t id = 0;
    bool native = false;
};

Attached query(uint32_t ifindex)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);
    if (bpf_xdp_query(static_cast<int>(ifindex), 0, &opts) != 0) {
        return {};
    }
    if (opts.drv_prog_id != 0) {
        return {opts.drv_prog_id, true};
    }
    if (opts.skb_prog_id != 0) {
        return {opts.skb_prog_id, false};
    }
    return {opts.prog_id, opts.attach_mode == XDP_ATTACHED_DRV};
}

using Multiprog = std::unique_ptr<xdp_multiprog, decltype(&xdp_multiprog__close)>;

Multiprog dispatcher_on(uint32_t ifindex)
{
    xdp_multiprog* found = xdp_multiprog__get_from_ifindex(static_cast<int>(ifindex));
    if (libxdp_get_error(found) != 0) {
        found = nullptr;
    }
    Multiprog multiprog(found, xdp_multiprog__close);
    if (multiprog && xdp_multiprog__is_legacy(multiprog.get())) {
        multiprog.reset();
    }
    return multiprog;
}

xdp_program* behind_dispatcher(const Multiprog& multiprog, uint32_t program_id)
{
    xdp_program* program = nullptr;
    while (multiprog && (program = xdp_multiprog__next_prog(program, multiprog.get())) != nullptr) {
        if (xdp_program__id(program) == program_id) {
            return program;
        }
    }
    return nullptr;
}

std::optional<Attachment> find(const std::string& interface, uint32_t ifindex, uint32_t program_id)
{
    const Attached attached = query(ifindex);
    if (attached.id == 0 || program_id == 0) {
        return std::nullopt;
    }
    if (attached.id == program_id) {
        return Attachment{interface, ifindex, attached.native, false, ""};
    }
    if (behind_dispatcher(dispatcher_on(ifindex), program_id) != nullptr) {
        return Attachment{interface, ifindex, attached.native, true, ""};
    }
    return std::nullopt;
}

Result<uint32_t> index_of(const std::string& interface)
{
    const uint32_t ifindex = if_nametoindex(interface.c_str());
    if (ifindex == 0) {
        return no_interface(interface);
    }
    return ifindex;
}

std::string program_name(uint32_t id)
{
    const Fd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    if (fd.valid() && bpf_obj_get_info_by_fd(fd.get(), &info, &length) == 0) {
        return fmt::format("{} (id {})", info.name, id);
    }
    return fmt::format("id {}", id);
}

Error occupied(const std::string& interface, uint32_t ifindex)
{
    const Attached there = query(ifindex);
    return failure(ErrorKind::refused,
                   "{} already runs the XDP program {}; it was left alone. To make room: "
                   "`ip link set dev {} {} off`",
                   interface, program_name(there.id), interface,
                   there.native ? "xdpdrv" : "xdpgeneric");
}

// Swaps the previous program of the pins for the new one in a single step.
Result<> replace_alone(const BpfObject& object, uint32_t ifindex, bool native)
{
    LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = object.previous_program());
    const uint32_t flags = (native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE) | XDP_FLAGS_REPLACE;
    const int code = bpf_xdp_attach(static_cast<int>(ifindex), object.program(), flags, &opts);
    return code == 0 ? Result<>(Done{}) : Result<>(system_failure(code, "replacing the program"));
}

// The two ways to attach: with libxdp, which loads the program behind its
// dispatcher where the kernel can and alone where not; and, once it was loaded
// alone, directly. Both return 0 or a negative errno.
int attach_with_libxdp(xdp_program* program, uint32_t ifindex, bool native)
{
    return xdp_program__attach(program, static_cast<int>(ifindex),
                               native ? XDP_MODE_NATIVE : XDP_MODE_SKB, 0);
}

int attach_alone(int program_fd, uint32_t ifindex, bool native)
{
    const uint32_t mode = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    return bpf_xdp_attach(static_cast<int>(ifindex), program_fd, mode | XDP_FLAGS_UPDATE_IF_NOEXIST,
                          nullptr);
}

bool is_loaded_alone(const BpfObject& object)
{
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    return object.in_kernel() && bpf_obj_get_info_by_fd(object.program(), &info, &length) == 0 &&
           info.type == BPF_PROG_TYPE_XDP;
}

// Drivers return EBUSY for other reasons too, and the kernel EEXIST where a device above
// has a program.
bool is_occupied(int code, uint32_t ifindex)
{
    return (code == -EBUSY || code == -EEXIST) && query(ifindex).id != 0;
}

// An attempt to attach, and how it failed.
struct Attempt {
    int code = 0; // errno, negative
    std::string words;

    // What was said, or else what the code means.
    std::string reason() const { return !words.empty() ? words : std::strerror(-code); }
};

// BPF objects are found by their id, as libxdp does with its dispatcher.
bool may_look_up_ids()
{
    uint32_t id = 0;
    return bpf_prog_get_next_id(0, &id) != -EPERM;
}

Error attach_failure(const BpfObject& object, const std::string& interface, uint32_t ifindex,
                     const Attempt& last, const std::string& native_refusal)
{
    if (object.in_kernel() && !is_loaded_alone(object) && !may_look_up_ids()) {
        return failure(ErrorKind::permission,
                       "attaching to {} behind libxdp's dispatcher needs CAP_SYS_ADMIN, which "
                       "xdpctld gives up after its start: name it in interfaces = [...] and "
                       "restart xdpctld",
                       interface);
    }
    if (is_occupied(last.code, ifindex)) {
        return occupied(interface, ifindex);
    }
    Error error = system_failure(last.code, fmt::format("attaching to {}", interface));
    if (!last.words.empty()) {
        error.message += fmt::format(" (the kernel says: {})", last.words);
    }
    if (!native_refusal.empty() && native_refusal != last.words) {
        error.message += fmt::format(" (and of native XDP: {})", native_refusal);
    }
    return error;
}

// Returns why generic XDP took the place of native XDP, where it did.
Result<std::string> attach_new(BpfObject& object, const std::string& interface, uint32_t ifindex,
                               AttachMode mode)
{
    xdp_program* program = nullptr;
    if (!is_loaded_alone(object)) {
        auto attachable = object.attachable();
        if (!attachable) {
            return attachable.error();
        }
        program = *attachable;
        if (!object.in_kernel()) {
            xdp_program__set_run_prio(program, dispatcher_priority);
            xdp_program__set_chain_call_enabled(program, XDP_PASS, true);
        }
    }
    const auto try_to = [&](bool native) {
        const KernelWords words;
        const int code = program != nullptr ? attach_with_libxdp(program, ifindex, native)
                                            : attach_alone(object.program(), ifindex, native);
        return Attempt{code, words.text()};
    };
    Attempt last;
    std::string native_refusal;
    if (mode != AttachMode::generic) {
        last = try_to(true);
    }
    const bool fall_back =
        last.code != 0 && mode == AttachMode::automatic && !is_occupied(last.code, ifindex);
    if (mode == AttachMode::generic || fall_back) {
        native_refusal = last.code != 0 ? last.reason() : "";
        last = try_to(false);
    }
    if (last.code != 0) {
        return attach_failure(object, interface, ifindex, last, native_refusal);
    }
    auto done = object.finish();
    if (!done) {
        return done.error();
    }
    return native_refusal.empty() ? "" : "the kernel says: " + native_refusal;
}

std::string find_cgroup2()
{
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string device;
        std::string directory;
        std::string type;
        words >> device >> directory >> type;
        if (type == "cgroup2") {
            return directory;
        }
    }
    return "";
}

} // namespace

Error no_interface(const std::string& name)
{
    return failure(ErrorKind::not_found, "no interface named {} (see `ip link`)", name);
}

uint32_t program_on(uint32_t ifindex)
{
    return query(ifindex).id;
}

bool needs_frags(const std::string& interface)
{
    const Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    return ioctl(socket_fd.get(), SIOCGIFMTU, &request) == 0 && request.ifr_mtu > single_buffer_mtu;
}

Result<Attachment> attach(BpfObject& object, const std::string& interface, AttachMode mode)
{
    const auto ifindex = index_of(interface);
    if (!ifindex) {
        return ifindex.error();
    }
    if (auto present = find(interface, *ifindex, object.program_id())) {
        return *present;
    }
    std::string native_refusal;
    const auto previous = find(interface, *ifindex, object.previous_program_id());
    if (previous && !previous->shared) {
        if (auto done = object.load(); !done) {
            return done.error();
        }
        if (auto done = replace_alone(object, *ifindex, previous->native); !done) {
            return done.error().in(interface);
        }
    } else {
        if (!previous && query(*ifindex).id != 0 && !dispatcher_on(*ifindex)) {
            return occupied(interface, *ifindex);
        }
        auto done = attach_new(object, interface, *ifindex, mode);
        if (!done) {
            return done.error();
        }
        native_refusal = *done;
        if (previous) {
            // The dispatcher now runs both: counted twice for a moment, open never.
            auto gone = detach(object.previous_program(), interface);
            if (!gone) {
                return gone.error();
            }
        }
    }
    if (auto attached = find(interface, *ifindex, object.program_id())) {
        attached->native_refusal = native_refusal;
        return *attached;
    }
    return failure("{}: the kernel took the program but does not show it", interface);
}

Result<Attachment> attach_pinned(int program_fd, const std::string& interface, bool native)
{
    const auto ifindex = index_of(interface);
    if (!ifindex) {
        return ifindex.error();
    }
    const uint32_t id = program_id_of(program_fd);
    if (auto present = find(interface, *ifindex, id)) {
        return *present;
    }
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    int code = bpf_obj_get_info_by_fd(program_fd, &info, &length);
    if (code == 0 && info.type == BPF_PROG_TYPE_XDP) {
        code = attach_alone(program_fd, *ifindex, native);
    } else if (code == 0) { // an extension of libxdp's dispatcher
        xdp_program* program = xdp_program__from_fd(dup(program_fd));
        code = static_cast<int>(libxdp_get_error(program));
        if (code == 0) {
            code = attach_with_libxdp(program, *ifindex, native);
            xdp_program__close(program);
        }
    }
    if (code == -EBUSY || code == -EEXIST) {
        return occupied(interface, *ifindex);
    }
    if (code != 0) {
        return system_failure(code, fmt::format("attaching to {}", interface));
    }
    if (auto attached = find(interface, *ifindex, id)) {
        return *attached;
    }
    return failure("{}: the kernel took the program but does not show it", interface);
}

Result<> find_interface(const std::string& interface)
{
    const auto ifindex = index_of(interface);
    return ifindex ? Result<>(Done{}) : ifindex.error();
}

Result<> detach(int program_fd, const std::string& interface)
{
    const auto ifindex = index_of(interface);
    if (!ifindex) {
        return ifindex.error();
    }
    const auto present = find(interface, *ifindex, program_id_of(program_fd));
    if (!present) {
        return failure(ErrorKind::not_found, "{} does not run xdpctl", interface);
    }
    if (!present->shared) {
        LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = program_fd);
        const uint32_t mode = present->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
        const int code =
            bpf_xdp_detach(static_cast<int>(*ifindex), mode | XDP_FLAGS_REPLACE, &opts);
        return code == 0 ? Result<>(Done{})
                         : Result<>(system_failure(code, "detaching from " + interface));
    }
    const Multiprog multiprog = dispatcher_on(*ifindex);
    xdp_program* program = behind_dispatcher(multiprog, program_id_of(program_fd));
    const int code = xdp_program__detach(program, static_cast<int>(*ifindex),
                                         present->native ? XDP_MODE_NATIVE : XDP_MODE_SKB, 0);
    return code == 0
               ? Result<>(Done{})
               : Result<>(system_failure(code, fmt::format("detaching from {} (behind libxdp's "
                                                           "dispatcher this needs root)",
                                                           interface)));
}

std::optional<Attachment> attachment_on(const std::string& interface, uint32_t ifindex,
                                        uint32_t program_id)
{
    return find(interface, ifindex, program_id);
}

std::vector<Attachment> attachments(uint32_t program_id)
{
    std::vector<Attachment> found;
    struct if_nameindex* const all = if_nameindex();
    for (const struct if_nameindex* one = all; one != nullptr && one->if_index != 0; one++) {
        if (auto attachment = find(one->if_name, one->if_index, program_id)) {
            found.push_back(*attachment);
        }
    }
    if (all != nullptr) {
        if_freenameindex(all);
    }
    return found;
}

Result<std::string> attach_clients(const BpfObject& object, const std::string& cgroup,
                                   const std::string& pin_directory)
{
    const std::string directory = cgroup.empty() ? find_cgroup2() : cgroup;
    if (directory.empty()) {
        return failure(ErrorKind::not_found,
                       "no cgroup v2 is mounted, so clients cannot be learned: run "
                       "`mount -t cgroup2 none /sys/fs/cgroup` or set paths.cgroup");
    }
    const std::string pin = BpfObject::pin_path(pin_directory, pin::clients_link);
    if (!pin_directory.empty() && access(pin.c_str(), F_OK) == 0) {
        return directory;
    }
    const Fd cgroup_fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup_fd.valid()) {
        return system_failure(errno, directory);
    }
    const Fd link(bpf_link_create(object.clients(), cgroup_fd.get(), BPF_CGROUP_SOCK_OPS, nullptr));
    if (!link.valid()) {
        return system_failure(errno, fmt::format("attaching the client learner to {}", directory));
    }
    if (!pin_directory.empty() && bpf_obj_pin(link.get(), pin.c_str()) != 0) {
        return system_failure(errno, "pinning " + pin);
    }
    return directory;
}

} // namespace xdpctl
