// SPDX-License-Identifier: Apache-2.0
// Prometheus metrics of the latest Status. Labels are bounded: never an
// address, a port or free text.
#pragma once

#include <functional>
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

// The last report of the daemon.
using ReadStatus = std::function<std::shared_ptr<const Status>()>;

class Exporter
{
  public:
    // Serves http://LISTEN/metrics, see parse_listen(). `read_status` is called on a thread of
    // the server.
    static Result<std::unique_ptr<Exporter>> start(ReadStatus read_status,
                                                   const std::string& listen);
    ~Exporter();

  private:
    explicit Exporter(std::unique_ptr<HttpServer> server);
    std::unique_ptr<HttpServer> server_;
};

} // namespace xdpctl
