// SPDX-License-Identifier: Apache-2.0
#include "dataplane/panic.h"

#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>

#include <xdpctl/abi/maps.h>

#include "dataplane/bpf_object.h"

namespace xdpctl
{
namespace
{

// An entry of the array that is pinned beside the other maps while panic is in force. It
// lives as long as they do, and needs no disk, which may be full when panic is needed.
struct FreedInterface {
    std::array<char, IF_NAMESIZE> name;
    uint32_t native; // else generic
};

constexpr std::array control_pins = {"control", pin::previous_control};

Fd open_pin(const std::string& directory, const char* name)
{
    return Fd(bpf_obj_get(BpfObject::pin_path(directory, name).c_str()));
}

// The words that the data path reads, of one pinned control map.
class ControlWords
{
  public:
    static Result<ControlWords> map(int fd)
    {
        const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return memory == MAP_FAILED
                   ? Result<ControlWords>(system_failure(errno, "mapping the control words"))
                   : ControlWords(static_cast<xdpctl_control*>(memory), bytes);
    }
    ControlWords(ControlWords&& other) noexcept
        : words_(std::exchange(other.words_, nullptr)), bytes_(other.bytes_)
    {
    }
    ControlWords& operator=(ControlWords&&) = delete;
    ~ControlWords()
    {
        if (words_ != nullptr) {
            munmap(words_, bytes_);
        }
    }
    bool bypass() const { return __atomic_load_n(&words_->bypass, __ATOMIC_SEQ_CST) != 0; }
    void set_bypass(bool on) { __atomic_store_n(&words_->bypass, on ? 1U : 0U, __ATOMIC_SEQ_CST); }

  private:
    ControlWords(xdpctl_control* words, size_t bytes) : words_(words), bytes_(bytes) {}
    xdpctl_control* words_;
    size_t bytes_;
};

// Every control map that is pinned: of the program, and of one that is being replaced.
Result<std::vector<ControlWords>> controls(const std::string& directory)
{
    std::vector<ControlWords> all;
    int code = ENOENT;
    for (const char* name : control_pins) {
        const Fd fd = open_pin(directory, name);
        if (!fd.valid()) {
            code = errno != ENOENT ? errno : code;
            continue;
        }
        auto words = ControlWords::map(fd.get());
        if (!words) {
            return words.error();
        }
        all.push_back(std::move(*words));
    }
    if (all.empty()) {
        return code == ENOENT ? failure(ErrorKind::not_found,
                                        "nothing is pinned in {}: xdpctl is not loaded", directory)
                              : system_failure(code, "opening the pins in " + directory);
    }
    return all;
}

FreedInterface entry_of(const Attachment& attachment)
{
    FreedInterface entry{};
    attachment.interface.copy(entry.name.data(), entry.name.size() - 1);
    entry.native = attachment.native ? 1 : 0;
    return entry;
}

std::vector<FreedInterface> read_freed(const std::string& directory)
{
    std::vector<FreedInterface> entries;
    const Fd fd = open_pin(directory, pin::freed);
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (!fd.valid() || bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0 ||
        info.value_size != sizeof(FreedInterface)) {
        return entries;
    }
    for (uint32_t i = 0; i < info.max_entries; i++) {
        FreedInterface entry{};
        if (bpf_map_lookup_elem(fd.get(), &i, &entry) == 0) {
            entry.name.back() = '\0';
            entries.push_back(entry);
        }
    }
    return entries;
}

// Beside the old record, then in its place: one of the two is always there.
Result<> write_freed(const std::string& directory, const std::vector<FreedInterface>& entries)
{
    if (entries.empty()) {
        forget_freed(directory);
        return Done{};
    }
    const Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "xdpctl_freed", sizeof(uint32_t),
                               sizeof(FreedInterface), static_cast<uint32_t>(entries.size()),
                               nullptr));
    if (!fd.valid()) {
        return system_failure(errno, "making the record of freed interfaces");
    }
    for (uint32_t i = 0; i < entries.size(); i++) {
        if (bpf_map_update_elem(fd.get(), &i, &entries[i], BPF_ANY) != 0) {
            return system_failure(errno, "writing the record of freed interfaces");
        }
    }
    const std::string path = BpfObject::pin_path(directory, pin::freed);
    const std::string fresh = path + "_new"; // bpffs refuses names with a dot
    unlink(fresh.c_str());
    if (bpf_obj_pin(fd.get(), fresh.c_str()) != 0) {
        return system_failure(errno, "pinning the record of freed interfaces");
    }
    return std::rename(fresh.c_str(), path.c_str()) == 0 ? Result<>(Done{})
                                                         : system_failure(errno, path);
}

// What an earlier panic freed and nobody attached since is still to be attached.
std::string record(const std::string& directory, const std::vector<Attachment>& found)
{
    std::vector<FreedInterface> entries = read_freed(directory);
    for (const Attachment& attachment : found) {
        const FreedInterface entry = entry_of(attachment);
        std::erase_if(entries, [&entry](const auto& known) { return known.name == entry.name; });
        entries.push_back(entry);
    }
    const auto done = write_freed(directory, entries);
    return done ? "" : done.error().message;
}

} // namespace

Result<Panicked> begin_panic(const std::string& pin_directory)
{
    auto words = controls(pin_directory);
    if (!words) {
        return words.error();
    }
    for (ControlWords& control : *words) { // takes effect at once on every interface
        control.set_bypass(true);
    }
    struct Running {
        Fd program;
        std::vector<Attachment> on;
    };
    std::vector<Running> running;
    std::vector<Attachment> all;
    for (const char* name : {pin::program, pin::previous_program}) {
        if (Fd program = open_pin(pin_directory, name); program.valid()) {
            std::vector<Attachment> on = attachments(program_id_of(program.get()));
            all.insert(all.end(), on.begin(), on.end());
            running.push_back({std::move(program), std::move(on)});
        }
    }
    Panicked done;
    done.record_problem = record(pin_directory, all);
    std::optional<Error> problem;
    for (const Running& one : running) {
        for (const Attachment& attachment : one.on) { // also where one refuses
            if (auto gone = detach(one.program.get(), attachment.interface); !gone) {
                problem = gone.error();
            } else {
                done.freed.push_back(attachment.interface);
            }
        }
    }
    return problem ? Result<Panicked>(*problem) : done;
}

Result<PanicEnd> end_panic(const std::string& pin_directory)
{
    auto words = controls(pin_directory);
    if (!words) {
        return words.error();
    }
    const std::vector<FreedInterface> freed = read_freed(pin_directory);
    const bool in_force =
        std::any_of(words->begin(), words->end(), [](const ControlWords& c) { return c.bypass(); });
    if (!in_force && freed.empty()) {
        return failure(ErrorKind::not_found, "panic is not in force");
    }
    Fd program = open_pin(pin_directory, pin::program);
    if (!program.valid()) {
        program = open_pin(pin_directory, pin::previous_program);
    }
    if (!program.valid()) {
        return system_failure(errno, "opening the pinned program in " + pin_directory);
    }
    PanicEnd end;
    end.recorded = !freed.empty();
    std::vector<FreedInterface> left;
    for (const FreedInterface& entry : freed) {
        auto attached = attach_pinned(program.get(), entry.name.data(), entry.native != 0);
        if (attached) {
            end.attached.push_back(*attached);
        } else {
            end.failed.push_back({entry.name.data(), attached.error().message});
            left.push_back(entry);
        }
    }
    (void)write_freed(pin_directory, left); // an old record at worst names who is attached
    for (ControlWords& control : *words) {
        control.set_bypass(false);
    }
    return end;
}

Result<std::vector<Attachment>> attachments_of_pins(const std::string& pin_directory)
{
    std::vector<Attachment> all;
    for (const char* name : {pin::program, pin::previous_program}) {
        const Fd program = open_pin(pin_directory, name);
        if (!program.valid() && errno != ENOENT) {
            return system_failure(errno, "the pins in " + pin_directory);
        }
        const std::vector<Attachment> on = attachments(program_id_of(program.get()));
        all.insert(all.end(), on.begin(), on.end());
    }
    return all;
}

bool is_panic_in_force(const std::string& pin_directory)
{
    const auto words = controls(pin_directory);
    return words && std::any_of(words->begin(), words->end(),
                                [](const ControlWords& control) { return control.bypass(); });
}

std::vector<std::string> freed_by_panic(const std::string& pin_directory)
{
    std::vector<std::string> names;
    for (const FreedInterface& entry : read_freed(pin_directory)) {
        names.emplace_back(entry.name.data());
    }
    return names;
}

void forget_freed(const std::string& pin_directory)
{
    unlink(BpfObject::pin_path(pin_directory, pin::freed).c_str());
}

} // namespace xdpctl
