// SPDX-License-Identifier: Apache-2.0
#include "core/toml_bounds.h"

#include <algorithm>

namespace xdpctl
{
namespace
{

// Strings and comments are passed over as TOML ends them. Where the text is no TOML the library
// stops too, so whatever it reads was counted here.
class Scan
{
  public:
    explicit Scan(std::string_view text) : text_(text) {}

    Result<> run()
    {
        while (at_ < text_.size()) {
            if (auto done = step(); !done) {
                return done;
            }
        }
        return Done{};
    }

  private:
    Result<> step()
    {
        const char c = text_[at_];
        if (c == '"' || c == '\'') {
            skip_string(c);
            return Done{};
        }
        if (c == '#') {
            at_ = std::min(text_.find('\n', at_), text_.size());
            return Done{};
        }
        at_++;
        return count(c);
    }

    Result<> count(char c)
    {
        if (c == '\n') {
            line_++;
            dots_ = 0;
        }
        dots_ += c == '.' ? 1 : 0;
        depth_ += c == '[' || c == '{' ? 1 : 0;
        depth_ -= (c == ']' || c == '}') && depth_ > 0 ? 1 : 0;
        if (dots_ > toml_dots_most) {
            return failure(ErrorKind::invalid_config, "{}: a key of more than {} parts", line_,
                           toml_dots_most + 1);
        }
        return depth_ > toml_depth_most
                   ? failure(ErrorKind::invalid_config, "{}: nested deeper than {}", line_,
                             toml_depth_most)
                   : Result<>(Done{});
    }

    void skip_string(char quote)
    {
        const std::string triple(3, quote);
        if (text_.substr(at_).starts_with(triple)) {
            at_ += triple.size();
            skip_until(triple, quote);
            // Up to two quotes may stand in front of the three that end it.
            for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; i++) {
                at_++;
            }
        } else {
            at_++;
            skip_until(std::string(1, quote), quote);
        }
    }

    // Behind `end`. A string of one line ends with its line.
    void skip_until(const std::string& end, char quote)
    {
        while (at_ < text_.size() && !text_.substr(at_).starts_with(end)) {
            const char c = text_[at_];
            if (c == '\n' && end.size() == 1) {
                return;
            }
            const bool escapes = c == '\\' && quote == '"' && at_ + 1 < text_.size();
            line_ += c == '\n' || (escapes && text_[at_ + 1] == '\n') ? 1 : 0;
            at_ += escapes ? 2 : 1;
        }
        at_ = std::min(at_ + end.size(), text_.size());
    }

    std::string_view text_;
    size_t at_ = 0;
    size_t line_ = 1;
    size_t dots_ = 0; // on this line
    size_t depth_ = 0;
};

} // namespace

Result<> check_toml_bounds(std::string_view text)
{
    return text.size() > toml_bytes_most
               ? failure(ErrorKind::invalid_config, "1: more than {} bytes", toml_bytes_most)
               : Scan(text).run();
}

} // namespace xdpctl
