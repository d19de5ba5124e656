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
    // `answer_seconds`: how long an answer may take; 0: 10 s for a question, 60 s for a change.
    explicit ApiClient(std::string socket_path, int answer_seconds = 0)
        : socket_path_(std::move(socket_path)), answer_seconds_(answer_seconds)
    {
    }

    // The daemon's answer, or its error; ErrorKind::unreachable where nobody answers, or not
    // in time; ErrorKind::permission where this user may not ask.
    Result<nlohmann::json> get(const std::string& path) const;
    Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body) const;
    Result<nlohmann::json> put(const std::string& path, const nlohmann::json& body) const;
    Result<nlohmann::json> remove(const std::string& path, const nlohmann::json& body) const;

  private:
    Result<nlohmann::json> send(const char* method, const std::string& path,
                                const std::string& body) const;

    std::string socket_path_;
    int answer_seconds_;
};

} // namespace xdpctl
