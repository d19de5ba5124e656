// SPDX-License-Identifier: Apache-2.0
// The CLI's end of the socket.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace xdpctl
{

class ApiClient
{
  public:
    // `warn` is called where a change is in force but lost at the next boot.
    using Warn = std::function<void(const std::string&)>;
    explicit ApiClient(std::string socket_path, Warn warn = nullptr)
        : socket_path_(std::move(socket_path)), warn_(std::move(warn))
    {
    }

    // The daemon's answer, or its error; ErrorKind::unreachable where nobody answers.
    Result<nlohmann::json> get(const std::string& path) const;
    Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body) const;
    Result<nlohmann::json> put(const std::string& path, const nlohmann::json& body) const;
    Result<nlohmann::json> remove(const std::string& path, const nlohmann::json& body) const;

  private:
    Result<nlohmann::json> send(const char* method, const std::string& path,
                                const std::string& body) const;

    std::string socket_path_;
    Warn warn_;
};

} // namespace xdpctl
