// SPDX-License-Identifier: Apache-2.0
// Fills the LPM trie of lpm.bpf.c from a list and attaches it, for the bench of lists.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <chrono>

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "core/feed.h"

#define _Bool bool
#include "lpm.skel.h"
#undef _Bool

using namespace xdpctl;

namespace
{

struct Key {
    uint32_t length;
    xdpctl_addr address;
};

Result<> run(const std::string& interface, const std::string& list)
{
    using Clock = std::chrono::steady_clock;
    auto text = read_file(list, 1UL << 30);
    if (!text) {
        return text.error();
    }
    const auto parsed = parse_feed(*text, {});
    if (!parsed) {
        return parsed.error();
    }
    const FeedText& feed = *parsed;
    lpm_bpf* program = lpm_bpf__open();
    if (program == nullptr) {
        return failure("opening the program");
    }
    bpf_map__set_max_entries(program->maps.blocked,
                             static_cast<uint32_t>(feed.prefixes.size() + 1000));
    if (lpm_bpf__load(program) != 0) {
        return failure("loading the program");
    }
    const auto begin = Clock::now();
    const uint32_t value = 1;
    for (const Prefix& prefix : feed.prefixes) {
        const Key key = {prefix.length, prefix.address.to_abi()};
        if (bpf_map_update_elem(bpf_map__fd(program->maps.blocked), &key, &value, BPF_ANY) != 0) {
            return system_failure(errno, "filling the trie");
        }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const int ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (const int code = bpf_xdp_attach(ifindex, bpf_program__fd(program->progs.lpm),
                                        XDP_FLAGS_DRV_MODE, nullptr);
        code != 0) {
        return system_failure(code, "attaching");
    }
    const Key one = {128, parse_address("10.255.255.254")->to_abi()};
    const auto before = Clock::now();
    bpf_map_update_elem(bpf_map__fd(program->maps.blocked), &one, &value, BPF_ANY);
    const double update = std::chrono::duration<double>(Clock::now() - before).count();
    fmt::print("{{\"load_seconds\": {:.4f}, \"update_seconds\": {:.7f}}}\n", seconds, update);
    return Done{}; // netlink keeps it attached
}

} // namespace

int main(int argc, char** argv)
{
    std::string interface;
    std::string list;
    CLI::App app("Blocks a list by an LPM trie, as a peer to measure.", "bench_lpm");
    app.add_option("INTERFACE", interface, "to attach to")->required();
    app.add_option("LIST", list, "file of prefixes")->required();
    CLI11_PARSE(app, argc, argv);
    const auto done = run(interface, list);
    if (!done) {
        fmt::print(stderr, "bench_lpm: {}\n", done.error().message);
        return 1;
    }
    return 0;
}
