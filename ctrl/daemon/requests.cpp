// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests.h"

#include "base/file.h"

namespace xdpctl
{
namespace
{

constexpr size_t key_bytes_most = 4096;

} // namespace

Result<Fetched> fetch_feed(const FeedJob& job, const Stop& stop)
{
    FetchOptions options;
    options.bytes_most = job.config.bytes_most();
    return fetch(job.config.url, job.known, options, stop);
}

Result<std::string> read_crowdsec_key(const std::string& path)
{
    auto text = read_file(path, key_bytes_most);
    if (!text) {
        return text.error().in("the key of CrowdSec's API");
    }
    const size_t end = text->find_first_of(" \t\r\n");
    const std::string key = text->substr(0, end);
    return key.empty() ? Result<std::string>(failure("{}: no key in it", path)) : key;
}

Result<Decisions> ask_crowdsec(const BouncerJob& job, const Stop& stop)
{
    const auto key = read_crowdsec_key(job.config.key_file);
    if (!key) {
        return key.error();
    }
    FetchOptions options;
    options.total_seconds = 60;
    options.bytes_most = 64UL << 20; // some 300,000 decisions
    options.redirects_most = 0;      // the key is for nobody else
    options.headers = {"X-Api-Key: " + *key};
    const auto fetched = fetch(job.url(), {}, options, stop);
    return fetched ? parse_decisions(fetched->text) : Result<Decisions>(fetched.error());
}

} // namespace xdpctl
