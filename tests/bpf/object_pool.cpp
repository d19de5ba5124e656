// SPDX-License-Identifier: Apache-2.0
#include "bpf/object_pool.h"

#include <vector>

#include "bpf/kernel_maps.h"
#include "bpf/test_run.h"

namespace xdpctl::testing
{
namespace
{

struct Pooled {
    std::string kind; // what it is loaded with
    Fd lock;          // of its pins
    std::shared_ptr<BpfObject> object;
};

// Objects with equal ones are interchangeable. Names every option, so that a new one is not
// forgotten.
std::string kind_of(const LoadOptions& options)
{
    const auto& [maps, frags, replay, pin_directory] = options;
    const auto& [bans, clients, known_clients, events_bytes] = maps;
    return fmt::format("{}_{}_{}_{}_{}_{}", frags ? "frags" : "plain", replay ? "replay" : "kernel",
                       bans, clients, known_clients, events_bytes);
}

// The first place for objects of this kind that no other process has, where processes share them.
Result<> choose_pins(Pooled& pooled, LoadOptions& options)
{
    for (int place = 0; !shared_directory().empty() && !pooled.lock.valid(); place++) {
        options.pin_directory = fmt::format("{}/{}_{}", shared_pins(), pooled.kind, place);
        if (auto done = ensure_bpffs(options.pin_directory); !done) {
            return done;
        }
        auto lock = lock_pins(options.pin_directory);
        if (lock) {
            pooled.lock = std::move(*lock);
        } else if (lock.error().kind != ErrorKind::refused) {
            return lock.error();
        }
    }
    return Done{};
}

Result<Pooled> load(LoadOptions options)
{
    Pooled pooled{kind_of(options), {}, {}};
    if (auto done = choose_pins(pooled, options); !done) {
        return done.error();
    }
    auto opened = BpfObject::open(options);
    if (!opened) {
        return opened.error();
    }
    pooled.object = std::move(*opened);
    if (auto done = pooled.object->load(); !done) {
        return done.error();
    }
    if (!options.pin_directory.empty()) {
        pooled.object->discard_previous(); // of an earlier build
    }
    return pooled;
}

} // namespace

Result<std::shared_ptr<BpfObject>> fresh_object(const LoadOptions& options)
{
    static std::vector<Pooled> pool;
    const std::string kind = kind_of(options);
    const auto free = std::find_if(pool.begin(), pool.end(), [&kind](const Pooled& pooled) {
        return pooled.kind == kind && pooled.object.use_count() == 1;
    });
    std::shared_ptr<BpfObject> object;
    if (free != pool.end()) {
        object = free->object;
    } else {
        auto loaded = load(options);
        if (!loaded) {
            return loaded.error();
        }
        object = pool.emplace_back(std::move(*loaded)).object;
    }
    auto done = reset_maps(*object);
    return done ? Result(std::move(object)) : done.error();
}

} // namespace xdpctl::testing
