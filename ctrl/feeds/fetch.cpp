// SPDX-License-Identifier: Apache-2.0
#include "feeds/fetch.h"

#include <curl/curl.h>
#include <sys/stat.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <string_view>

#include "base/file.h"
#include "core/feed.h"

namespace xdpctl
{
namespace
{

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

struct Transfer {
    Fetched* out;
    size_t bytes_most;
    bool too_large = false;
    bool no_memory = false;
    const std::atomic<bool>* stop;
};

// Called by libcurl, which is C: nothing may be thrown through it. To take less than it brought
// ends the transfer.
size_t on_data(char* data, size_t, size_t bytes, void* context) noexcept
try {
    auto* transfer = static_cast<Transfer*>(context);
    if (transfer->out->text.size() + bytes > transfer->bytes_most) {
        transfer->too_large = true;
        return 0;
    }
    transfer->out->text.append(data, bytes);
    return bytes;
} catch (const std::exception&) {
    static_cast<Transfer*>(context)->no_memory = true;
    return 0;
}

// "name: value" of this name; what redirects said before is replaced.
bool take_header(std::string_view line, std::string_view name, std::string& out)
{
    if (line.size() <= name.size() || line[name.size()] != ':' ||
        !std::equal(name.begin(), name.end(), line.begin(),
                    [](char a, char b) { return a == (b | ('A' <= b && b <= 'Z' ? 0x20 : 0)); })) {
        return false;
    }
    line.remove_prefix(name.size() + 1);
    const size_t first = line.find_first_not_of(" \t");
    const size_t last = line.find_last_not_of(" \t\r\n");
    out = first == std::string_view::npos ? "" : std::string(line.substr(first, last - first + 1));
    return true;
}

size_t on_header(char* data, size_t, size_t bytes, void* context) noexcept
try {
    Fetched& out = *static_cast<Transfer*>(context)->out;
    const std::string_view line(data, bytes);
    if (line.starts_with("HTTP/")) {
        out.validators = {};
    }
    if (!take_header(line, "etag", out.validators.etag)) {
        take_header(line, "last-modified", out.validators.last_modified);
    }
    return bytes;
} catch (const std::exception&) {
    static_cast<Transfer*>(context)->no_memory = true;
    return 0;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept
{
    return static_cast<Transfer*>(context)->stop->load() ? 1 : 0;
}

void add_header(Headers& headers, const std::string& line)
{
    curl_slist* all = curl_slist_append(headers.get(), line.c_str());
    if (all != nullptr) {
        (void)headers.release();
        headers.reset(all);
    }
}

// Its time, size and inode.
Result<std::string> file_version(const std::string& path)
{
    struct stat about {
    };
    if (stat(path.c_str(), &about) != 0) {
        return system_failure(errno, path);
    }
    if (!S_ISREG(about.st_mode)) {
        return failure("{}: not a regular file", path);
    }
    return fmt::format("{}.{:09} {} {}", about.st_mtim.tv_sec, about.st_mtim.tv_nsec, about.st_size,
                       about.st_ino);
}

Result<Fetched> fetch_file(const std::string& path, const Validators& known, size_t bytes_most)
{
    const auto version = file_version(path);
    if (!version) {
        return version.error();
    }
    Fetched fetched;
    fetched.validators.last_modified = *version;
    if (fetched.validators == known) {
        fetched.unchanged = true;
        return fetched;
    }
    auto text = read_file(path, bytes_most);
    if (!text) {
        return text.error();
    }
    if (const auto after = file_version(path); !after || *after != *version) {
        return failure("{}: it changed while it was read; read again soon", path);
    }
    fetched.text = std::move(*text);
    return fetched;
}

void limit_transfer(CURL* curl, const FetchOptions& options)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); // we are a thread
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, options.redirects_most);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, options.connect_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, options.stall_seconds);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, options.total_seconds);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.bytes_most));
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "xdpctl/" XDPCTL_VERSION);
}

} // namespace

Result<Fetched> fetch(const std::string& url, const Validators& known, const FetchOptions& options,
                      const std::atomic<bool>& stop)
{
    if (url.starts_with('/')) {
        return fetch_file(url, known, options.bytes_most);
    }
    const std::string shown = shown_url(url);
    const Curl curl(curl_easy_init(), curl_easy_cleanup);
    if (!curl) {
        return failure("{}: no memory for a request", shown);
    }
    Fetched fetched;
    Transfer transfer{&fetched, options.bytes_most, false, false, &stop};
    Headers headers(nullptr, curl_slist_free_all);
    if (!known.etag.empty()) {
        add_header(headers, "If-None-Match: " + known.etag);
    }
    if (!known.last_modified.empty()) {
        add_header(headers, "If-Modified-Since: " + known.last_modified);
    }
    for (const std::string& header : options.headers) {
        add_header(headers, header);
    }
    limit_transfer(curl.get(), options);
    // Nobody on the way may turn a list that was asked for safely into one that is not.
    curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR,
                     url.starts_with("https:") ? "https" : "http,https");
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);

    const CURLcode code = curl_easy_perform(curl.get());
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    if (transfer.too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return failure("{}: larger than {} bytes", shown, options.bytes_most);
    }
    if (transfer.no_memory) {
        return failure("{}: no memory for the answer", shown);
    }
    if (code != CURLE_OK) {
        return failure("{}: {}{}", shown, curl_easy_strerror(code),
                       status >= 400 ? fmt::format(" ({})", status) : "");
    }
    constexpr long not_modified = 304;
    constexpr long success = 200;
    fetched.unchanged = status == not_modified;
    if ((status != success && !fetched.unchanged) || (fetched.unchanged && known == Validators{})) {
        return failure("{}: answered with status {}", shown, status);
    }
    return fetched;
}

} // namespace xdpctl
