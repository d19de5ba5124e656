// SPDX-License-Identifier: Apache-2.0
// Where addresses are: databases in MaxMind's format (https://maxmind.github.io/MaxMind-DB/),
// as GeoLite2, DB-IP and IPinfo give them out. Of both families.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/geo.h"

namespace xdpctl
{

struct GeoData {
    std::vector<GeoNetwork> networks; // an overlay of all of them
    uint64_t found = 0;               // codes that are somewhere in them
    std::vector<GeoFile> files;
};

// Every network that has one of the codes. An error where a file cannot be read, is damaged,
// or no record of it says a country or an AS number.
Result<GeoData> read_geo(const std::vector<std::string>& paths, const GeoBits& bits);

// What the databases say of one address; empty: nothing.
Result<std::set<std::string>> read_codes_at(const std::vector<std::string>& paths,
                                            const Address& address);

} // namespace xdpctl
