// SPDX-License-Identifier: Apache-2.0
#include "feeds/copies.h"

#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "core/json.h"

namespace xdpctl
{
namespace
{

using nlohmann::json;

constexpr size_t copy_bytes_most = 300UL << 20; // a fetch may bring 256 MiB

} // namespace

std::string encode_copy(const FeedCopy& copy)
{
    const json about = {{"version", 1},
                        {"url", copy.url},
                        {"etag", copy.validators.etag},
                        {"last_modified", copy.validators.last_modified},
                        {"fetched", copy.fetched_unix_s},
                        {"forced", copy.forced},
                        {"bytes", copy.text.size()},
                        {"hash", hash_bytes(copy.text)}};
    return about.dump(-1, ' ', false, json::error_handler_t::replace) + "\n" + copy.text;
}

Result<FeedCopy> decode_copy(std::string_view file)
{
    const size_t end = file.find('\n');
    const auto parsed = parse_json_bounded(file.substr(0, end));
    if (end == std::string_view::npos || !parsed || !parsed->is_object() ||
        parsed->value("version", json()) != 1) {
        return failure("not a feed's copy of version 1");
    }
    const json& about = *parsed;
    const auto word = [&about](const char* member) {
        const json value = about.value(member, json());
        return value.is_string() ? value.get<std::string>() : std::string();
    };
    const json fetched = about.value("fetched", json());
    FeedCopy copy{word("url"),
                  {word("etag"), word("last_modified")},
                  fetched.is_number_unsigned() ? fetched.get<uint64_t>() : 0,
                  std::string(file.substr(end + 1)),
                  about.value("forced", json()) == true};
    if (about.value("bytes", json()) != copy.text.size() ||
        about.value("hash", json()) != hash_bytes(copy.text)) {
        return failure("it is damaged: its text is not what was written");
    }
    return copy;
}

Result<std::optional<FeedCopy>> FeedCopies::load(const std::string& name) const
{
    const auto file = read_file(path(name), copy_bytes_most);
    if (!file) {
        return file.error().kind == ErrorKind::not_found
                   ? Result<std::optional<FeedCopy>>(std::nullopt)
                   : file.error();
    }
    auto copy = decode_copy(*file);
    return copy ? Result<std::optional<FeedCopy>>(std::move(*copy)) : copy.error().in(path(name));
}

Result<> FeedCopies::save(const std::string& name, const FeedCopy& copy) const
{
    if (auto made = make_directories(directory_); !made) {
        return made;
    }
    return write_file_atomic(path(name), encode_copy(copy));
}

void FeedCopies::remove(const std::string& name) const
{
    unlink(path(name).c_str());
}

} // namespace xdpctl
