// SPDX-License-Identifier: Apache-2.0
// Catch2, version 2 or 3. Where they differ, the tests use what is defined here.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>

namespace Catch
{

using Matchers::EndsWith;
using Matchers::StartsWith;

inline auto Contains(std::string part)
{
    return Matchers::ContainsSubstring(std::move(part));
}

} // namespace Catch

using Catch::Approx;

namespace xdpctl::testing
{

using CatchListener = Catch::EventListenerBase;

inline const Catch::TestCaseInfo& info_of(const Catch::TestCaseHandle& test)
{
    return test.getTestCaseInfo();
}

inline const Catch::TestCaseInfo& info_of(const Catch::TestCaseStats& stats)
{
    return *stats.testInfo;
}

inline bool runs_tests(const Catch::ConfigData& wanted)
{
    return !wanted.showHelp && !wanted.listTests && !wanted.listTags && !wanted.listReporters &&
           !wanted.listListeners;
}

} // namespace xdpctl::testing

#else
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <catch2/catch.hpp>

namespace xdpctl::testing
{

using CatchListener = Catch::TestEventListenerBase;

inline const Catch::TestCaseInfo& info_of(const Catch::TestCaseInfo& test)
{
    return test;
}

inline const Catch::TestCaseInfo& info_of(const Catch::TestCaseStats& stats)
{
    return stats.testInfo;
}

inline bool runs_tests(const Catch::ConfigData& wanted)
{
    return !wanted.showHelp && !wanted.listTests && !wanted.listTestNamesOnly && !wanted.listTags &&
           !wanted.listReporters;
}

} // namespace xdpctl::testing

#endif
