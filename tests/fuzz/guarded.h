// SPDX-License-Identifier: Apache-2.0
// Memory that ends at a page that cannot be read: a read past the end of what lies there is seen
// without a sanitizer.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace xdpctl::testing
{

class Guarded
{
  public:
    explicit Guarded(size_t bytes_most)
    {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t bytes = (bytes_most + page - 1) / page * page;
        void* all =
            mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == MAP_FAILED || mprotect(static_cast<char*>(all) + bytes, page, PROT_NONE) != 0) {
            std::perror("guarded memory");
            std::exit(1);
        }
        end_ = static_cast<uint8_t*>(all) + bytes;
    }

    // A copy, until the next one. Where its begin is aligned, up to `alignment` - 1 bytes lie
    // between its end and the page.
    std::span<const uint8_t> put(std::span<const uint8_t> bytes, size_t alignment = 1)
    {
        uint8_t* begin = end_ - (bytes.size() + alignment - 1) / alignment * alignment;
        if (!bytes.empty()) {
            std::memcpy(begin, bytes.data(), bytes.size());
        }
        return {begin, bytes.size()};
    }

  private:
    uint8_t* end_ = nullptr;
};

} // namespace xdpctl::testing
