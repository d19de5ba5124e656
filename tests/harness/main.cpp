// SPDX-License-Identifier: Apache-2.0
// Exit code 77 tells CTest that the whole program was skipped, and why is on stderr.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "harness/skip.h"

int main(int argc, char** argv)
{
    if (const auto why = xdpctl::testing::skip_all_because()) {
        std::cerr << "SKIPPED: " << *why << "\n";
        return 77;
    }
    return Catch::Session().run(argc, argv);
}
