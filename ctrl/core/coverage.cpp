// SPDX-License-Identifier: Apache-2.0
#include "core/coverage.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

namespace xdpctl
{
namespace
{

// Sorted, none inside another.
const std::vector<Prefix>& not_public()
{
    static const std::vector<Prefix> networks = [] {
        std::vector<Prefix> all;
        for (const Prefix& network : private_networks()) {
            if (network.is_ipv4()) {
                all.push_back(network);
            }
        }
        for (const char* text :
             {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/3", "4000::/2", "8000::/1"}) {
            all.push_back(*parse_prefix(text));
        }
        std::sort(all.begin(), all.end());
        return all;
    }();
    return networks;
}

// Adds up addresses of prefixes that come in order, the outer before the inner.
class AddressSum
{
  public:
    void add(const Prefix& prefix)
    {
        Family& family = families_[prefix.is_ipv4() ? 0 : 1];
        if (!family.is_inside(prefix)) {
            family.outer = prefix;
            family.outer_counts = true;
            family.sum += addresses_of(prefix);
        }
    }
    void leave_out(const Prefix& prefix)
    {
        Family& family = families_[prefix.is_ipv4() ? 0 : 1];
        if (!family.is_inside(prefix)) {
            family.outer = prefix;
            family.outer_counts = false;
        } else if (family.outer_counts) {
            family.sum -= addresses_of(prefix);
        }
    }
    std::array<double, 2> sums() const { return {families_[0].sum, families_[1].sum}; }

  private:
    struct Family {
        std::optional<Prefix> outer; // the last one that is in no other
        bool outer_counts = false;
        double sum = 0;

        bool is_inside(const Prefix& prefix) const { return outer && outer->contains(prefix); }
    };
    static double addresses_of(const Prefix& prefix) { return std::ldexp(1, 128 - prefix.length); }

    std::array<Family, 2> families_;
};

std::array<double, 2> public_addresses(const std::vector<Prefix>& sorted)
{
    AddressSum sum;
    auto hidden = not_public().begin();
    for (const Prefix& prefix : sorted) {
        for (; hidden != not_public().end() && *hidden <= prefix; hidden++) {
            sum.leave_out(*hidden);
        }
        sum.add(prefix);
    }
    std::for_each(hidden, not_public().end(), [&sum](const Prefix& rest) { sum.leave_out(rest); });
    return sum.sums();
}

} // namespace

Coverage coverage_of(const std::vector<Prefix>& sorted)
{
    static const auto all = public_addresses({*parse_prefix("::/0"), all_ipv4()});
    Coverage coverage = public_addresses(sorted);
    for (size_t family = 0; family < coverage.size(); family++) {
        coverage[family] *= 100 / all[family];
    }
    return coverage;
}

CoverageChange coverage_change(const std::vector<Prefix>& before, const std::vector<Prefix>& after)
{
    std::vector<Prefix> either;
    either.reserve(before.size() + after.size());
    std::set_union(before.begin(), before.end(), after.begin(), after.end(),
                   std::back_inserter(either));
    const Coverage whole = coverage_of(either);
    const Coverage is = coverage_of(after);
    CoverageChange change{coverage_of(before), whole, whole};
    for (size_t family = 0; family < whole.size(); family++) {
        change.go[family] -= is[family];
        change.come[family] -= change.before[family];
    }
    return change;
}

} // namespace xdpctl
