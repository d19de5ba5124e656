// SPDX-License-Identifier: Apache-2.0
#include "host/receivers.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <sstream>

#include "base/file.h"
#include "host/mnl.h"

namespace xdpctl
{
namespace
{

constexpr uint32_t tcp_option_mss = 2;        // RFC 9293
constexpr uint32_t network_header_bytes = 40; // of IPv6; both addresses lie below it

void add(std::vector<std::string>& found, std::string text)
{
    if (std::find(found.begin(), found.end(), text) == found.end()) {
        found.push_back(std::move(text));
    }
}

// Of libnftnl: null where the message has no such attribute.
std::string text_of(const char* text)
{
    return text != nullptr ? text : "";
}

// One rule of nftables while its expressions are read.
struct Rule {
    std::string table;
    uint32_t immediate = 0;       // the constant that was loaded just before, network byte order
    uint32_t immediate_bytes = 0; // 0: none was
    UnseenReceivers* out;
};

// Writes into the packet: an address of the network header or a port.
bool rewrites_address(const nftnl_expr* expression)
{
    if (!nftnl_expr_is_set(expression, NFTNL_EXPR_PAYLOAD_SREG)) {
        return false;
    }
    const uint32_t base = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_BASE);
    const uint32_t offset = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET);
    const uint32_t bytes = nftnl_expr_get_u32(expression, NFTNL_EXPR_PAYLOAD_LEN);
    if (base == NFT_PAYLOAD_TRANSPORT_HEADER) {
        return offset < 4; // the ports
    }
    return base == NFT_PAYLOAD_NETWORK_HEADER && bytes >= 4 && offset >= 8 &&
           offset < network_header_bytes;
}

void note_mss(uint32_t mss, UnseenReceivers& out)
{
    if (mss > 0) {
        out.mss_most = out.mss_most == 0 ? mss : std::min(out.mss_most, mss);
    }
}

void read_mss(const nftnl_expr* expression, const Rule& rule)
{
    const bool writes_mss =
        nftnl_expr_is_set(expression, NFTNL_EXPR_EXTHDR_SREG) &&
        nftnl_expr_get_u8(expression, NFTNL_EXPR_EXTHDR_TYPE) == tcp_option_mss &&
        nftnl_expr_get_u32(expression, NFTNL_EXPR_EXTHDR_OP) == NFT_EXTHDR_OP_TCPOPT;
    if (writes_mss && rule.immediate_bytes == 2) {
        note_mss(ntohl(rule.immediate) >> 16, *rule.out); // at the begin of the register
    }
}

// A target of iptables that nft cannot say in words of its own.
void read_target(const nftnl_expr* expression, const Rule& rule)
{
    const std::string target = text_of(nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME));
    if (target == "TCPMSS") { // xt_tcpmss_info of <linux/netfilter/xt_TCPMSS.h>
        constexpr uint16_t by_path_mtu = 0xffff;
        uint16_t mss = 0;
        uint32_t bytes = 0;
        const void* info = nftnl_expr_get(expression, NFTNL_EXPR_TG_INFO, &bytes);
        if (info != nullptr && bytes >= sizeof(mss)) {
            std::memcpy(&mss, info, sizeof(mss));
        }
        note_mss(mss == by_path_mtu ? 0 : mss, *rule.out);
    } else if (target == "TPROXY") {
        add(rule.out->found, "a transparent proxy (iptables, target TPROXY)");
    } else if (target == "DNAT" || target == "REDIRECT" || target == "NETMAP") {
        rule.out->translates = true;
    }
}

int on_expression(nftnl_expr* expression, void* context)
{
    auto& rule = *static_cast<Rule*>(context);
    UnseenReceivers& out = *rule.out;
    const std::string name = text_of(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME));
    if (name == "immediate") {
        uint32_t bytes = 0;
        const void* data = nftnl_expr_get(expression, NFTNL_EXPR_IMM_DATA, &bytes);
        rule.immediate = 0;
        rule.immediate_bytes = bytes;
        if (data != nullptr) {
            std::memcpy(&rule.immediate, data, std::min(sizeof(rule.immediate), size_t{bytes}));
        }
    } else if (name == "payload" && rewrites_address(expression)) {
        add(out.found,
            "nftables rewrites addresses without connection tracking (table " + rule.table + ")");
    } else if (name == "tproxy") {
        add(out.found, "a transparent proxy (nftables, table " + rule.table + ")");
    } else if (name == "fwd") {
        add(out.found, "nftables forwards at the interface (table " + rule.table + ")");
    } else if (name == "redir" ||
               (name == "nat" &&
                nftnl_expr_get_u32(expression, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_DNAT)) {
        out.translates = true;
    } else if (name == "exthdr") {
        read_mss(expression, rule);
    } else if (name == "target") {
        read_target(expression, rule);
    }
    if (name != "immediate") {
        rule.immediate_bytes = 0;
    }
    return 0;
}

} // namespace

void read_rule(const nlmsghdr& message, UnseenReceivers& out)
{
    const std::unique_ptr<nftnl_rule, decltype(&nftnl_rule_free)> parsed(nftnl_rule_alloc(),
                                                                         nftnl_rule_free);
    if (!parsed || fixed_part<nfgenmsg>(message) == nullptr ||
        nftnl_rule_nlmsg_parse(&message, parsed.get()) < 0) {
        return;
    }
    Rule rule{text_of(nftnl_rule_get_str(parsed.get(), NFTNL_RULE_TABLE)), 0, 0, &out};
    nftnl_expr_foreach(parsed.get(), on_expression, &rule);
}

namespace
{

// Does the filter send packets elsewhere? A program may do anything; of the others, the
// names of their actions stand in the message as strings.
bool redirects(std::string_view kind, std::string_view options)
{
    using namespace std::string_view_literals;
    constexpr std::array actions = {"mirred\0"sv, "nat\0"sv, "pedit\0"sv, "ct\0"sv, "bpf\0"sv};
    return kind == "bpf" || std::any_of(actions.begin(), actions.end(), [options](auto action) {
               return options.find(action) != std::string_view::npos;
           });
}

} // namespace

void read_filter(const nlmsghdr& message, const std::string& interface, UnseenReceivers& out)
{
    std::string_view kind;
    std::string_view options;
    for_each_attribute(message, sizeof(tcmsg), [&](const nlattr* attribute) {
        const std::string_view bytes(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                                     mnl_attr_get_payload_len(attribute));
        if (mnl_attr_get_type(attribute) == TCA_KIND) {
            kind = bytes.substr(0, bytes.find('\0'));
        } else if (mnl_attr_get_type(attribute) == TCA_OPTIONS) {
            options = bytes;
        }
    });
    if (redirects(kind, options)) {
        add(out.found, "a TC filter at the ingress of " + interface + " (" + std::string(kind) +
                           ") may redirect or translate");
    }
}

namespace
{

// Programs on the hook that Linux 6.6 has beside the classifiers.
void read_tcx(uint32_t ifindex, const std::string& interface, UnseenReceivers& out)
{
    constexpr auto tcx_ingress = static_cast<bpf_attach_type>(46); // BPF_TCX_INGRESS
    LIBBPF_OPTS(bpf_prog_query_opts, answer);
    if (bpf_prog_query_opts(static_cast<int>(ifindex), tcx_ingress, &answer) == 0 &&
        answer.prog_cnt > 0) {
        add(out.found,
            "BPF programs at the ingress of " + interface + " (tcx) may redirect or translate");
    }
}

constexpr nfgenmsg all_families{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = 0};

// Another number after each change of the rules of nftables; none where it cannot be read.
std::optional<uint32_t> ruleset_generation()
{
    std::optional<uint32_t> generation;
    const auto done =
        mnl_get(NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, all_families,
                [&generation](const nlmsghdr& message) {
                    for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
                        if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
                            mnl_attr_validate(attribute, MNL_TYPE_U32) == 0) {
                            generation = mnl_attr_get_u32(attribute);
                        }
                    });
                });
    return done ? generation : std::nullopt;
}

void read_tc(uint32_t ifindex, UnseenReceivers& out)
{
    char name[IF_NAMESIZE] = {};
    if (if_indextoname(ifindex, name) == nullptr) {
        return;
    }
    read_tcx(ifindex, name, out);
    tcmsg request{};
    request.tcm_family = AF_UNSPEC;
    request.tcm_ifindex = static_cast<int>(ifindex);
    request.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
    // Best effort: without the classifier there is no filter.
    (void)mnl_dump(NETLINK_ROUTE, RTM_GETTFILTER, request, [&](const nlmsghdr& message) {
        if (message.nlmsg_type == RTM_NEWTFILTER) {
            read_filter(message, name, out);
        }
    });
}

} // namespace

// "TCP  C6336401:0050 rr", "UDP  [2001:0db8:...]:0035 wlc", "FWM  00000001 rr"
void parse_ipvs(std::string_view proc_net_ip_vs, UnseenReceivers& out)
{
    std::istringstream lines{std::string(proc_net_ip_vs)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string protocol;
        std::string address;
        words >> protocol >> address;
        if (protocol == "FWM") {
            add(out.found, "IPVS serves what the firewall marks (0x" + address + ")");
            continue;
        }
        const size_t colon = address.rfind(':');
        uint16_t port = 0;
        const char* end = address.data() + address.size();
        if ((protocol != "TCP" && protocol != "UDP") || colon == std::string::npos ||
            std::from_chars(address.data() + colon + 1, end, port, 16).ptr != end || port == 0) {
            continue;
        }
        (protocol == "TCP" ? out.tcp_ports : out.udp_ports).insert(port);
    }
}

UnseenReceivers UnseenReceiversReader::read(std::span<const uint32_t> ifindexes)
{
    // Best effort: a kernel without nf_tables has no rules.
    const std::optional<uint32_t> generation = ruleset_generation();
    if (!generation || generation != generation_) {
        UnseenReceivers ruleset;
        const auto done =
            mnl_dump(NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, all_families,
                     [&ruleset](const nlmsghdr& message) { read_rule(message, ruleset); });
        if (done) { // else what was read last holds, and the next look tries again
            ruleset_ = std::move(ruleset);
            generation_ = generation;
        }
    }
    UnseenReceivers out = ruleset_;
    if (const auto ipvs = read_file("/proc/net/ip_vs")) {
        parse_ipvs(*ipvs, out);
    }
    for (const uint32_t ifindex : ifindexes) {
        read_tc(ifindex, out);
    }
    return out;
}

} // namespace xdpctl
