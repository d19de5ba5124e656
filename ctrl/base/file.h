// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace xdpctl
{

// Of at most so many bytes: nothing that is configured is larger than 64 MiB.
Result<std::string> read_file(const std::string& path, size_t bytes_most = 64UL << 20);

// The file has either its old or its new content, also after a crash.
Result<> write_file_atomic(const std::string& path, const std::string& content);

// Could a new file of this size be written here now? Leaves nothing behind.
Result<> check_room(const std::string& path, uint64_t bytes);

// mkdir -p with mode 0755; an existing directory is fine.
Result<> make_directories(const std::string& path);

} // namespace xdpctl
