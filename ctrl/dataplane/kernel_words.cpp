// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_words.h"

namespace xdpctl
{
namespace
{

constexpr std::string_view marker = "Kernel error message: "; // libbpf, src/nlattr.c

thread_local KernelWords* listener = nullptr;

} // namespace

KernelWords::KernelWords() : outer_(listener)
{
    listener = this;
}

KernelWords::~KernelWords()
{
    listener = outer_;
}

void KernelWords::hear(std::string_view line)
{
    const size_t at = line.find(marker);
    if (listener == nullptr || at == std::string_view::npos) {
        return;
    }
    std::string_view words = line.substr(at + marker.size());
    const size_t last = words.find_last_not_of(" .\n");
    listener->text_ = words.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

} // namespace xdpctl
