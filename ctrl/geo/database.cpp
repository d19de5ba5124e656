// SPDX-License-Identifier: Apache-2.0
#include "geo/database.h"

#include <maxminddb.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "base/fd.h"
#include "base/file.h"

namespace xdpctl
{
namespace
{

constexpr size_t file_bytes_most = 512UL << 20;
constexpr size_t networks_most = 8'000'000;

class Database
{
  public:
    Database() = default;
    ~Database()
    {
        if (open_) {
            MMDB_close(&db_);
        }
    }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // From a copy in memory: who cuts the file short while we read would end us.
    Result<> open(const std::string& path)
    {
        const auto content = read_file(path, file_bytes_most);
        if (!content) {
            return content.error();
        }
        copy_ = Fd(memfd_create("xdpctl_geo", MFD_CLOEXEC));
        for (size_t done = 0; copy_.valid() && done < content->size();) {
            const ssize_t put =
                ::write(copy_.get(), content->data() + done, content->size() - done);
            if (put < 0) {
                return system_failure(errno, "copying " + path);
            }
            done += static_cast<size_t>(put);
        }
        if (!copy_.valid()) {
            return system_failure(errno, "copying " + path);
        }
        const std::string name = fmt::format("/proc/self/fd/{}", copy_.get());
        if (const int problem = MMDB_open(name.c_str(), MMDB_MODE_MMAP, &db_);
            problem != MMDB_SUCCESS) {
            return failure("{}: {}", path, MMDB_strerror(problem));
        }
        open_ = true;
        file_ = {path, db_.metadata.database_type != nullptr ? db_.metadata.database_type : "",
                 db_.metadata.build_epoch};
        return Done{};
    }

    const GeoFile& file() const { return file_; }
    const MMDB_s& db() const { return db_; }

  private:
    Fd copy_;
    MMDB_s db_{};
    bool open_ = false;
    GeoFile file_;
};

std::optional<MMDB_entry_data_s> value_at(MMDB_entry_s entry, const std::vector<const char*>& words)
{
    std::vector<const char*> path = words;
    path.push_back(nullptr);
    MMDB_entry_data_s data{};
    if (MMDB_aget_value(&entry, &data, path.data()) != MMDB_SUCCESS || !data.has_data) {
        return std::nullopt;
    }
    return data;
}

// Where a record may say its country or its AS number, the best first. MaxMind and DB-IP
// nest them; IPinfo and others have plain strings, and IPinfo Lite's `country` is a name
// beside `country_code`. Where an address is comes before where it is registered.
using FieldPath = std::vector<const char*>;
const std::vector<FieldPath>& country_fields()
{
    static const std::vector<FieldPath> paths = {{"country", "iso_code"},
                                                 {"country_code"},
                                                 {"country", "code"},
                                                 {"country"},
                                                 {"registered_country", "iso_code"}};
    return paths;
}
const std::vector<FieldPath>& asn_fields()
{
    static const std::vector<FieldPath> paths = {{"autonomous_system_number"},
                                                 {"traits", "autonomous_system_number"},
                                                 {"asn"},
                                                 {"asn", "asn"},
                                                 {"as_number"}};
    return paths;
}

// "CN", "AS4134"; numbers may be of any width, or text with or without AS.
std::optional<std::string> code_at(const MMDB_entry_s& entry, const FieldPath& path, bool is_asn)
{
    const auto data = value_at(entry, path);
    if (!data) {
        return std::nullopt;
    }
    std::string text;
    switch (data->type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
        text = std::string(data->utf8_string, data->data_size);
        break;
    case MMDB_DATA_TYPE_UINT16:
        text = std::to_string(data->uint16);
        break;
    case MMDB_DATA_TYPE_UINT32:
        text = std::to_string(data->uint32);
        break;
    case MMDB_DATA_TYPE_UINT64:
        text = std::to_string(data->uint64);
        break;
    case MMDB_DATA_TYPE_INT32:
        text = std::to_string(data->int32);
        break;
    default:
        return std::nullopt;
    }
    if (is_asn && !text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
        text = "AS" + text;
    }
    const auto code = parse_geo_code(text);
    const bool is_country = code && code->size() == 2;
    return code && is_country != is_asn ? std::optional(*code) : std::nullopt;
}

std::set<std::string> codes_in(const MMDB_entry_s& entry)
{
    std::set<std::string> codes;
    const auto add_first = [&](const std::vector<FieldPath>& paths, bool is_asn) {
        for (const FieldPath& path : paths) {
            if (const auto code = code_at(entry, path, is_asn)) {
                codes.insert(*code);
                return;
            }
        }
    };
    add_first(country_fields(), false);
    add_first(asn_fields(), true);
    return codes;
}

// The names of what a record holds, for whoever wonders why nothing is found in it. Not by
// MMDB_get_entry_data_list(), which follows every way through the pointers of a record: a record
// of 500 bytes may have 2^30 ways.
class Members
{
  public:
    explicit Members(const MMDB_entry_s& entry) : mmdb_(entry.mmdb) { (void)visit(entry.offset); }
    std::string text() &&
    {
        std::replace_if(
            text_.begin(), text_.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
        return text_.empty() ? "nothing" : std::move(text_);
    }

  private:
    static constexpr size_t text_most = 200;
    static constexpr size_t values_most = 100;

    // Where the next value begins; none: the record is damaged, or enough of it was seen.
    std::optional<uint32_t> visit(uint32_t offset)
    {
        const auto value = value_at({mmdb_, offset}, {});
        if (!value || ++values_ > values_most || text_.size() > text_most) {
            return std::nullopt;
        }
        const bool is_map = value->type == MMDB_DATA_TYPE_MAP;
        std::optional<uint32_t> next = value->offset_to_next;
        if (!is_map && value->type != MMDB_DATA_TYPE_ARRAY) {
            return next;
        }
        for (uint32_t left = value->data_size; left > 0 && next; left--) {
            next = is_map ? add_key(*next) : next;
            next = next ? visit(*next) : next;
        }
        return next && value->offset != offset ? after_pointer(offset) : next;
    }
    std::optional<uint32_t> add_key(uint32_t offset)
    {
        const auto key = value_at({mmdb_, offset}, {});
        if (!key || key->type != MMDB_DATA_TYPE_UTF8_STRING) {
            return std::nullopt;
        }
        text_ +=
            fmt::format("{}{}", text_.empty() ? "" : ", ",
                        std::string_view(key->utf8_string, key->data_size).substr(0, text_most));
        return key->offset_to_next;
    }
    // Two bits of the first byte say how many follow, less one.
    uint32_t after_pointer(uint32_t offset) const
    {
        return offset + 2 + (mmdb_->data_section[offset] >> 3 & 3);
    }

    const MMDB_s* mmdb_;
    std::string text_;
    size_t values_ = 0;
};

// Through the tree of one database.
class Walk
{
  public:
    Walk(const Database& database, const GeoBits& bits, std::vector<GeoNetwork>& out)
        : db_(database.db()), bits_(bits), out_(out)
    {
    }

    Result<> both_families()
    {
        // The IPv4 tree is part of the IPv6 one, which also has aliases of it (6to4, Teredo).
        const bool has_ipv6 = db_.metadata.ip_version == 6;
        const uint32_t root = has_ipv6 ? db_.ipv4_start_node.node_value : 0;
        if (!has_ipv6 || (root != 0 && root < db_.metadata.node_count)) {
            begin(all_ipv4(), root);
        }
        if (has_ipv6) {
            ipv4_root_ = root;
            begin(Prefix{{}, 0}, 0);
        }
        if (!damage_.empty()) {
            return failure("{}", damage_);
        }
        return has_codes_ || !first_entry_
                   ? Result<>(Done{})
                   : failure("no record says a country or an AS number in a field that is known "
                             "(country.iso_code, country_code, autonomous_system_number, asn); "
                             "its first record has: {}",
                             Members(*first_entry_).text());
    }
    uint64_t found() const { return found_; }

  private:
    // Nothing: parts of it differ, and were told.
    using Codes = std::optional<uint64_t>;

    void begin(const Prefix& prefix, uint32_t node)
    {
        if (const Codes all = search(prefix, node)) {
            tell(prefix, *all);
        }
    }

    void tell(const Prefix& prefix, uint64_t codes)
    {
        if (codes != 0) {
            out_.push_back({prefix, codes});
        }
        if (out_.size() > networks_most) {
            damage_ = fmt::format("more than {} networks", networks_most);
        }
    }

    Codes search(const Prefix& prefix, uint32_t number)
    {
        MMDB_search_node_s node{};
        // In a tree every node is met once, aliases apart.
        if (!damage_.empty() || prefix.length >= 128 ||
            visited_++ > 4UL * db_.metadata.node_count ||
            MMDB_read_node(&db_, number, &node) != MMDB_SUCCESS) {
            damage_ = damage_.empty() ? "its search tree is damaged" : damage_;
            return 0;
        }
        Prefix left{prefix.address, static_cast<uint8_t>(prefix.length + 1)};
        Prefix right = left;
        right.address.bytes[prefix.length / 8] |=
            static_cast<uint8_t>(0x80U >> (prefix.length % 8));
        const Codes in_left =
            record(left, node.left_record_type, node.left_record, node.left_record_entry);
        const Codes in_right =
            record(right, node.right_record_type, node.right_record, node.right_record_entry);
        if (in_left && in_left == in_right) {
            return in_left;
        }
        if (in_left) {
            tell(left, *in_left);
        }
        if (in_right) {
            tell(right, *in_right);
        }
        return std::nullopt;
    }

    Codes record(const Prefix& prefix, uint8_t type, uint64_t value, const MMDB_entry_s& entry)
    {
        switch (type) {
        case MMDB_RECORD_TYPE_SEARCH_NODE:
            return ipv4_root_ == value ? 0 : search(prefix, static_cast<uint32_t>(value));
        case MMDB_RECORD_TYPE_EMPTY:
            return 0;
        case MMDB_RECORD_TYPE_DATA:
            return codes_of_entry(entry);
        default:
            damage_ = "its search tree is damaged";
            return 0;
        }
    }

    // Networks share entries.
    uint64_t codes_of_entry(const MMDB_entry_s& entry)
    {
        const auto [known, fresh] = masks_.try_emplace(entry.offset, 0);
        if (fresh) {
            const std::set<std::string> codes = codes_in(entry);
            has_codes_ = has_codes_ || !codes.empty();
            first_entry_ = first_entry_ ? first_entry_ : std::optional(entry);
            known->second = mask_of(codes, bits_);
            found_ |= known->second;
        }
        return known->second;
    }

    const MMDB_s& db_;
    const GeoBits& bits_;
    std::vector<GeoNetwork>& out_;
    std::unordered_map<uint32_t, uint64_t> masks_; // by the entry's offset
    std::optional<uint64_t> ipv4_root_;
    size_t visited_ = 0;
    uint64_t found_ = 0;
    bool has_codes_ = false; // any, wanted or not
    std::optional<MMDB_entry_s> first_entry_;
    std::string damage_;
};

} // namespace

Result<GeoData> read_geo(const std::vector<std::string>& paths, const GeoBits& bits)
{
    GeoData data;
    for (const std::string& path : paths) {
        Database database;
        if (auto done = database.open(path); !done) {
            return done.error();
        }
        Walk walk(database, bits, data.networks);
        if (auto done = walk.both_families(); !done) {
            return done.error().in(path);
        }
        data.found |= walk.found();
        data.files.push_back(database.file());
    }
    data.networks = overlay(std::move(data.networks));
    return data;
}

Result<std::set<std::string>> read_codes_at(const std::vector<std::string>& paths,
                                            const Address& address)
{
    std::set<std::string> codes;
    for (const std::string& path : paths) {
        Database database;
        if (auto done = database.open(path); !done) {
            return done.error();
        }
        if (database.db().metadata.ip_version == 4 && !address.is_ipv4()) {
            continue;
        }
        int problem = MMDB_SUCCESS;
        const MMDB_lookup_result_s result =
            MMDB_lookup_string(&database.db(), to_string(address).c_str(), &problem, &problem);
        if (problem != MMDB_SUCCESS) {
            return failure("{}: {}", path, MMDB_strerror(problem));
        }
        if (result.found_entry) {
            codes.merge(codes_in(result.entry));
        }
    }
    return codes;
}

} // namespace xdpctl
