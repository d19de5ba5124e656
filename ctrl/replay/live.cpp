// SPDX-License-Identifier: Apache-2.0
#include "replay/live.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "replay/capture.h"
#include "replay/replay.h"

namespace xdpctl
{
namespace
{

constexpr const char* sender = "xdpctl-send";
constexpr const char* receiver = "xdpctl-recv";
constexpr size_t mtu = 3498; // the largest that one buffer takes
constexpr const char* mtu_text = "3498";
constexpr uint64_t progress_every = 4096;

Result<> run_command(std::vector<const char*> words)
{
    words.push_back(nullptr);
    pid_t pid = 0;
    if (const int code = posix_spawnp(&pid, words[0], nullptr, nullptr,
                                      const_cast<char* const*>(words.data()), environ);
        code != 0) {
        return system_failure(code, fmt::format("running {} (package iproute2)", words[0]));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return status == 0 ? Result<>(Done{})
                       : failure("{} {} {} failed", words[0], words[1], words[2]);
}

Result<> make_lab()
{
    if (unshare(CLONE_NEWNET) != 0) {
        if (errno == EPERM) {
            return failure(ErrorKind::permission,
                           "making a network namespace: CAP_SYS_ADMIN is missing (run as root)");
        }
        return system_failure(errno, "making a network namespace");
    }
    // Else the kernel's own neighbour discovery would be judged too.
    std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << 1;
    const std::array<std::vector<const char*>, 3> commands = {
        {{"ip", "link", "add", sender, "mtu", mtu_text, "type", "veth", "peer", "name", receiver,
          "mtu", mtu_text},
         {"ip", "link", "set", sender, "up"},
         {"ip", "link", "set", receiver, "up"}}};
    for (const auto& command : commands) {
        if (auto done = run_command(command); !done) {
            return done;
        }
    }
    return Done{};
}

Result<Fd> open_sender()
{
    Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(sender));
    if (!fd.valid() ||
        bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        return system_failure(errno, "opening a packet socket");
    }
    return fd;
}

Result<> send_frame(int fd, const Bytes& bytes)
{
    for (int tries = 0; tries < 1000; tries++) {
        if (send(fd, bytes.data(), bytes.size(), 0) >= 0) {
            return Done{};
        }
        if (errno != ENOBUFS && errno != EAGAIN) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return system_failure(errno, "sending a frame");
}

Result<std::vector<DeviceCounters>> settled_counters(const BpfDataplane& plane, uint64_t wanted)
{
    for (int tries = 0;; tries++) {
        auto counters = plane.counters();
        if (!counters) {
            return counters.error();
        }
        uint64_t received = 0;
        for (const DeviceCounters& device : *counters) {
            for (const auto& family : device.cells) {
                for (const auto& disposition : family) {
                    for (const xdpctl_cell& cell : disposition) {
                        received += cell.packets;
                    }
                }
            }
        }
        if (received >= wanted || tries == 200) {
            return counters;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void add_counters(ReplayReport& report, const std::vector<DeviceCounters>& devices)
{
    for (const DeviceCounters& device : devices) {
        for (const auto& family : device.cells) {
            for (const ReasonInfo& reason : reasons) {
                const uint64_t packets = family[XDPCTL_EFFECTIVE][reason.id].packets;
                const uint64_t observed = family[XDPCTL_WOULD_DROP][reason.id].packets;
                report.judged += packets + observed;
                report.packets[reason.id] += packets + observed;
                if (reason.verdict == XDPCTL_VERDICT_ANSWER) {
                    report.answered += packets;
                } else if (reason.verdict == XDPCTL_VERDICT_DROP) {
                    report.dropped += packets;
                    report.drops[reason.id] += packets;
                    const bool proven = report.absence_stated || !rests_on_absence(reason.id);
                    report.unproven[reason.id] += proven ? 0 : packets;
                }
            }
        }
    }
}

Result<> attach_receiver(const BpfObject& object)
{
    const int code = bpf_xdp_attach(static_cast<int>(if_nametoindex(receiver)), object.program(),
                                    XDP_FLAGS_DRV_MODE, nullptr);
    return code == 0 ? Result<>(Done{}) : system_failure(code, "attaching to the veth pair");
}

// Returns how many frames were sent.
Result<uint64_t> send_capture(const CaptureFile& file, const Orientation& orientation,
                              const Progress& progress, ReplayReport& report)
{
    auto fd = open_sender();
    if (!fd) {
        return fd.error();
    }
    auto capture = Capture::open(file);
    if (!capture) {
        return capture.error();
    }
    uint64_t sent = 0;
    const auto send_piece = [&](const Bytes& bytes) {
        sent++;
        return send_frame(fd->get(), bytes);
    };
    while (true) {
        auto frame = capture->next();
        if (!frame) {
            return frame.error();
        }
        if (!*frame) {
            finish_report(report, *capture);
            return sent;
        }
        if (++report.frames % progress_every == 0 && progress) {
            progress(static_cast<double>(capture->read_bytes()) /
                     static_cast<double>(capture->file_bytes()));
        }
        const auto info = read_frame((*frame)->bytes);
        if (info && orientation.is_outgoing(*info)) {
            report.outgoing++;
        } else if (info && !orientation.is_incoming(*info)) {
            report.elsewhere++;
        } else if (auto done =
                       judge_frame(**frame, ETH_HLEN + 1, mtu + ETH_HLEN, report, send_piece);
                   !done) {
            return done.error();
        }
    }
}

} // namespace

Result<ReplayReport> replay_live(const Config& config, const std::string& path,
                                 const Stated& stated, const Progress& progress)
{
    auto file = CaptureFile::open(path);
    if (!file) {
        return file.error();
    }
    auto surveyed = survey(*file, stated);
    if (!surveyed) {
        return surveyed.error();
    }
    if (auto made = make_lab(); !made) {
        return made.error();
    }
    LoadOptions load;
    load.maps = config.maps;
    auto object = BpfObject::open(load);
    if (!object) {
        return object.error();
    }
    if (auto done = (*object)->load(); !done) {
        return done.error();
    }
    auto plane = BpfDataplane::create(**object);
    if (!plane) {
        return plane.error();
    }
    PolicySpec spec = policy_of(config);
    spec.mode = XDPCTL_MODE_ENFORCE;
    if (auto done = add_geo(config, spec, **plane); !done) {
        return done.error();
    }
    if (auto committed = (*plane)->commit(compile_policy(spec, 1)); !committed) {
        return committed.error();
    }
    if (auto done = attach_receiver(**object); !done) {
        return done.error();
    }
    ReplayReport report = begin_report(*file, *surveyed, stated);
    report.live = true;
    report.services.clear(); // no sockets are there
    report.assumed.clear();
    const auto begin = std::chrono::steady_clock::now();
    auto sent = send_capture(*file, surveyed->orientation, progress, report);
    if (!sent) {
        return sent.error();
    }
    auto counters = settled_counters(**plane, *sent);
    if (!counters) {
        return counters.error();
    }
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    add_counters(report, *counters);
    return report;
}

} // namespace xdpctl
