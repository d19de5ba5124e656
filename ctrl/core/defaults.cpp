// SPDX-License-Identifier: Apache-2.0
#include "core/defaults.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "core/config.h"
#include "core/limits.h"
#include "core/reasons.h"

namespace xdpctl
{
namespace
{

enum class When { always, beyond, attacked, configured };
constexpr std::array<std::string_view, 4> when_names = {
    "always", "beyond a rate", "while the service is attacked", "only where you say so"};

struct Row {
    xdpctl_reason reason;
    When when;
    std::string_view why; // it is an attack beyond doubt, or no loss
    std::string_view off; // besides `reasons.monitor`
};

constexpr std::array rows = {
    Row{XDPCTL_BANNED, When::configured, "you, fail2ban or CrowdSec banned the source",
        "`xdpctl ban del`"},
    Row{XDPCTL_BLOCKED, When::configured, "a list or a banned network that you named holds it",
        "`lists.block`, `feeds`, `xdpctl ban del`"},
    Row{XDPCTL_FRAME_TRUNCATED, When::always, "the kernel drops it too (`eth_type_trans`, VLAN)",
        ""},
    Row{XDPCTL_VLAN_DEPTH, When::always, "IEEE 802.1ad has two tags", ""},
    Row{XDPCTL_IPV4_HEADER, When::always, "the kernel drops it too (`ip_rcv`)", ""},
    Row{XDPCTL_IPV4_LENGTH, When::always, "the kernel drops it too (`ip_rcv`)", ""},
    Row{XDPCTL_IPV6_HEADER, When::always, "the kernel drops it too (`ip6_rcv`)", ""},
    Row{XDPCTL_IPV6_LENGTH, When::always, "the kernel drops it too (`ip6_rcv`)", ""},
    Row{XDPCTL_IPV6_EXTENSION, When::always,
        "no stack sends it; RFC 8504, 5.3 lets hosts refuse it", ""},
    Row{XDPCTL_FRAGMENT_OVERSIZE, When::always, "the kernel refuses to reassemble it", ""},
    Row{XDPCTL_FRAGMENT_TINY, When::always, "it hides ports from every filter (RFC 1858, RFC 7112)",
        ""},
    Row{XDPCTL_TCP_HEADER, When::always, "the kernel drops it too (`tcp_v4_rcv`)", ""},
    Row{XDPCTL_UDP_HEADER, When::always, "the kernel drops it too (`udp_rcv`)", ""},
    Row{XDPCTL_ICMP_HEADER, When::always, "the kernel drops it too (`icmp_rcv`)", ""},
    Row{XDPCTL_MARTIAN_SOURCE, When::always, "no answer could reach it (RFC 6890)", ""},
    Row{XDPCTL_MARTIAN_DESTINATION, When::always, "the kernel drops it too (`ip_route_input`)", ""},
    Row{XDPCTL_LAND, When::always, "an address of this host does not send to it by a wire", ""},
    Row{XDPCTL_PORT_ZERO, When::always, "no socket can have port 0 (RFC 6335)", ""},
    Row{XDPCTL_TCP_NULL, When::always, "RFC 9293 knows no such segment", ""},
    Row{XDPCTL_TCP_SYN_FIN, When::always, "RFC 9293 knows no such segment", ""},
    Row{XDPCTL_TCP_SYN_RST, When::always, "RFC 9293 knows no such segment", ""},
    Row{XDPCTL_TCP_XMAS, When::always, "RFC 9293 knows no such segment", ""},
    Row{XDPCTL_TCP_FLAGS, When::always, "RFC 9293 knows no such segment", ""},
    Row{XDPCTL_SYN_ANSWERED, When::attacked,
        "the listener's queue fills with handshakes that nobody completes; who is real completes "
        "this one with its cookie, and the kernel takes the connection",
        "`guard.mode = \"off\"`, `guard.off = [PORT]`"},
    Row{XDPCTL_COOKIE_REJECTED, When::attacked,
        "it belongs to no connection and carries no cookie of this host; a few pass (`strays`)",
        "`guard.mode = \"off\"`, `guard.off = [PORT]`"},
    Row{XDPCTL_NO_SESSION, When::beyond,
        "a few pass and get their RST; so many come from floods and scans",
        "`strays`, `tcp.services`, `sockets = \"elsewhere\"`"},
    Row{XDPCTL_ACCEPT_QUEUE, When::attacked,
        "the kernel drops it too: the queue of completed connections is full",
        "`guard.mode = \"off\"`, `guard.off = [PORT]`"},
    Row{XDPCTL_SYN_LIMITED, When::attacked,
        "cookies cannot be used, and handshakes come in by the thousand a second that the "
        "listener, "
        "or the port of a container, does not get rid of",
        "`guard.syn_prefix_per_second = 0`, `guard.syn_service_per_second = 0`"},
    Row{XDPCTL_LOCKDOWN, When::configured, "you closed the service to new clients",
        "`xdpctl guard lockdown PORT off`"},
    Row{XDPCTL_FRAGMENT_ORPHAN, When::beyond, "see the limits of `orphan`", "`limits.orphan`"},
    Row{XDPCTL_FRAGMENT_OVERLAP, When::always, "the kernel drops its whole datagram (RFC 5722)",
        ""},
    Row{XDPCTL_REFLECTION, When::beyond,
        "a few pass; so many answers that nobody asked for come from reflectors",
        "`strays`, `reflectors.remove`, `udp.services`"},
    Row{XDPCTL_UDP_NO_SOCKET, When::beyond,
        "a few pass and get their port unreachable, of which the kernel sends no more either "
        "(`icmp_ratelimit`)",
        "`strays`, `udp.services`, `sockets = \"elsewhere\"`"},
    Row{XDPCTL_ICMP_UNSOLICITED, When::beyond, "a few pass; errors about nothing are forged",
        "`strays`"},
    Row{XDPCTL_ICMP_HOPS, When::always, "RFC 4861, 6.1 and 7.1: it must be discarded", ""},
    Row{XDPCTL_ICMP_LIMITED, When::beyond, "see the limits of `icmp_*`", "`limits.icmp_echo`, ..."},
    Row{XDPCTL_PROTOCOL_REFUSED, When::configured, "you refused the protocol", "`protocols.drop`"},
    Row{XDPCTL_PROTOCOL_LIMITED, When::beyond, "see the limits of `protocol`",
        "`limits.protocol`, `protocols.pass`"},
    Row{XDPCTL_SOURCE_LIMITED, When::beyond, "see the limits", "`limits.enabled = false`"},
    Row{XDPCTL_PREFIX_LIMITED, When::beyond, "see the limits", "`limits.enabled = false`"},
    Row{XDPCTL_SERVICE_LIMITED, When::beyond, "see the limits", "`limits.enabled = false`"},
    Row{XDPCTL_DESTINATION_LIMITED, When::beyond, "see the limits", "`limits.enabled = false`"},
    Row{XDPCTL_GEO_REFUSED, When::configured, "you closed the service to its country or AS",
        "`geo.services`, `xdpctl geo set`"},
    Row{XDPCTL_FRAGMENT_UNFINISHED, When::beyond,
        "strangers' datagrams that are never whole would take the room of everybody's: the kernel "
        "then drops all fragments (`ipfrag_high_thresh`)",
        ""},
};

constexpr bool has_row(xdpctl_reason reason)
{
    return std::any_of(rows.begin(), rows.end(),
                       [reason](const Row& row) { return row.reason == reason; });
}
static_assert(std::all_of(reasons.begin(), reasons.end(), [](const ReasonInfo& reason) {
    return (reason.verdict == XDPCTL_VERDICT_PASS) != has_row(reason.id);
}));

std::string limits_table()
{
    const Limits limits = limits_of({}, {});
    std::string text = "| limit | of |";
    std::string line = "|---|---|";
    for (size_t level = 0; level < XDPCTL_LIMIT_LEVEL_COUNT; level++) {
        text += fmt::format(" {} |", limit_level_name(level));
        line += "---|";
    }
    text += "\n" + line + "\n";
    constexpr std::array<std::string_view, XDPCTL_LIMIT_CLASS_COUNT> texts = {
#define XDPCTL_LIMIT_TEXT(id, name, text) text,
        XDPCTL_LIMIT_CLASSES(XDPCTL_LIMIT_TEXT)
#undef XDPCTL_LIMIT_TEXT
    };
    for (size_t c = 0; c < limits.size(); c++) {
        text += fmt::format("| `{}` | {} |", limit_class_name(c), texts[c]);
        for (const Limit& limit : limits[c]) {
            text += fmt::format(" {} |", to_string(limit.rate));
        }
        text += "\n";
    }
    return text;
}

} // namespace

std::string defaults_document()
{
    std::string text =
        "# What the defaults drop, limit and answer\n"
        "\n"
        "Written by `xdpctl explain --defaults`. Monitor mode, which is where xdpctl starts, "
        "drops\n"
        "nothing. In enforce mode each reason can be taken back to monitoring alone:\n"
        "`reasons.monitor = [\"REASON\", ...]`. Who is on the allow list passes before all of them "
        "but\n"
        "those of the stage `parse`.\n"
        "\n"
        "| reason | what | when | why that is no loss | switched off by |\n"
        "|---|---|---|---|---|\n";
    for (const ReasonInfo& reason : reasons) {
        const auto* row = std::find_if(rows.begin(), rows.end(),
                                       [&reason](const Row& r) { return r.reason == reason.id; });
        if (row != rows.end()) {
            text += fmt::format("| `{}` | {} | {} | {} | {} |\n", reason.name, reason.text,
                                when_names[static_cast<size_t>(row->when)], row->why, row->off);
        }
    }
    const StraysConfig strays;
    text += fmt::format(
        "\n"
        "Of packets that nothing here asked for, {} a second of each kind (TCP, UDP, answers of\n"
        "reflectors, ICMP errors) reach the kernel, {} a second of one /24 or /64.\n"
        "\n"
        "## Limits\n"
        "\n"
        "Below these rates nothing is limited, by whom it is counted together. Peacetime raises "
        "them\n"
        "to its own peak times {}; `limits` states others.\n"
        "\n",
        strays.per_second, strays.prefix_per_second, LimitsConfig{}.headroom);
    return text + limits_table();
}

} // namespace xdpctl
