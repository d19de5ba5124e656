// SPDX-License-Identifier: Apache-2.0
// Errors are values: a kind that decides the exit code, and words that name
// the place and the cause.
#pragma once

#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

#include <fmt/format.h>

namespace xdpctl
{

// The kinds a caller may act on; their numbers are the CLI's exit codes.
enum class ErrorKind {
    failed = 1,
    usage = 2,
    unreachable = 3,
    not_found = 4,
    permission = 5,
    invalid_config = 6,
    refused = 7,
    unreadable = 8, // an input file: not what it should be, or damaged
};

struct Error {
    ErrorKind kind = ErrorKind::failed;
    std::string message;

    // The same error, with the place where it happened in front.
    Error in(std::string_view place) const { return {kind, fmt::format("{}: {}", place, message)}; }
};

template <typename... Args> Error failure(fmt::format_string<Args...> text, Args&&... args)
{
    return {ErrorKind::failed, fmt::format(text, std::forward<Args>(args)...)};
}

template <typename... Args>
Error failure(ErrorKind kind, fmt::format_string<Args...> text, Args&&... args)
{
    return {kind, fmt::format(text, std::forward<Args>(args)...)};
}

// "what: strerror(code)"; EPERM and EACCES become ErrorKind::permission.
// `code` is an errno value of either sign.
Error system_failure(int code, std::string what);

struct Done {
};

// A value or an Error. value() on an error is a bug and aborts.
template <typename T = Done> class [[nodiscard]] Result
{
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & { return check(), *std::get_if<0>(&state_); }
    const T& value() const& { return check(), *std::get_if<0>(&state_); }
    // By value, so that `for (x : *f())` keeps what it walks over alive.
    T value() && { return check(), std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const { return *std::get_if<1>(&state_); }

  private:
    void check() const
    {
        if (!ok()) {
            std::abort();
        }
    }

    std::variant<T, Error> state_;
};

} // namespace xdpctl
