// SPDX-License-Identifier: Apache-2.0
// What the test cases of one run tell each other, whether one process runs them all or, under
// CTest, each has its own.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace xdpctl::testing
{

// The environment variable XDPCTL_TEST_RUN: a directory that the processes of one run share; ""
// where there is one process only.
const std::string& shared_directory();
// Where they keep loaded objects pinned, below /sys/fs/bpf.
std::string shared_pins();
void remove_pins();
// Removes the pins and records of an earlier run.
void begin_run();

// The reasons that the present test case met.
std::set<uint32_t>& reasons_met();
// Of every test case of this run that has ended.
std::map<std::string, std::set<uint32_t>> reasons_by_case();

} // namespace xdpctl::testing
