// SPDX-License-Identifier: Apache-2.0
// The fuzz targets without libFuzzer, for every compiler: first the seeds, then inputs that are
// made of them. The same seed of the generator makes the same inputs. An input ends at a page
// that cannot be read, so that a read past its end is seen without a sanitizer.
// usage: fuzz_smoke TARGET SEEDS [COUNT] [SEED OF THE GENERATOR]
// SEEDS: a file, or a directory of files; COUNT: inputs to make, 0 for the seeds alone.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "fuzz/guarded.h"

#define FUZZ_TARGET(name) extern "C" int fuzz_##name(const uint8_t* data, size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

// Of the sanitizers, where the build has them.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace
{

constexpr unsigned input_seconds_most = 60; // a seed takes milliseconds
constexpr size_t bytes_most = 128UL << 10;

using xdpctl::testing::Guarded;
using Target = int (*)(const uint8_t*, size_t);

Target find_target(std::string_view name)
{
#define FUZZ_TARGET(target)                                                                        \
    if (name == #target) {                                                                         \
        return fuzz_##target;                                                                      \
    }
#include "fuzz_targets.inc"
#undef FUZZ_TARGET
    return nullptr;
}

// What a failure leaves behind. No function here may allocate: the heap may be what is broken.
struct Failure {
    char path[256];
    const uint8_t* data;
    size_t size;
    size_t number;
    bool is_over;
};
Failure failure_now;

void say(std::string_view text)
{
    (void)!write(STDERR_FILENO, text.data(), text.size());
}

void keep_input()
{
    const int fd = open(failure_now.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        (void)!write(fd, failure_now.data, failure_now.size);
        close(fd);
    }
    std::array<char, 24> number{};
    *fmt::format_to_n(number.data(), number.size() - 1, "{}", failure_now.number).out = '\0';
    say("fuzz_smoke: failed at input ");
    say(number.data());
    say(fd >= 0 ? ", which is kept in " : ", which cannot be written to ");
    say(failure_now.path);
    say("\n");
}

void on_signal(int signal)
{
    say(signal == SIGALRM ? "fuzz_smoke: an input took too long\n" : "");
    keep_input();
    std::signal(signal, SIG_DFL);
    raise(signal);
}

// A library may end the process by itself.
void on_exit()
{
    if (!failure_now.is_over) {
        keep_input();
    }
}

void watch_failures(const std::string& target)
{
    *fmt::format_to_n(failure_now.path, sizeof(failure_now.path) - 1, "{}/fuzz-failure-{}",
                      std::filesystem::current_path().string(), target)
         .out = '\0';
    std::atexit(on_exit);
    // A stack that is used up has no room for the handler.
    static std::array<char, 65536> stack;
    const stack_t other{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
    sigaltstack(&other, nullptr);
    struct sigaction action {
    };
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    std::vector<int> signals = {SIGALRM, SIGABRT};
    if (__sanitizer_set_death_callback != nullptr) {
        __sanitizer_set_death_callback(keep_input);
    } else {
        signals.insert(signals.end(), {SIGSEGV, SIGBUS, SIGFPE, SIGILL});
    }
    for (const int signal : signals) {
        sigaction(signal, &action, nullptr);
    }
}

void run(Target target, Guarded& place, const std::string& input)
{
    failure_now.data =
        place.put({reinterpret_cast<const uint8_t*>(input.data()), input.size()}).data();
    failure_now.size = input.size();
    alarm(input_seconds_most);
    target(failure_now.data, failure_now.size);
    alarm(0);
    failure_now.number++;
}

// Makes inputs of seeds. Numbers are not drawn by the library's distributions, which differ from
// one library to another.
class Generator
{
  public:
    Generator(const std::vector<std::string>& seeds, uint64_t seed) : seeds_(seeds), random_(seed)
    {
    }

    std::string next()
    {
        std::string input = any_seed();
        for (size_t left = 1 + below(4); left > 0; left--) {
            change(input);
        }
        input.resize(std::min(input.size(), bytes_most));
        return input;
    }

  private:
    size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }
    const std::string& any_seed() { return seeds_[below(seeds_.size())]; }
    // A range of the input, most often a short one.
    std::pair<size_t, size_t> any_range(const std::string& input)
    {
        const size_t at = below(input.size());
        const size_t most =
            below(4) == 0 ? input.size() - at : std::min<size_t>(16, input.size() - at);
        return {at, below(most + 1)};
    }
    void put_number(std::string& input)
    {
        constexpr std::array<uint64_t, 9> bounds = {
            0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, ~uint64_t{0}};
        const uint64_t number = bounds[below(bounds.size())] + below(3) - 1;
        const size_t width = size_t{1} << below(4);
        const bool swap = below(2) == 0;
        for (size_t i = 0, at = below(input.size()); i < width && at + i < input.size(); i++) {
            input[at + i] = static_cast<char>(number >> 8 * (swap ? width - 1 - i : i));
        }
    }
    // Of text: one value in another's place, of whatever type it is.
    void replace_value(std::string& input)
    {
        constexpr std::array<std::string_view, 14> words = {
            "null", "true", "0",  "-1",  "1.5", "1e99",     "18446744073709551616",
            "\"\"", "[]",   "{}", "[0]", "/",   "\"\xff\"", "::"};
        const auto [at, length] = any_value(input);
        if (below(2) == 0) {
            input.replace(at, length, words[below(words.size())]);
            return;
        }
        const std::string& other = any_seed();
        const auto [from, bytes] = any_value(other);
        input.replace(at, length, other.substr(from, bytes));
    }
    // A string in quotes, a group in brackets, or a word.
    std::pair<size_t, size_t> any_value(const std::string& text)
    {
        const auto is_word = [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
        };
        size_t at = below(text.size());
        const size_t quote = text.find_first_of("\"[{", at);
        if (below(2) == 0 && quote != std::string::npos) {
            const char close = text[quote] == '"' ? '"' : text[quote] == '[' ? ']' : '}';
            const size_t end = text.find(close, quote + 1);
            return {quote, std::min(end, text.size() - 1) - quote + 1};
        }
        while (at > 0 && is_word(text[at - 1])) {
            at--;
        }
        size_t end = at;
        while (end < text.size() && is_word(text[end])) {
            end++;
        }
        return {at, end - at};
    }
    void change(std::string& input)
    {
        const auto [at, length] = any_range(input);
        switch (below(12)) {
        case 0:
            if (!input.empty()) {
                input[at] = static_cast<char>(input[at] ^ 1 << below(8));
            }
            break;
        case 1:
            if (!input.empty()) {
                input[at] = static_cast<char>(random_());
            }
            break;
        case 2:
            input.insert(at, 1, static_cast<char>(random_()));
            break;
        case 3:
            input.erase(at, length);
            break;
        case 4:
            input.insert(below(input.size() + 1), input.substr(at, length));
            break;
        case 5:
            put_number(input);
            break;
        case 6: { // the begin of one, the end of another
            const std::string& other = any_seed();
            input = input.substr(0, at) + other.substr(below(other.size() + 1));
            break;
        }
        case 7:
            input.resize(at);
            break;
        case 8:
        case 9:
        case 10:
            replace_value(input);
            break;
        default: // many times: depth, and what grows faster than its input
            if (below(8) == 0 && length > 0) {
                const std::string part = input.substr(at, length);
                for (size_t left = below(16384 / length); left > 0; left--) {
                    input.insert(at, part);
                }
            }
        }
    }

    const std::vector<std::string>& seeds_;
    std::mt19937_64 random_;
};

std::vector<std::string> read_seeds(const std::string& path)
{
    std::vector<std::string> files;
    if (std::filesystem::is_directory(path)) {
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            files.push_back(entry.path().string());
        }
        std::sort(files.begin(), files.end()); // as for the generator
    } else {
        files.push_back(path);
    }
    std::vector<std::string> seeds;
    for (const std::string& file : files) {
        auto seed = xdpctl::read_file(file, bytes_most);
        if (!seed) {
            fmt::print(stderr, "fuzz_smoke: {}\n", seed.error().message);
            exit(1);
        }
        seeds.push_back(std::move(*seed));
    }
    return seeds;
}

} // namespace

int main(int argc, char** argv)
{
    const Target target = argc >= 3 && argc <= 5 ? find_target(argv[1]) : nullptr;
    if (target == nullptr) {
        fmt::print(stderr, "usage: fuzz_smoke TARGET SEEDS [COUNT] [SEED OF THE GENERATOR]\n"
                           "targets:"
#define FUZZ_TARGET(name) " " #name
#include "fuzz_targets.inc"
#undef FUZZ_TARGET
                           "\n");
        return 2;
    }
    const std::vector<std::string> seeds = read_seeds(argv[2]);
    if (seeds.empty()) {
        fmt::print(stderr, "fuzz_smoke: {} has no seed\n", argv[2]);
        return 1;
    }
    const size_t count = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 0;
    const uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
    fmt::print("{}: {} seeds, {} inputs of the generator's seed {}\n", argv[1], seeds.size(), count,
               seed);
    std::fflush(stdout);
    watch_failures(argv[1]);
    Guarded place(bytes_most);
    for (const std::string& input : seeds) {
        run(target, place, input);
    }
    Generator generator(seeds, seed);
    for (size_t i = 0; i < count; i++) {
        run(target, place, generator.next());
    }
    failure_now.is_over = true;
    return 0;
}
