// SPDX-License-Identifier: Apache-2.0
#include <xdpctl/abi/reflectors.h>

#include "api/codec.h"
#include "core/frame.h"
#include "core/defaults.h"
#include "core/reasons.h"
#include "output.h"
#include "replay/capture.h"
#include "verbs.h"

namespace xdpctl::cli
{
namespace
{

using nlohmann::json;

struct Options {
    std::string source;
    std::string destination;
    std::string protocol = "tcp";
    std::string flags = "S";
    uint16_t sport = 40000;
    uint16_t dport = 80;
    size_t payload = 0;
    std::vector<uint16_t> vlans;
    std::string hex;
    std::string pcap;
    uint64_t number = 1;
    bool reasons = false;
    bool defaults = false;
    bool reflectors = false;
};

Result<Bytes> build(const Options& options)
{
    auto source = parse_address(options.source);
    auto destination = parse_address(options.destination);
    for (const auto* address : {&source, &destination}) {
        if (!*address) {
            return address->error();
        }
    }
    if (source->is_ipv4() != destination->is_ipv4()) {
        return failure(ErrorKind::usage, "source and destination are of different families");
    }
    FrameBuilder frame(*source, *destination);
    for (const uint16_t vlan : options.vlans) {
        frame.vlan(vlan);
    }
    frame.payload(options.payload);
    if (options.protocol == "udp") {
        return frame.udp(options.sport, options.dport).build();
    }
    if (options.protocol == "icmp") {
        return frame.icmp(source->is_ipv4() ? 8 : 128, 0).build();
    }
    auto flags = parse_tcp_flags(options.flags);
    return flags ? Result<Bytes>(frame.tcp(options.sport, options.dport, *flags).build())
                 : flags.error();
}

Result<Bytes> read_capture(const Options& options)
{
    auto capture = Capture::open(options.pcap);
    if (!capture) {
        return capture.error();
    }
    for (uint64_t i = 1;; i++) {
        auto frame = capture->next();
        if (!frame) {
            return frame.error();
        }
        if (!*frame) {
            return failure(ErrorKind::not_found, "{}: it has {} frames, not {}", options.pcap,
                           i - 1, options.number);
        }
        if (i == options.number) {
            return (*frame)->bytes;
        }
    }
}

Result<Bytes> frame_of(const Options& options)
{
    if (!options.hex.empty()) {
        auto text = options.hex == "-" ? read_input("-") : Result<std::string>(options.hex);
        return text ? parse_hex(*text) : text.error();
    }
    if (!options.pcap.empty()) {
        return read_capture(options);
    }
    if (options.source.empty() || options.destination.empty()) {
        return failure(ErrorKind::usage,
                       "say which packet: SOURCE DESTINATION, --hex or --pcap (or --reasons)");
    }
    return build(options);
}

void print_explanation(const json& answer)
{
    const std::string action = answer["action"];
    const std::string verdict = answer["verdict"];
    const bool spared = action != verdict;
    fmt::print("{}: {}, {}\n",
               paint(action == "drop" ? Color::red
                     : spared         ? Color::yellow
                                      : Color::green,
                     spared ? fmt::format("{} (monitored only; enforce would {})", action, verdict)
                            : action),
               answer["reason"].get<std::string>(), answer["text"].get<std::string>());
    Table table({"STAGE", "QUESTION", "OUTCOME"});
    for (const json& row : answer["path"]) {
        const std::string outcome = row["outcome"];
        table.add({row["stage"], row["question"], outcome}, outcome == "not reached" ? Color::dim
                                                            : outcome == "next"      ? Color::none
                                                                                     : Color::bold);
    }
    table.print();
    fmt::print("session {}; source {} here; policy generation {}\n",
               answer["session"].get<std::string>(),
               answer["known_client"].get<bool>() ? "holds or held a connection"
                                                  : "is not known as a client",
               answer["generation"].get<uint64_t>());
    for (const json& stand : answer["lists"]) {
        const std::string why = stand["why"];
        const bool decides = stand["list"] == answer["list"] || stand["list"] == answer["reason"];
        fmt::print("{} is on the list {}{}{}{}\n", stand["prefix"].get<std::string>(),
                   stand["list"].get<std::string>(), why.empty() ? "" : ", ", why,
                   !decides ? ""
                   : answer.contains("remaining_seconds")
                       ? fmt::format(", which decides for another {:.0f} s",
                                     answer["remaining_seconds"].get<double>())
                       : ", which decides");
    }
    if (const auto codes = answer["source_codes"].get<std::vector<std::string>>(); !codes.empty()) {
        fmt::print("geo.databases place the source in {}\n", fmt::join(codes, ", "));
    }
}

Outcome list_reflectors(const Context& context)
{
    json rows = json::array();
    Table table({">PORT", "NAME", "SOURCE"});
    const auto add = [&](uint16_t port, const char* name, const char* source) {
        rows.push_back({{"port", port}, {"name", name}, {"source", source}});
        table.add({std::to_string(port), name, source});
    };
#define XDPCTL_LIST_REFLECTOR(port, name, source) add(port, name, source);
    XDPCTL_REFLECTORS(XDPCTL_LIST_REFLECTOR)
#undef XDPCTL_LIST_REFLECTOR
    if (context.json) {
        print_json({{"reflectors", rows}, {"schema_version", schema_version}});
    } else {
        table.print();
    }
    return 0;
}

Outcome list_reasons(const Context& context)
{
    json rows = json::array();
    Table table({"REASON", "STAGE", "VERDICT", "MEANING"});
    for (const ReasonInfo& reason : reasons) {
        const std::string verdict(verdict_names[reason.verdict]);
        const std::string_view stage = stages[reason.stage].name;
        rows.push_back({{"reason", reason.name},
                        {"stage", stage},
                        {"verdict", verdict},
                        {"text", reason.text}});
        table.add(
            {std::string(reason.name), std::string(stage), verdict, std::string(reason.text)});
    }
    if (context.json) {
        print_json({{"reasons", rows}, {"schema_version", schema_version}});
    } else {
        table.print();
    }
    return 0;
}

Outcome run(const Context& context, const Options& options)
{
    if (options.reasons) {
        return list_reasons(context);
    }
    if (options.reflectors) {
        return list_reflectors(context);
    }
    if (options.defaults) {
        fmt::print("{}", defaults_document());
        return 0;
    }
    auto frame = frame_of(options);
    if (!frame) {
        return frame.error();
    }
    auto answer = context.api().post("/v1/explain", {{"frame", to_hex(*frame)}});
    if (!answer) {
        return answer.error();
    }
    context.json ? print_json(*answer) : print_explanation(*answer);
    return 0;
}

} // namespace

Action setup_explain(CLI::App& app)
{
    const auto options = std::make_shared<Options>();
    app.add_option("SOURCE", options->source, "address the packet comes from");
    app.add_option("DESTINATION", options->destination, "address it goes to");
    app.add_option("--protocol", options->protocol, "tcp, udp or icmp")
        ->capture_default_str()
        ->check(CLI::IsMember({"tcp", "udp", "icmp"}));
    app.add_option("--sport", options->sport, "source port")->capture_default_str();
    app.add_option("--dport", options->dport, "destination port")->capture_default_str();
    app.add_option("--flags", options->flags, "TCP flags, letters of FSRPAUEW")
        ->capture_default_str();
    app.add_option("--payload", options->payload, "bytes of payload")->check(CLI::Range(0, 3000));
    app.add_option("--vlan", options->vlans, "VLAN tag, outermost first; up to three");
    app.add_option("--hex", options->hex, "the frame itself in hexadecimal, - for standard input");
    app.add_option("--pcap", options->pcap, "take the frame from a capture");
    app.add_option("--number", options->number, "with --pcap: which frame")->capture_default_str();
    app.add_flag("--reasons", options->reasons, "list every reason instead");
    app.add_flag("--defaults", options->defaults,
                 "what the defaults drop, why that is no loss, how to switch it off; Markdown");
    app.add_flag("--reflectors", options->reflectors,
                 "list the built-in UDP ports whose answers must have been asked for");
    app.footer("Runs the loaded program on the packet; nothing is counted, nothing is changed.");
    return [options](const Context& context) { return run(context, *options); };
}

} // namespace xdpctl::cli
