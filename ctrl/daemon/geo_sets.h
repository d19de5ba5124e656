// SPDX-License-Identifier: Apache-2.0
// The countries and AS numbers that rules name: which bits they have, which networks,
// and when the databases say something new. Who reads databases is a parameter.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/geo.h"
#include "core/policy.h"
#include "geo/database.h"

namespace xdpctl
{

class GeoSets
{
  public:
    // `stamp` tells one content of the files from another.
    struct Source {
        std::function<Result<GeoData>(const std::vector<std::string>&, const GeoBits&)> read;
        std::function<std::string(const std::vector<std::string>&)> stamp;
    };
    static Source files();
    explicit GeoSets(Source source = files()) : source_(std::move(source)) {}

    // What rules need to be in force.
    struct Plan {
        GeoConfig wanted;
        bool suspended = false; // the databases cannot be read: no rule is in force
        GeoBits bits;           // of these codes, and of those that are in force now
        std::shared_ptr<const GeoData> data = std::make_shared<const GeoData>();
        std::string stamp;
        std::string missing; // codes that were passed over, as a sentence; else empty

        std::map<uint16_t, xdpctl_geo_rule> rules() const;
    };
    // Reads the databases where what is known does not suffice. An error where a code is
    // not in them.
    Result<Plan> plan(const GeoConfig& wanted) { return plan(wanted, false); }
    // Codes that the databases do not know any more are passed over and told as the problem,
    // where each rule still has one to go by.
    Result<Plan> plan_leniently(const GeoConfig& wanted);
    // The bits that codes had in an earlier run.
    void adopt(const GeoBits& bits) { current_.bits = bits; }
    // These rules stay out of force, instead of an error, until the files change.
    void suspend(const GeoConfig& wanted, std::string why);
    // It is in force. What no rule names any more may be left out from now on.
    void keep(Plan plan);
    // The plan in force without what no rule names any more.
    Plan shrunk() const;

    // The files are other ones than those that were read.
    bool is_stale() const;
    // The same plan from the files as they are now.
    Result<Plan> read_again() const;
    std::string stamp_now() const;
    // It could not be read: not tried again before the files change.
    void failed(std::string why, std::string stamp);

    const Plan& in_force() const { return current_; }
    const std::string& problem() const { return problem_; }
    bool is_suspended() const { return current_.suspended; }

  private:
    Result<Plan> read(const GeoConfig& wanted, const GeoBits& bits, bool lenient) const;
    Result<Plan> plan(const GeoConfig& wanted, bool lenient);

    Source source_;
    Plan current_;
    Plan last_; // that was planned
    std::optional<GeoConfig> suspended_;
    std::string problem_;
    std::string seen_; // stamp of the last try
};

ListContent content_of(const GeoData& data);

} // namespace xdpctl
