// SPDX-License-Identifier: Apache-2.0
#include "geo/database.h"

#include <maxminddb.h>
#include <netinet/in.h>
#include <sys/mman.h>

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

// Where the country or AS number stands: MaxMind's and DB-IP's way first, then IPinfo's.
std::set<std::string> codes_in(const MMDB_entry_s& entry)
{
    std::set<std::string> codes;
    const auto add = [&](const std::vector<const char*>& path) {
        const auto data = value_at(entry, path);
        if (!data) {
            return false;
        }
        std::string text;
        if (data->type == MMDB_DATA_TYPE_UINT32) {
            text = fmt::format("AS{}", data->uint32);
        } else if (data->type == MMDB_DATA_TYPE_UTF8_STRING) {
            text = std::string(data->utf8_string, data->data_size);
        }
        auto code = parse_geo_code(text);
        if (code) {
            codes.insert(std::move(*code));
        }
        return code.ok();
    };
    (void)(add({"country", "iso_code"}) || add({"registered_country", "iso_code"}) ||
           add({"country_code"}) || add({"country"}));
    (void)(add({"autonomous_system_number"}) || add({"asn"}));
    return codes;
}

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
        return damage_.empty() ? Result<>(Done{}) : failure("{}", damage_);
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
            known->second = mask_of(codes_in(entry), bits_);
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
