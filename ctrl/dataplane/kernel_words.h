// SPDX-License-Identifier: Apache-2.0
// Why the kernel refused a netlink request, in its own words (extended
// acknowledgement). libbpf gives them to its print callback only.
#pragma once

#include <string>
#include <string_view>

namespace xdpctl
{

// Collects what is said in this thread while it lives; the last words count.
class KernelWords
{
  public:
    KernelWords();
    ~KernelWords();
    KernelWords(const KernelWords&) = delete;
    KernelWords& operator=(const KernelWords&) = delete;

    const std::string& text() const { return text_; } // empty: none were said

    // For the print callback: a line of libbpf.
    static void hear(std::string_view line);

  private:
    std::string text_;
    KernelWords* outer_;
};

} // namespace xdpctl
