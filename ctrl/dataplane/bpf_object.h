// SPDX-License-Identifier: Apache-2.0
// The BPF object file in the kernel: loaded afresh, or adopted from its pins.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "core/config.h"

struct xdp_program;
struct xdpctl_bpf;

namespace xdpctl
{

namespace pin
{
inline constexpr const char* program = "program";
inline constexpr const char* judge = "judge";
inline constexpr const char* clients = "clients_program";
inline constexpr const char* clients_link = "clients_link";
// Of a program that is being replaced.
inline constexpr const char* previous_program = "previous_program";
inline constexpr const char* previous_control = "previous_control";
inline constexpr const char* freed = "freed_by_panic"; // interfaces; see panic.h
} // namespace pin

struct LoadOptions {
    MapsConfig maps;
    bool frags = false;        // frames of several buffers (jumbo MTU)
    bool replay = false;       // clock and sockets come from a capture
    std::string pin_directory; // "": nothing is pinned
};

enum class Origin {
    loaded,   // new maps, new program
    adopted,  // the pinned program goes on
    upgraded, // new program on the pinned maps
    replaced, // the pinned layout did not fit: new maps, counters and bans restart
};

class BpfObject
{
  public:
    // Adopts the pins where they fit, else opens the object. An object that was
    // opened is not in the kernel until load() or until libxdp loads it.
    static Result<std::unique_ptr<BpfObject>> open(const LoadOptions& options);
    ~BpfObject();
    BpfObject(const BpfObject&) = delete;
    BpfObject& operator=(const BpfObject&) = delete;

    // Loads without attaching; for replay, tests and a daemon without interfaces.
    Result<> load();
    // After the kernel has the object: takes the descriptors, writes `meta`,
    // pins programs.
    Result<> finish();

    Origin origin() const { return origin_; }
    int map(const std::string& name) const; // aborts on a name that is not in the contract
    int program() const { return program_.get(); }
    int judge() const { return judge_.get(); }
    int clients() const { return clients_.get(); }
    uint32_t program_id() const;
    bool in_kernel() const { return program_.valid(); }
    // Of the program that the pins held before, to be replaced; 0 for none.
    uint32_t previous_program_id() const { return previous_program_id_; }
    int previous_program() const { return previous_program_.get(); }

    // For libxdp: the program to attach. Owned by this object.
    Result<xdp_program*> attachable();

    // Sizes that differ from the wanted ones after adoption: "bans: 1000, configured 2000".
    const std::vector<std::string>& size_mismatches() const { return size_mismatches_; }

    // The program of an earlier build or layout is not needed any more. Until
    // then its pin stays, so that nothing that filters is out of reach.
    void discard_previous();

    static std::string pin_path(const std::string& directory, const std::string& name);
    // Removes every pin of ours below the directory; foreign files stay.
    static void unpin(const std::string& directory);

  private:
    BpfObject() = default;

    Result<> adopt();
    Result<> make_way(bool keep_maps);
    Result<> prepare();
    Result<> take_descriptors();
    void carry_known_clients();
    void note_sizes();

    LoadOptions options_;
    Origin origin_ = Origin::loaded;
    xdpctl_bpf* skeleton_ = nullptr;
    xdp_program* attachable_ = nullptr;
    std::map<std::string, Fd> maps_;
    Fd program_;
    Fd judge_;
    Fd clients_;
    Fd previous_program_;
    Fd previous_known_; // the map known_clients of another layout
    uint32_t previous_program_id_ = 0;
    std::vector<std::string> size_mismatches_;
};

// Bpffs at /sys/fs/bpf, mounted where it is missing and we may.
Result<> ensure_bpffs(const std::string& pin_directory);

// One daemon per pin directory: holds until the descriptor is closed. refused
// where another one holds it.
Result<Fd> lock_pins(const std::string& pin_directory);

// Of a program descriptor; 0 where it is invalid.
uint32_t program_id_of(int fd);

} // namespace xdpctl
