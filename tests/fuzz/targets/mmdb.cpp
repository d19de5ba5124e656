// SPDX-License-Identifier: Apache-2.0
// Databases in MaxMind's format: the walk over all networks, and the search for one address.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "geo/database.h"
#include "harness/literals.h"

using namespace xdpctl::testing;

// Of LeakSanitizer: MMDB_open() of libmaxminddb 1.7.1 keeps what it made of a list in the metadata
// that turns out to be damaged.
extern "C" const char* __lsan_default_suppressions()
{
    return "leak:libmaxminddb";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const int fd = memfd_create("fuzz", 0);
    static const std::string path = fmt::format("/proc/self/fd/{}", fd);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) {
        return 0;
    }
    if (const auto read = xdpctl::read_geo({path}, {{"CN", 0}, {"AS64500", 1}})) {
        const auto& networks = read->networks;
        // IPv6 first; each network once.
        const auto key = [](const xdpctl::GeoNetwork& network) {
            return std::pair(network.prefix.is_ipv4(), network.prefix);
        };
        if (std::adjacent_find(networks.begin(), networks.end(), [&key](auto& a, auto& b) {
                return key(a) >= key(b);
            }) != networks.end()) {
            std::abort();
        }
        (void)xdpctl::codes_at(networks, "192.0.2.1"_ip);
    }
    (void)xdpctl::read_codes_at({path}, "192.0.2.1"_ip);
    (void)xdpctl::read_codes_at({path}, "2001:db8::1"_ip);
    return 0;
}
