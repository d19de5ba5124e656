// SPDX-License-Identifier: Apache-2.0
#include "show.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "api/codec.h"
#include "output.h"

namespace xdpctl::cli
{

std::shared_ptr<WatchOptions> add_watch(CLI::App& app)
{
    auto options = std::make_shared<WatchOptions>();
    app.add_flag("-w,--watch", options->watch, "repeat until interrupted");
    app.add_option("-i,--interval", options->interval_s, "seconds between two looks")
        ->capture_default_str()
        ->check(CLI::Range(0.1, 3600.0));
    app.add_option("-n,--count", options->count, "with --watch: how many looks")
        ->check(CLI::Range(0, 1000000));
    return options;
}

Outcome show(const Context& context, const char* path, const WatchOptions& options,
             void (*print)(const nlohmann::json&))
{
    for (int look = 1;; look++) {
        auto answer = context.api().get(path);
        if (!answer) {
            return answer.error();
        }
        if (context.json) {
            options.watch ? fmt::print("{}\n", to_text(*answer)) : print_json(*answer);
        } else {
            if (options.watch && isatty(STDOUT_FILENO) == 1) {
                fmt::print("\033[H\033[2J");
            }
            print(*answer);
        }
        std::fflush(stdout);
        if (!options.watch || look == options.count) {
            return 0;
        }
        std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
    }
}

} // namespace xdpctl::cli
