// SPDX-License-Identifier: Apache-2.0
// Exit code 77 tells CTest that the whole program was skipped, and why is on stderr.
#define CATCH_CONFIG_RUNNER
#include <iostream>

#include "harness/catch.h"
#include "harness/skip.h"

int main(int argc, char** argv)
{
    Catch::Session session;
    if (const int problem = session.applyCommandLine(argc, argv); problem != 0) {
        return problem;
    }
    const bool runs = xdpctl::testing::runs_tests(session.configData());
    if (const auto why = runs ? xdpctl::testing::skip_all_because() : std::nullopt) {
        std::cerr << "SKIPPED: " << *why << "\n";
        return 77;
    }
    return session.run();
}
