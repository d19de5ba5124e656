// SPDX-License-Identifier: Apache-2.0
// Prometheus metrics of the latest Status. Labels are bounded: never an
// address, a port or free text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <prometheus/collectable.h>

#include "api/control.h"

namespace prometheus
{
class Exposer;
}

namespace xdpctl
{

// The families, from one status. Pure.
std::vector<prometheus::MetricFamily> metrics_of(const Status& status);

class Exporter
{
  public:
    // Serves http://LISTEN/metrics, LISTEN is ADDRESS:PORT. `control` must outlive it.
    static Result<std::unique_ptr<Exporter>> start(Control& control, const std::string& listen);
    ~Exporter();

  private:
    Exporter() = default;
    std::shared_ptr<prometheus::Collectable> collectable_;
    std::unique_ptr<prometheus::Exposer> exposer_;
};

} // namespace xdpctl
