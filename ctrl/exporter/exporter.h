// SPDX-License-Identifier: Apache-2.0
// Prometheus metrics of the latest Status. Labels are bounded: never an
// address, a port or free text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <prometheus/metric_family.h>

#include "api/control.h"

namespace xdpctl
{

// The families, from one status. Pure.
std::vector<prometheus::MetricFamily> metrics_of(const Status& status);

class HttpServer;

class Exporter
{
  public:
    // Serves http://LISTEN/metrics, see parse_listen(). `control` must outlive it.
    static Result<std::unique_ptr<Exporter>> start(Control& control, const std::string& listen);
    ~Exporter();

  private:
    explicit Exporter(std::unique_ptr<HttpServer> server);
    std::unique_ptr<HttpServer> server_;
};

} // namespace xdpctl
