// SPDX-License-Identifier: Apache-2.0
// A capture's bytes as a file that can be read several times: standard input,
// pipes and gzip are copied to an unlinked temporary file first.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace xdpctl
{

using UniqueFile = std::unique_ptr<FILE, int (*)(FILE*)>;

class CaptureFile
{
  public:
    // Of a copy; a file that needs none may be larger.
    static constexpr uint64_t copy_bytes_max = 8ULL << 30;

    // "-" is standard input. The copy goes to $TMPDIR, else to /var/tmp.
    static Result<CaptureFile> open(const std::string& path, uint64_t copy_max = copy_bytes_max);

    const std::string& name() const { return name_; }
    uint64_t bytes() const { return bytes_; }
    // Why the content is not whole: the gzip stream ends early. Empty where it is whole.
    const std::string& cut() const { return cut_; }

    // From its beginning, with an offset of its own. Does not outlive this object.
    Result<UniqueFile> stream() const;
    // The first bytes, at most `count`.
    std::string head(size_t count) const;

  private:
    CaptureFile() = default;
    Result<> copy(int from, uint64_t copy_max);

    std::string name_;
    Fd fd_;
    uint64_t bytes_ = 0; // when it was opened; what is appended later is not read
    std::string cut_;
};

} // namespace xdpctl
